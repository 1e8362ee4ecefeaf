"""Asks a candidate on trial what the gate's quick probes left out, once, while people try it.

What is found takes the place of the quick report in the generation's row, where the controller
reads it: a candidate that fails ends its trial, and none goes on to a larger share before it was
asked. The first one waits until idle moments have measured the base; where there are none, the next
one measures it.
"""

import logging
from typing import Protocol

from learner.rollout.release import Gate
from learner.serving import Serving
from streams.line import ledger
from streams.line.line import Line
from streams.records import Json
from streams.store.lease import Writing
from streams.store.store import Store

_LOG = logging.getLogger(__name__)


class Measures(Protocol):
    """What measures the base in idle moments (learner.idle)."""

    @property
    def is_measured(self) -> bool:
        """Whether nothing is left to measure."""


class SupportsGate(Protocol):
    """The parts of a learner by which a version that is made already is asked."""

    @property
    def store(self) -> Store: ...

    @property
    def serving(self) -> Serving: ...

    @property
    def gate(self) -> Gate: ...


class SupportsTrial(SupportsGate, Protocol):
    """The parts by which one on trial is."""

    @property
    def idle(self) -> Measures | None: ...


class Closer:
    """Looks closer at one trial after the other. Not shared between threads."""

    def __init__(self) -> None:
        self._looked = ""  # the candidate of the last look
        self._waits = ""  # the candidate that waits for the base

    def is_due(self, line: Line) -> bool:
        """Return whether a candidate is on trial that has not been looked at closer."""
        return line.trial is not None and line.trial.version != self._looked

    def look(
        self,
        parts: SupportsTrial,
        line: Line,
        writing: Writing,
    ) -> bool:
        """Ask the candidate on trial, if it has not been; True when it was asked now."""
        if line.trial is None or not self.is_due(line):
            return False
        version = line.trial.version
        if parts.idle is not None and not parts.idle.is_measured:
            self._waits = self._waits or version
            if self._waits == version:
                return False
        serving = parts.serving
        with parts.store.reading() as session:
            row = ledger.made(session, version)
            if row is None or not (row.gate or {}).get("quick"):
                self._looked = version
                return False
            chain = ledger.chain(session, version, known=serving.chain)
        candidate = serving.beside(chain)
        report = parts.gate.examine(
            candidate, serving.decoder, serving.name, candidate_name=version, whole=True
        )
        with writing() as session:
            row = ledger.made(session, version)
            if row is not None:
                row.gate = joined(row.gate or {}, report.as_json())
                session.add(row)
        self._looked = version  # not before it is written: what fails is done again
        _LOG.info("all probes of %s: %s", version, report.reason)
        return True


def joined(quick: Json, whole: Json) -> Json:
    """Keep of the quick report the rows that the whole one lacks, as of held-out people."""
    brought = {row["probe"] for row in whole["rows"]}
    kept = [row for row in quick.get("rows", []) if row["probe"] not in brought]
    return whole | {"rows": [*whole["rows"], *kept]}
