"""What is old is pruned; what was learned from it is rebuilt all the same, and learning goes on."""

from collections.abc import Callable
from typing import Any

from learner.settings import group_of
from streams.keeping.retention import DAY_MS
from streams.line import ledger
from streams.open import open_log, open_retention
from streams.store.store import open_store
from streams.store.tables import RecipeRow, SeenRow, TurnRow
from tests.flow.conftest import NOW_S, Workshop, conversation

GROUP = group_of("main")
LATER_MS = int(NOW_S * 1000) + 10_000 * DAY_MS


def grow_old(shop: Workshop) -> int:
    """Let many years pass, and prune until nothing is old; give how much went."""
    store, log = open_store(shop.streams), open_log(shop.streams)
    retention, gone = open_retention(shop.streams, log, line="main", group=GROUP), 0
    with store.transaction() as session:
        session.add(SeenRow(group=GROUP, id="said today", time_ms=LATER_MS))
    while True:
        with store.transaction() as session:
            some = retention.prune(session, now_ms=LATER_MS)
        gone += some
        if not some:
            break
    log.close()
    store.close()
    return gone


def rows(shop: Workshop, table: Any) -> list[Any]:
    """Give a table's rows."""
    return list(shop.state()[table.__tablename__])


def test_versions_outlive_what_they_were_learned_from(workshop: Callable[[str], Workshop]) -> None:
    """With every turn pruned the ledger is whole, and a fresh learner goes on from its end."""
    shop = workshop("old")
    shop.learn()
    learned = rows(shop, RecipeRow)
    assert learned
    assert grow_old(shop) > 0
    assert {row["state"] for row in rows(shop, TurnRow)} == {"expired"}
    assert rows(shop, RecipeRow) == learned
    store = open_store(shop.streams)
    with store.reading() as session:
        assert ledger.verify(session) == len(learned)
    store.close()

    said = conversation(shop.base, 3, "That was too long. Shorter, please.")
    shop.say(("turns", each) for each in said)
    assert shop.learn() >= 1
    assert len(rows(shop, RecipeRow)) > len(learned)


def test_what_was_pruned_counts_nothing_when_it_comes_again(
    workshop: Callable[[str], Workshop],
) -> None:
    """An agent whose spool lay about for years drains what has been used and forgotten."""
    shop = workshop("again")
    shop.learn()
    grow_old(shop)
    before = rows(shop, TurnRow), rows(shop, RecipeRow)
    for number in (1, 2):
        said = conversation(shop.base, number, "That was too long. Shorter, please.")
        shop.say(("turns", each) for each in said)
    assert shop.learn() == 0
    assert (rows(shop, TurnRow), rows(shop, RecipeRow)) == before
