"""What `quickset forget` recommends where versions stand on what is forgotten."""

from pathlib import Path

import pytest

from streams.line import ledger
from streams.log.contract import outgoing
from streams.open import open_log
from streams.records import Recipe, decode
from streams.settings import StreamsSettings
from streams.store.store import open_store
from streams.store.tables import GenerationRow
from tests.deploy.commands.test_commands import SECOND, run
from tests.deploy.conftest import rollout

GOLDEN = Path(__file__).parents[2] / "golden"


def moved_by_both(streams: StreamsSettings, noise: str, others: int) -> None:
    """Let a version serve that was made by a turn of anonymous, and some of somebody else."""
    made = decode((GOLDEN / f"recipe.v{5 if noise == 'directed' else 1}.json").read_bytes())
    assert isinstance(made, Recipe)
    made = made.model_copy(update={"parent": SECOND, "number": 3})
    assert made.noise == noise
    store, log = open_store(streams), open_log(streams)
    names = ["turn-2", *(f"other-{number}" for number in range(others))]
    with store.transaction() as session:
        ledger.append(session, made, created_ms=3)
        session.add(
            GenerationRow(
                id="g3", line="main", number=3, parent=SECOND, child=made.version, key=made.key,
                state="released", batch=[{"turn_id": name, "weight": 1.0} for name in names],
                turn_ids=names, planned_ms=1, done_ms=2,
            )
        )  # fmt: skip
    log.append([outgoing("rollouts", "main", rollout(3, made.version, SECOND))])
    log.close()
    store.close()


@pytest.mark.parametrize(
    ("noise", "others", "way"),
    [("rank1", 1, ""), ("directed", 1, " --exact"), ("directed", 0, "")],
)
def test_the_way_is_told_that_leaves_them_out(
    taught: StreamsSettings, noise: str, others: int, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where searched noise was chosen by others' words as well, the quick one is refused."""
    moved_by_both(taught, noise, others)
    asked = ("forget", "--principal", "anonymous", "--dry-run", "--home", str(taught.home))
    code, out, _ = run(*asked, capsys=capsys)
    assert code == 0
    assert " ".join(out.split()).endswith(f"quickset replay --without anonymous{way}")
