"""When a generation may be planned: by the mode, by an order, and once for each."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kernels.contract import Backend
from learner.batch.when.mode import ORDER, Orders, inside
from learner.batch.window import UNTRIED
from learner.settings import LearnerSettings
from streams.line.offer import order_learning
from streams.line.verbs import Audit
from streams.model.open import BaseModel
from streams.open import open_log
from streams.records import Deletion, Mask
from streams.settings import StreamsSettings
from streams.store.states import PLANNED, VOID, GenerationState
from streams.store.store import open_store
from streams.store.tables import GenerationRow, PlannerRow
from tests.learner.test_intake import feedback
from tests.learner.test_loop import SETTINGS, School, open_school
from tests.learner.turns import said, turn


@pytest.fixture
def place(tmp_path: Path, tiny_base: BaseModel, tiny_mask: Mask, backend: Backend) -> "Place":
    """Where schools of any mode are opened."""
    return Place(tmp_path, tiny_base, tiny_mask, backend)


class Place:
    """A folder and a model."""

    def __init__(self, home: Path, base: BaseModel, mask: Mask, backend: Backend) -> None:
        self._parts = (home, base, mask, backend)

    def school(self, *, start: int = 1, **changes: object) -> School:
        """Open a school with two corrected conversations, which suffice for a generation."""
        settings = LearnerSettings.model_validate(SETTINGS.model_dump() | changes)
        school = open_school(*self._parts, start=start, settings=settings)
        school.corrected("a")
        school.corrected("b")
        return school


def waits(school: School) -> str:
    """Return what the learner says that it waits for."""
    (row,) = school.rows(PlannerRow)
    return str(row.waits_for)


def order(school: School, name: str) -> None:
    """Order a generation, as `quickset learn` does."""
    order_learning(school.log, "main", Audit("ann", "now", 1, name))


def test_by_itself_it_learns_as_soon_as_enough_is_judged(place: Place) -> None:
    """The default."""
    assert place.school().step()


def test_a_manual_learner_makes_one_generation_an_order(place: Place) -> None:
    """Not two, also after a restart that reads all orders again; and it says what it waits for."""
    school = place.school(mode="manual")
    assert not school.step()
    assert waits(school) == "an order (Learn now, or quickset learn): learner.mode is manual"
    order(school, "one")
    assert school.step()
    school.learner.catch_up()
    assert not school.step()
    assert school.generations()[-1].horizon["order"] == "one"
    school.learner.close()
    again = place.school(start=2, mode="manual")
    assert not again.step()
    order(again, "two")
    assert again.step()
    assert [row.horizon.get("order") for row in again.generations()] == ["one", "two"]


def test_an_order_stays_fulfilled_however_many_generations_follow(tmp_path: Path) -> None:
    """Nor does it come back with a restart, or when the log brings it once more; a new one does."""
    streams = StreamsSettings(home=tmp_path)
    store, log = open_store(streams), open_log(streams)
    running = Orders("main")
    order_learning(log, "main", Audit("ann", "now", 1, "one"))
    running.read_all(log)
    for number in range(1, 31):
        with store.transaction() as session:
            session.add(generation(number, {ORDER: "one"} if number == 2 else {}))
        with store.reading() as session:
            opened = running.open(session)
        assert (opened is not None) == (number < 2)
    again = Orders("main")
    for orders in (running, again):
        orders.read_all(log)
        with store.reading() as session:
            assert orders.open(session) is None
    order_learning(log, "main", Audit("ann", "now", 1, "two"))
    for orders in (running, again):
        orders.read_all(log)
        with store.reading() as session:
            opened = orders.open(session)
        assert opened is not None
        assert opened.id == "two"
    store.close()
    log.close()


def test_a_plan_that_was_given_up_untried_fulfils_no_order(tmp_path: Path) -> None:
    """Its parent was taken back before it was begun: the order waits for the next one."""
    streams = StreamsSettings(home=tmp_path)
    store, log = open_store(streams), open_log(streams)
    running = Orders("main")
    order_learning(log, "main", Audit("ann", "now", 1, "one"))

    def is_open() -> bool:
        again = Orders("main")
        found = set()
        for orders in (running, again):
            orders.read_all(log)
            with store.reading() as session:
                found.add(orders.open(session) is not None)
        (said,) = found
        return said

    def keep(row: GenerationRow) -> None:
        with store.transaction() as session:
            session.merge(row)

    keep(generation(1, {ORDER: "one"}, state=PLANNED))
    assert not is_open()  # it may be tried yet
    keep(generation(1, {ORDER: "one", UNTRIED: True}, state=VOID))
    assert is_open()
    keep(generation(2, {ORDER: "one"}, state=PLANNED))
    assert not is_open()
    keep(generation(2, {ORDER: "one"}, state=VOID, is_done=False))  # its turns were forgotten
    assert is_open()
    keep(generation(3, {ORDER: "one"}, state=PLANNED))
    assert not is_open()
    keep(generation(3, {ORDER: "one"}, state=VOID))  # tried, to no avail
    assert not is_open()
    store.close()
    log.close()


def test_an_order_outlives_a_plan_that_was_given_up(place: Place) -> None:
    """After a crash and a rollback the next plan is made for it, and none after that."""
    school = place.school(mode="manual")
    order(school, "one")
    assert school.step()
    child = school.generations()[0].child
    assert child is not None
    school.corrected("c", version=child)
    order(school, "two")
    school.crashes()
    school.rollback(seq=2, version=school.base.name, previous=child)
    again = place.school(start=2, mode="manual")
    assert again.step()
    assert again.step()
    assert [(row.state, row.horizon[ORDER]) for row in again.generations()] == [
        ("released", "one"), ("void", "two"), ("released", "two")
    ]  # fmt: skip
    again.learner.catch_up()
    assert not again.step()


def test_an_order_outlives_a_plan_whose_turn_is_deleted(place: Place) -> None:
    """The next plan is made for it, of what is left, and none after that."""
    school = place.school(mode="manual")
    order(school, "one")

    def meanwhile() -> None:
        deletion = Deletion(
            id="d", line="main", turn_id="a", session="a", principal="alice", created_ms=1
        )
        school.say(deletion, topic="feedback")
        school.clock.now_s += 2

    school.pauses.append(meanwhile)
    assert school.step()
    assert [row.state for row in school.generations()] == ["void"]
    school.corrected("c")
    assert school.step()
    first, second = school.generations()
    assert (second.state, sorted(second.turn_ids)) == ("released", ["b", "c"])
    assert first.horizon[ORDER] == second.horizon[ORDER] == "one"
    school.learner.catch_up()
    school.corrected("d")
    assert not school.step()


def generation(
    number: int,
    horizon: dict[str, Any],
    *,
    state: GenerationState = "released",
    is_done: bool = True,
) -> GenerationRow:
    """A generation of the line, as far as orders are concerned."""
    return GenerationRow(
        id=f"generation-{number}", line="main", number=number, parent="base", key="0" * 16,
        state=state, turn_ids=[], horizon=horizon, planned_ms=number,
        done_ms=number if is_done and state != PLANNED else None,
    )  # fmt: skip


def test_an_order_waits_until_something_is_judged(place: Place) -> None:
    """It is not lost, and it says so; a single turn then does not wait for others."""
    school = place.school(mode="manual", turns_per_generation=6, linger_s=1000.0)
    order(school, "one")
    assert school.step()


def test_an_idle_learner_waits_until_nobody_asks(place: Place) -> None:
    """So many seconds after it read the last request, whatever time stands at that.

    The log's clock is the machine's here, and the learner's is decades behind it.
    """
    school = place.school(mode="idle", idle_s=60)
    school.clock.now_s += 50
    school.learner.catch_up()
    school.clock.now_s += 59
    assert not school.step()
    assert waits(school) == "60 s without a request: learner.mode is idle"
    school.clock.now_s += 2
    assert school.step()


def test_a_candidates_reply_beside_another_is_no_request(place: Place) -> None:
    """Nor is a thumb: only what somebody waits for keeps an idle learner away."""
    school = place.school(mode="idle", idle_s=60)
    school.learner.catch_up()
    school.clock.now_s += 59
    seen = turn(said("question c"), "a reply", id="c")
    school.say(seen.model_copy(update={"id": "c-beside", "beside": "c"}))
    school.say(feedback(0, turn_id="a"), topic="feedback")
    school.learner.catch_up()
    school.clock.now_s += 2
    assert school.step()


def test_a_learner_with_windows_learns_in_them_alone(place: Place) -> None:
    """Outside it waits, however idle it is; an order opens every window."""
    begins = datetime.now() + timedelta(hours=2)
    window = f"{begins:%H:%M}-{begins + timedelta(minutes=1):%H:%M}"
    school = place.school(mode="idle", idle_s=0, windows=[window])
    assert not school.step()
    assert waits(school) == f"its learning windows ({window})"
    order(school, "one")
    assert school.step()


def test_windows_go_by_the_clock_as_it_is_set_now(place: Place) -> None:
    """A learner is in time though its machine's clock was decades behind when it started."""
    around = [datetime.now() + timedelta(hours=hours) for hours in (-1, 1)]
    window = "-".join(f"{moment:%H:%M}" for moment in around)
    school = place.school(mode="idle", idle_s=0, windows=[window])
    begins = datetime.fromtimestamp(school.clock.now_s)
    if inside([window], begins):  # the school's clock shows a quarter past midnight
        school.clock.now_s += 12 * 3600
    assert school.step()


@pytest.mark.parametrize("window", ["22-06", "24:00-06:00", "10:60-11:00", ""])
def test_a_window_that_is_none_is_refused(window: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValidationError, match="is no time of the day"):
        LearnerSettings(windows=(window,))
