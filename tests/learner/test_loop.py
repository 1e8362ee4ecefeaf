"""The whole loop on the tiny model, with a log and a store on disk and a clock of its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlmodel import select

from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.batch.plan import HELD_OUT
from learner.forget.plans import DELETED
from learner.judges.open import open_judges
from learner.loop import Learner
from learner.parts import Parts
from learner.serving import Serving
from learner.settings import MODULES, LearnerSettings
from learner.steps.consumer import PIECE
from learner.verdicts import Rules
from streams.errors import LeaseLostError, SchemaError, StoreUnavailableError
from streams.line import verbs
from streams.line.line import Line
from streams.line.offer import offer
from streams.line.verbs import Audit
from streams.log.contract import Log, Topic, outgoing, records_now
from streams.model.open import BaseModel
from streams.open import open_log
from streams.records import (
    Candidate,
    Deletion,
    Feedback,
    Forgotten,
    Mask,
    Message,
    Record,
    Rollout,
    Turn,
    canonical_json,
    decode,
)
from streams.settings import DIRECT, RolloutSettings, StreamsSettings
from streams.store.lease import Clocks, Lease
from streams.store.store import Store, open_store
from streams.store.tables import (
    ForgottenRow,
    GenerationRow,
    JudgementRow,
    RecipeRow,
    RolloutRow,
    TurnRow,
)
from tests.learner.turns import said, turn

SETTINGS = LearnerSettings(
    last_layers=2, pairs=2, turns_per_generation=2, uses=3, linger_s=10, max_reply_tokens=8,
    kl_budget=5.0, held_out_fitness=100.0,  # noise pleases nobody for certain
)  # fmt: skip


@dataclass
class Clock:
    """Time that only tests move."""

    now_s: float = 1_000.0

    def __call__(self) -> float:
        """Unix seconds."""
        return self.now_s


@dataclass(frozen=True)
class Opinion:
    """A gate's report."""

    passed: bool
    reason: str = "as told"
    quick: bool = False
    rows: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        told = {"passed": self.passed, "reason": self.reason, "rows": list(self.rows)}
        return told | ({"quick": True} if self.quick else {})


@dataclass
class ToldGate:
    """A gate that decides as it is told.

    passes_later: by the probes that are left out at first; None: there are none
    rows: of its reports
    while_asked: run at each question, before it is answered
    """

    passes: bool = True
    passes_later: bool | None = None
    rows: tuple[dict[str, Any], ...] = ()
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    while_asked: Callable[[], object] = lambda: None

    def examine(
        self,
        candidate: Decoder,
        serving: Decoder,
        serving_name: str,
        *,
        candidate_name: str | None = None,
        quick: bool = False,
        whole: bool = False,
    ) -> Opinion:
        """Note what was asked."""
        del whole
        assert candidate is not serving
        self.asked.append((serving_name, candidate_name))
        self.while_asked()
        if self.passes_later is None:
            return Opinion(self.passes, rows=self.rows)
        return Opinion(self.passes if quick else self.passes_later, quick=quick, rows=self.rows)


@dataclass
class School:
    """One home: its log, its store, and a learner."""

    streams: StreamsSettings
    store: Store
    log: Log
    clock: Clock
    gate: ToldGate
    learner: Learner
    base: BaseModel
    pauses: list[Callable[[], None]]  # run once each, at the next pause

    def say(self, *records: Record, topic: Topic = "turns") -> None:
        """Append records."""
        self.log.append(outgoing(topic, "k", record) for record in records)

    def step(self) -> bool:
        """One step of the loop, without waiting."""
        return self.learner.step(wait_s=0)

    def crashes(self, *, after: int = 0) -> None:
        """Let the process end in the middle of a step, at the pause behind so many."""

        def crash() -> None:
            raise KeyboardInterrupt

        self.pauses += [*[lambda: None] * after, crash]
        with pytest.raises(KeyboardInterrupt):
            self.step()
        self.learner.close()

    def corrected(
        self,
        name: str,
        *,
        words: str = "too long",
        version: str | None = None,
        principal: str = "alice",
        orders: str = "",
    ) -> None:
        """Let a user correct a reply, now. orders: the operator's, in a system prompt"""
        asked, now_ms = said(f"question {name}"), int(self.clock() * 1000)
        asked = [*([Message(role="system", content=orders)] if orders else []), *asked]
        served = version or self.base.name
        tokens = self.base.tokenizer.encode("a long reply", add_special_tokens=False)
        prompt = self.base.render(asked)
        rest: dict[str, Any] = {
            "version": served, "prompt": prompt, "tokens": tokens, "logprobs": [-3.0] * len(tokens),
            "principal": principal,
        }  # fmt: skip
        first = turn(asked, "a long reply", id=name, created_ms=now_ms - 10, **rest)
        goes_on = [*asked, first.reply, Message(role="user", content=words)]
        self.say(first, turn(goes_on, "ok", id=f"{name}-next", created_ms=now_ms, **rest))

    def rows(self, table: Any) -> list[Any]:
        """Read a table."""
        with self.store.reading() as session:
            return list(session.exec(select(table)))

    def generations(self) -> list[GenerationRow]:
        """Read the generations, in order."""
        return sorted(self.rows(GenerationRow), key=lambda row: row.number)

    def published(self, topic: Topic) -> list[Record]:
        """Read a topic."""
        reader = self.log.subscribe([topic], group=None, positions=lambda _: {})
        found = []
        while entries := reader.poll(wait_s=0):
            found += [decode(entry.value) for entry in entries]
        reader.close()
        return found

    def rollback(self, *, seq: int, version: str, previous: str) -> None:
        """Let an operator take a version back."""
        line = Line("main", (version, previous), seq - 1)
        self.say(verbs.rollback(line, Audit.new("op", "worse", 1)), topic="rollouts")


@pytest.fixture
def school(tmp_path: Path, tiny_base: BaseModel, tiny_mask: Mask, backend: Backend) -> School:
    """A home with a learner that holds the lease."""
    return open_school(tmp_path, tiny_base, tiny_mask, backend)


def open_school(
    home: Path,
    base: BaseModel,
    mask: Mask,
    backend: Backend,
    *,
    start: int = 1,
    rollout: RolloutSettings = DIRECT,
    settings: LearnerSettings = SETTINGS,
) -> School:
    """Open a home as a process does at its start; the lease of an earlier one has run out."""
    streams, clock, gate = StreamsSettings(home=home), Clock(1_000.0 * start), ToldGate()
    store, log = open_store(streams), open_log(streams)
    lease = Lease(store, "learner/main", holder=f"start {start}", clocks=Clocks(clock, clock))
    assert lease.acquire()
    pauses: list[Callable[[], None]] = []

    def pause() -> None:
        if pauses:
            pauses.pop(0)()

    learner = Learner(
        Parts(
            store=store,
            log=log,
            lease=lease,
            serving=Serving(base, backend, mask, layers=[2, 3], modules=MODULES),
            backend=backend,
            gate=gate,
            rules=Rules(
                "main", open_judges(LearnerSettings(judges=("explicit", "lexical"))), 10**9, 2**20
            ),
            settings=settings,
            pause=pause,
            clock=clock,
            rollout=rollout,
        )
    )
    return School(streams, store, log, clock, gate, learner, base, pauses)


def test_a_learner_can_be_stopped_in_the_middle_of_what_a_poll_brought(school: School) -> None:
    """Many turns are judged in pieces; what was used stays so, and the rest is read again."""
    turns = [turn(said(f"question {n}"), "ok", id=f"t{n}") for n in range(PIECE + 1)]
    school.say(*turns)

    def stop() -> None:
        raise KeyboardInterrupt

    school.pauses.append(stop)
    with pytest.raises(KeyboardInterrupt):
        school.learner.catch_up()
    assert len(school.rows(TurnRow)) == PIECE
    school.learner.catch_up()
    assert {row.id for row in school.rows(TurnRow)} == {each.id for each in turns}


def test_corrections_become_a_version(school: School) -> None:
    """Two corrected turns lead to a generation whose recipe and rollout go to the log."""
    school.corrected("a")
    school.corrected("b", words="shorter please")
    assert school.step()
    (row,) = school.generations()
    assert (row.state, row.parent, row.seq) == ("released", school.base.name, 1)
    assert sorted(row.turn_ids) == ["a", "b"]
    assert [len(members) for members in row.fitness] == [4, 4]
    assert row.kl is not None
    assert (row.reward, row.gate) == (-1.0, {"passed": True, "reason": "as told", "rows": []})
    announced, recipe = school.published("recipes")
    assert isinstance(announced, Candidate)
    assert decode(canonical_json(announced.recipe)) == recipe
    (rollout,) = school.published("rollouts")
    assert isinstance(rollout, Rollout)
    assert rollout.version == row.child == recipe.version  # type: ignore[attr-defined]
    assert school.gate.asked == [(school.base.name, row.child)]
    assert len(school.published("judgements")) == 2
    turns = {t.id: t for t in school.rows(TurnRow)}
    assert (turns["a"].uses, turns["b"].uses) == (1, 1)
    assert turns["a"].target is not None
    assert turns["a"].target["version"] == school.base.name


@pytest.mark.parametrize("num_said", [0, 2])
def test_a_log_that_was_made_anew_beneath_the_store_is_told(
    tmp_path: Path, tiny_base: BaseModel, tiny_mask: Mask, backend: Backend, num_said: int
) -> None:
    """What its users say would not be read: the learner ends, and says what to do.

    Whether the new log is shorter than what was read, or has grown past it.
    """
    first = open_school(tmp_path, tiny_base, tiny_mask, backend)
    first.corrected("a")
    assert not first.step()
    first.learner.close()
    first.log.close()
    first.store.close()
    for file in tmp_path.glob("log.db*"):
        if file.is_file():
            file.unlink()
    second = open_school(tmp_path, tiny_base, tiny_mask, backend, start=2)
    for number in range(num_said):
        second.corrected(f"of the new log {number}")
    with pytest.raises(SchemaError, match="another log than the store was made from"):
        second.step()


def test_what_the_store_did_not_take_is_read_again(school: School) -> None:
    """A store that is away for a moment loses no turn, no order and no change of the line."""
    assert not school.step()
    away = [True]

    def fail(connection: Connection) -> None:
        if away[0] and "begin" not in connection.get_execution_options():  # to write
            raise StoreUnavailableError("busy")

    event.listen(school.store.engine, "begin", fail, insert=True)
    school.corrected("a")
    line = Line("main", (school.base.name,))
    school.say(verbs.reset(line, school.base.name, Audit.new("ann", "off", 1)), topic="rollouts")
    with pytest.raises(StoreUnavailableError):
        school.step()
    away[0] = False
    school.corrected("b")
    assert not school.step()
    assert {row.id for row in school.rows(TurnRow)} == {"a", "a-next", "b", "b-next"}
    assert [row.verb for row in school.rows(RolloutRow)] == ["reset"]


def test_the_next_generation_waits_for_the_release_to_come_back(school: School) -> None:
    """Until the log has decided on the last release, nothing new is planned."""
    school.corrected("a")
    school.corrected("b")
    assert school.step()
    assert school.rows(RolloutRow) == []  # published, not yet read back
    assert school.step()
    first, second = school.generations()
    assert school.rows(RolloutRow)[0].version == first.child == second.parent
    assert second.key != first.key


def test_each_turn_scores_so_many_generations_and_no_more(school: School) -> None:
    """The loop ends when the uses are used up."""
    school.corrected("a")
    school.corrected("b")
    assert [school.step() for _ in range(6)] == [True, True, True, False, False, False]
    assert {t.uses for t in school.rows(TurnRow) if t.state == "judged"} == {3}
    targets = {t.id: t.target["version"] for t in school.rows(TurnRow) if t.target}
    assert set(targets.values()) == {school.base.name}  # made once, by the version stable then


def test_one_corrected_chat_alone_leads_to_exactly_one_generation(school: School) -> None:
    """A lone correction waits for company, then learns alone, once."""
    school.corrected("a")
    assert not school.step()
    school.clock.now_s += 11
    assert school.step()
    school.clock.now_s += 3600
    assert not school.step()
    assert not school.step()


def test_what_an_operator_changes_while_a_generation_is_under_way_comes_first(
    school: School,
) -> None:
    """The child that claims the same place afterwards is held, with who and why, and not served."""

    def change() -> None:
        line = Line("main", (school.base.name,))
        offer(school.log, verbs.reset(line, school.base.name, Audit.new("ann", "off", 1)))
        school.learner.catch_up()

    school.gate.while_asked = change
    school.corrected("a")
    school.corrected("b")
    assert school.step()
    (row,) = school.generations()
    assert (row.state, row.reason) == ("held", "reset by ann came first: off")
    (change_of_ann,) = records_now(school.log, "rollouts")
    assert isinstance(change_of_ann, Rollout)
    assert change_of_ann.verb == "reset"


def test_a_gate_that_says_no_holds_the_child_back(school: School) -> None:
    """A held child is in the ledger, serves nobody, and its turns have scored."""
    school.gate.passes = False
    school.corrected("a")
    school.corrected("b")
    assert school.step()
    (row,) = school.generations()
    assert (row.state, row.seq) == ("held", None)
    assert "as told" in row.reason
    assert school.published("rollouts") == []
    announced, withdrawn = school.published("recipes")
    assert isinstance(announced, Candidate)
    assert announced.recipe
    assert isinstance(withdrawn, Candidate)
    assert not withdrawn.recipe
    school.gate.passes = True
    assert school.step()
    second = school.generations()[1]
    assert (second.parent, second.state) == (school.base.name, "released")


def test_an_operators_rollback_wins_and_is_followed(school: School) -> None:
    """What was taken back serves no more, and is not learned again from the same turns."""
    school.corrected("a")
    school.corrected("b")
    school.step()
    child = school.generations()[0].child
    assert child is not None
    school.rollback(seq=2, version=school.base.name, previous=child)
    assert not school.step()
    assert {t.state for t in school.rows(TurnRow) if t.id in ("a", "b")} == {"closed"}
    school.corrected("c")
    school.corrected("d")
    assert school.step()
    second = school.generations()[1]
    assert (second.parent, second.seq) == (school.base.name, 3)


def test_what_was_taken_back_is_tried_again_only_when_somebody_says_so(school: School) -> None:
    """A rating that is taken back judges nothing anew; one that is given does."""

    def rates(score: int, turn_id: str, **more: Any) -> None:
        school.clock.now_s += 1
        at_ms = int(school.clock() * 1000)
        given = Feedback(
            id=f"f{at_ms}", turn_id=turn_id, line="main", principal="alice", session="s",
            score=score, created_ms=at_ms, **more,
        )  # fmt: skip
        school.say(given, topic="feedback")

    def states() -> set[tuple[str, int, int | None]]:
        rows = [row for row in school.rows(TurnRow) if row.id in ("a", "b")]
        return {(row.state, row.uses, row.score) for row in rows}

    for name in ("a", "b"):
        school.corrected(name)
        rates(-1, name)
    school.step()
    child = school.generations()[0].child
    assert child is not None
    school.rollback(seq=2, version=school.base.name, previous=child)
    for name in ("a", "b"):
        rates(0, name, withdrawn=True)
    assert not school.step()
    assert states() == {("closed", 1, -1)}
    rates(-1, "a")
    rates(-1, "b")
    assert school.step()
    assert states() == {("judged", 2, -1)}


def test_nothing_is_planned_while_a_candidate_is_on_trial(school: School) -> None:
    """What comes of the trial may be the parent of the next generation: it is waited for."""
    line = Line("main", (school.base.name,))
    trial = verbs.start(line, "f" * 16, Audit.new("op", "try it", 1), share=0.1)
    school.say(trial, topic="rollouts")
    school.corrected("a")
    school.corrected("b")
    assert not school.step()
    assert school.generations() == []
    line = line.take(trial)
    school.say(verbs.abort(line, Audit.new("op", "worse", 2)), topic="rollouts")
    assert school.step()
    (row,) = school.generations()
    assert (row.parent, row.seq) == (school.base.name, 3)


def test_a_promotion_that_comes_second_is_held(school: School) -> None:
    """When an operator changed the line first, the learner's claim counts for nothing."""
    school.corrected("a")
    school.corrected("b")
    school.pauses.append(
        lambda: school.rollback(seq=1, version=school.base.name, previous=school.base.name)
    )
    assert school.step()
    assert school.generations()[0].state == "released"
    school.step()
    first = school.generations()[0]
    assert first.state == "held"
    assert "op came first" in first.reason
    assert [row.who for row in school.rows(RolloutRow)] == ["op"]


def test_verdicts_show_while_a_generation_runs(school: School) -> None:
    """What people say meanwhile is judged at once, and waits for the next generation."""
    school.corrected("a")
    school.corrected("b")

    def meanwhile() -> None:
        school.corrected("late")
        school.clock.now_s += 2

    seen: list[int] = []
    school.pauses += [meanwhile, lambda: seen.append(len(school.rows(JudgementRow)))]
    school.pauses += [lambda: seen.append(len(school.rows(JudgementRow)))]
    assert school.step()
    assert seen[-1] == 3
    assert sorted(school.generations()[0].turn_ids) == ["a", "b"]


@pytest.mark.fault("zombie learner")
def test_a_zombie_commits_nothing(school: School) -> None:
    """A learner that was replaced while it computed finds out before it writes."""
    school.corrected("a")
    school.corrected("b")

    def replaced() -> None:
        school.clock.now_s += 100
        other = Clocks(school.clock, school.clock)
        assert Lease(school.store, "learner/main", holder="b", clocks=other).acquire()

    school.pauses.append(replaced)
    with pytest.raises(LeaseLostError):
        school.step()
    (row,) = school.generations()
    assert row.state == "planned"
    assert school.published("rollouts") == []


def test_a_planned_generation_is_repeated_after_a_crash(
    school: School, tmp_path: Path, backend: Backend, tiny_mask: Mask
) -> None:
    """A crash in the middle leaves the plan; the next process makes the same child of it."""
    school.corrected("a")
    school.corrected("b")
    school.crashes(after=2)
    (plan,) = school.generations()
    again = open_school(tmp_path, school.base, tiny_mask, backend, start=2)
    again.corrected("late")  # known before the repetition, and not part of the plan
    assert again.step()
    (row,) = again.generations()
    assert (row.key, row.turn_ids, row.state) == (plan.key, plan.turn_ids, "released")


def test_a_plan_whose_parent_was_taken_back_is_void(
    school: School, tmp_path: Path, backend: Backend, tiny_mask: Mask
) -> None:
    """A crash and a rollback before the restart: the plan is given up, with the reason."""
    school.corrected("a")
    school.corrected("b")
    school.step()
    child = school.generations()[0].child
    assert child is not None
    school.crashes()
    school.rollback(seq=2, version=school.base.name, previous=child)
    again = open_school(tmp_path, school.base, tiny_mask, backend, start=2)
    assert again.step()
    assert again.generations()[1].state == "void"
    assert child in again.generations()[1].reason


def test_a_correction_whose_plan_was_given_up_is_learned_all_the_same(
    school: School, tmp_path: Path, backend: Backend, tiny_mask: Mask
) -> None:
    """Nothing was scored of it, so it is as fresh as before: alone, it makes a version."""
    school.corrected("a")
    school.clock.now_s += 11
    assert school.step()
    child = school.generations()[0].child
    assert child is not None
    assert not school.step()
    school.corrected("b", version=child)
    school.clock.now_s += 11
    school.crashes()
    school.rollback(seq=2, version=school.base.name, previous=child)
    again = open_school(tmp_path, school.base, tiny_mask, backend, start=2)
    assert again.step()
    assert [row.state for row in again.generations()] == ["released", "void"]
    assert {row.id: (row.state, row.uses) for row in again.rows(TurnRow)}["b"] == ("judged", 0)
    again.clock.now_s += 11
    assert again.step()
    third = again.generations()[-1]
    assert (third.parent, third.state, third.turn_ids) == (school.base.name, "released", ["b"])


@pytest.mark.parametrize("learns_again", [False, True])
def test_what_a_crash_interrupted_is_held_after_a_reset(
    school: School, tmp_path: Path, backend: Backend, tiny_mask: Mask, learns_again: bool
) -> None:
    """Its parent, the base, serves on, and its child serves nobody, also once it is learned again.

    As it is held where nothing was interrupted.
    """
    school.corrected("a")
    school.corrected("b")
    school.crashes()
    line = Line("main", (school.base.name,))
    reset = verbs.reset(line, school.base.name, Audit.new("ann", "off", 1))
    learn = verbs.learn(line.take(reset), Audit.new("ann", "on", 2))
    school.say(*[reset, learn][: 1 + learns_again], topic="rollouts")
    again = open_school(tmp_path, school.base, tiny_mask, backend, start=2)
    assert again.step()
    (row,) = again.generations()
    assert (row.state, row.reason) == ("held", "reset by ann came first: off")
    assert len(again.published("rollouts")) == 1 + learns_again
    withdrawn = again.published("recipes")[-1]
    assert isinstance(withdrawn, Candidate)
    assert not withdrawn.recipe


def test_a_lost_store_is_rebuilt_from_the_log(
    school: School, tmp_path: Path, backend: Backend, tiny_mask: Mask
) -> None:
    """Without its database a learner finds recipes, rollouts and turns again in the log."""
    school.corrected("a")
    school.corrected("b")
    school.say(tiny_mask, topic="recipes")
    school.step()
    child = school.generations()[0].child
    school.learner.close()
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    again = open_school(tmp_path, school.base, tiny_mask, backend, start=2)
    assert again.step()
    assert again.generations()[0].parent == child


def untrained(words: Turn) -> Turn:
    """Return the same turn, not to be learned from."""
    return words.model_copy(update={"learn": False})


def test_what_must_not_be_learned_from_is_not(school: School) -> None:
    """A conversation that opted out leads to no generation, whatever is said in it."""
    asked = said("q")
    first = untrained(turn(asked, "r", id="x"))
    second = untrained(turn([*asked, first.reply, *said("wrong!")], "s", id="y", created_ms=2_000))
    school.say(first, second)
    school.clock.now_s += 60
    assert not school.step()
    assert school.rows(JudgementRow) == []


def forgotten(principal: str, *, at_s: float) -> Forgotten:
    return Forgotten(
        id=f"forget {principal}", principal=principal, reason="asked", who="op",
        created_ms=int(at_s * 1000),
    )  # fmt: skip


def test_whoever_is_forgotten_meanwhile_moves_nothing(school: School) -> None:
    """A generation in the making is void when one of its principals is forgotten."""
    school.corrected("a")
    school.corrected("b")

    def meanwhile() -> None:
        school.say(forgotten("alice", at_s=school.clock()), topic="forgotten")
        school.clock.now_s += 2

    school.pauses.append(meanwhile)
    school.step()
    (row,) = school.generations()
    assert row.state == "void"
    assert "forgotten" in row.reason
    assert {item["hint"] for item in row.batch} == {None}
    assert school.rows(RecipeRow) == []
    (withdrawn,) = school.published("recipes")
    assert isinstance(withdrawn, Candidate)
    assert not withdrawn.recipe
    assert school.published("rollouts") == []
    assert not school.step()
    assert {t.state for t in school.rows(TurnRow)} == {"forgotten"}
    assert {t.uses for t in school.rows(TurnRow)} == {0}


def test_whoever_deletes_a_reply_meanwhile_holds_nothing_with_it(school: School) -> None:
    """Two were set aside to score a child, and take their replies back while it is scored."""
    for name in "abcd":
        school.corrected(name, principal=name)
    gone: list[str] = []

    def take_back() -> None:
        (plan,) = school.generations()
        gone.append(plan.horizon[HELD_OUT][len(gone)]["turn_id"])
        school.say(deletion(gone[-1]), topic="feedback")
        school.clock.now_s += 2

    school.gate.while_asked = lambda: school.pauses.extend([take_back, take_back])
    assert school.step()
    (row,) = school.generations()
    assert (row.state, row.horizon[DELETED], row.gate["rows"]) == ("released", gone, [])
    assert len(gone) == len(row.horizon[HELD_OUT]) == 2


def deletion(turn_id: str) -> Deletion:
    """Return the record by which whoever got a reply takes it back, named as the turn is here."""
    return Deletion(
        id=f"delete {turn_id}", turn_id=turn_id, line="main", principal=turn_id, session="s",
        created_ms=1,
    )  # fmt: skip


def test_a_new_store_never_counts_what_the_log_still_holds(
    school: School, tmp_path: Path, tiny_mask: Mask, backend: Backend
) -> None:
    """Read again from the beginning, the turns are passed over before the record is reached."""
    school.corrected("a")
    school.corrected("b")
    assert school.step()
    school.say(forgotten("alice", at_s=school.clock()), topic="forgotten")
    for file in tmp_path.glob("store.db*"):
        file.unlink()
    later = open_school(tmp_path, school.base, tiny_mask, backend, start=2)
    assert not later.step()
    assert later.rows(TurnRow) == later.rows(JudgementRow) == later.rows(GenerationRow) == []
    assert [row.principal for row in later.rows(ForgottenRow)] == ["alice"]


def refusing(own: float) -> tuple[dict[str, Any], ...]:
    """Return a report's row of a version that refuses by this chance, the base by 0.8."""
    return ({"probe": "odds", "candidate": {"right": own}, "base": {"right": 0.8}},)


def test_a_version_that_refuses_less_is_brought_back(school: School) -> None:
    """The next generation teaches the base's refusals, and stands on no turn; then people again."""
    school.gate.rows = refusing(0.7)
    school.corrected("a")
    school.corrected("b")
    assert school.step()
    school.gate.rows = refusing(0.79)
    school.corrected("c")
    assert school.step()
    corrective = school.generations()[-1]
    assert (corrective.turn_ids, corrective.horizon["corrective"]) == ([], 0.875)
    assert corrective.state == "released"
    assert corrective.gain is not None
    school.clock.now_s += 60
    assert school.step()
    assert school.generations()[-1].turn_ids


def test_corrections_that_do_not_help_end(school: School) -> None:
    """Three in a row, and the line goes on: the gate stands before every one of them."""
    school.gate.rows = refusing(0.7)
    school.corrected("a")
    school.corrected("b")
    for _ in range(6):
        school.step()
    kinds = "".join("c" if "corrective" in row.horizon else "p" for row in school.generations())
    assert "ccc" in kinds
    assert "cccc" not in kinds
