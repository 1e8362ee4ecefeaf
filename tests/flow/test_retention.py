"""What is old is pruned; what was learned from it is rebuilt all the same, and learning goes on."""

from collections.abc import Callable
from typing import Any

from learner.settings import group_of
from streams.keeping.leap import DAY_MS
from streams.line import ledger
from streams.open import open_log, open_retention
from streams.store.store import open_store
from streams.store.tables import RecipeRow, SeenRow, TurnRow
from tests.flow.conftest import LearnerHome
from tests.flow.conversations import NOW_S, conversation

GROUP = group_of("main")
LATER_MS = int(NOW_S * 1000) + 10_000 * DAY_MS


def grow_old(learner: LearnerHome) -> int:
    """Let many years pass, and prune until nothing is old; give how much went."""
    store, log = open_store(learner.streams), open_log(learner.streams)
    retention, gone = open_retention(learner.streams, log, line="main", group=GROUP), 0
    with store.transaction() as session:
        for days in (0, 7):  # what has come for a week is no clock's error
            moment_ms = LATER_MS - days * DAY_MS
            session.add(SeenRow(group=GROUP, id=f"said {days} days ago", time_ms=moment_ms))
    while True:
        with store.transaction() as session:
            some = retention.prune(session, now_ms=LATER_MS)
        gone += some
        if not some:
            break
    log.close()
    store.close()
    return gone


def rows(learner: LearnerHome, table: Any) -> list[Any]:
    """Return a table's rows."""
    return list(learner.state()[table.__tablename__])


def test_versions_outlive_what_they_were_learned_from(homes: Callable[[str], LearnerHome]) -> None:
    """With every turn pruned the ledger is whole, and a fresh learner goes on from its end."""
    learner = homes("old")
    learner.learn()
    learned = rows(learner, RecipeRow)
    assert learned
    assert grow_old(learner) > 0
    assert {row["state"] for row in rows(learner, TurnRow)} == {"expired"}
    assert rows(learner, RecipeRow) == learned
    store = open_store(learner.streams)
    with store.reading() as session:
        assert ledger.verify(session) == len(learned)
    store.close()

    said = conversation(learner.base, 3, "That was too long. Shorter, please.")
    learner.say(("turns", each) for each in said)
    assert learner.learn() >= 1
    assert len(rows(learner, RecipeRow)) > len(learned)


def test_what_was_pruned_counts_nothing_when_it_comes_again(
    homes: Callable[[str], LearnerHome],
) -> None:
    """An agent whose spool lay about for years drains what has been used and forgotten."""
    learner = homes("again")
    learner.learn()
    grow_old(learner)
    before = rows(learner, TurnRow), rows(learner, RecipeRow)
    for number in (1, 2):
        said = conversation(learner.base, number, "That was too long. Shorter, please.")
        learner.say(("turns", each) for each in said)
    assert learner.learn() == 0
    assert (rows(learner, TurnRow), rows(learner, RecipeRow)) == before
