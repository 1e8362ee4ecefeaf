"""Measures every n-th version that serves, while nothing is to be learned, and keeps what it found.

The rows are a line's health over its whole life (learner.safety.watched): the base's first, then
one whenever the serving version is n or more recipes past the last one that was measured. A line
that went back is measured again where it goes on. Nothing waits for it, and nothing is decided by
it; the gate's probes decide.
"""

from typing import Protocol

from sqlmodel import Session, col, select

from learner.safety.watched import Watch
from learner.serving import Serving
from streams.store.lease import Writing
from streams.store.store import Store
from streams.store.tables import WatchedRow


class Watched(Protocol):
    """The part of a learner that this needs (learner.parts.Parts)."""

    @property
    def serving(self) -> Serving:
        """The version that serves."""

    @property
    def store(self) -> Store:
        """Where rows are kept."""


class Watching:
    """The measuring of one line."""

    def __init__(self, watch: Watch | None, *, every: int, line: str) -> None:
        """Measure nothing yet.

        watch: None: nothing is watched; every: versions between two that are measured, 0: none is
        """
        self._watch, self._every, self._line = (watch if every else None), every, line
        self._seen: str | None = None  # the serving version that was looked at last

    def step(
        self,
        parts: Watched,
        writing: Writing,
        *,
        now_ms: int,
    ) -> bool:
        """Measure what serves, if that is due; False when it is not."""
        serving, store = parts.serving, parts.store
        if self._watch is None or self._seen == serving.name:
            return False
        with store.reading() as session:
            due = self._is_due(session, serving)
        if due:
            base = serving.base
            rows = [(serving.name, serving.number, self._watch.measure(serving.decoder))]
            if serving.number:
                rows.append((base.name, 0, self._watch.of_base))
            with writing() as session:
                for version, number, measured in rows:
                    if session.get(WatchedRow, (self._line, version)) is None:
                        session.add(
                            WatchedRow(
                                line=self._line,
                                version=version,
                                number=number,
                                measured=dict(measured),
                                created_ms=now_ms,
                            )
                        )
        self._seen = serving.name
        return due

    def _is_due(self, session: Session, serving: Serving) -> bool:
        ours = select(WatchedRow).where(WatchedRow.line == self._line)
        if session.get(WatchedRow, (self._line, serving.name)) is not None:
            return False
        chain = {recipe.parent for recipe in serving.chain} | {serving.base.name}
        before = ours.where(col(WatchedRow.number) <= serving.number)
        rows = session.exec(before.order_by(col(WatchedRow.number).desc()))
        # a version that was taken back is none of its own, and says nothing of what came instead
        last = next((row for row in rows if row.version in chain), None)
        return last is None or serving.number - last.number >= self._every
