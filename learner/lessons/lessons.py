"""Looks after the lessons and notes of one line, between generations.

Whatever it decides is worked out from the store; kept here is only what was looked at last, so
that nothing is looked at twice.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from sqlmodel import Session

from kernels.contract import Backend
from learner.batch.plan import unfinished
from learner.lessons import notes
from learner.lessons.notes import NoteRules
from learner.lessons.retire import needless, to_measure
from learner.lessons.review import is_due, learned_so_far, review, served_anew
from learner.lessons.withdraw import withdrawal
from learner.rollout import claims
from learner.serving import Serving
from learner.settings import LearnerSettings
from streams.line.line import Line
from streams.settings import RolloutSettings
from streams.store import outbox
from streams.store.lease import Writing
from streams.store.store import Store, pieces

# Lessons of one transaction of which nobody says a word: some tenths of a second.
PIECE: Final = 100


class Rules(Protocol):
    """What is needed of learner.verdicts.Rules."""

    @property
    def notes(self) -> NoteRules | None: ...


class Parts(Protocol):
    """What is needed of learner.parts.Parts."""

    @property
    def store(self) -> Store: ...

    @property
    def serving(self) -> Serving: ...

    @property
    def backend(self) -> Backend: ...

    @property
    def rules(self) -> Rules: ...


class Lessons:
    """The lessons of one line. Not shared between threads; the holder of the lease uses it."""

    def __init__(self, settings: LearnerSettings, rollout: RolloutSettings) -> None:
        """Look at nothing yet."""
        self._settings, self._rollout = settings, rollout
        self._reviewed = self._measured = ""  # the version that served then

    def _due(self, session: Session, line: Line) -> bool:
        """Return whether something has changed that lessons hang on, and the line is at rest."""
        if not is_due(session, line.name) and line.version == self._reviewed:
            return False
        awaited = claims.awaited(session, line.name) > line.seq
        return not awaited and line.trial is None and unfinished(session, line.name) is None

    def review(
        self,
        store: Store,
        writing: Writing,
        line: Line,
        *,
        now_ms: int,
        pause: Callable[[], None],
    ) -> str | None:
        """See what has become of the lessons, and set aside those that helped nobody.

        writing: a transaction of the line's learner
        pause: is called between pieces of work; keeps the lease
        returns: why some are set aside, in words; None: none is. The caller publishes
        """
        with store.reading() as session:
            if not self._due(session, line):
                return None
            anew = self._anew(session, line)
        *before, last = list(pieces(anew, PIECE)) or [[]]
        for some in before:
            with writing() as session:
                self._look(session, line, some)
            pause()
        with writing() as session:
            self._look(session, line, last)
            found = withdrawal(session, line, self._settings, self._rollout, now_ms=now_ms)
            if found is not None:
                session.add(found.generation)
                if found.change is not None:
                    outbox.put(session, "rollouts", line.name, found.change, line=line.name)
        self._reviewed = line.version
        return found.generation.reason if found is not None else None

    def _anew(self, session: Session, line: Line) -> list[str]:
        """Return the lessons that are looked at though nobody has said a word.

        At the first look those that versions learned: settings may be others since, or the rules.
        """
        if line.version == self._reviewed:
            return []
        if not self._reviewed:
            return learned_so_far(session, line.name)
        return served_anew(session, line.name, line.version)

    def _look(self, session: Session, line: Line, besides: Sequence[str]) -> None:
        review(session, line.name, self._settings, serving=line.version, besides=besides)

    def retire_notes(self, parts: Parts, writing: Writing, pause: Callable[[], None]) -> None:
        """Take notes out of prompts that the serving version does as well without.

        Each version is asked once. The next step of the loop publishes.
        """
        serving = parts.serving
        if parts.rules.notes is None or serving.name == self._measured:
            return
        if serving.chain:
            with parts.store.reading() as session:
                measured = to_measure(session, self._settings.line, serving, self._settings)
            gone = needless(measured, serving, self._settings, backend=parts.backend, pause=pause)
            self._retire(gone, serving, writing)
        self._measured = serving.name

    def _retire(self, gone: Sequence[str], serving: Serving, writing: Writing) -> None:
        """Retire notes, unless another version has come to serve since they were measured."""
        if not gone:
            return
        with writing() as session:
            line = claims.line_now(session, Line(self._settings.line, (serving.base.name,)))
            moment = f"{serving.name} at {line.seq}"
            for note in gone if line.version == serving.name else ():
                notes.retire(session, note, version=len(serving.chain), moment=moment)
