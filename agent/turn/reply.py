"""One choice of a response, growing: sampled tokens become events that every API can shape.

In order: Began; then parts, one after another, each a text or a tool call (PartBegun, Piece…,
PartEnded); Finished. A token is carried by the first event that is told after it. The pieces,
joined, are exactly the message that is recorded, so that a client that sends it back is recognised
by the hash chain.

Knows nothing of HTTP, nor of any API's JSON.
"""

import secrets
from dataclasses import dataclass
from typing import Literal

from agent.engine.contract import Finish, Token
from agent.tools.calls import Call, CallFinder
from agent.turn.ask import Ask
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
    """A stretch of the reply: text, or the arguments of a tool call, as JSON."""

    number: int  # of the reply's parts, from 0
    call: ToolCall | None = None


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

    def __init__(self, ask: Ask) -> None:
        """Start empty. Tool calls are looked for when the ask offers tools."""
        self.tokens: list[Token] = []
        self.calls: list[ToolCall] = []
        self.finish_reason: FinishReason | None = None
        self.stopped_by: str | None = None  # the stop string that ended it
        self._prompt_tokens, self._parallel = len(ask.prompt_token_ids), ask.parallel_calls
        self._finder = CallFinder() if ask.tools is not None else None
        self._parts: list[tuple[Part, list[str]]] = []
        self._open = False  # whether the last part may grow
        self._untold: list[Token] = []

    @property
    def variant(self) -> Variant | None:
        """What answers; None before the first token."""
        return self.tokens[0].variant if self.tokens else None

    @property
    def parts(self) -> list[tuple[Part, str]]:
        """The parts so far, each with what it says."""
        return [(part, "".join(pieces)) for part, pieces in self._parts]

    def add(self, token: Token) -> list[ReplyEvent]:
        """Take a token, and return what became certain by it."""
        events: list[ReplyEvent] = [] if self.tokens else [Began(token.variant)]
        self.tokens.append(token)
        self._untold.append(token)
        self._tell(self._finder.feed(token.text) if self._finder else [token.text], events)
        return events

    def finish(self, finish: Finish) -> list[ReplyEvent]:
        """End the reply, and return what was held back and why it ended."""
        events: list[ReplyEvent] = []
        self._tell(self._finder.finish() if self._finder else [], events)
        self._end(events)
        reason = "tool_calls" if self.calls and finish.reason == "stop" else finish.reason
        self.finish_reason, self.stopped_by = reason, finish.stopped_by
        usage = Usage(self._prompt_tokens, len(self.tokens))
        events.append(Finished(reason, finish.stopped_by, usage, self._carry()))
        return events

    def message(self) -> Message:
        """The reply as a message of the wire records."""
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
        return Message(role="assistant", content=content, tool_calls=calls or None)

    def _tell(self, found: list[str | Call], events: list[ReplyEvent]) -> None:
        """Add the events of what was found in the text."""
        for each in found:
            if isinstance(each, str):
                if each and not self._open:
                    self._begin(None, events)
                if each:
                    self._grow(each, events)
            elif self._parallel or not self.calls:
                self._end(events)
                call = ToolCall(len(self.calls), f"call_{secrets.token_hex(12)}", each.name)
                self.calls.append(call)
                self._begin(call, events)
                self._grow(each.arguments, events)
                self._end(events)

    def _begin(self, call: ToolCall | None, events: list[ReplyEvent]) -> None:
        part = Part(len(self._parts), call)
        self._parts.append((part, []))
        self._open = True
        events.append(PartBegun(part))

    def _grow(self, text: str, events: list[ReplyEvent]) -> None:
        part, pieces = self._parts[-1]
        pieces.append(text)
        events.append(Piece(part, text, self._carry()))

    def _end(self, events: list[ReplyEvent]) -> None:
        if self._open:
            self._open = False
            part, pieces = self._parts[-1]
            events.append(PartEnded(part, "".join(pieces)))

    def _carry(self) -> tuple[Token, ...]:
        tokens, self._untold = tuple(self._untold), []
        return tokens
