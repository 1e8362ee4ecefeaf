"""However much a line has been told, no step reads all of it: SQLite finds by an index."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlmodel import select

from agent.console.read.turns import Turns
from agent.console.read.view import View
from agent.console.views import conversations
from learner.batch import window
from learner.batch.plan import next_plan
from learner.batch.when.mode import obstacle
from learner.intake import take
from learner.judges.open import open_judges
from learner.judges.slow.later import Later
from learner.lessons import review
from learner.link import rows
from learner.rollout.trials import LOOK_S
from learner.settings import LearnerSettings
from learner.verdicts import Rules
from streams.keeping.leap import DAY_MS
from streams.keeping.retention import Retention
from streams.line.line import Line
from streams.log.contract import Entry, Partition
from streams.records import Feedback, Turn, encode
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import JudgementRow, RecipeRow
from tests.learner.judges.test_later import Slow
from tests.learner.rollout.stage import Stage
from tests.learner.turns import said, turn
from tests.plans import Plans, plans

SLOW = Slow()
RULES = Rules(
    line="main",
    judges=open_judges(LearnerSettings(judges=("explicit", "lexical"))),
    idle_close_ms=1,
    max_record_bytes=2**20,
    slow=(SLOW,),
)
SETTINGS = LearnerSettings(linger_s=0, mode="idle", quorum=2, wish_quorum=True)
LINE = Line("main", ("base",))
NOW_MS = 10_000_000
# What they hold leaves them soon: a question is asked, what waits scores a generation or goes.
FEW = ("ix_judgements_waiting", "ix_turns_window", "ix_turns_bare")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store that nobody has analysed."""
    opened = open_store(StreamsSettings(home=tmp_path))
    yield opened
    opened.close()


def told(store: Store) -> None:
    """Let people talk, complain and praise."""
    records: list[Turn | Feedback] = []
    for n, name in enumerate(("ann", "bob", "eve")):
        talk = said(f"question {n}", "a long story", "too long, be brief", "ok", "thanks", "!")
        for length in (1, 3, 5):
            at_ms = 1_000 * (n + 1) + length
            asked, reply = talk[:length], talk[length]
            records.append(
                turn(asked, reply, id=f"{name}{length}", principal=name, created_ms=at_ms)
            )
        records.append(
            Feedback(
                id=f"f-{name}", turn_id=f"{name}5", line="main", principal=name, session="s",
                score=1, created_ms=9_000,
            )
        )  # fmt: skip
    for offset, record in enumerate(records):
        topic = "turns" if isinstance(record, Turn) else "feedback"
        place = Partition(topic, 0)  # type: ignore[arg-type]
        entry = Entry(place, offset, "k", record.id, encode(record), record.created_ms)
        with store.transaction() as session:
            take(session, [entry], RULES)


def step(store: Store) -> None:
    """Ask what a learner asks at every step, whether there is anything to do or not."""
    with store.transaction() as session:
        rows.complete(session, "main")
        Retention(1, line="main", group="learner/main", log=None).prune(session, now_ms=NOW_MS)
        review.review(session, "main", SETTINGS, serving="base")
    with store.reading() as session:
        Later((SLOW,), "main").ask(session)
        obstacle(SETTINGS, now_s=NOW_MS / 1000, quiet_s=60.0)
        next_plan(session, LINE, SETTINGS, base="base", now_ms=NOW_MS)
    with store.transaction() as session:
        window.let_go(session, LINE, SETTINGS, "base")


def test_no_step_reads_all_that_a_line_was_told(store: Store) -> None:
    """Neither turns nor judgements, nor the ids that were used."""
    with plans(store.engine) as noted:
        told(store)
        step(store)
    assert len(noted.found) > 40
    assert noted.whole(*FEW) == []


def test_pruning_reads_only_what_is_old(store: Store) -> None:
    """Turns, used ids, and feedback whose turn never came."""
    for day in range(1, 5):
        lost = Feedback(
            id=f"f-{day}", turn_id=f"lost {day}", line="main", principal="ann", session="s",
            score=-1, hint="be brief", created_ms=1,
        )  # fmt: skip
        place = Partition("feedback", 0)
        entry = Entry(place, day, "k", lost.id, encode(lost), day * DAY_MS)
        with store.transaction() as session:
            take(session, [entry], RULES)
    with plans(store.engine) as noted, store.transaction() as session:
        retention = Retention(1, line="main", group="learner/main", log=None)
        assert retention.prune(session, now_ms=4 * DAY_MS) == 2
    with store.reading() as session:
        assert set(session.exec(select(JudgementRow.id))) == {"f-3", "f-4"}
    assert noted.whole(*FEW) == []


def test_no_look_at_a_trial_reads_what_was_told_before_it(store: Store) -> None:
    """Turns of the two versions are found by when they were taken."""
    stage = Stage(store)
    stage.start()
    stage.judged(3, candidate=1, stable=1)
    with plans(store.engine) as noted:
        stage.steer(wait_s=LOOK_S)
    assert noted.whole() == []
    assert taken_by(noted, "ix_turns_trial")


def taken_by(noted: Plans, index: str) -> list[str]:
    """Return the statements that take an index."""
    return [each for each, steps in noted.found.items() if any(index in step for step in steps)]


@pytest.mark.parametrize(
    "index",
    [
        "ix_seen_group_time", "ix_turns_age", "ix_turns_bare", "ix_turns_scored", "ix_turns_window",
        "ix_turns_judged", "ix_turns_wish", "ix_judgements_waiting",
    ],
)  # fmt: skip
def test_every_index_is_taken(store: Store, index: str) -> None:
    """An index that nothing takes makes writing slow for nothing."""
    told(store)
    with plans(store.engine) as noted:
        step(store)
    assert taken_by(noted, index)


def test_no_statement_names_all_versions_after_a_reset(store: Store) -> None:
    """Any database refuses too many values: how recent a version is, each turn is asked."""
    told(store)
    with store.transaction() as session:
        for n in range(1, 40):
            session.add(
                RecipeRow(
                    version=f"v{n}", parent=f"v{n - 1}", line="other", number=n, record={},
                    created_ms=n,
                )
            )  # fmt: skip
    with plans(store.engine) as noted, store.transaction() as session:
        assert window.judged_turns(session, LINE, SETTINGS, "base")
        window.let_go(session, LINE, SETTINGS, "base")
        assert window.judged_turns(session, LINE, SETTINGS, "base")
    assert max(each.count("?") for each in noted.found) < 39
    assert noted.whole(*FEW) == []


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"after": "5~x"},
        {"version": "base"},
        {"version": "base", "after": "5~x"},
        {"version": "base", "text": "a"},
    ],
)
def test_a_page_of_turns_reads_no_others(store: Store, query: dict[str, str]) -> None:
    """By the order of the line, or by the version that answered."""
    told(store)
    ask: Any = SimpleNamespace(
        line="main", rows=2, cursor=(5, "x") if "after" in query else None,
        text=lambda name: query.get(name, ""),
    )  # fmt: skip
    with plans(store.engine) as noted, store.reading() as session:
        assert len(conversations.read(session, ask)["turns"]) == 2
        assert Turns().read(session, View(("main", "other")))
    pages = [steps for each, steps in noted.found.items() if "ORDER BY turns.sequence" in each]
    sorts = [steps for each, steps in noted.found.items() if "ORDER BY turns.sequence +" in each]
    assert all("ix_turns_line_sequence" in steps[0] for steps in pages if steps not in sorts)
    assert bool(sorts) == ("version" in query)
    found_by = "ix_turns_trial (line=? AND version=?)"
    assert all(found_by in steps[0] for steps in sorts)
