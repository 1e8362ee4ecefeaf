"""The ledger takes what fits its parent, gives it back in order, and notices any change."""

import pytest
from sqlmodel import select

from streams.errors import LedgerError
from streams.line import ledger
from streams.records import Recipe
from streams.store.store import Store
from streams.store.tables import RecipeRow

BASE = "0" * 16


def recipe(parent: str = BASE, number: int = 1, *, line: str = "main", step: int = 1) -> Recipe:
    return Recipe(
        line=line,
        number=number,
        parent=parent,
        strategy="es",
        noise="rank1",
        key="00000000000000ff",
        coefficients=[1, -1],
        step=step,
        sigma_log2=-4,
        layers=[0],
        modules=["q_proj"],
        scales=[-4],
        mask="m",
        digest="d",
    )


def grown(store: Store, length: int) -> list[Recipe]:
    """Append a chain of that length."""
    chain: list[Recipe] = []
    for number in range(1, length + 1):
        chain.append(recipe(chain[-1].version if chain else BASE, number))
        with store.transaction() as session:
            ledger.append(session, chain[-1], created_ms=number)
    return chain


def test_a_chain_comes_back_in_order(store: Store) -> None:
    """From the base to the version asked for, each as it was appended."""
    chain = grown(store, 5)
    with store.reading() as session:
        assert ledger.chain(session, chain[-1].version) == chain
        assert ledger.chain(session, chain[2].version) == chain[:3]
        assert ledger.chain(session, BASE) == []
        assert ledger.verify(session) == 5


@pytest.mark.parametrize("known", range(6))
@pytest.mark.parametrize("wanted", range(1, 6))
def test_a_known_chain_is_gone_on_from(store: Store, known: int, wanted: int) -> None:
    """Forward, back and on a branch it is the same chain, and only what is new is read."""
    chain = grown(store, 5)
    branch = recipe(chain[1].version, 3, line="tenant")
    with store.transaction() as session:
        ledger.append(session, branch, created_ms=9)
        for row in session.exec(select(RecipeRow).where(RecipeRow.line == "main")):
            if row.number <= min(known, wanted):
                session.delete(row)  # whoever reads it now misses it
    with store.reading() as session:
        read = ledger.chain(session, chain[wanted - 1].version, known=chain[:known])
        assert read == chain[:wanted]
        if known >= 2:
            aside = ledger.chain(session, branch.version, known=chain[:known])
            assert aside == [*chain[:2], branch]
        assert ledger.chain(session, BASE, known=chain[:known]) == []


def test_the_ledger_branches(store: Store) -> None:
    """A line may begin at any version of another; both chains share their beginning."""
    chain = grown(store, 3)
    branch = recipe(chain[0].version, 2, line="tenant")
    with store.transaction() as session:
        ledger.append(session, branch, created_ms=9)
        assert ledger.chain(session, branch.version) == [chain[0], branch]
        assert ledger.head(session, "tenant") == branch
        assert ledger.head(session, "main") == chain[-1]
        assert ledger.head(session, "nobody's") is None
        assert ledger.verify(session) == 4


def test_appending_a_recipe_again_changes_nothing(store: Store) -> None:
    """A crash behind the append repeats it."""
    [only] = grown(store, 1)
    with store.transaction() as session:
        ledger.append(session, only)
        assert ledger.verify(session) == 1


@pytest.mark.parametrize(
    ("parent", "number"), [("1" * 16, 2), (BASE, 2), ("first", 1), ("first", 3)]
)
def test_a_recipe_that_does_not_fit_its_parent_is_refused(
    store: Store, parent: str, number: int
) -> None:
    """A missing parent or another number than the next: nothing is added."""
    [first] = grown(store, 1)
    wrong = recipe(first.version if parent == "first" else parent, number, step=2)
    with pytest.raises(LedgerError), store.transaction() as session:
        ledger.append(session, wrong)
    with store.reading() as session:
        assert ledger.verify(session) == 1


def test_a_recipe_that_was_changed_is_noticed(store: Store) -> None:
    """One coefficient in the middle breaks the name; chain and verify say where."""
    chain = grown(store, 3)
    with store.transaction() as session:
        row = session.get_one(RecipeRow, chain[1].version)
        row.record = {**row.record, "coefficients": [1, -2]}
        session.add(row)
    with store.reading() as session:
        with pytest.raises(LedgerError, match=f"kept as {chain[1].version}"):
            ledger.verify(session)
        with pytest.raises(LedgerError, match="ledger was changed"):
            ledger.chain(session, chain[2].version)


def test_a_recipe_that_is_missing_is_noticed(store: Store) -> None:
    """A hole in the chain is an error, not a shorter chain."""
    chain = grown(store, 3)
    with store.transaction() as session:
        session.delete(session.exec(select(RecipeRow).where(RecipeRow.number == 1)).one())
    with store.reading() as session:
        with pytest.raises(LedgerError, match=f"{chain[0].version} is missing"):
            ledger.verify(session)
        with pytest.raises(LedgerError, match="is missing"):
            ledger.chain(session, chain[-1].version)
