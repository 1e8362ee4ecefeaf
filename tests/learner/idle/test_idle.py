"""Idle moments measure the base and ask what was left out; whatever is due comes first."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from kernels.contract import Backend
from learner.guards.unasked import LookBack
from learner.idle.idle import Idle
from learner.idle.pace import IdlePause
from learner.idle.watching import Watching
from learner.loop import Learner
from learner.safety.anchors import Anchors
from learner.safety.gate import Gate
from learner.safety.kept import KeptBase
from learner.safety.untaught import Untaught
from learner.serving import Serving
from streams.model.open import BaseModel
from streams.records import Mask
from streams.store.lesson_tables import LessonRow
from streams.store.tables import PlannerRow, TurnRow
from tests.learner.test_loop import SETTINGS, Opinion, School, ToldGate, open_school

ONCE = SETTINGS.model_copy(update={"uses": 1})


@dataclass
class Base:
    """A base that is measured in three parts, each of which pauses."""

    pause: Callable[[], None]
    done: int = 0
    meanwhile: list[Callable[[], None]] = field(default_factory=list)  # once each, before a pause

    @property
    def progress(self) -> tuple[int, int]:
        """Parts that are done, of all."""
        return self.done, 3

    def measure_base(self) -> bool:
        """Measure the next part."""
        if self.done == 3:
            return False
        for _ in range(4):
            if self.meanwhile:
                self.meanwhile.pop(0)()
            self.pause()
        self.done += 1
        return True


@dataclass
class LateGate(ToldGate):
    """One that leaves probes out when it is first asked of a version, whoever asks."""

    meanwhile: Callable[[], object] = lambda: None

    def examine(
        self,
        *versions: Any,
        candidate_name: str | None = None,
        quick: bool = False,
        whole: bool = False,
    ) -> Opinion:
        """Note what was asked."""
        del quick, whole
        self.meanwhile()
        is_first = candidate_name not in {name for _, name in self.asked}
        return super().examine(*versions, candidate_name=candidate_name, quick=is_first)


def idling(school: School, *, gate: Any = None) -> Base:
    """Let a learner measure such a base while it is idle."""
    pause = IdlePause(lambda: None)
    base = Base(pause)
    watching = Watching(None, every=0, line="main")
    idle = Idle(cast(Gate, base), watching, LookBack(ONCE), pause=pause)
    parts = replace(school.learner._parts, idle=idle, gate=gate or school.gate)
    school.learner = Learner(parts)
    return base


@pytest.fixture
def school(tmp_path: Path, tiny_base: BaseModel, tiny_mask: Mask, backend: Backend) -> School:
    """A learner that uses each turn once."""
    return open_school(tmp_path, tiny_base, tiny_mask, backend, settings=ONCE)


def test_the_base_is_measured_a_part_at_a_step(school: School) -> None:
    """And how far it is stands in the store, in words."""
    base = idling(school)
    told = []
    for _ in range(5):
        assert not school.step()
        (planner,) = school.rows(PlannerRow)
        told.append(planner.measuring)
    assert base.done == 3
    assert told == [f"measuring the base: {n} of 3" for n in (0, 1, 2)] + ["", ""]


def test_what_is_left_alone_is_read_before_a_generation_needs_it(
    school: School, backend: Backend
) -> None:
    """Once, in an idle moment; what interrupts it does not wait, and it is read afterwards."""
    base = idling(school)
    anchors = Anchors(school.base, backend=backend, moving=2)
    settings = ONCE.model_copy(update={"noise": "directed", "spare": 7.0})
    parts = replace(school.learner._parts, anchors=anchors, settings=settings)
    idle, line, writing = parts.idle, school.learner._line, school.learner._writing
    assert idle is not None
    idle.step(parts, line, writing, is_due=lambda: True, now_ms=1)
    assert not anchors.untaught.is_read(settings)
    idle.step(parts, line, writing, is_due=lambda: False, now_ms=1)
    assert anchors.untaught.is_read(settings)
    assert base.done == 0


def test_what_is_left_alone_is_read_once_a_machine(
    serving: Serving, backend: Backend, tmp_path: Path
) -> None:
    """Another process finds it kept, to the bit; what was broken off goes on behind whole kinds."""
    settings = ONCE.model_copy(update={"noise": "directed"})
    kept = KeptBase(tmp_path, serving.base.name)
    pauses = 0

    def counted() -> None:
        nonlocal pauses
        pauses += 1

    def broken_off() -> None:
        counted()
        if pauses > whole // 2:
            raise TimeoutError

    def unpaused() -> None:
        raise AssertionError("it is read again")

    first = Untaught(serving.base, backend=backend).spared(settings, pause=counted)
    whole, pauses = pauses, 0
    untaught = Untaught(serving.base, backend=backend, kept=kept)
    with pytest.raises(TimeoutError):
        untaught.spared(settings, pause=broken_off)
    pauses = 0
    second = untaught.spared(settings, pause=counted)
    assert pauses < whole
    third = Untaught(serving.base, backend=backend, kept=kept).spared(settings, pause=unpaused)
    assert first is not None
    assert second is not None
    assert third is not None
    for name, spared in first.items():
        for other in (second[name], third[name]):
            assert torch.equal(other.rows.root, spared.rows.root)
            assert torch.equal(other.columns.root, spared.columns.root)


def test_a_correction_does_not_wait_for_the_base(school: School) -> None:
    """What is due ends the part that is being measured; it is measured afterwards."""
    base = idling(school)

    def corrected() -> None:
        school.corrected("a")
        school.corrected("b")
        school.clock.now_s += 2

    base.meanwhile.append(corrected)
    assert not school.step()
    assert base.done == 0
    assert school.step()  # the generation
    (made,) = school.generations()
    assert made.state == "released"
    for _ in range(4):
        assert not school.step()
    assert base.done == 3


@pytest.mark.parametrize("idle", [True, False])
def test_lessons_are_looked_at_before_an_idle_moment_plans(school: School, idle: bool) -> None:
    """What somebody else wishes the opposite of is not learned, whenever they say so."""
    base = idling(school)
    base.done = 0 if idle else 3
    school.corrected("a", words="Please answer in more detail.", principal="bob")
    school.clock.now_s += 60
    while school.step():
        school.clock.now_s += 60
    made = len(school.generations())

    def opposed() -> None:
        version = school.learner._line.version
        school.corrected("b", words="Shorter, please.", principal="alice", version=version)
        school.clock.now_s += 60

    if idle:
        base.done = 0
        base.meanwhile.append(opposed)
    else:
        opposed()
    for _ in range(4):
        school.step()
        school.clock.now_s += 30
    reasons = {row.reason for row in school.rows(LessonRow)}
    assert reasons == {"as many people wish the opposite of this line: neither is learned"}
    assert len(school.generations()) == made == 1
    assert base.done == 3


@pytest.mark.parametrize("passes", [True, False])
def test_what_serves_is_asked_the_rest_once_the_base_is_measured(
    school: School, passes: bool
) -> None:
    """A version that fails then is taken back, with the reason; one that passes serves on."""
    gate = LateGate(passes_later=passes)
    base = idling(school, gate=gate)
    school.corrected("a")
    school.corrected("b")
    assert school.step()
    (made,) = school.generations()
    assert made.gate is not None
    assert made.gate["quick"]
    for _ in range(6):
        assert not school.step()
    assert base.done == 3
    assert gate.asked == [(school.base.name, made.child)] * 2
    made, *more = school.generations()
    assert made.gate is not None
    assert not made.gate.get("quick")
    line = school.learner._line
    if passes:
        assert (line.version, more) == (made.child, [])
        return
    assert line.version == school.base.name
    (taken,) = more
    assert (taken.state, taken.turn_ids) == ("withdrawn", [])
    assert taken.reason == "asked once the base had been measured: as told"


def test_what_could_not_be_written_is_asked_again(school: School) -> None:
    """A start in between forgets nothing: the row says what is left."""
    gate = LateGate(passes_later=False)
    base = idling(school, gate=gate)
    base.done = 3
    school.corrected("a")
    school.corrected("b")
    assert school.step()
    school.learner.close()
    idling(school, gate=gate).done = 3
    for _ in range(3):
        school.step()
    assert school.learner._line.version == school.base.name


def test_what_comes_while_the_gate_asks_is_used_at_once(school: School) -> None:
    """A look at all probes takes long: who speaks meanwhile is heard, and a trial is steered."""
    gate = LateGate(passes_later=True)
    base = idling(school, gate=gate)
    heard = []

    def speaks() -> None:
        school.corrected("c")
        school.clock.now_s += 2
        base.pause()
        heard.append({row.id for row in school.rows(TurnRow)})

    school.corrected("a")
    school.corrected("b")
    gate.meanwhile = speaks
    assert school.step()
    assert any(turn.startswith("c") for turn in heard[0])
    assert not any(turn.startswith("c") for turn in school.generations()[0].turn_ids)
