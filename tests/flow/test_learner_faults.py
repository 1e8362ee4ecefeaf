"""The learner and the agent themselves under faults, over the embedded streams and real servers."""

import asyncio
import itertools
import multiprocessing
import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import torch
from sqlmodel import select

from streams.log.contract import Log, Outgoing, outgoing
from streams.model.open import load_base
from streams.open import open_log
from streams.records import DeadLetter, Feedback, Message, Record, Turn, decode
from streams.settings import ModelSettings, StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import JudgementRow, OutboxRow, TurnRow
from tests.flow.conftest import (
    SETTINGS,
    Common,
    LearnerHome,
    Stack,
    common_of,
    open_impatient,
)
from tests.flow.conversations import conversation
from tests.flow.crashes import Boundaries
from tests.flow.fleet import LIMIT_S, fleet
from tests.flow.listening import Listener
from tests.learner.turns import said, turn

STRIDE = 10  # of the boundaries at which a process is killed in one run of the tests
# Sockets of lost connections are left to the garbage collector by kafka-python.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning"),
    pytest.mark.timeout(600),
]


def spoken(count: int) -> list[Record]:
    """Return conversations with a correction, praise, a retry and feedback."""
    records: list[Record] = []
    for number in range(count):
        words = ("too long", "thanks!", "no, I meant Rome")[number % 3]
        opening, who = said(f"question {number}"), f"p{number}"
        first = turn(opening, "reply", id=f"{number}a", created_ms=1_000, principal=who)
        goes_on = [*opening, first.reply, Message(role="user", content=words)]
        second = turn(goes_on, "better", id=f"{number}b", created_ms=2_000, principal=who)
        again = turn(goes_on, "best", id=f"{number}c", created_ms=3_000, principal=who)
        thumb = Feedback(
            id=f"{number}f", turn_id=f"{number}b", line="main", principal=who,
            session=second.session, score=1, created_ms=2_500,
        )  # fmt: skip
        records += [first, second, again, thumb]
    return records


def sent(record: Record) -> Outgoing:
    """Return a record as an agent appends it."""
    assert isinstance(record, Turn | Feedback)
    return outgoing("turns" if isinstance(record, Turn) else "feedback", record.session, record)


def use_all(log: Log, store: Store, chance: random.Random) -> None:
    """Use what the log holds, in batches of any size; now and then the reader is replaced."""
    listener, left = Listener(log, store), chance.randint(5, 30)
    while listener.step(max_records=chance.randint(1, 12)) or not listener.has_all():
        left -= 1
        if not left:
            listener.close()
            left = chance.randint(5, 30)
    listener.close()


def known(store: Store) -> dict[str, Any]:
    """Return what was made of the turns, in a comparable form."""
    with store.reading() as session:
        turns, verdicts = session.exec(select(TurnRow)).all(), session.exec(select(JudgementRow))
        return {
            "turns": {t.id: (t.state, t.next_kind, t.next_state, t.next_ms) for t in turns},
            "verdicts": sorted((j.turn_id, j.source, j.score, j.created_ms) for j in verdicts),
        }


def buried(store: Store) -> list[DeadLetter]:
    """Return the dead letters that wait to be published."""
    with store.reading() as session:
        rows = session.exec(select(OutboxRow).where(OutboxRow.topic == "dead-letters")).all()
    letters = [decode(row.value) for row in rows]
    return [letter for letter in letters if isinstance(letter, DeadLetter)]


def outcome(settings: StreamsSettings, records: Sequence[Outgoing], chance: random.Random) -> Any:
    """Append records in this order, use them, and give what is known and how many were buried."""
    log, store = open_impatient(settings), open_store(settings)
    for record in records:  # an append each: the order is this one in every partition
        log.append([record])
    use_all(log, store, chance)
    found = known(store), sorted(letter.record_id for letter in buried(store))
    log.close()
    store.close()
    return found


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What comes of the conversations when nothing goes wrong."""
    settings = StreamsSettings(home=tmp_path_factory.mktemp("straight"))
    return outcome(settings, [sent(record) for record in spoken(6)], random.Random(0))[0]


@pytest.mark.fault("duplicates")
def test_duplicates_change_nothing(stack: Stack, straight: Any, seed: int) -> None:
    """Records that come twice, at once and much later."""
    chance, records = random.Random(seed), [sent(record) for record in spoken(6)]
    for record in chance.sample(records, 12):
        records.insert(chance.randint(records.index(record) + 1, len(records)), record)
    assert outcome(stack("twice"), records, chance) == (straight, [])


@pytest.mark.fault("reordering")
def test_order_changes_nothing(stack: Stack, straight: Any, seed: int) -> None:
    """Records in any order."""
    chance, records = random.Random(seed), [sent(record) for record in spoken(6)]
    chance.shuffle(records)
    assert outcome(stack("mixed"), records, chance) == (straight, [])


@pytest.mark.fault("late records")
def test_late_records_change_nothing(stack: Stack, straight: Any, seed: int) -> None:
    """The turns of one agent were spooled while the others went on, and come when all is used."""
    chance = random.Random(seed)
    records = [sent(record) for record in spoken(6)]
    late = [record for record in records if chance.random() < 0.4]
    settings = stack("late")
    outcome(settings, [record for record in records if record not in late], chance)
    assert outcome(settings, late, chance) == (straight, [])


@pytest.mark.fault("poison record")
def test_poison_is_buried_and_stops_nothing(stack: Stack, straight: Any, seed: int) -> None:
    """Bytes, a record of a later build, one that does not belong: each is buried once."""
    chance, records = random.Random(seed), [sent(record) for record in spoken(6)]
    feedback = next(record for record in records if record.topic == "feedback")
    poison = [
        Outgoing("turns", "k", "bytes", chance.randbytes(99)),
        Outgoing("turns", "k", "later", b'{"kind":"turn","v":99}'),
        Outgoing("feedback", "k", "half", feedback.value[: chance.randint(1, 60)]),
        Outgoing("turns", "k", "astray", feedback.value),
        Outgoing("feedback", "k", "list", b"[[[[1]]]]"),
    ]
    for each in poison:
        records.insert(chance.randint(0, len(records)), each)
    found, letters = outcome(stack("poison"), records, chance)
    assert found == straight
    assert letters == sorted(each.id for each in poison)


def live(
    streams: StreamsSettings, model: Path, kept: Path, dies_at: int, line: str = "main"
) -> None:
    """Be the first learner of a line, and be killed at the n-th boundary."""
    torch.set_num_threads(1)  # as in the tests: sums of long rows depend on it in their last bits
    base = load_base(ModelSettings(path=model, cache=model.parent / "cache"))
    common = common_of(base, kept)
    boundaries = Boundaries(dies_at, end=lambda _: os.kill(os.getpid(), signal.SIGKILL))
    settings = SETTINGS.model_copy(update={"line": line})
    LearnerHome(streams.home, common, settings, streams=streams).learn(boundaries)


def taught(streams: StreamsSettings, common: Common, life: int = 1) -> LearnerHome:
    """Return a learner to which two people talked."""
    learner = LearnerHome(streams.home, common, streams=streams, life=life)
    if life == 1:
        for number in (1, 2):
            turns = conversation(common.base, number, "That was too long. Shorter, please.")
            learner.say(("turns", each) for each in turns)
    return learner


@pytest.mark.fault("kill -9 at each commit boundary, real processes")
def test_kill_9_of_the_learner_changes_no_digest(
    stack: Stack, common: Common, tiny_dir: Path, seed: int
) -> None:
    """A process is killed at a boundary, and the next one reaches the undisturbed run's state.

    Every tenth boundary, from one that the seed chooses: ten seeds in a row make all of them
    (tests/flow/test_crashes.py passes them all at once, in one process).
    """
    whole, count = taught(stack("whole"), common), Boundaries()
    whole.learn(count)
    expected = whole.state()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.flow.conftest"])
    ends = []
    for place in range(1 + seed % STRIDE, count.passed + 1, STRIDE):
        learner = taught(stack(f"killed-{place}"), common)
        process = context.Process(target=live, args=(learner.streams, tiny_dir, common.kept, place))
        process.start()
        process.join(LIMIT_S)
        ends.append(process.exitcode)
        taught(learner.streams, common, life=2).learn()
        assert learner.state() == expected, f"killed at {place}: {count.names[place - 1]}"
    # How many polls, and so boundaries, a run takes over Kafka differs by a few.
    assert set(ends[:-1]) <= {-signal.SIGKILL}
    assert ends[-1] in (-signal.SIGKILL, 0)


async def talk(api: str, number: int, told: asyncio.Event, ids: list[str]) -> None:
    """Ask until the agent refuses because it was told to stop; collect the ids of whole replies."""
    async with aiohttp.ClientSession() as http:
        for count in itertools.count():
            messages = [{"role": "user", "content": f"Question {number}.{count}"}]
            body = {"model": "quickset", "messages": messages, "max_tokens": 40}
            try:
                async with http.post(f"{api}/v1/chat/completions", json=body) as answer:
                    whole = await answer.json()
            except aiohttp.ClientConnectionError:
                # Nobody listens any more. A reply that was cut would show by its turn in the log.
                assert told.is_set()
                return
            if answer.status == 503 and told.is_set():
                return
            assert answer.status == 200, whole
            ids.append(whole["id"])


@pytest.mark.fault("SIGTERM under load")
async def test_sigterm_under_load_loses_no_reply(
    stack: Stack, tiny_dir: Path, tmp_path: Path, seed: int
) -> None:
    """Every reply that began is given whole within the grace, and its turn is in the log, once."""
    streams = stack("load")
    settings = {f"streams.{k}": str(v) for k, v in streams.model_dump(exclude_none=True).items()}
    settings |= {"model.path": str(tiny_dir), "agent.drain_s": "30"}
    with fleet(tmp_path, {"agent": "agent"}, settings) as members:
        agent, told = members["agent"], asyncio.Event()
        await asyncio.to_thread(agent.start)
        ids: list[str] = []
        clients = [asyncio.create_task(talk(agent.api, n, told, ids)) for n in range(6)]
        enough = random.Random(seed).randint(3, 20)
        while len(ids) < enough and not any(client.done() for client in clients):
            await asyncio.sleep(0.005)
        told.set()
        code = await asyncio.to_thread(agent.stop)
        await asyncio.gather(*clients)
    assert code == 0
    log = open_log(streams)
    assert sum(log.end_offsets("turns").values()) == len(ids) >= enough
    log.close()
