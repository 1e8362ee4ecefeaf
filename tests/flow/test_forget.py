"""Somebody is forgotten, and a version is built that they never moved; an operator promotes it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from deploy.cli import main
from deploy.errors import DeployError
from deploy.operate.forget import Report, forget
from deploy.operate.history import store_session
from deploy.operate.promote import append_promotion
from deploy.operate.reset import append_reset
from deploy.operate.rollback import append_rollback
from deploy.operate.trial import steer
from learner.batch.plan import HELD_OUT, RESTS
from learner.rerun.branch import Builder, Progress, Rebuilt
from learner.rerun.rebuild import build_exact, build_quick
from learner.settings import LearnerSettings
from streams.errors import LedgerError, ProofError, VerbRefusedError
from streams.keeping import erase
from streams.line import ledger
from streams.line.offer import decided
from streams.open import open_log
from streams.records import Deletion, Forgotten, Recipe
from streams.settings import RolloutSettings, StreamsSettings
from streams.store.rest_tables import RestRow
from streams.store.store import open_store
from streams.store.tables import GenerationRow
from tests.flow.conftest import SETTINGS, Common, LearnerHome, Stack
from tests.flow.conversations import NOW_S, conversation
from tests.flow.crashes import Boundaries, KilledError
from tests.flow.test_loop import served_from

LONG = pytest.mark.slow
ANN, BOB, CID = "a" * 16, "b" * 16, "c" * 16
SHORTER = "That was too long. Shorter, please."


# Of screened noise nobody can be left out without scoring again.
QUICK: dict[str, Any] = {"noise": "rank1"}


def learner_home(
    home: Path | StreamsSettings, common: Common, talks: list[str], **changes: Any
) -> LearnerHome:
    """Return a home in whose log somebody corrected a reply, one conversation a name in talks.

    home: where it is embedded, or the streams
    """
    streams = StreamsSettings(home=home) if isinstance(home, Path) else home
    # eight pairs: with two, other fitness may well rank the members alike
    settings = SETTINGS.model_copy(update={"pairs": 8} | changes)
    learner = LearnerHome(streams.home, common, settings, streams=streams)
    say(learner, talks)
    return learner


def say(learner: LearnerHome, talks: list[str], *, first: int = 0, but: str = "") -> None:
    """Let people correct replies, all but one of them; the numbers name the conversations."""
    for number, principal in enumerate(talks, start=first):
        if principal == but:
            continue
        turns = conversation(learner.base, number, SHORTER, principal)
        learner.say(("turns", each) for each in turns)


def take_back(learner: LearnerHome, principal: str) -> Report:
    """Forget somebody, as the command does while no learner runs."""
    store, log = open_store(learner.streams), open_log(learner.streams)
    try:
        return forget(
            store, log, learner.streams, principal, line="main", who="op", reason="asked by mail",
            clock=lambda: NOW_S,
        )  # fmt: skip
    finally:
        log.close()
        store.close()


def serving(learner: LearnerHome) -> str:
    log = open_log(learner.streams)
    try:
        line = decided(log, "main")
        return line.version if line else learner.base.name
    finally:
        log.close()


def chain_of(learner: LearnerHome, version: str) -> list[Recipe]:
    with store_session(learner.streams) as session:
        return ledger.chain(session, version)


def nothing(_: str) -> None:
    """Tell nobody."""


def quick(
    learner: LearnerHome,
    *principals: str,
    asked: LearnerSettings | None = None,
    tell: Progress = nothing,
) -> Rebuilt:
    store = open_store(learner.streams)
    try:
        builder = Builder(learner.base, learner.backend, asked or learner.settings, tell)
        return build_quick(store, builder, serving(learner), principals)
    finally:
        store.close()


def exact(learner: LearnerHome, *principals: str, tell: Progress = nothing) -> Rebuilt:
    store, log = open_store(learner.streams), open_log(learner.streams)
    try:
        builder = Builder(learner.base, learner.backend, learner.settings, tell)
        home = learner.streams.home
        return build_exact(store, log, builder, serving(learner), principals, home=home)
    finally:
        log.close()
        store.close()


def promote(learner: LearnerHome, version: str) -> None:
    log = open_log(learner.streams)
    try:
        with store_session(learner.streams) as session:
            append_promotion(session, log, "main", version, who="op", reason="without them")
    finally:
        log.close()


def test_quick_leaves_somebody_out_and_an_operator_takes_the_result(
    stack: Stack, common: Common
) -> None:
    """Same keys and steps, other integers; nothing moves before the promotion, all follows it."""
    learner = learner_home(stack("home"), common, [ANN, BOB], **QUICK)
    assert learner.learn() == 2
    before, state = serving(learner), learner.state()
    report = take_back(learner, ANN)
    assert [each.share for each in report.influenced] == [0.5, 0.5]
    built = quick(learner, ANN)
    assert (built.instead_of, built.passed, built.new) == (before, True, True)
    assert [change.turns for change in built.changes] == [1, 1]
    assert serving(learner) == before
    assert learner.state()["rollouts"] == state["rollouts"]
    old, new = chain_of(learner, before), chain_of(learner, built.version)
    assert [(r.key, r.step) for r in new] == [(r.key, r.step) for r in old]
    assert all(a.coefficients != b.coefficients for a, b in zip(old, new, strict=True))
    assert not quick(learner, ANN).new
    promote(learner, built.version)
    assert serving(learner) == built.version
    assert learner.learn() == 0  # the learner follows, with nothing left to learn
    say(learner, [BOB, BOB], first=7)
    assert learner.learn() == 2
    assert chain_of(learner, serving(learner))[2].parent == built.version


async def test_an_agent_serves_the_promoted_version(stack: Stack, common: Common) -> None:
    """A running agent finds recipes and promotion in the log, and proves the bits."""
    learner = learner_home(stack("home"), common, [ANN, BOB], **QUICK)
    learner.learn()
    built = quick(learner, ANN)
    async with served_from(learner) as here:
        assert here.serving != built.version
        promote(learner, built.version)
        assert await here.until_decided() == built.version
        assert here.proof(built.version).sha256 == await here.digest(built.version)
        back = await here.service.steering.rollback("op", "on second thoughts")
        assert back.version == built.instead_of


def test_generations_before_them_stay_what_they_are(tmp_path: Path, common: Common) -> None:
    """The new versions branch off where the first of their turns had moved the line."""
    learner = learner_home(tmp_path / "home", common, [BOB, BOB], uses=1, **QUICK)
    learner.learn()
    first = serving(learner)
    say(learner, [ANN, BOB], first=5)
    learner.learn()
    built = quick(learner, ANN)
    assert [r.version for r in chain_of(learner, built.version)] == [first, built.version]
    assert len(built.changes) == 1


def test_of_a_generation_that_was_theirs_alone_nothing_is_left(
    tmp_path: Path, common: Common
) -> None:
    """It is skipped, and what stood on it stands on its parent; alone, nothing can be built."""
    learner = learner_home(tmp_path / "home", common, [ANN], turns_per_generation=1, uses=1)
    learner.learn()
    with pytest.raises(ProofError, match="nothing is left"):
        quick(learner, ANN)
    say(learner, [BOB], first=5)
    learner.learn()
    built = quick(learner, ANN)
    (only,) = chain_of(learner, built.version)
    old = chain_of(learner, built.instead_of)[1]
    assert only.parent == common.base.name
    assert (only.key, only.coefficients) == (old.key, old.coefficients)


def test_what_cannot_be_built_or_promoted_is_said(tmp_path: Path, common: Common) -> None:
    """Whoever had no part, is unknown, or was held by the gate: a sentence, and nothing moves."""
    learner = learner_home(tmp_path / "home", common, [BOB, BOB])
    learner.learn()
    with pytest.raises(ProofError, match=f"no turn of {ANN}"):
        quick(learner, ANN)
    with pytest.raises(VerbRefusedError, match="serves the line main already"):
        promote(learner, serving(learner))
    strict = SETTINGS.model_copy(update={"gate_odds_nats": 1e-9, "gate_tolerance": 0.0})
    learner = learner_home(tmp_path / "second", common, [ANN, BOB], **QUICK)
    learner.learn()
    before = serving(learner)
    held = [quick(learner, who, asked=strict) for who in (ANN, BOB)]
    assert not all(each.passed for each in held)
    for each in held:
        if not each.passed:
            with pytest.raises(DeployError, match="the gate has not let it through"):
                promote(learner, each.version)
    assert serving(learner) == before


@pytest.mark.parametrize(
    ("days", "changes"),
    [
        ([[ANN, BOB]], {}),
        pytest.param([[ANN, BOB, BOB, ANN, CID]], {"turns_per_generation": 3}, marks=LONG),
        pytest.param([[BOB, CID], [ANN, CID, BOB], [BOB]], {"turns_per_generation": 2}, marks=LONG),
        pytest.param(
            [[ANN], [BOB], [ANN], [CID, BOB]], {"turns_per_generation": 1, "uses": 1}, marks=LONG
        ),
        pytest.param(
            [[ANN, BOB, CID, CID]],
            {"principal_cap": 0.5, "turns_per_generation": 3, "uses": 3},
            marks=LONG,
        ),
        # what Cid says second comes after the first run's last plan, and after another one's rest
        pytest.param(
            [[ANN, BOB], [CID], [CID]],
            {"principal_cap": 0.5, "turns_per_generation": 3, "uses": 1, "pairs": 2},
            marks=LONG,
        ),
        pytest.param([[ANN, BOB], [BOB, CID]], {"strategy": "randopt", "top_k": 2}, marks=LONG),
        # without Ann, Bob's wish waits for Cid's
        pytest.param(
            [[ANN, BOB], [BOB], [CID]], {"quorum": 2, "turns_per_generation": 3}, marks=LONG
        ),
        pytest.param([[ANN, BOB, BOB], [CID]], {"hint_target": "tokens"}, marks=LONG),
        ([[ANN, BOB], [BOB, CID]], QUICK),
    ],
)
def test_exact_is_the_run_that_never_met_them(
    stack: Stack, common: Common, days: list[list[str]], changes: dict[str, Any]
) -> None:
    """Version by version, name and digest, the same as a line whose log never held their turns."""
    met = learner_home(stack("met"), common, [], **changes)
    never = learner_home(stack("never"), common, [], **changes)
    for day, talks in enumerate(days):
        for learner, but in ((met, ""), (never, ANN)):
            say(learner, talks, first=10 * day, but=but)
            learner.learn()
    before = serving(met)
    take_back(met, ANN)
    built = exact(met, ANN)
    assert built.version == serving(never) != before
    assert chain_of(met, built.version) == chain_of(never, serving(never))
    assert serving(met) == before
    promote(met, built.version)
    assert serving(met) == serving(never)


TALKS = st.lists(st.sampled_from([ANN, BOB, CID]), max_size=3)


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    days=st.lists(TALKS, min_size=1, max_size=4),
    turns=st.integers(1, 3),
    uses=st.integers(1, 3),
    cap=st.sampled_from([1.0, 0.5]),
)
def test_exact_is_that_run_on_any_days(
    common: Common,
    tmp_path_factory: pytest.TempPathFactory,
    days: list[list[str]],
    turns: int,
    uses: int,
    cap: float,
) -> None:
    """Whoever speaks when, and however few or often turns score: the same versions, or none."""
    changes = {"turns_per_generation": turns, "uses": uses, "principal_cap": cap, "pairs": 2}
    met, never = (
        learner_home(tmp_path_factory.mktemp("home") / name, common, [], **changes)
        for name in ("met", "never")
    )
    for day, talks in enumerate(days):
        for learner, but in ((met, ""), (never, ANN)):
            say(learner, talks, first=10 * day, but=but)
            learner.learn()
    if not any(ANN in talks for talks in days) or not chain_of(met, serving(met)):
        return
    expected = serving(never)
    if expected in (common.base.name, serving(met)):
        with pytest.raises(ProofError):
            exact(met, ANN)
    else:
        assert exact(met, ANN).version == expected


@pytest.mark.slow
def test_exact_scores_from_the_first_generation_that_they_touched(
    tmp_path: Path, common: Common
) -> None:
    """What was planned before is looked up, not scored again; the branch begins after it."""
    learner = learner_home(tmp_path / "home", common, [BOB, CID])
    assert learner.learn() == 2
    kept = serving(learner)
    say(learner, [ANN, BOB], first=5)
    learner.learn()
    built = exact(learner, ANN)
    assert "2 generations were as before and not scored again" in built.notes
    names = [recipe.version for recipe in chain_of(learner, built.version)]
    assert kept in names
    as_of_an_older_build(learner)
    again = exact(learner, ANN)
    assert (again.version, again.new) == (built.version, False)
    assert any(note.startswith("an older build planned") for note in again.notes)


def as_of_an_older_build(learner: LearnerHome) -> None:
    """Leave of the rests what plans once noted of them."""
    store = open_store(learner.streams)
    with store.transaction() as session:
        for rest in session.exec(select(RestRow)):
            session.delete(rest)
        for row in session.exec(select(GenerationRow).where(GenerationRow.line == "main")):
            noted = {k: v for k, v in row.horizon.items() if k != RESTS}
            row.horizon = noted | {"rested_ms": int(NOW_S * 1000)}
            session.add(row)
    store.close()


def test_without_nobody_the_run_is_the_first_one(tmp_path: Path, common: Common) -> None:
    """Somebody whose turns never scored changes nothing: every version comes out as it was."""
    learner = learner_home(tmp_path / "home", common, [BOB, CID, BOB], uses=1)
    learner.learn()
    say(learner, [CID, BOB], first=5)
    learner.learn()
    said = conversation(learner.base, 9, "And then?", ANN)
    learner.say(("turns", each) for each in said)
    assert learner.learn() == 0
    for build in (exact, quick):
        with pytest.raises(ProofError, match="never moved"):
            build(learner, ANN)


@LONG
def test_a_run_again_sets_the_same_lessons_aside(tmp_path: Path, common: Common) -> None:
    """What helped nobody is withdrawn at the same moment: with nobody left out it is the first run.

    Bob complains of the same whatever comes, and then wishes something else.
    """
    learner = learner_home(tmp_path / "home", common, [], turns_per_generation=1, uses=1)
    for number in range(12):
        complained(learner, number, SHORTER)
        if states(learner)[-1] == "withdrawn":
            break
    assert states(learner).count("withdrawn") == 1
    assert serving(learner) == common.base.name
    complained(learner, 20, "No lists, please.")
    assert serving(learner) != common.base.name
    said = conversation(learner.base, 30, "And then?", ANN)
    learner.say(("turns", each) for each in said)
    assert learner.learn() == 0
    with pytest.raises(ProofError, match="never moved"):
        exact(learner, ANN)


def complained(learner: LearnerHome, number: int, words: str) -> None:
    """Let Bob complain of a reply of what serves, and the learner do what is due."""
    for each in conversation(learner.base, number, words, BOB):
        learner.say([("turns", each.model_copy(update={"version": serving(learner)}))])
    learner.learn()


def states(learner: LearnerHome) -> list[str]:
    with store_session(learner.streams) as session:
        rows = session.exec(select(GenerationRow).order_by(GenerationRow.number))  # type: ignore[arg-type]
        return [row.state for row in rows]


@pytest.mark.slow
def test_exact_repeats_an_operators_rollback_at_its_place(stack: Stack, common: Common) -> None:
    """What was taken back in the first run is taken back in the one without them, too."""
    changes = {"turns_per_generation": 1, "uses": 1}
    met = learner_home(stack("met"), common, [], **changes)
    never = learner_home(stack("never"), common, [], **changes)
    for day, talks in enumerate(([BOB], [ANN], [CID], [BOB])):
        for learner, but in ((met, ""), (never, ANN)):
            say(learner, talks, first=10 * day, but=but)
            learner.learn()
            if day == 2:
                back = append_rollback(learner.streams, "main", who="op", reason="worse")
                learner.learn()
                assert back.version == serving(learner)
    take_back(met, ANN)
    assert exact(met, ANN).version == serving(never)


@pytest.mark.slow
def test_exact_repeats_a_reset_and_what_follows_it(stack: Stack, common: Common) -> None:
    """Nothing stands on what the reset took out of service, and nothing is learned until told."""
    changes = {"turns_per_generation": 1, "uses": 1}
    met = learner_home(stack("met"), common, [], **changes)
    never = learner_home(stack("never"), common, [], **changes)
    for day, talks in enumerate(([BOB], [ANN], [CID], [ANN, BOB])):
        for learner, but in ((met, ""), (never, ANN)):
            say(learner, talks, first=10 * day, but=but)
            done = learner.learn()
            if day == 1:
                reset(learner)
            if day == 2:
                assert done == 0
                steer(learner.streams, RolloutSettings(), "main", "learn", who="op", reason="again")
                assert learner.learn() > 0
    take_back(met, ANN)
    built = exact(met, ANN)
    assert built.version == serving(never)
    assert chain_of(met, built.version) == chain_of(never, serving(never))
    assert not any("is not repeated" in note for note in built.notes)


@dataclass
class UntilPlanned(Boundaries):
    """Ends a process as soon as it has planned something."""

    home: LearnerHome | None = None

    def boundary(self, name: str) -> None:
        """Pass a boundary, or end at it."""
        if name == "after a commit" and self.home and "planned" in states(self.home):
            raise KilledError(name)


def planned_with_cid(home: Path, common: Common) -> LearnerHome:
    """Return a home whose learner made a version of Bob's wish, and ended with Cid's in hand."""
    learner = learner_home(home, common, [BOB], turns_per_generation=1, uses=1, pairs=2)
    learner.learn()
    say(learner, [CID], first=5)
    with pytest.raises(KilledError):
        learner.learn(UntilPlanned(home=learner))
    return learner


def delete_of_cid(learner: LearnerHome, turn_id: str) -> None:
    """Let Cid delete a reply."""
    gone = Deletion(
        id="gone", turn_id=turn_id, line="main", principal=CID, session="s",
        created_ms=int(NOW_S * 1000),
    )  # fmt: skip
    learner.say([("feedback", gone)])


def nobody_moved_anything(learner: LearnerHome) -> None:
    """Without Ann, whose words taught nothing, every version comes out as it was."""
    said = conversation(learner.base, 9, "And then?", ANN)
    learner.say(("turns", each) for each in said)
    assert learner.learn() == 0
    with pytest.raises(ProofError, match="never moved"):
        exact(learner, ANN)


@pytest.mark.slow
def test_exact_gives_up_what_the_first_run_gave_up(tmp_path: Path, common: Common) -> None:
    """Cid's wish was planned on what an operator took back untried, and learned later."""
    learner = planned_with_cid(tmp_path / "home", common)
    append_rollback(learner.streams, "main", who="op", reason="worse")
    learner.learn()
    assert states(learner) == ["released", "void", "released"]
    nobody_moved_anything(learner)


@pytest.mark.slow
def test_exact_voids_what_a_deletion_made_void(tmp_path: Path, common: Common) -> None:
    """Cid deleted the reply with a plan of it in hand; nothing is learned from it here, either."""
    learner = planned_with_cid(tmp_path / "home", common)
    delete_of_cid(learner, "turn-5-a")
    learner.learn()
    assert states(learner) == ["released", "void"]
    nobody_moved_anything(learner)


@pytest.mark.slow
def test_exact_hears_nobody_who_was_not_heard(tmp_path: Path, common: Common) -> None:
    """Cid, by whom the child falls, deleted the reply with the plan in hand: it is let through."""
    learner = learner_home(
        tmp_path / "home", common, [BOB], turns_per_generation=1, uses=1, pairs=2,
        held_out_fitness=1e-9,
    )  # fmt: skip
    liked = conversation(learner.base, 1, "Thanks, perfect!", CID)
    learner.say(("turns", each) for each in liked)
    with pytest.raises(KilledError):
        learner.learn(UntilPlanned(home=learner))
    with store_session(learner.streams) as session:
        (plan,) = session.exec(select(GenerationRow)).all()
    assert [item["turn_id"] for item in plan.horizon[HELD_OUT]] == [liked[0].id]
    delete_of_cid(learner, liked[0].id)
    learner.learn()
    assert states(learner) == ["released"]
    nobody_moved_anything(learner)


@pytest.mark.parametrize("how", ["quick", pytest.param("exact", marks=LONG)])
def test_whoever_is_forgotten_meanwhile_is_not_quoted_by_the_result(
    stack: Stack, common: Common, how: str
) -> None:
    """The words were read before, and are written after; of an exact run it is said as well."""
    learner = learner_home(
        stack("home"), common, [ANN, BOB, CID], turns_per_generation=3, uses=1, **QUICK
    )
    learner.learn()
    reports: list[Report] = []

    def tell(told: str) -> None:
        if told == "the gate asks" and not reports:
            reports.append(take_back(learner, CID))

    built = (exact if how == "exact" else quick)(learner, ANN, tell=tell)
    assert reports
    assert reports[0].taken
    with store_session(learner.streams) as session:
        made = session.exec(select(GenerationRow).where(GenerationRow.child == built.version)).one()
    hints = {item["turn_id"].split("-")[1]: item["hint"] for item in made.batch}
    assert hints.pop("2") is None
    assert hints.pop("1")
    assert hints == {}
    assert [note.split(",")[0] for note in built.notes if "run it again" in note] == (
        [f"{CID} was forgotten while this was worked out"] if how == "exact" else []
    )


def reset(learner: LearnerHome) -> None:
    """Use the off switch, while no agent runs."""
    (made,) = append_reset(
        learner.streams, "main", learner.base.name, who="op", reason="off", keep_learning=False
    )
    assert serving(learner) == made.version == learner.base.name


def test_exact_says_what_it_cannot_know(tmp_path: Path, common: Common) -> None:
    """A plan of an older build, and a log that has let go of turns, are refused with a sentence."""
    learner = learner_home(tmp_path / "home", common, [ANN, BOB])
    learner.learn()
    turns = Forgotten(id="x", principal=BOB, reason="", who="", created_ms=2**60)
    assert erase.erase(learner.streams.home / "log.db", turns, [])
    with pytest.raises(LedgerError, match="the log has let go of 2 turns"):
        exact(learner, ANN)
    store = open_store(learner.streams)
    with store.transaction() as session:
        for row in session.exec(select(GenerationRow)):
            row.horizon = {}
            session.add(row)
    store.close()
    with pytest.raises(LedgerError, match="older build"):
        exact(learner, ANN)


def test_the_commands_do_it_from_end_to_end(
    stack: Stack, tiny_dir: Path, common: Common, capsys: pytest.CaptureFixture[str]
) -> None:
    """Forget, build both ways, promote, prove: each command prints what the next one needs."""
    learner = learner_home(stack("home"), common, [ANN, BOB], **QUICK)
    learner.learn()
    chosen = learner.settings.model_dump(exclude_defaults=True)
    values = {f"learner.{name}": value for name, value in chosen.items()}
    values |= {
        f"streams.{k}": v for k, v in learner.streams.model_dump(exclude_defaults=True).items()
    }
    told = {name: json.dumps(v) if isinstance(v, tuple) else v for name, v in values.items()}
    flags = [word for name, value in told.items() for word in ("--set", f"{name}={value}")]
    model = ("--model", str(tiny_dir))

    def quickset(*arguments: str) -> Any:
        with pytest.raises(SystemExit) as end:
            main([*arguments, *flags, "--json"])
        out, err = capsys.readouterr()
        assert not end.value.code, err
        return json.loads(out)

    threads = torch.get_num_threads()
    try:
        report = quickset("forget", "--principal", ANN, "--dry-run")
        assert [each["share"] for each in report["influenced"]] == [0.5, 0.5]
        summed = quickset("replay", "--without", ANN, *model)
        again = quickset("replay", "--without", ANN, "--exact", *model)
        assert summed["instead_of"] == again["instead_of"] == serving(learner)
        assert (summed["how"], again["how"]) == ("quick", "exact")
        assert summed["passed"]
        assert again["passed"]
        promote(learner, again["version"])
        proof = quickset("replay", "--console-port", "1", *model)
        assert (proof["version"], proof["digest"]) == (again["version"], again["digest"])
        assert quickset("versions", "show", again["version"])["generation"]["state"] == "passed"
    finally:
        torch.set_num_threads(threads)
