"""Decides whether a candidate may be released, by how it answers what no judge of turns asks.

The gate is a list of probes with limits (learner.safety.probe), and comes to one outcome:

- one probe that fails holds the candidate, and the report names every one that failed;
- a probe that is uninformative does not hold it today, unless no probe was informative;
- a candidate whose numbers are not finite is asked nothing further.

The report is a list of rows, one a probe, with a reason in words that an operator can act on.
Freezing is hygiene, the gate decides. It sees weights and prompts only, never the turns that the
candidate learned from.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.safety.asking import Questions, Subject
from learner.safety.probe import Finding, Measurement, Probe
from learner.safety.probes.open import open_probes
from learner.safety.prompts import PromptSet, load_prompts
from learner.settings import LearnerSettings
from streams.model.open import BaseModel
from streams.records import Json

# Versions whose answers are remembered: the serving one, the candidate, and one to roll back to.
_REMEMBERED: Final = 3

Measured = Mapping[str, Measurement]  # by the probe's name


@dataclass(frozen=True, slots=True)
class Report:
    """What the gate found of a candidate."""

    passed: bool
    reason: str
    findings: tuple[Finding, ...]

    def as_json(self) -> Json:
        """Return the report as it is stored and shown: a row a probe."""
        rows = [finding.as_json() for finding in self.findings]
        return {"passed": self.passed, "reason": self.reason, "rows": rows}


class Gate:
    """The probes of one base, asked of every candidate before it may serve."""

    def __init__(
        self,
        base: BaseModel,
        settings: LearnerSettings,
        *,
        backend: Backend,
        pause: Callable[[], None],
        prompts: PromptSet | None = None,
        probes: Sequence[Probe] | None = None,
    ) -> None:
        """Ask nothing yet.

        pause: called between pieces of work
        prompts: what to ask; None: the repository's
        probes: in the order in which they ask; None: those of the settings
        raises: UnknownNameError for a probe that does not exist
        """
        self._base, self._settings = base, settings
        self._backend, self._pause = backend, pause
        self._prompts = prompts or load_prompts("gate")
        self._probes = tuple(probes) if probes is not None else open_probes(settings)
        self._questions: Questions | None = None
        self._of_base: Measured | None = None
        self._known: dict[str, Measured] = {}

    def examine(
        self,
        candidate: Decoder,
        serving: Decoder,
        serving_name: str,
        *,
        candidate_name: str | None = None,
    ) -> Report:
        """Ask the candidate, and compare its answers with the serving version's and the base's.

        serving_name: under which the serving version's answers are remembered
        candidate_name: likewise, so that it need not be asked again once it serves
        """
        measured = self._ask(candidate)
        if candidate_name is not None:
            self._remember(candidate_name, measured)
        if serving_name not in self._known:
            self._remember(serving_name, self._ask(serving))
        if self._of_base is None:
            self._of_base = self._ask(self._base.decoder)
        known = self._known[serving_name]
        return concluded(
            [
                probe.compare(
                    measured[probe.name],
                    serving=known[probe.name],
                    base=self._of_base[probe.name],
                )
                for probe in self._probes
                if probe.name in measured
            ]
        )

    def questions(self) -> Questions:
        """Return what every version is asked, chosen by the base when it is first wanted."""
        # chosen at the first candidate, not at start: it takes seconds that no start should wait
        if self._questions is None:
            self._questions = Questions(
                self._base,
                self._prompts,
                count=self._settings.gate_prompts,
                max_tokens=self._settings.gate_tokens,
                num_items=self._settings.gate_items,
                backend=self._backend,
                pause=self._pause,
            )
        return self._questions

    def _ask(self, decoder: Decoder) -> Measured:
        """Ask one version; the first number that is not finite is the last."""
        if decoder is self._base.decoder and self._of_base is not None:
            return self._of_base
        measured: dict[str, Measurement] = {}
        subject = Subject(self.questions(), decoder)
        for probe in self._probes:
            measured[probe.name] = probe.ask(subject)
            if not math.isfinite(measured[probe.name].value):
                break
        if decoder is self._base.decoder:
            self._of_base = measured
        return measured

    def _remember(self, name: str, measured: Measured) -> None:
        self._known[name] = measured
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]


def concluded(findings: Sequence[Finding]) -> Report:
    """Come to one outcome from what the probes found."""
    failed = [finding.sentence for finding in findings if finding.outcome == "fail"]
    passed = [finding for finding in findings if finding.outcome == "pass"]
    if failed:
        reason = "; ".join(failed)
    elif passed:
        each = (f"{found.probe} {found.candidate} (serving {found.serving})" for found in passed)
        reason = f"nothing fell: {', '.join(each)}"
    else:
        names = ", ".join(finding.probe for finding in findings)
        reason = f"no probe can tell this candidate from a bad one on this base ({names})"
    return Report(passed=bool(passed) and not failed, reason=reason, findings=tuple(findings))
