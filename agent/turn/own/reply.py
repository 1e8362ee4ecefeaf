"""The replies of several steps as the one that the client is told.

Calls of tools that the agent makes itself are held back, and told as calls that were made; all
other parts are numbered on through the steps. Nothing is told twice, and the end only once.

Knows nothing of engines or of where tools are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from agent.engine.contract import Token
from agent.tools.served import Made
from agent.turn.ask import Ask
from agent.turn.reply import (
    Began,
    Finished,
    FinishReason,
    Part,
    PartBegun,
    PartEnded,
    Piece,
    Reply,
    ReplyEvent,
    ToolCall,
    Usage,
    joined,
)
from streams.line.variant import Variant
from streams.records import Json, Message


class LoopReply:
    """What has been told so far (agent.turn.own.told.ToldReply)."""

    def __init__(self, ask: Ask) -> None:
        """Begin with nothing told, but for the calls that were made before the first token."""
        self.finish_reason: FinishReason | None = None
        self.stopped_by: str | None = None
        self.cut: Part | None = None  # a call that was told in part, and cut
        self.tokens: list[Token] = []
        self._served, self._first = ask.served, ask.made
        self._parts: list[tuple[Part, list[Piece]]] = []
        self._now: Part | None = None  # the part that grows, as it is told
        self._began, self._calls = False, 0

    @property
    def variant(self) -> Variant | None:
        """What sampled the newest token; None before the first."""
        return self.tokens[-1].variant if self.tokens else None

    @property
    def parts(self) -> list[tuple[Part, str]]:
        """The parts so far, each with what it says; but for a call that was cut, which is none."""
        return [(piece.part, piece.text) for piece in self.pieces]

    @property
    def pieces(self) -> list[Piece]:
        """The same, each part as the one piece that its pieces are together."""
        return [piece for piece in self.told if piece.part != self.cut]

    @property
    def told(self) -> list[Piece]:
        """The same, and behind them a call that was cut."""
        return [joined(part, pieces) for part, pieces in self._parts]

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(said for part, said in self.parts if part.is_text)

    def message(self) -> Message:
        """What was told, as a message of the wire records: text, and the client's calls."""
        calls: list[Json] = [
            {
                "id": part.call.id,
                "type": "function",
                "function": {"name": part.call.name, "arguments": said},
            }
            for part, said in self.parts
            if part.call is not None
        ]
        content = None if calls and not self.text.strip() else self.text
        return Message(role="assistant", content=content, tool_calls=calls or None)

    def take(self, events: Iterable[ReplyEvent], reply: Reply, before: int) -> list[ReplyEvent]:
        """Take what became certain of a step, and return what is told of it.

        before: how many tokens the steps before have
        """
        self._count(reply.tokens, before)
        told: list[ReplyEvent] = []
        for event in events:
            match event:
                case Began() if not self._began:
                    self._began = True
                    told.append(event)
                    for made in self._first:
                        told += [self.begin_call(made), self.end_call(made)]
                case PartBegun(part) if part.call is None or part.call.name not in self._served:
                    told.append(PartBegun(self._begin(part.call)))
                case Piece(_, text, tokens) if self._now is not None:
                    part, pieces = self._parts[-1]
                    pieces.append(Piece(part, text, tokens))
                    told.append(pieces[-1])
                case PartEnded(ended) if self._now is not None:
                    part, pieces = self._parts[-1]
                    told.append(PartEnded(part, joined(part, pieces).text))
                    self._now = None
                    if ended == reply.cut:
                        self.cut, self._calls = part, self._calls - 1
                case _:
                    pass
        return told

    def begin_call(self, made: Made) -> PartBegun:
        """Tell that a call is being made."""
        part = Part(len(self._parts), made=replace(made, result=None))
        self._parts.append((part, []))
        return PartBegun(part)

    def end_call(self, made: Made) -> PartEnded:
        """Tell what came of the call that was begun last."""
        part = replace(self._parts[-1][0], made=made)
        self._parts[-1] = part, []
        return PartEnded(part, "")

    def finish(self, reply: Reply, usage: Usage, *, cut: bool) -> Finished:
        """Tell the end. reply: the last step's; cut: no token was left to go on with"""
        reason = "length" if cut else reply.finish_reason or "cancelled"
        if reason == "tool_calls" and not self._calls:  # all of them were the agent's own
            reason = "stop"
        self.finish_reason, self.stopped_by = reason, reply.stopped_by
        return Finished(reason, reply.stopped_by, usage, ())

    def _begin(self, call: ToolCall | None) -> Part:
        if call is not None:
            call, self._calls = replace(call, number=self._calls), self._calls + 1
        self._now = Part(len(self._parts), call)
        self._parts.append((self._now, []))
        return self._now

    def _count(self, tokens: Sequence[Token], before: int) -> None:
        """Take the tokens of a step, which may have gone back to try a call again."""
        have = len(self.tokens) - before
        if have and (have > len(tokens) or self.tokens[-1] is not tokens[have - 1]):
            del self.tokens[before:]
            have = 0
        self.tokens.extend(tokens[have:])
