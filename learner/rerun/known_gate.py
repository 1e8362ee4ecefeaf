"""Answers for the gate what it answered in the first run: asked again, a version says the same.

But for what people who had no part in a generation said of its child (learner.fitness.held_out):
somebody of them may be left out now, so that is taken out, and whoever is there is heard again.
A child that they held before it was asked everything is asked anew: the rest never was.
One that was let through passes, whatever was found of it when it served already; and one that was
tried in vain is held, since nobody tries it again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from kernels.model.forward import Decoder
from learner.batch.plan import HELD_OUT
from learner.rollout.release import Gate, Report
from learner.safety.gate import outcome_of
from streams.records import Json
from streams.store.states import RELEASED
from streams.store.tables import GenerationRow

NOBODY: Final[Mapping[str, str]] = MappingProxyType({})


class KnownGate:
    """The gate, which need not ask what it has asked before."""

    def __init__(
        self, gate: Gate, plans: Iterable[GenerationRow], in_vain: Mapping[str, str] = NOBODY
    ) -> None:
        """Ask nothing yet.

        gate: what asks the others; plans: of the first run
        in_vain: why candidates did not come to serve by their trials, by version
        """
        self._gate, self._in_vain = gate, in_vain
        self._known = {
            (row.child, row.parent): row
            for row in plans
            if row.gate and not (row.gate.get("quick") and _is_held_by_people(row.gate))
        }

    def examine(
        self,
        candidate: Decoder,
        serving: Decoder,
        serving_name: str,
        *,
        candidate_name: str | None = None,
        quick: bool = False,
        whole: bool = False,
    ) -> Report:
        """Ask a candidate, or look up what it answered."""
        row = self._known.get((candidate_name, serving_name))
        if row is not None:
            return _KnownReport(_answered(row, self._in_vain))
        return self._gate.examine(
            candidate,
            serving,
            serving_name,
            candidate_name=candidate_name,
            quick=quick,
            whole=whole,
        )


def _answered(row: GenerationRow, in_vain: Mapping[str, str]) -> Json:
    """Return a report as it was when it was decided whether a version may serve."""
    report = _of_the_gate(row.gate)
    why = in_vain.get(str(row.child))
    if why is not None:
        return report | {"passed": False, "reason": why}
    if row.state == RELEASED and not report.get("passed"):
        return report | {"passed": True, "reason": row.reason}
    return report


def _is_held_by_people(report: Json) -> bool:
    """Whether what held-out people said of a child holds it, whatever else does."""
    rows = report.get("rows", [])
    return any(row["outcome"] == "fail" for row in rows if row["probe"] == HELD_OUT)


def _of_the_gate(report: Json) -> Json:
    """Return a report as it was before anybody was heard."""
    rows = report.get("rows", [])
    asked = [row for row in rows if row["probe"] != HELD_OUT]
    if not _is_held_by_people(report):
        return report | {"rows": asked} if len(asked) < len(rows) else report
    passed, reason = outcome_of(asked)
    return report | {"passed": passed, "reason": reason, "rows": asked}


@dataclass(frozen=True, slots=True)
class _KnownReport:
    """A report of the first run."""

    body: Json

    @property
    def passed(self) -> bool:
        """Whether the candidate may be released."""
        return bool(self.body["passed"])

    @property
    def reason(self) -> str:
        """Why, or why not."""
        return str(self.body.get("reason", ""))

    def as_json(self) -> Json:
        """Everything."""
        return self.body
