"""What an API reads of an answer: of one reply, or of a loop of replies and calls of tools."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from agent.engine.contract import Token
from agent.turn.ask import Ask
from agent.turn.making.merged import Step
from agent.turn.reply import FinishReason, Part, Piece, Usage
from streams.line.variant import Variant
from streams.records import Json, Message


class ToldReply(Protocol):
    """One choice (agent.turn.reply.Reply, agent.turn.own.loop.LoopReply)."""

    @property
    def tokens(self) -> Sequence[Token]: ...

    @property
    def variant(self) -> Variant | None: ...

    @property
    def parts(self) -> list[tuple[Part, str]]: ...

    @property
    def pieces(self) -> list[Piece]: ...

    @property
    def told(self) -> list[Piece]: ...

    @property
    def cut(self) -> Part | None: ...

    @property
    def finish_reason(self) -> FinishReason | None: ...

    @property
    def stopped_by(self) -> str | None: ...

    def message(self) -> Message: ...


class Told(Protocol):
    """An answer in the making (agent.turn.answer.Answer, agent.turn.own.loop.Loop)."""

    id: str
    delivered: bool | None
    response: Json | None

    @property
    def asks(self) -> Sequence[Ask]: ...

    @property
    def ask(self) -> Ask: ...

    @property
    def replies(self) -> Sequence[ToldReply]: ...

    @property
    def usage(self) -> Usage: ...

    def steps(self, *, together: int = 1) -> AsyncGenerator[Step]: ...
