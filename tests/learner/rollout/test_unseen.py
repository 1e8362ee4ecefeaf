"""A candidate that nobody sees: what tells of it, what never does, and what becomes of it."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlmodel import Session, select

from learner.batch.plan import next_plan
from learner.rollout.evidence.first import First
from learner.rollout.evidence.observe import SETTLE_MS
from learner.rollout.evidence.reading import Reader
from learner.rollout.trials import Trials
from streams.line import verbs
from streams.line.line import Line
from streams.line.share import belongs
from streams.line.verbs import Audit
from streams.records import Message
from streams.store.store import Store
from streams.store.tables import ClientRow, JudgementRow, PlannerRow, TrialRow, TurnRow
from tests.learner.rollout.shadowed import SHADOW, VERIFIED, Shadow
from tests.learner.rollout.test_reading import records_asked
from tests.learner.turns import said, turn


@pytest.fixture
def shadow(trials_store: Store) -> Shadow:
    """A line on which a candidate answers beside what serves, and is seen by nobody."""
    stage = Shadow(trials_store, rollout=SHADOW)
    stage.start()
    trial = stage.line.trial
    assert trial is not None
    assert (trial.unseen, trial.state, trial.share) == (True, "running", 0.0)
    stage.clock.now_s += SETTLE_MS / 1000
    return stage


def test_what_nobody_saw_is_no_turn_of_anybody(shadow: Shadow) -> None:
    """It is found by no request, taught by nothing, counted for no client, and judged alone."""
    first, second = shadow.beside(1, "London", "Paris")
    asked = [*first.messages, second.reply, Message(role="user", content="Wrong! Too long.")]
    follow = turn(
        asked, "Sorry.", line=shadow.name, principal=first.principal, session=None,
        created_ms=shadow.now_ms + 1,
    ).model_copy(update={"session": first.session})  # fmt: skip
    shadow.log(follow)
    with shadow.store.reading() as session:
        row = session.get_one(TurnRow, second.id)
        assert (row.state, row.reason, row.next_state) == ("untrained", "unseen", None)
        assert (row.session == first.session, row.key == second.key) == (False, False)
        judged = session.exec(select(JudgementRow).where(JudgementRow.turn_id == second.id))
        assert [(each.source, each.score) for each in judged] == [("verifier", 1)]
        (client,) = session.exec(select(ClientRow).where(ClientRow.line == shadow.name))
        assert client.num_turns == 2
        settings = VERIFIED.model_copy(update={"line": shadow.name, "turns_per_generation": 1})
        planned = next_plan(session, shadow.line, settings, base="base", now_ms=shadow.now_ms)
        assert isinstance(planned, PlannerRow) or second.id not in planned.turn_ids


def test_a_harmful_candidate_is_aborted_before_anybody_sees_it(shadow: Shadow) -> None:
    """By its guardrails, without a verdict of anybody; the reason says that nobody was reached."""
    shadow.beside(30, "Paris", "I'm sorry, but I can't help with that.")
    assert shadow.steer() == "abort"
    reason = shadow.records[-1].reason
    assert "rose by" in reason or "judged worse" in reason
    assert "it had answered nobody, and 30 prompts unseen" in reason


def test_programs_judge_what_nobody_has_seen(shadow: Shadow) -> None:
    """A candidate that answers wrongly is judged worse: by the verifier, and no user."""
    shadow.beside(30, "Paris", "London")
    assert shadow.steer() == "abort"
    assert shadow.records[-1].reason.startswith("judged worse: ")


def test_a_candidate_that_fails_is_aborted_unseen(shadow: Shadow) -> None:
    """Replies that break off say that alone, and enough of them end the trial."""
    shadow.beside(30, "Well", "", finish="cancelled")
    assert shadow.steer() == "abort"
    assert shadow.records[-1].reason.startswith("errors rose by ")


def test_a_good_one_gets_its_first_share_next_and_is_not_promoted(shadow: Shadow) -> None:
    """After the soak; from then on people judge it, and what it said unseen counts no more."""
    shadow.beside(8, "Well", "Well")
    assert shadow.steer() is None
    assert shadow.steer(wait_s=60) == "step"
    trial = shadow.line.trial
    assert trial is not None
    assert (trial.step, trial.share, shadow.line.version) == (1, 0.3, "base")
    assert shadow.steer() is None
    with shadow.store.reading() as session:
        body = session.get_one(TrialRow, shadow.name).body
    assert body["judged"]["candidate"] == 0
    assert all(rail["candidate"] == 0 for rail in body["guardrails"])
    shadow.clock.now_s += SETTLE_MS / 1000
    for step in (2, 3):
        shadow.judged(60, candidate=1, stable=-1)
        assert shadow.steer() is None
        assert shadow.steer(wait_s=61) == "step"
        assert shadow.records[-1].step == min(step, 2)
    assert shadow.line.version == "new"


def test_without_unseen_replies_it_is_held(shadow: Shadow) -> None:
    """No idle time for them, or nobody asks: nothing is known, and nothing goes on."""
    shadow.judged(30, candidate=1, stable=1)
    assert shadow.steer(wait_s=600) is None
    assert shadow.steer(wait_s=3600) == "hold"
    assert shadow.records[-1].reason.startswith("no data: ")


def test_one_principal_is_one_voice_unseen_too(shadow: Shadow) -> None:
    """However much somebody asks."""
    shadow.beside(12, "Well", "Well", principal="loud")
    assert shadow.steer(wait_s=700) is None
    assert "1 of 3 principals" in shadow.why()


def test_an_unseen_candidate_answers_no_session() -> None:
    """Its share is 0; while paused, or pending, it isn't asked either."""
    stage_line = Line("main", ("base",))
    audit = Audit("ann", "because", 1, "a")
    line = stage_line.take(verbs.start(stage_line, "new", audit, share=0.0))
    assert line.trial is not None
    assert not any(belongs(f"{n}", "new", line.trial.share) for n in range(1000))
    paused = line.take(verbs.pause(line, audit))
    assert paused.trial is not None
    assert not paused.trial.unseen
    waiting = stage_line.take(verbs.start(stage_line, "new", audit, share=None)).trial
    assert waiting is not None
    assert not waiting.unseen


class Reads(Reader):
    """A reader without a model: each reply is as much about its prompt as any other."""

    def _read(self, session: Session, row: TurnRow, stable: str) -> Mapping[str, float]:  # noqa: ARG002
        return {"aboutness": 0.0}

    def read_all(self, stage: Shadow) -> None:
        """Read all that there is to read now."""
        with stage.store.reading() as session:
            while self.step(session, stage.line):
                pass


@pytest.fixture
def reads(shadow: Shadow) -> Reads:
    """What reads the replies of the line's trial."""
    serving = cast(Any, SimpleNamespace(name="base", chain=()))
    reader = Reads(serving, SHADOW, backend=cast(Any, None), pause=lambda: None)
    shadow.trials = Trials(SHADOW, clock=shadow.clock, reader=reader)
    return reader


def aboutness(shadow: Shadow) -> tuple[int, int]:
    """Return of how many principals it is known: of the candidate, and of what serves."""
    with shadow.store.reading() as session:
        body = session.get_one(TrialRow, shadow.name).body
    (rail,) = (rail for rail in body["guardrails"] if rail["name"] == "aboutness")
    return rail["candidate"], rail["stable"]


def test_what_nobody_saw_takes_no_place_of_what_is_shown_later(
    shadow: Shadow, reads: Reads
) -> None:
    """The first replies that the candidate gave each of these people were unseen ones."""
    for person in range(8):
        shadow.beside(2, "Well", "Well", principal=f"p{person}")
    reads.read_all(shadow)
    assert shadow.steer() is None
    assert aboutness(shadow) == (8, 8)
    assert shadow.steer(wait_s=61) == "step"
    shadow.clock.now_s += SETTLE_MS / 1000
    for number in range(160):
        asked = turn(
            said(f"question {number}"), "Well", id=f"{shadow.name} {number}", line=shadow.name,
            created_ms=shadow.now_ms, principal=f"p{number % 8}",
        )  # fmt: skip
        version = "new" if belongs(asked.session, "new", 0.3) else "base"
        shadow.log(asked.model_copy(update={"version": version}))
    reads.read_all(shadow)
    assert shadow.steer() is None
    assert aboutness(shadow) == (8, 8)


def test_both_replies_of_a_pair_are_read_however_late_it_comes(
    shadow: Shadow, reads: Reads
) -> None:
    """Where few sessions are asked twice, people have had other replies before, and break off."""
    for person in range(4):
        name = f"p{person}"
        shadow.judged(3, candidate=1, stable=1, principal=name)
        shadow.beside(1, "Well", "", principal=name, finish="cancelled")
        shadow.beside(2, "Well", "Well", principal=name)
    reads.read_all(shadow)
    assert len(reads.found) == 8  # a voice is one pair here, however many there are
    shadow.steer()
    assert aboutness(shadow) == (4, 4)


def test_of_pairs_the_records_of_what_nobody_saw_tell(shadow: Shadow) -> None:
    """No record of what was shown is looked at to find which pairs are to be read."""
    for person in range(4):
        shadow.beside(3, "Well", "Well", principal=f"p{person}")
    with shadow.store.reading() as session, records_asked(shadow.store) as asked:
        turns = list(First().of(session, shadow.line, 0, size=2))
    assert [turn.version for turn in turns] == ["base", "new"] * 8
    assert [turn.principal for turn in turns[::4]] == ["p0", "p1", "p2", "p3"]
    assert sum(asked) == 12


def test_who_named_the_version_first_is_read_all_the_same(shadow: Shadow, reads: Reads) -> None:
    """What a client has chosen tells of no version, and takes no place of what does."""
    shadow.beside(3, "Well", "Well")
    assert shadow.steer() is None
    reads.read_all(shadow)
    assert shadow.steer(wait_s=61) == "step"
    chosen, free = (
        turn(
            said(f"question {number}"), "Well", id=f"{shadow.name} {number}", line=shadow.name,
            created_ms=shadow.now_ms + number, principal="eve",
        )
        for number in range(2)
    )  # fmt: skip
    shadow.log(chosen.model_copy(update={"pinned": True}), free)
    reads.read_all(shadow)
    assert free.id in reads.found
    assert chosen.id not in reads.found
