"""Whatever arrives, the planner cannot be blocked, and a restart plans the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from learner.batch import standing, window
from learner.batch.plan import FIRST_TURNS, OWN_GOLD, RENEWS, REWARDS, SEATS, next_plan
from learner.batch.window import UNTRIED
from learner.link.rows import row_of
from learner.settings import LearnerSettings
from streams.line.line import Line
from streams.settings import StreamsSettings
from streams.store.states import RELEASED, VOID, WAITING
from streams.store.store import Store, open_store
from streams.store.tables import GenerationRow, JudgementRow, PlannerRow, RecipeRow, TurnRow
from tests.learner.turns import said, turn

# How many people it takes by default: tests/learner/trust/test_people.py.
SETTINGS = LearnerSettings(
    turns_per_generation=3, uses=2, linger_s=10, max_staleness=3, quorum=1, principal_cap=1.0
)
GENERATION_MS = 6_000
STEP_MS = 2_000  # between two looks of the loop
LINE = Line("main", ("base",))
KINDS = {
    "strong": (-1, 0.9, "be brief"), "weak": (-1, 0.15, None), "nothing": (0, 0.9, None),
    "praise": (1, 0.9, None), "complaint": (-1, 0.9, None),
}  # fmt: skip


@dataclass
class Planner:
    """A planner over real rows, with a clock of its own; its process may end at any time."""

    store: Store
    settings: LearnerSettings = SETTINGS
    now_ms: int = 1_000_000
    line: Line = LINE
    said: int = 0
    planned: list[GenerationRow] = field(default_factory=list)
    waits: list[PlannerRow] = field(default_factory=list)
    busy_until_ms: int = 0

    def judge(
        self,
        kind: str,
        principal: str = "p",
        *,
        at_ms: int | None = None,
        wish: str | None = None,
        asked: str | None = None,
    ) -> str:
        """Somebody gets a reply, and it is judged now."""
        self.said += 1
        id, at_ms = f"t{self.said}", at_ms or self.now_ms
        score, confidence, hint = KINDS[kind]
        hint = wish or hint
        made = turn(said(asked or id), "x", id=id, principal=principal, created_ms=at_ms - 5)
        row = row_of(
            made.model_copy(update={"version": self.line.version}), sequence=self.said, taken_ms=1
        )
        with self.store.transaction() as session:
            session.add(row)
            session.add(
                JudgementRow(
                    id=id, turn_id=id, principal=principal, source="lexical", score=score,
                    confidence=confidence, hint=hint, evidence="", created_ms=at_ms,
                )
            )  # fmt: skip
            session.flush()
            standing.settle(session, row)
        return id

    def judge_again(self, id: str, *, hint: str | None) -> None:
        """Somebody puts another word in the place of what was said of a reply."""
        with self.store.transaction() as session:
            given = session.get_one(JudgementRow, id)
            given.hint, given.created_ms = hint, self.now_ms
            session.add(given)
            session.flush()
            standing.settle(session, session.get_one(TurnRow, id))

    def until(self, end_ms: int) -> None:
        """Let time pass: plan when something may be due, finish what is computed."""
        while self.now_ms < end_ms:
            self.step()
            self.now_ms = min(self.now_ms + STEP_MS, end_ms)
        self.step()

    def step(self) -> None:
        """One step of the loop."""
        if self.planned and self.planned[-1].state == "planned":
            if self.now_ms < self.busy_until_ms:
                return
            self._finish(self.planned[-1])
        with self.store.reading() as session:
            args: dict[str, Any] = {"base": "base", "now_ms": self.now_ms}
            found = next_plan(session, self.line, self.settings, **args)
            if isinstance(found, PlannerRow):
                self.waits.append(found)
                return
            again = next_plan(session, self.line, self.settings, **args)  # another process
        assert found.model_dump() == again.model_dump()
        with self.store.transaction() as session:
            session.add(found)
            window.let_go(session, self.line, self.settings, "base")
        self.planned.append(found)
        self.busy_until_ms = self.now_ms + GENERATION_MS

    def _finish(self, row: GenerationRow) -> None:
        child = f"v{row.number}"
        with self.store.transaction() as session:
            for used in session.exec(select(TurnRow).where(TurnRow.id.in_(row.turn_ids))):  # type: ignore[attr-defined]
                used.uses += 1
            row.state = RELEASED
            session.merge(row)
            session.add(
                RecipeRow(
                    version=child, parent=self.line.version, line="main", number=row.number,
                    record={}, created_ms=1,
                )
            )  # fmt: skip
        self.line = Line("main", (*self.line.served, child))

    def rows(self) -> dict[str, TurnRow]:
        """Read the turns."""
        with self.store.reading() as session:
            return {row.id: row for row in session.exec(select(TurnRow))}


@contextmanager
def planner(**options: Any) -> Iterator[Planner]:
    with TemporaryDirectory() as folder:
        store = open_store(StreamsSettings(home=Path(folder)))
        yield Planner(store, **options)
        store.close()


def test_six_weak_verdicts_do_not_end_learning() -> None:
    """The fault that was: they filled the window, and everything later stayed behind them."""
    with planner(settings=LearnerSettings()) as here:
        for _ in range(12):
            here.judge("weak")
        here.until(here.now_ms + 20_000)
        assert here.planned == []
        assert here.waits[-1].waits_for == "a strong verdict: weak ones start nothing"
        assert here.waits[-1].num_weak == 12
        correction = here.judge("strong")
        here.until(here.now_ms + 10_000)
        (generation,) = here.planned
        assert correction in generation.turn_ids


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 12_000),  # after so many milliseconds
        st.sampled_from(["strong", "complaint", "praise", "weak", "weak", "nothing"]),
        st.sampled_from("ppppqr"),
        st.integers(1, 6),  # so many at once
    ),
    min_size=1,
    max_size=6,
)
PATIENT = settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@PATIENT
@given(EVENTS)
def test_a_fresh_strong_verdict_starts_a_generation_soon(events: list[tuple[Any, ...]]) -> None:
    """Within the linger time plus one generation, whatever else arrives, before it or after it."""
    with planner() as here:
        strong: list[tuple[str, int]] = []
        for wait_ms, kind, principal, count in events:
            here.until(here.now_ms + wait_ms)
            for _ in range(count):
                id = here.judge(kind, principal)
                if kind in ("strong", "complaint"):
                    strong.append((id, here.now_ms))
        here.until(here.now_ms + 40_000)
        slack_ms = int(here.settings.linger_s * 1000) + GENERATION_MS + STEP_MS
        for id, judged_ms in strong:
            begun = [g for g in here.planned if judged_ms <= g.planned_ms <= judged_ms + slack_ms]
            assert begun, (id, judged_ms, [g.planned_ms for g in here.planned])
        left = here.waits[-1]
        told = ("company", "a complaint or", "a fresh complaint or")  # what is left is praise
        assert left.num_fresh == 0 or left.waits_for.startswith(told)
        here.judge("strong", "z")  # with the next plan, what is out leaves
        here.until(here.now_ms + 20_000)
        rows = here.rows()
        scored = {id for generation in here.planned for id in generation.turn_ids}
        for id, _ in strong:  # each has scored, or the reason is told
            assert id in scored or rows[id].reason is not None
        assert all(rows[id].reason == "teaches nothing" for id in rows if rows[id].strength == 0)


@PATIENT
@given(EVENTS, st.sampled_from([0.5, 0.34]))
def test_what_cap_and_quorum_ask_for_is_met_or_told(
    events: list[tuple[Any, ...]], cap: float
) -> None:
    """Enough people with strong verdicts, or words that say how many are missing."""
    asked = SETTINGS.model_copy(update={"principal_cap": cap})
    with planner(settings=asked) as here:
        for wait_ms, kind, principal, count in events:
            here.until(here.now_ms + wait_ms)
            for _ in range(count):
                here.judge(kind, principal)
        here.until(here.now_ms + 40_000)
        needed = 2 if cap == 0.5 else 3
        rows = here.rows()
        for generation in here.planned:
            people = {
                rows[id].principal for id in generation.turn_ids if (rows[id].strength or 0) >= 0.3
            }
            assert len(people) >= needed
        last = here.waits[-1]
        if last.num_fresh and last.num_people < needed:
            assert "needed: cap" in last.waits_for


def test_what_will_score_nothing_any_more_leaves_with_the_reason() -> None:
    """Used up, stale, crowded out: said with the turn, and out of the window for good."""
    with planner() as here:
        crowd = [here.judge("weak", at_ms=here.now_ms - n) for n in range(9)]
        used = [here.judge("strong") for _ in range(3)]
        here.until(here.now_ms + 30_000)
        for _ in range(4):  # the line moves on, without them
            here.judge("strong", "q")
            here.until(here.now_ms + 30_000)
        reasons = {id: row.reason for id, row in here.rows().items()}
        assert {reasons[id] for id in used} == {"used up"}
        assert {reasons[id] for id in crowd} <= {"used up", "stale", "crowded out"}
        assert "crowded out" in {reasons[id] for id in crowd}
        assert here.waits[-1].num_weak == 0


def test_every_store_counts_the_kinds(database: str, tmp_path: Path) -> None:
    """What is strong and fresh, what is weak, and of how many people."""
    store = open_store(StreamsSettings(home=tmp_path, store=database))
    planner = Planner(store)
    for kind, principal in (("strong", "p"), ("strong", "q"), ("weak", "p"), ("nothing", "r")):
        planner.judge(kind, principal)
    with store.reading() as session:
        found = window.counts(session, LINE, SETTINGS, "base")
    store.close()
    assert found == window.Counts(fresh=2, used=0, weak=1, people=2)


def test_wishes_of_older_rows_are_named_by_what_was_said() -> None:
    """As they would be now, a few at a time; what teaches nothing has none."""
    with planner() as here:
        ids = [here.judge(kind) for kind in ("strong", "complaint", "nothing")]
        named = {id: row.wish for id, row in here.rows().items()}
        with here.store.transaction() as session:
            for id in ids:
                session.get_one(TurnRow, id).wish = None
        with here.store.transaction() as session:
            assert standing.name_wishes(session, "main")
            assert not standing.name_wishes(session, "main")
        assert {id: row.wish for id, row in here.rows().items()} == named
        assert [named[id] is None for id in ids] == [False, False, True]


def test_a_wish_that_follows_a_thumb_is_learned_at_once() -> None:
    """Whoever types longer than `linger_s` finds a plan that was made from the thumb alone."""
    with planner() as here:
        id = here.judge("complaint")
        here.until(here.now_ms + 12_000)
        assert [row.batch[0]["hint"] for row in here.planned] == [None]
        here.judge_again(id, hint="Answer like a pirate.")  # while it is computed
        here.until(here.now_ms + GENERATION_MS + 2_000)
        assert here.waits[-1].waits_for.startswith("company")
        assert (here.waits[-1].num_fresh, here.waits[-1].num_used) == (1, 0)
        here.until(here.now_ms + 60_000)
        assert [row.batch[0]["hint"] for row in here.planned] == [None, "Answer like a pirate."]
        assert here.waits[-1].num_fresh == 0


def test_another_word_is_learned_though_its_plan_was_given_up() -> None:
    """Where the parent was taken back before anything was scored, nobody has learned it."""
    with planner() as here:
        id = here.judge("complaint")
        here.until(here.now_ms + 30_000)
        here.judge_again(id, hint="Answer like a pirate.")
        while len(here.planned) < 2:
            here.until(here.now_ms + STEP_MS)
        row = here.planned[-1]
        with here.store.transaction() as session:
            row.state, row.horizon = VOID, row.horizon | {UNTRIED: True}
            session.merge(row)
        here.until(here.now_ms + 30_000)
        hints = [row.batch[0]["hint"] for row in here.planned]
        assert hints == [None, "Answer like a pirate.", "Answer like a pirate."]


def test_a_plan_notes_what_a_model_has_said_of_its_turns_by_then() -> None:
    """The guard against collapse looks back on it; what is said later is no part of it."""
    with planner() as here:
        ids = [here.judge("strong") for _ in range(4)]
        for id, score in zip(ids, (-1, 0, 0, 0), strict=True):
            waits = score == 0
            with here.store.transaction() as session:
                session.add(
                    JudgementRow(
                        id=f"model {id}", turn_id=id, principal="p", source="model", score=score,
                        confidence=0.0 if waits else 0.6, evidence=WAITING if waits else "votes",
                        created_ms=here.now_ms,
                    )
                )  # fmt: skip
        here.until(here.now_ms + 40_000)
        assert len(here.planned) > 1
        noted = {(ids[0] in row.turn_ids, row.horizon[REWARDS]) for row in here.planned}
        assert noted - {(False, None)} == {(True, -1.0)}


def test_the_same_word_again_starts_nothing() -> None:
    """Only what is judged otherwise than a generation learned it is fresh."""
    with planner() as here:
        id = here.judge("strong")
        here.until(here.now_ms + 30_000)
        here.judge_again(id, hint=KINDS["strong"][2])
        here.until(here.now_ms + 60_000)
        assert len(here.planned) == 1


def test_a_run_again_plans_as_an_older_build_did() -> None:
    """To it, a turn that was used once was never fresh again."""
    with planner() as here:
        id = here.judge("complaint")
        here.until(here.now_ms + 30_000)
        here.judge_again(id, hint="Answer like a pirate.")
        with here.store.reading() as session:
            args: dict[str, Any] = {"base": "base", "now_ms": here.now_ms + 60_000}
            older = next_plan(session, here.line, here.settings, renews=False, **args)
            newer = next_plan(session, here.line, here.settings, **args)
        assert isinstance(older, PlannerRow)
        assert older.num_fresh == 0
        assert isinstance(newer, GenerationRow)
        assert newer.horizon[RENEWS]
        assert newer.horizon[SEATS]
        assert newer.horizon[OWN_GOLD]
        assert newer.horizon[FIRST_TURNS]
