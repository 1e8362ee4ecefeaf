"""Decides whether a candidate may be released, by how it answers what no judge of turns asks.

The gate is a list of probes with limits (learner.safety.probe), and comes to one outcome:

- one probe that fails holds the candidate, and the report names every one that failed;
- a probe that is uninformative does not hold it here, unless no probe was informative (on trial it
  does: rollout.uninformative_probe);
- a candidate whose numbers are not finite is asked nothing further.

A candidate that goes on trial is asked the quick probes before its first share, and all of them
while it is on trial; one that will serve everybody at once is asked all of them before.

The report is a list of rows, one a probe, with a reason in words that an operator can act on.
Freezing is hygiene, the gate decides. It sees weights and prompts only, never the turns that the
candidate learned from.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    quick: bool = False  # probes are left to ask
    took_s: float = 0.0

    def as_json(self) -> Json:
        """Return the report as it is stored and shown: a row a probe."""
        rows = [finding.as_json() for finding in self.findings]
        told: Json = {"passed": self.passed, "reason": self.reason, "rows": rows}
        return told | {"quick": self.quick, "took_s": round(self.took_s, 3)}


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
        chosen = [probe for probe in self._probes if probe.name in settings.quick_probes]
        self._quick = tuple(chosen) or self._probes
        self._questions: Questions | None = None
        self._known: dict[str, dict[str, Measurement]] = {}

    def examine(
        self,
        candidate: Decoder,
        serving: Decoder,
        serving_name: str,
        *,
        candidate_name: str | None = None,
        quick: bool = False,
    ) -> Report:
        """Ask the candidate, and compare its answers with the serving version's and the base's.

        serving_name: under which the serving version's answers are remembered
        candidate_name: likewise, so that it need not be asked again once it serves
        quick: ask the quick probes alone; what they said is not asked again afterwards
        """
        began_s = time.monotonic()
        probes = self._quick if quick else self._probes
        measured = self._ask(candidate, candidate_name, probes)
        known = self._ask(serving, serving_name, probes)
        of_base = self._ask(self._base.decoder, self._base.name, probes)
        report = concluded(
            [
                probe.compare(
                    measured[probe.name], serving=known[probe.name], base=of_base[probe.name]
                )
                for probe in probes
                if probe.name in measured
            ]
        )
        left = quick and report.passed and len(probes) < len(self._probes)
        return replace(report, quick=left, took_s=time.monotonic() - began_s)

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

    def _ask(self, decoder: Decoder, name: str | None, probes: Sequence[Probe]) -> Measured:
        """Ask one version what it has not been asked; the first number not finite is the last.

        name: under which its answers are remembered; None: they are not
        """
        measured = self._remembered(self._base.name if decoder is self._base.decoder else name)
        subject = Subject(self.questions(), decoder)
        for probe in probes:
            if probe.name not in measured:
                measured[probe.name] = probe.ask(subject)
            if not math.isfinite(measured[probe.name].value):
                break
        return measured

    def _remembered(self, name: str | None) -> dict[str, Measurement]:
        """Return what a version answered so far; of the versions but the base the newest stay."""
        if name is None:
            return {}
        measured = self._known.setdefault(name, {})
        others = [each for each in self._known if each not in (name, self._base.name)]
        for old in others[: max(0, len(others) + 1 - _REMEMBERED)]:
            del self._known[old]
        return measured


def concluded(findings: Sequence[Finding]) -> Report:
    """Come to one outcome from what the probes found."""
    failed = [finding.sentence for finding in findings if finding.outcome == "fail"]
    passed = [finding for finding in findings if finding.outcome == "pass"]
    if failed:
        reason = "; ".join(failed)
    elif passed:
        near = max(passed, key=_nearness)
        reason = (
            f"nothing fell in {len(passed)} probe{'s' if len(passed) > 1 else ''}; nearest to its"
            f" limit is {near.probe}, {near.candidate} (serving {near.serving})"
        )
    else:
        names = ", ".join(finding.probe for finding in findings)
        reason = f"no probe can tell this candidate from a bad one on this base ({names})"
    return Report(passed=bool(passed) and not failed, reason=reason, findings=tuple(findings))


def _nearness(found: Finding) -> float:
    """Return what part of the limit a fall against the serving version took up."""
    fall = found.serving.value - found.candidate.value
    return fall / found.limit if found.limit else fall
