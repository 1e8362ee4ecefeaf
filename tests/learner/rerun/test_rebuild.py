"""Leaving somebody out of versions of which some were built again before."""

from pathlib import Path
from typing import cast

import pytest

from learner.rerun.branch import Builder
from learner.rerun.rebuild import build_quick
from streams.errors import ProofError
from streams.line import ledger
from streams.line.masks import keep_mask
from streams.records import Mask
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import TurnRow
from tests.learner.rerun.test_refit import generation, recipe


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return open_store(StreamsSettings(home=tmp_path))


@pytest.mark.parametrize("first", ["main", "main/exact/v"])
def test_of_a_version_that_was_built_again_without_somebody_they_are_out(
    store: Store, first: str
) -> None:
    """The generation beside the line counts, in whichever order a database gives the two."""
    mask = Mask(base="base", neurons={}, groups={})
    made = recipe().model_copy(update={"mask": mask.digest})
    num_turns = {"main": 2, "main/exact/v": 1}
    with store.transaction() as session:
        keep_mask(session, mask, created_ms=1)
        ledger.append(session, made)
        for place, principal in enumerate(("bob", "ann")):
            session.add(
                TurnRow(
                    id=str(place), line="main", version="base", principal=principal, session="s",
                    key="k", prefix_key="p", state="closed", sequence=place, record={},
                    created_ms=1, taken_ms=1,
                )
            )  # fmt: skip
        for line in sorted(num_turns, key=lambda line: line != first):
            table, weights = [[0.0] * 8] * num_turns[line], [1.0] * num_turns[line]
            values = {"id": line, "line": line, "child": made.version, "done_ms": 1}
            session.add(generation(table, weights, **values))
            session.flush()
    with pytest.raises(ProofError, match=f"ann never moved {made.version}"):
        build_quick(store, cast(Builder, None), made.version, ["ann"])
    store.close()
