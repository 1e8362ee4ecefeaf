"""Decides whether a candidate may be released, by how it answers what no judge of turns asks.

The gate is a list of probes with limits (learner.safety.probe), and comes to one outcome:

- one probe that fails holds the candidate, and the report names every one that failed;
- a probe that is uninformative does not hold it here, unless no probe was informative (on trial it
  does: rollout.uninformative_probe);
- an optional probe that could show no fall on this base is asked of no version, and holds nothing
  anywhere: its row says that it tells nothing of this model;
- a candidate whose numbers are not finite is asked nothing further.

A candidate that goes on trial is asked the quick probes before its first share, and all of them
while it is on trial; one that will serve everybody at once is asked all of them before, but for
those for which the base is still being measured, in idle moments: these are asked as soon as it has
been, and a version that fails then is taken back (learner.guards.unasked).

The report is a list of rows, one a probe, with a reason in words that an operator can act on.
Freezing is hygiene, the gate decides. It sees weights and prompts only, never the turns that the
candidate learned from.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kernels.model.forward import Decoder
from learner.safety.measuring import Measuring
from learner.safety.probe import Finding, Measurement, Probe
from learner.safety.probes.open import open_probes
from learner.safety.prompts import PromptSet, load_prompts
from learner.safety.readings.asking import Questions, Subject
from learner.settings import LearnerSettings
from streams.records import Json

# Versions whose answers are remembered: the serving one, the candidate, and one to roll back to.
_REMEMBERED: Final = 3
# Candidates in a row that may serve before all probes have asked them: a line that never rests
# waits for the whole of the base after these.
MOST_DEFERRED: Final = 3

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
        measuring: Measuring,
        settings: LearnerSettings,
        *,
        prompts: PromptSet | None = None,
        probes: Sequence[Probe] | None = None,
        defers: bool = False,
    ) -> None:
        """Ask nothing yet.

        measuring: the base, and what is kept of it
        prompts: what to ask; None: the repository's
        probes: in the order in which they ask; None: those of the settings
        defers: leave a probe for which the base has not been measured to a later look
        raises: UnknownNameError for a probe that does not exist
        """
        self._measuring, self._settings, self._base = measuring, settings, measuring.base
        self._prompts = prompts or load_prompts("gate")
        self._probes = tuple(probes) if probes is not None else open_probes(settings)
        chosen = [probe for probe in self._probes if probe.name in settings.quick_probes]
        self._quick = tuple(chosen) or self._probes
        self._questions: Questions | None = None
        self._known: dict[str, dict[str, Measurement]] = {}
        self._defers, self._deferred = defers, 0

    @property
    def progress(self) -> tuple[int, int]:
        """For how many probes the base has been measured, and how many there are."""
        return len(self._probes) - len(self._unmeasured()), len(self._probes)

    def measure_base(self) -> bool:
        """Measure the base for one probe more; False when it has been for all.

        Where a pause raises, what was kept by then is not measured again.
        """
        left = self._unmeasured()
        if left:
            self._ask(self._base.decoder, self._base.name, left[:1])
        return bool(left)

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
        """Ask the candidate, and compare its answers with the serving version's and the base's.

        serving_name: under which the serving version's answers are remembered
        candidate_name: likewise, so that it need not be asked again once it serves
        quick: ask the quick probes alone; what they said is not asked again afterwards
        whole: ask all others at once, even where the base must be measured for them first
        """
        began_s = time.monotonic()
        probes = self._quick if quick else self._probes if whole else self._asked_now()
        blind = self._blind(probes)
        asked = [probe for probe in probes if probe not in blind]
        measured = self._ask(candidate, candidate_name, asked)
        known = self._ask(serving, serving_name, asked)
        of_base = self._ask(self._base.decoder, self._base.name, probes)
        findings = [
            probe.compare(measured[probe.name], serving=known[probe.name], base=of_base[probe.name])
            for probe in asked
            if probe.name in measured
        ]
        if len(findings) == len(asked):
            findings += [_nothing_of(probe, of_base[probe.name]) for probe in blind]
        report = concluded(findings)
        left = report.passed and len(probes) < len(self._probes)
        if not quick:
            self._deferred = self._deferred + 1 if left else 0
        return replace(report, quick=left, took_s=time.monotonic() - began_s)

    def questions(self) -> Questions:
        """Return what every version is asked, chosen by the base when it is first wanted."""
        # chosen at the first candidate, not at start: it takes seconds that no start should wait
        if self._questions is None:
            self._questions = Questions(
                self._measuring,
                self._prompts,
                count=self._settings.gate_prompts,
                max_tokens=self._settings.gate_tokens,
                num_items=self._settings.gate_items,
            )
        return self._questions

    def _asked_now(self) -> tuple[Probe, ...]:
        """Return the probes that a candidate is asked before it serves everybody."""
        if not self._defers or self._deferred >= MOST_DEFERRED:
            return self._probes
        later = [probe for probe in self._unmeasured() if probe not in self._quick]
        return tuple(probe for probe in self._probes if probe not in later)

    def _blind(self, probes: Sequence[Probe]) -> list[Probe]:
        """Return the optional probes that could show no fall on this base."""
        optional = [probe for probe in probes if probe.name in self._settings.optional_probes]
        of_base = self._ask(self._base.decoder, self._base.name, optional) if optional else {}
        known = [probe for probe in optional if probe.name in of_base]
        return [probe for probe in known if not probe.tells_of(of_base[probe.name])]

    def _unmeasured(self) -> list[Probe]:
        """Return the probes for which the base has not been measured, the quick ones first."""
        known = self._known.get(self._base.name, {})
        left = [probe for probe in self._probes if probe.name not in known]
        return sorted(left, key=lambda probe: probe not in self._quick)

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
        """Return what a version answered so far; beside the base those last asked for stay."""
        if name is None:
            return {}
        measured = self._known[name] = self._known.pop(name, {})
        others = [each for each in self._known if each not in (name, self._base.name)]
        for old in others[: max(0, len(others) + 1 - _REMEMBERED)]:
            del self._known[old]
        return measured


def concluded(findings: Sequence[Finding]) -> Report:
    """Come to one outcome from what the probes found."""
    passed, reason = outcome_of([finding.as_json() for finding in findings])
    return Report(passed=passed, reason=reason, findings=tuple(findings))


def outcome_of(rows: Sequence[Json]) -> tuple[bool, str]:
    """Return whether a candidate passes by the rows of a report, and why, or why not."""
    failed = [row["sentence"] for row in rows if row["outcome"] == "fail"]
    passed = [row for row in rows if row["outcome"] == "pass"]
    if failed:
        reason = "; ".join(failed)
    elif passed:
        near = max(passed, key=_nearness)
        reason = (
            f"nothing fell in {len(passed)} probe{'s' if len(passed) > 1 else ''}; nearest to its"
            f" limit is {near['probe']}, {near['candidate']['text']}"
            f" (serving {near['serving']['text']})"
        )
    else:
        names = ", ".join(row["probe"] for row in rows)
        reason = f"no probe can tell this candidate from a bad one on this base ({names})"
    return bool(passed) and not failed, reason


def _nothing_of(probe: Probe, base: Measurement) -> Finding:
    """Return the row of a probe that no version of this base is asked."""
    found = probe.compare(base, serving=base, base=base)
    sentence = f"tells nothing of this model, and no version is asked: {found.sentence}"
    return replace(found, sentence=sentence, tells=False, asked=False)


def _nearness(row: Json) -> float:
    """Return what part of the limit a fall against the serving version took up."""
    before, now, limit = row["serving"]["value"], row["candidate"]["value"], row["limit"]
    if before is None or now is None:
        return 0.0  # a number that is not finite is null in a row
    fall: float = before - now
    return fall / limit if limit else fall
