"""One choice of a response, growing: sampled tokens become events that every API can shape.

In order: Began; then parts, one after another, each a text or a tool call (PartBegun, Piece…,
PartEnded); Finished. A token is carried by the first event that is told after it. The pieces,
joined, are exactly the message that is recorded, so that a client that sends it back is recognised
by the hash chain.

The arguments of a call come in pieces where the reply is held to calls, or another try can be had
of one that breaks off; else when they are whole. What was meant as a call and is none, or calls
what is not on offer, is told to nobody, and is kept in `broken`. So is a call that the reply's end
cuts, though its beginning may have been told. Where another try can be had, the reply goes back to
before what is broken (`kept`): to before the call or, where its beginning was told, to the end of
that (`rest`).

Knows nothing of HTTP, nor of any API's JSON.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent.engine.contract import Finish, Token
from agent.errors import BrokenError
from agent.tools.calls import Broken, Call, CallBegun, CallEnded, CallGrown, Growing, Halt
from agent.tools.finder import CallFinder
from agent.tools.held import HeldCalls
from agent.tools.served import Made
from agent.turn.ask import Ask
from agent.turn.held.held import Held, Rest
from streams.line.variant import Variant
from streams.records import Json, Message

FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """Which tool is called."""

    number: int  # of the reply's calls, from 0
    id: str  # by which its result will refer to it
    name: str


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the reply: text, the arguments of a tool call, as JSON, or a call made here."""

    number: int  # of the reply's parts, from 0
    call: ToolCall | None = None
    made: Made | None = None  # a call of the agent's own; what it says stands in it

    @property
    def is_text(self) -> bool:
        """Whether it is text."""
        return self.call is None and self.made is None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens read and sampled."""

    prompt_tokens: int
    reply_tokens: int
    cached_tokens: int = 0  # of the prompt's, found in the cache
    cut_tokens: int = 0  # of the oldest exchanges, left out of the prompt


@dataclass(frozen=True, slots=True)
class Began:
    """The first token is sampled, and with it is known what answers."""

    variant: Variant


@dataclass(frozen=True, slots=True)
class PartBegun:
    """A new part, empty so far."""

    part: Part


@dataclass(frozen=True, slots=True)
class Piece:
    """More of a part, never empty, with the tokens that no earlier event carried."""

    part: Part
    text: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class PartEnded:
    """A part is whole; the next one begins only after this."""

    part: Part
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Nothing more comes."""

    reason: FinishReason
    stopped_by: str | None  # the stop string that ended it; it is no part of the text
    usage: Usage
    tokens: tuple[Token, ...]


ReplyEvent = Began | PartBegun | Piece | PartEnded | Finished


class Reply:
    """One choice, growing."""

    def __init__(self, ask: Ask, *, can_retry: bool = False) -> None:
        """Start empty. Tool calls are looked for when the ask offers tools.

        can_retry: whether another try can be had of a call that is none
        """
        self.tokens: list[Token] = []
        self._failed: Variant | None = None
        self.calls: list[ToolCall] = []
        self.broken: list[Broken] = []
        self.kept: int | None = None  # the tokens before what is broken, when a try is wanted
        self.rest: Rest | None = None  # the call that is wanted to be gone on with
        self.retried: Held | None = None  # what the second try is held to
        self.finish_reason: FinishReason | None = None
        self.stopped_by: str | None = None  # the stop string that ended it
        self.cut: Part | None = None  # a call that was told in part, and cut
        self._prompt_tokens, self._parallel = len(ask.prompt_token_ids), ask.parallel_calls
        self._ask, self._can_retry, self._began = ask, can_retry, False
        self._offered = {tool["function"]["name"] for tool in ask.tools or []}
        self._skips = False  # a call that grows and does not count
        self._finder: CallFinder | HeldCalls | None = None
        if ask.tools is not None:
            constraint = ask.constraint if ask.held is not None else None
            alone = constraint is not None and constraint.calls and constraint.text is None
            # what a stop string holds back comes late, and not where a token ends
            free = can_retry and ask.held is None and not any(s.stop for s in ask.samplings)
            grows = self._offered if free else frozenset[str]()
            self._finder = HeldCalls(ask.writes) if alone else CallFinder(ask.writes, grows)
        self._parts: list[tuple[Part, list[Piece]]] = []
        self._open = False  # whether the last part may grow
        self._whole: Message | None = None  # the reply as a message, once it has ended
        self._untold: list[Token] = []

    @property
    def variant(self) -> Variant | None:
        """What answers, or failed to; None before the first token."""
        return self.tokens[0].variant if self.tokens else self._failed

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

    def add(self, *tokens: Token) -> list[ReplyEvent]:
        """Take tokens, and return what became certain by them.

        What follows what is broken is not taken. Where no calls are looked for, the text of all
        tokens is one piece.

        tokens: at least one
        raises: BrokenError when a call that was told in part breaks off where nothing can go on
        """
        events: list[ReplyEvent] = [] if self._began else [Began(tokens[0].variant)]
        self._began = True
        if self._finder is None:
            self.tokens += tokens
            self._untold += tokens
            self._tell(["".join([token.text for token in tokens])], events)
            return events
        for token in tokens:
            if self.kept is not None:
                break
            self.tokens.append(token)
            self._untold.append(token)
            self._tell(self._finder.feed(token.text), events)
        return events

    def finish(self, finish: Finish) -> list[ReplyEvent]:
        """End the reply, and return what was held back and why it ended.

        It has not ended when another try is wanted of what was held back: `kept` says so.
        """
        events: list[ReplyEvent] = []
        wanted, cut = self.kept, finish.reason != "stop" or finish.stopped_by is not None
        if self.rest is not None:
            self._end_cut(events)
        self._tell(self._finder.finish(cut=cut) if self._finder else [], events)
        if self.kept != wanted:
            return events
        self._end(events)
        reason = "tool_calls" if self.calls and finish.reason == "stop" else finish.reason
        self.finish_reason, self.stopped_by = reason, finish.stopped_by
        usage = Usage(self._prompt_tokens, len(self.tokens))
        events.append(Finished(reason, finish.stopped_by, usage, self._carry()))
        return events

    def fail(self, variant: Variant | None) -> None:
        """Note what could not make the reply, or not go on with it, and end it."""
        self._failed = variant
        if self.finish_reason is None:
            self.finish(Finish("cancelled"))

    def retry(self, held: Held) -> None:
        """Go back to before what is broken.

        held: what the tokens after them are held to
        """
        told = len(self.tokens) - len(self._untold)
        self.tokens = self.tokens[: self.kept]
        self._untold = self.tokens[told:]
        self.kept, self._can_retry, self.retried = None, False, held
        begun = self.rest.arguments if self.rest is not None else None
        self._finder, self.rest = HeldCalls(self._ask.writes, begun), None

    def message(self) -> Message:
        """The reply as a message of the wire records."""
        if self._whole is not None:
            return self._whole
        text = "".join(said for part, said in self.parts if part.call is None)
        calls: list[Json] = [
            {
                "id": part.call.id,
                "type": "function",
                "function": {"name": part.call.name, "arguments": said},
            }
            for part, said in self.parts
            if part.call is not None
        ]
        content = None if calls and not text.strip() else text
        message = Message(role="assistant", content=content, tool_calls=calls or None)
        if self.finish_reason is not None:
            self._whole = message
        return message

    def _tell(self, found: Sequence[Growing], events: list[ReplyEvent]) -> None:
        """Add the events of what was found in the text; nothing of what follows what is broken."""
        for each in map(self._known, found):
            if self.kept is not None:
                return
            match each:
                case CallBegun(name):
                    self._skips = not self._parallel and bool(self.calls)
                    if not self._skips:
                        self._begin_call(name, events)
                case CallGrown() | CallEnded() if self._skips:
                    pass
                case CallGrown(text):
                    self._grow(text, events)
                case CallEnded():
                    self._end(events)
                case Broken(halt=Halt() as halt, fault=fault) if fault != "cut" and not self._skips:
                    self.broken.append(each)
                    self._halt(halt)
                case Broken():
                    self.broken.append(each)
                    told = self._end_cut(events)
                    self.kept = self._before(each) if self._can_retry and not told else None
                case str() if each:
                    if not self._open:
                        self._begin(None, events)
                    self._grow(each, events)
                case Call() if self._parallel or not self.calls:
                    self._begin_call(each.name, events)
                    self._grow(each.arguments, events)
                    self._end(events)

    def _begin_call(self, name: str, events: list[ReplyEvent]) -> None:
        self._end(events)
        call = ToolCall(len(self.calls), f"call_{secrets.token_hex(12)}", name)
        self.calls.append(call)
        self._begin(call, events)

    def _halt(self, halt: Halt) -> None:
        """Want the call that grows to be gone on with, from the end of what was told of it."""
        part, pieces = self._parts[-1]
        assert part.call is not None
        self.rest = Rest(part.call.name, joined(part, pieces).text, halt.listed)
        self.kept = self._place("".join(token.text for token in self.tokens)[: halt.at])
        if self.kept is None:
            raise BrokenError("a call of a tool broke off in the midst of a token: ask again")

    def _end_cut(self, events: list[ReplyEvent]) -> bool:
        """End a call that grew, if one did: it was told so far, and is no call of the reply."""
        if not self._open or self._parts[-1][0].call is None:
            return False
        self.cut = self._parts[-1][0]
        self.calls.pop()
        self._end(events)
        return True

    def _known(self, found: Growing) -> Growing:
        """What was found; only tools on offer can be called, and a text of a form is no call."""
        if isinstance(found, CallBegun | CallGrown | CallEnded):  # the grammar knows which
            return found
        if isinstance(found, str) or (isinstance(found, Call) and found.name in self._offered):
            return found
        constraint = self._ask.constraint
        if constraint is not None and constraint.text is not None:
            return found.raw
        return found if isinstance(found, Broken) else Broken(found.raw, "unknown")

    def _before(self, broken: Broken) -> int | None:
        """How many tokens write what was told before; None: no other try can begin there."""
        if broken.fault == "cut" or self.calls:
            return None
        return self._place("".join(said for _, said in self.parts))

    def _place(self, text: str) -> int | None:
        """How many tokens write what the reply begins with; None: that ends within a token."""
        written, wanted = 0, len(text.encode())
        if not wanted:
            return 0
        for count, token in enumerate(self.tokens, 1):
            piece = token.spelling.bytes or b""
            # a decoder takes the space away that a sentence piece begins a text with
            written += len(piece) - (count == 1 and piece[:1] == b" " and text[0] != " ")
            if written >= wanted:
                return count if written == wanted else None
        return None

    def _begin(self, call: ToolCall | None, events: list[ReplyEvent]) -> None:
        part = Part(len(self._parts), call)
        self._parts.append((part, []))
        self._open = True
        events.append(PartBegun(part))

    def _grow(self, text: str, events: list[ReplyEvent]) -> None:
        part, pieces = self._parts[-1]
        pieces.append(Piece(part, text, self._carry()))
        events.append(pieces[-1])

    def _end(self, events: list[ReplyEvent]) -> None:
        if self._open:
            self._open = False
            part, pieces = self._parts[-1]
            events.append(PartEnded(part, joined(part, pieces).text))

    def _carry(self) -> tuple[Token, ...]:
        tokens, self._untold = tuple(self._untold), []
        return tokens


def joined(part: Part, pieces: Sequence[Piece]) -> Piece:
    """The pieces of a part as one, which is empty where there are none."""
    text = "".join([piece.text for piece in pieces])
    return Piece(part, text, tuple(token for piece in pieces for token in piece.tokens))
