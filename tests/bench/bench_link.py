"""From a request in the log to the judgement of the reply before it: time, and turns a second.

One principal, as everybody is where no keys are set, with 10,000 turns that nothing has followed
yet. The baseline is the same request in a store of ten turns: what is read must not grow with what
a principal has. Written to a real log and read from it; the judgement counts when it is committed
and published. Judges and threads are those of the settings' default.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlmodel import col, select

from learner.intake import TOPICS, take
from learner.judges.open import open_judges
from learner.link.rows import row_of
from learner.run import take_threads
from learner.settings import LearnerSettings, group_of
from learner.verdicts import Rules
from streams.log.contract import Partition, outgoing
from streams.log.sqlite import SqliteLog
from streams.records import Message, Turn
from streams.settings import StreamsSettings
from streams.store import offsets, outbox
from streams.store.store import open_store
from streams.store.tables import TurnRow
from tests.learner.turns import said, turn

NUM_OPEN = 10_000
NUM_BRANCHES = 500
NUM_FLOOD = 2_000
ROUNDS = 60
BATCH = 500
TARGET_MS = 50.0

# The first is plain to the word lists alone, the second goes through the encoder, too.
COMPLAINT = "Too long, please. Shorter."
READ_TWICE = "I can't use that, it says nothing about the context."


class Loop:
    """A log, a store and what a learner does between them."""

    def __init__(self, home: Path) -> None:
        self.store, self.log = open_store(StreamsSettings(home=home)), SqliteLog(home / "log.db")
        settings = LearnerSettings()
        self._group = group_of("main")
        self._rules = Rules("main", open_judges(settings), 10**12, 2**22)
        self._reader = self.log.subscribe(TOPICS, group=self._group, positions=self._positions)

    def fill(self, turns: Sequence[Turn]) -> None:
        """Put turns into the store that nothing has followed."""
        for start in range(0, len(turns), BATCH):
            with self.store.transaction() as session:
                session.add_all(
                    row_of(each, sequence=start + n + 1, taken_ms=1)
                    for n, each in enumerate(turns[start : start + BATCH])
                )

    def say(self, *turns: Turn) -> float:
        """Append requests and use them; how long that took, in milliseconds."""
        began = time.perf_counter()
        self.log.append(outgoing("turns", each.session, each) for each in turns)
        while entries := self._reader.poll(wait_s=0):
            with self.store.transaction() as session:
                take(session, entries, self._rules)
            outbox.publish(self.store, self.log, "main")
        return (time.perf_counter() - began) * 1000

    def linked(self, ids: Sequence[str]) -> int:
        """How many of some turns are followed."""
        with self.store.reading() as session:
            query = select(TurnRow.next_kind).where(col(TurnRow.id).in_(ids))
            return sum(kind is not None for kind in session.exec(query))

    def close(self) -> None:
        """Close both."""
        self._reader.close()
        self.log.close()
        self.store.close()

    def _positions(self, partitions: frozenset[Partition]) -> Mapping[Partition, int]:
        with self.store.reading() as session:
            return offsets.positions(session, self._group, partitions)


def made(messages: Sequence[Message], reply: str, id: str, created_ms: int) -> Turn:
    """A turn as long as common ones."""
    return turn(messages, reply, id=id, created_ms=created_ms, prompt=range(300), tokens=range(120))


def chat(n: int, *, system: str = "", words: str = COMPLAINT) -> tuple[Turn, Callable[[str], Turn]]:
    """A turn of a conversation, and what makes its next request, under another system prompt."""
    asked = [Message(role="user", content=f"Question {n}: what is it? " + "context " * 60)]
    answer = f"It is number {n}. " + "It is what it is. " * 10

    def shown(text: str) -> list[Message]:
        return [Message(role="system", content=text), *asked] if text else asked

    def go_on(text: str) -> Turn:
        messages = [*shown(text), *said(".", answer, words)[1:]]
        return made(messages, "Ok.", f"next-{n}-{text}", 10**9 + n)

    return made(shown(system), answer, f"open-{n}", n), go_on


def told(name: str, took_ms: Sequence[float], baseline_ms: Sequence[float] | None = None) -> float:
    """Print a row; the median."""
    median = statistics.median(took_ms)
    p95 = sorted(took_ms)[int(len(took_ms) * 0.95)]
    ratio = median / statistics.median(baseline_ms) if baseline_ms else 1.0
    print(f"{name:52} p50 {median:6.1f} ms  p95 {p95:6.1f} ms  × {ratio:.2f}", flush=True)
    return median


def exact(folder: Path, num_open: int, words: str = COMPLAINT) -> tuple[list[float], list[float]]:
    """Next requests of open conversations: as they were, and with a clock that has moved."""
    loop = Loop(folder)
    chats = [chat(n, system="12:00" if n % 2 else "", words=words) for n in range(1, num_open + 1)]
    loop.fill([first for first, _ in chats])
    chosen = [chats[(7_919 * n) % num_open] for n in range(min(2 * ROUNDS, num_open))]
    clocked = [len(first.messages) == 2 for first, _ in chosen]
    plain = [
        loop.say(go_on("")) for (_, go_on), has in zip(chosen, clocked, strict=True) if not has
    ]
    moved = [
        loop.say(go_on("12:01")) for (_, go_on), has in zip(chosen, clocked, strict=True) if has
    ]
    assert loop.linked([first.id for first, _ in chosen]) == len({first.id for first, _ in chosen})
    loop.close()
    return plain, moved


def twins(folder: Path) -> list[float]:
    """The same ping and the same pong, ten thousand times, and then a correction."""
    loop = Loop(folder)
    loop.fill([made(said("ping"), "pong", f"t{n}", n) for n in range(1, NUM_OPEN + 1)])
    talk = said("ping", "pong", COMPLAINT)
    took = [loop.say(made(talk, "Ok.", f"c{n}", 10**6 + n)) for n in range(ROUNDS)]
    loop.close()
    return took


def branches(folder: Path) -> list[float]:
    """One conversation, edited five hundred times."""
    loop = Loop(folder)
    first, _ = chat(1)
    loop.say(first)
    took = []
    for n in range(NUM_BRANCHES):
        talk = [*first.messages, first.reply, Message(role="user", content=f"And number {n}?")]
        took.append(loop.say(made(talk, f"Yes, {n}.", f"b{n}", 1_000 + n)))
    assert loop.linked([f"b{n}" for n in range(NUM_BRANCHES)]) == NUM_BRANCHES - 1
    loop.close()
    return took[-ROUNDS:]


def flood(folder: Path) -> float:
    """Follow-ups as fast as they are taken; how many a second."""
    loop = Loop(folder)
    chats = [chat(n) for n in range(1, NUM_FLOOD // 2 + 1)]
    turns = [each for first, go_on in chats for each in (first, go_on(""))]
    took_ms = loop.say(*turns)
    assert loop.linked([first.id for first, _ in chats]) == len(chats)
    loop.close()
    return 1000 * len(turns) / took_ms


def main() -> int:
    """Print the table; 1 when a median is over the target."""
    medians = []
    take_threads(LearnerSettings())
    with TemporaryDirectory() as folder:
        homes = [
            Path(folder, name) for name in ("few", "many", "read", "twins", "branches", "flood")
        ]
        for home in homes:
            home.mkdir()
        few, few_moved = exact(homes[0], 10)
        medians.append(told("next request, ten open turns", [*few, *few_moved]))
        plain, moved = exact(homes[1], NUM_OPEN)
        medians.append(told(f"next request, {NUM_OPEN:,} open turns", plain, few))
        medians.append(told("the same, the clock in the system prompt moved", moved, few_moved))
        read = exact(homes[2], NUM_OPEN, READ_TWICE)[0]
        medians.append(told("the same, in words that the encoder reads, too", read, few))
        medians.append(told(f"a correction after {NUM_OPEN:,} equal pings", twins(homes[3]), few))
        medians.append(
            told(f"the {NUM_BRANCHES}th branch of a conversation", branches(homes[4]), few)
        )
        rate = flood(homes[5])
    print(f"{'a flood of follow-ups':52} {rate:.0f} turns a second, each linked and judged")
    late = max(medians) > TARGET_MS
    print(f"target: p50 at most {TARGET_MS:g} ms: {'missed' if late else 'met'}")
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
