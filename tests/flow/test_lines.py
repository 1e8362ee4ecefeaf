"""Two lines, two learners, one log and one store: each learns what it would learn alone."""

import gc
import multiprocessing
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from learner.settings import group_of
from streams.settings import StreamsSettings
from streams.store.store import open_store
from streams.store.tables import GenerationRow, LeaseRow, RecipeRow, RolloutRow, TurnRow
from tests.flow.conftest import SETTINGS, Common, LearnerHome, Stack
from tests.flow.conversations import conversation
from tests.flow.fleet import LIMIT_S
from tests.flow.test_learner_faults import live

LINES = ("main", "other")
# Sockets of lost connections are left to the garbage collector by kafka-python.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning"),
    pytest.mark.timeout(600),
]


@pytest.fixture(autouse=True)
def _collect_lost_connections() -> Iterator[None]:
    """Collect them while the filter above is in force."""
    yield
    gc.collect()


def learner_of(
    line: str, streams: StreamsSettings, common: Common, *, life: int = 1
) -> LearnerHome:
    settings = SETTINGS.model_copy(update={"line": line})
    return LearnerHome(streams.home, common, settings, streams=streams, life=life)


def talk(learner: LearnerHome, line: str) -> None:
    """Let two people correct replies of a line."""
    for number in (1, 2):
        turns = conversation(learner.base, number, "Too long. Shorter, please.", line=line)
        learner.say(("turns", each) for each in turns)


def learned(streams: StreamsSettings, line: str) -> dict[str, Any]:
    """Return what has come of a line, by names that follow from everything that was computed."""
    store = open_store(streams)
    with store.reading() as session:
        found = {
            "turns": select(TurnRow.id, TurnRow.state, TurnRow.uses).where(TurnRow.line == line),
            "generations": select(GenerationRow.id, GenerationRow.state, GenerationRow.child).where(
                GenerationRow.line == line
            ),
            "recipes": select(RecipeRow.version).where(RecipeRow.line == line),
            "rollouts": select(RolloutRow.seq, RolloutRow.version).where(RolloutRow.line == line),
        }
        rows = {name: sorted(map(str, session.execute(q).all())) for name, q in found.items()}
    store.close()
    return rows


@pytest.fixture(scope="module")
def alone(common: Common, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each line learns where nobody else does."""
    found = {}
    for line in LINES:
        streams = StreamsSettings(home=tmp_path_factory.mktemp(line))
        learner = learner_of(line, streams, common)
        talk(learner, line)
        assert learner.learn() >= 2
        found[line] = learned(streams, line)
        assert len(found[line]["recipes"]) >= 2
    return found


def leases(streams: StreamsSettings) -> dict[str, tuple[str, int]]:
    store = open_store(streams)
    with store.reading() as session:
        rows = {row.name: (row.holder, row.epoch) for row in session.exec(select(LeaseRow))}
    store.close()
    return rows


def test_two_lines_learn_side_by_side(
    stack: Stack, common: Common, alone: dict[str, dict[str, Any]]
) -> None:
    """Their turns stand mixed in one log; each learner makes of its own what it makes alone."""
    streams = stack("home")
    learners = {line: learner_of(line, streams, common) for line in LINES}
    for line, learner in learners.items():
        talk(learner, line)
    working = True
    while working:  # a generation of each at a time
        working = sum(learner.learn(most=1) for learner in learners.values()) > 0
    assert {line: learned(streams, line) for line in LINES} == alone
    assert set(leases(streams)) == {group_of(line) for line in LINES}


@pytest.mark.fault("kill -9 of another line's learner")
def test_a_learner_that_is_killed_stops_no_other_line(
    stack: Stack,
    common: Common,
    alone: dict[str, dict[str, Any]],
    tiny_dir: Path,
    seed: int,
) -> None:
    """Both learn at once in processes of their own; one is killed, and goes on when it is back."""
    streams = stack("home")
    main, other = (learner_of(line, streams, common, life=2) for line in LINES)
    talk(main, "main")
    talk(other, "other")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.flow.conftest"])
    place = 4 + 7 * seed % 20
    mortal = context.Process(target=live, args=(streams, tiny_dir, common.kept, place, "other"))
    mortal.start()
    assert main.learn() >= 2
    mortal.join(LIMIT_S)
    assert mortal.exitcode == -signal.SIGKILL
    assert learned(streams, "main") == alone["main"]
    held = leases(streams)
    assert (held["learner/main"][1], held["learner/other"]) == (1, ("start 1", 1))
    other.learn()
    assert {line: learned(streams, line) for line in LINES} == alone
    assert leases(streams)["learner/other"] == ("start 2", 2)
    assert leases(streams)["learner/main"] == held["learner/main"]
    assert main.learn() == 0  # reads what the other published, and makes nothing of it
    assert learned(streams, "main") == alone["main"]
