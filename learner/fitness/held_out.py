"""Lets people whose words a candidate did not learn from score it before it is released.

When a generation is planned, the judged turns of principals who have no part in it are set aside
with it. Once its child is built, the child is held against its parent on them: how much likelier it
makes what they liked, and how much less what they did not, with the clip and the anchor of any
fitness. A child that pleases the few it learned from and certainly worsens the others is held.

Every principal is one voice. Where nobody is left over, nothing is said, and nothing is held.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.batch.lesson import Lesson
from learner.batch.plan import HELD_OUT
from learner.fitness.reference import refer
from learner.serving import Serving
from learner.settings import LearnerSettings
from streams.records import Json, Turn
from streams.store.tables import GenerationRow, TurnRow


def lessons_of(
    items: Sequence[Mapping[str, Any]], rows: Mapping[str, TurnRow], settings: LearnerSettings
) -> list[Lesson]:
    """Return the turns that were set aside, as lessons by their scores alone.

    As in any lesson, tokens that a mask chose count for nothing, and nor does the score of a reply
    that was cut at its length (learner.batch.lessons).

    items: turn, score and confidence, as they were planned; rows: by id, those that are left
    """
    found: list[Lesson] = []
    for item in items:
        row = rows.get(item["turn_id"])
        if row is None or not row.record:
            continue
        turn = Turn.model_validate(row.record)
        if turn.finish_reason == "length":
            continue
        reply = tuple(turn.token_ids[: settings.max_reply_tokens])
        prompt = tuple(turn.prompt_token_ids)[-settings.max_prompt_tokens :]
        if reply and prompt:
            forced = frozenset(place for place in turn.forced if place < len(reply))
            score, confidence = item["score"], item["confidence"]
            found.append(Lesson(turn.id, 1.0, score, confidence, prompt, reply, (), forced))
    return [replace(lesson, weight=1 / len(found)) for lesson in found]


def gain(
    child: Decoder,
    parent: Serving,
    lessons: Sequence[Lesson],
    settings: LearnerSettings,
    *,
    backend: Backend,
    pause: Callable[[], None],
) -> float | None:
    """Return how much fitter a child is than its parent to those who were set aside."""
    if not lessons:
        return None
    reference = refer(parent, lessons, settings, backend=backend, pause=pause)
    return reference.compare(child, backend=backend, pause=pause).gain


def row_of(gained: float, people: int, limit: float) -> Json:
    """Return what they said as a row of the gate's report."""
    failed = gained < -limit
    said = f"{people} held-out principal{'s' if people > 1 else ''}"
    change = f"fell by {-gained:.3f}" if failed else f"changed by {gained:+.3f}"
    sentence = f"fitness to {said} {change}"
    value = {"value": gained, "text": f"{gained:+.3f}"}
    nothing = {"value": 0.0, "text": "+0.000"}
    return {
        "probe": HELD_OUT,
        "version": 1,
        "title": "fitness to people whose words it did not learn from",
        "unit": "",
        "outcome": "fail" if failed else "pass",
        "sentence": sentence,
        "limit": limit,
        "tells": False,
        "candidate": value,
        "serving": nothing,
        "base": nothing,
    }


class Report(Protocol):
    """What a gate found of a candidate (learner.rollout.release)."""

    @property
    def passed(self) -> bool: ...

    @property
    def reason(self) -> str: ...

    def as_json(self) -> Json: ...


@dataclass(frozen=True, slots=True)
class Heard:
    """A gate's report with what held-out people's words said of the candidate."""

    report: Report
    row: Json

    @property
    def passed(self) -> bool:
        """Whether both let it through."""
        return self.report.passed and self.row["outcome"] != "fail"

    @property
    def reason(self) -> str:
        """Why, or why not."""
        if self.row["outcome"] != "fail":
            return self.report.reason
        said: str = self.row["sentence"]
        return said if self.report.passed else f"{self.report.reason}; {said}"

    def as_json(self) -> Json:
        """The report with one more row."""
        told = self.report.as_json()
        rows = [*told.get("rows", []), self.row]
        return told | {"passed": self.passed, "reason": self.reason, "rows": rows}


def heard(
    report: Report,
    generation: GenerationRow,
    child: Decoder,
    parent: Serving,
    settings: LearnerSettings,
    *,
    rows: Mapping[str, TurnRow],
    backend: Backend,
    pause: Callable[[], None],
) -> Report:
    """Let the people who were set aside score a child; the report as it was where nobody is.

    rows: the turns that were set aside, by id
    """
    lessons = lessons_of(generation.horizon.get(HELD_OUT, []), rows, settings)
    gained = gain(child, parent, lessons, settings, backend=backend, pause=pause)
    if gained is None:
        return report
    return Heard(report, row_of(gained, len(lessons), settings.held_out_fitness))
