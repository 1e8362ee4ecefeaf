"""A model, versions and a spool without weights or disk, so that tests see the API alone."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from agent.errors import UnknownVersionError
from agent.swap.ahead import Told
from agent.swap.book import Book
from agent.swap.residents import Resident, Stands
from streams.errors import TemplateRefusedError
from streams.line.line import Line, Trial
from streams.line.variant import Variant
from streams.log.contract import Outgoing
from streams.records import Json, Message, Recipe
from streams.spool.spool import Depth

BASE = "base000000000000"


@dataclass
class FakeBase:
    """A model whose prompt is one token a word."""

    name: str = BASE
    context_tokens: int = 64
    num_tokens: int = 5000
    call_probe: str = ""  # of no family that is known
    suggested: Json = field(default_factory=dict)

    def encode(self, text: str) -> list[int]:
        return list(range(len(text.split())))

    def render(
        self,
        messages: Sequence[Message],
        tools: Sequence[Json] | None = None,
        *,
        continues: bool = False,
    ) -> list[int]:
        if continues and messages[-1].role != "assistant":
            raise TemplateRefusedError("only a message of the assistant can go on")
        if any(message.content == "refuse me" for message in messages):
            raise TemplateRefusedError("the chat template refuses these messages")
        words = [word for message in messages for word in (message.content or "").split()]
        return list(range(len(words) + 1 + (len(tools or []))))


class FakeResidents:
    """Versions without weights: knows chains of recipes, and what has served."""

    def __init__(self, base: str = BASE) -> None:
        self.line, self.held, self.book = Line("main", (base,)), 0, Book(base)
        self.lent: list[str] = []
        self.ahead: str | None = None
        self.replies_ms: int | None = None

    @property
    def serving(self) -> str:
        return self.line.version

    @property
    def served(self) -> tuple[str, ...]:
        return self.line.served

    @property
    def trial(self) -> Trial | None:
        return self.line.trial

    def try_out(self, trial: Trial | None, *, stands: Stands = lambda: True) -> bool:
        if stands():
            self.line = replace(self.line, trial=trial)
        return stands()

    def promote(
        self,
        version: str,
        *,
        back: bool = False,  # noqa: ARG002
        stands: Stands = lambda: True,
    ) -> bool:
        self.book.chain(version)
        if version == self.serving or not stands():
            return False
        self.line = replace(self.line, served=(*self.line.served, version), trial=None)
        return True

    def prepare(self, recipe: Recipe | None, told: Told) -> None:
        version = recipe.version if recipe else None
        if version is not None and version != self.ahead:
            told(version, None)
        self.ahead = version

    @property
    def building(self) -> bool:
        return False

    @property
    def resident(self) -> set[str]:
        trial = [self.line.trial.version] if self.line.trial else []
        return {*self.line.served, *trial, *self.lent}

    def hold(self, assign: Callable[[Line], Variant]) -> Resident:
        variant = assign(self.line)
        if variant.version not in self.resident or variant.member >= 0:
            raise UnknownVersionError(f"{variant} is not in memory here")
        self.held += 1
        nothing: Any = None
        return Resident(variant, nothing, nothing)

    def lend(self, version: str) -> Resident:
        self.book.chain(version)
        self.lent.append(version)
        return self.hold(lambda line: Variant(line.name, version))

    def release(self, resident: Resident) -> None:
        assert resident.variant.version in self.resident
        self.held -= 1

    def digest_of(self, version: str) -> str:
        if version not in self.line.served:
            raise UnknownVersionError(f"{version} is not in memory here")
        return hashlib.sha256(version.encode()).hexdigest()


class FakeSpool:
    """A spool that keeps what it is given, or refuses it."""

    def __init__(self) -> None:
        self.records: list[Outgoing] = []
        self.left: list[Outgoing] = []
        self.forgotten: list[tuple[str, int]] = []
        self.keeps = True

    def put(self, records: list[Outgoing]) -> Future[bool]:
        if self.keeps:
            self.records += records
        done: Future[bool] = Future()
        done.set_result(self.keeps)
        return done

    def depth(self) -> Depth:
        return Depth(records=0, num_bytes=0, dropped=0, drained=0, log_away=None)

    def forget(self, principal: str, until_ms: int) -> None:
        self.forgotten.append((principal, until_ms))
