"""Reads replies of a trial with the learner's models: what no word of a user and no program tells.

- *aboutness* of a reply: how much likelier the base finds it behind its own prompt than behind
  requests that nobody made (learner.population.aboutness). A version that apologises to everybody
  loses it, whoever speaks or stays silent.
- *liked*: how much likelier the candidate finds what people liked than the version that serves
  does: replies of that one that were judged good, and rewrites that were accepted. It needs no
  reply of the candidate at all.

Both in nats a token. Only the first turns of each principal that will count are read, as no more
make a voice (evidence.first), and a few at a time, at the learner's own pace; what was read is
remembered until the trial ends. After a restart it is read again.

Knows nothing of what is decided.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from sqlmodel import Session, col, select

from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.judges.judge import combine
from learner.judges.rows import judgements_of
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.rollout.evidence.first import First
from learner.serving import Serving
from streams.line import ledger
from streams.line.line import Line
from streams.records import Message
from streams.settings import RolloutSettings
from streams.store.states import JUDGED
from streams.store.tables import RolloutRow, TurnRow

# Turns in one go: some seconds of a small model on one slow core.
AT_ONCE: Final = 4
# The end of a prompt says what a reply is about, and its beginning is about it, or never is.
PROMPT_TOKENS: Final = 256
REPLY_TOKENS: Final = 48
# Requests that no turn is about.
OTHERS: Final = ("What does a lighthouse keeper do?", "How do I sharpen a pencil with a knife?")

Tokens = tuple[int, ...]


class Reader:
    """What was read of the trial that is on. Not shared between threads."""

    def __init__(
        self,
        serving: Serving,
        settings: RolloutSettings,
        *,
        backend: Backend,
        pause: Callable[[], None],
    ) -> None:
        """Read nothing yet. pause: called between pieces of work."""
        self._serving, self._settings = serving, settings
        self._backend, self._pause = backend, pause
        self._found: dict[str, Mapping[str, float]] = {}
        self._judged: set[str] = set()  # turns that had been judged when they were read
        self._first = First()
        self._trial = ""  # id of the change that began it
        self._candidate: Decoder | None = None
        self._others: list[Tokens] | None = None

    @property
    def found(self) -> Mapping[str, Mapping[str, float]]:
        """What was read so far: by turn, metric and value."""
        return self._found

    def step(self, session: Session, line: Line) -> int:
        """Read a few more replies of the trial that is on; return how many.

        session: for reading
        """
        if self._settings.max_aboutness_nats is None and self._settings.max_liked_nats is None:
            return 0
        began = self._began(session, line)
        if began is None or line.trial is None or self._serving.name != line.version:
            self._let_go()
            return 0
        if began.id != self._trial:
            self._let_go()
            self._trial = began.id
        rows = self._due(session, line, began.created_ms)
        if rows and self._candidate is None:
            chain = ledger.chain(session, line.trial.version, known=self._serving.chain)
            self._candidate = self._serving.beside(chain) if chain else None
        for row in rows:
            self._found[row.id] = self._read(session, row, line.version)
            if row.state == JUDGED:
                self._judged.add(row.id)
        return len(rows)

    def _let_go(self) -> None:
        self._trial, self._candidate, self._found, self._first = "", None, {}, First()
        self._judged.clear()

    def _began(self, session: Session, line: Line) -> RolloutRow | None:
        if line.trial is None:
            return None
        query = select(RolloutRow).where(
            RolloutRow.line == line.name,
            RolloutRow.candidate == line.trial.version,
            RolloutRow.verb == "start",
            RolloutRow.state == "running",
        )
        return session.exec(query.order_by(col(RolloutRow.seq).desc())).first()

    def _due(self, session: Session, line: Line, since_ms: int) -> list[TurnRow]:
        """Return the next turns to read: the first that count of each principal."""
        first = self._first.of(session, line, since_ms, size=self._settings.voice_turns)
        due = (turn.id for turn in first if self._is_due(turn))
        found = [session.get(TurnRow, id) for id in islice(due, AT_ONCE)]
        return [row for row in found if row is not None and row.record]

    def _is_due(self, turn: Any) -> bool:
        again = turn.state == JUDGED and turn.id not in self._judged
        return again or turn.id not in self._found

    def _read(self, session: Session, row: TurnRow, stable: str) -> Mapping[str, float]:
        prompt = tuple(row.record["prompt_token_ids"])[-PROMPT_TOKENS:]
        reply = tuple(row.record["token_ids"])[:REPLY_TOKENS]
        read: dict[str, float] = {}
        if prompt and reply:
            own, *others = self._means(
                self._serving.base.decoder, [(each, reply) for each in (prompt, *self._strange())]
            )
            read["aboutness"] = own - sum(others) / len(others)
        liked = self._liked(session, row)[:REPLY_TOKENS] if row.version == stable else ()
        if prompt and liked and self._candidate is not None:
            (now,), (before,) = (
                self._means(decoder, [(prompt, liked)])
                for decoder in (self._candidate, self._serving.decoder)
            )
            read["liked"] = now - before
        return read

    def _means(self, decoder: Decoder, pairs: Sequence[tuple[Tokens, Tokens]]) -> list[float]:
        passages = [Passage(prompt, (text,)) for prompt, text in pairs]
        scored = logprobs(decoder, passages, backend=self._backend, pause=self._pause)
        return [float(each[0].double().mean()) for each in scored]

    def _strange(self) -> list[Tokens]:
        if self._others is None:
            base = self._serving.base
            asked = ([Message(role="user", content=text)] for text in OTHERS)
            self._others = [tuple(base.render(messages)) for messages in asked]
        return self._others

    def _liked(self, session: Session, row: TurnRow) -> Tokens:
        """Return what people like in the place of a reply: an accepted rewrite, or itself."""
        target: dict[str, Any] = row.target or {}
        if target.get("token_ids") and not target.get("reason"):
            return tuple(target["token_ids"])
        verdict = combine(judgements_of(session, [row])[row.id])
        liked = verdict is not None and verdict.score > 0
        return tuple(row.record["token_ids"]) if liked else ()
