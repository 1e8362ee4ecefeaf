"""Turns appended and read a second, and what an append costs: embedded log, Kafka, spool.

The baseline for Kafka is kafka-python itself on the same broker with the same records, idempotent
and acks=all as ours, with its own defaults and with larger batches, whichever is faster. All
figures are the median of rounds that take turns, so that a noisy neighbour hits both alike.
"""

import gc
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from learner.intake import TOPICS, take
from streams import chain
from streams.log.contract import Log, Outgoing, Partition, outgoing
from streams.open import init_streams, open_log, open_spool
from streams.records import Message, Sampling, Turn
from streams.settings import StreamsSettings
from streams.spool.spool import BATCH_RECORDS
from streams.store import offsets, outbox
from streams.store.store import open_store
from tests.flow.listening import GROUP, RULES, Listener, spoken
from tests.kafka_broker import KafkaBroker, kafka_home
from tests.learner.turns import said, turn

NUM_TURNS = 4096
ROUNDS = 5
NUM_SINGLE = 300
NUM_JUDGED = 200
NUM_LONG = 20_224  # a multiple of the batch
TARGET = 0.80  # of the bare client's rate


def turns(count: int) -> list[Outgoing]:
    """Make turns as an agent would: a few messages, 150 prompt and 60 reply tokens."""
    made = []
    for number in range(count):
        messages = [
            Message(role="user", content=f"Question {number}: what is it? " + "context " * 60)
        ]
        reply = Message(role="assistant", content="It is what it is. " * 10)
        keys = chain.keys([*messages, reply])
        record = Turn(
            id=uuid4().hex, line="main", version="0" * 16, principal=f"p{number % 50}",
            session=keys[0][:32], prefix_key=keys[0], key=keys[1], messages=messages, reply=reply,
            prompt_token_ids=list(range(150)), token_ids=list(range(60)),
            logprobs=[-1.2345678] * 60, sampling_logprobs=[-1.2345678] * 60,
            sampling=Sampling(temperature=1, top_p=1, max_tokens=64, seed=number),
            finish_reason="stop", learn=True, purpose="main", created_ms=1_760_000_000_000,
        )  # fmt: skip
        made.append(outgoing("turns", record.session, record))
    return made


def rate(work: Callable[[], object], count: int) -> float:
    """Return how many a second."""
    gc.collect()
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def append_in_batches(log: Log, records: list[Outgoing]) -> None:
    """Append as the spool does."""
    for start in range(0, len(records), BATCH_RECORDS):
        log.append(records[start : start + BATCH_RECORDS])


def read_to_the_end(log: Log, count: int) -> None:
    """Read the last `count` records of the topic."""
    start = dict.fromkeys(log.end_offsets("turns"), 0)
    subscription = log.subscribe(["turns"], group=None, positions=lambda _: start)
    while count > 0:
        count -= len(subscription.poll(wait_s=5))
    subscription.close()


def single_appends(
    append: Callable[[Outgoing], object], records: Iterable[Outgoing]
) -> list[float]:
    """Return the milliseconds of each call."""
    taken = []
    for record in records:
        began = time.perf_counter()
        append(record)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def show(name: str, *cells: str) -> None:
    print(f"{name:<38}" + "".join(f"{cell:>16}" for cell in cells), flush=True)


def percentiles(taken: list[float]) -> str:
    cuts = statistics.quantiles(taken, n=100)
    return f"{cuts[49]:.2f} / {cuts[98]:.2f} ms"


def bench_embedded(folder: Path, records: list[Outgoing]) -> None:
    """The embedded log and the spool before it."""
    settings = StreamsSettings(home=folder)
    appended, read = [], []
    for number in range(ROUNDS):
        log = open_log(settings.model_copy(update={"home": folder / str(number)}))
        appended.append(rate(lambda log=log: append_in_batches(log, records), len(records)))  # type: ignore[misc]
        read.append(rate(lambda log=log: read_to_the_end(log, len(records)), len(records)))  # type: ignore[misc]
        log.close()
    show("embedded: appended, batches of 256", f"{statistics.median(appended):,.0f}/s")
    show("embedded: read", f"{statistics.median(read):,.0f}/s")
    log = open_log(settings)
    taken = single_appends(lambda record: log.append([record]), records[:NUM_SINGLE])
    show("embedded: one append, p50 / p99", percentiles(taken))
    spool = open_spool(settings, log)
    taken = single_appends(lambda record: spool.put([record]), records[:NUM_SINGLE])
    show("spool: what a request pays, p50 / p99", percentiles(taken))
    taken = single_appends(
        lambda record: spool.put([record]).result(), records[NUM_SINGLE : 2 * NUM_SINGLE]
    )
    show("spool: until it is safe on disk", percentiles(taken))
    spool.close()
    log.close()


def bench_whole_way(folder: Path) -> None:
    """Spool, log, and the learner's intake, which uses each turn once: its rate, and memory."""
    settings = StreamsSettings(home=folder)
    log, store = open_log(settings), open_store(settings)
    spool = open_spool(settings, log)
    listener = Listener(log, store)
    began, memory = time.perf_counter(), []
    for start in range(0, NUM_LONG, BATCH_RECORDS):
        batch = [spoken(number, size=1_000) for number in range(start, start + BATCH_RECORDS)]
        assert spool.put(batch).result()
        left = BATCH_RECORDS
        while left:
            left -= listener.step(wait_s=5, max_records=left)
        memory.append(resident_mib())
    took_s = time.perf_counter() - began
    show("spooled, logged, linked and judged", f"{NUM_LONG / took_s:,.0f}/s")
    fifth, whole = memory[len(memory) // 5], memory[-1]
    show(f"memory after {NUM_LONG // 5:,} / {NUM_LONG:,} turns", f"{fifth:.0f} / {whole:.0f} MiB")
    listener.close()
    spool.close()
    log.close()
    store.close()


def bench_judgement(name: str, settings: StreamsSettings) -> None:
    """From the moment that an agent hands over a correction to the judgement on the log."""
    log, store = open_log(settings), open_store(settings)
    spool = open_spool(settings, log)
    stop = threading.Event()

    def positions(partitions: frozenset[Partition]) -> Mapping[Partition, int]:
        with store.reading() as session:
            return offsets.positions(session, GROUP, partitions)

    def listen() -> None:  # what the learner does between two generations
        reader = log.subscribe(TOPICS, group=GROUP, positions=positions)
        while not stop.is_set():
            if entries := reader.poll(wait_s=0.5):
                with store.transaction() as session:
                    take(session, entries, RULES)
                outbox.publish(store, log, "main")
        reader.close()

    learner = threading.Thread(target=listen)
    learner.start()
    told = log.subscribe(["judgements"], group=None, positions=lambda _: {})
    taken = []
    for number in range(NUM_JUDGED + 10):
        first, second = corrected(number)
        spool.put([first]).result()
        began = time.perf_counter()
        spool.put([second])
        while not told.poll(wait_s=5):
            pass
        if number >= 10:  # by then the group has met and everything is connected
            taken.append((time.perf_counter() - began) * 1000)
    stop.set()
    learner.join()
    told.close()
    spool.close()
    store.close()
    log.close()
    show(f"{name}: until judged, p50 / p99", percentiles(taken))


def corrected(number: int) -> tuple[Outgoing, Outgoing]:
    """Return a turn, and the one whose request corrects it."""
    asked = said(f"Question {number}?")
    first = turn(asked, "A reply with far too many words.", created_ms=number * 10)
    goes_on = [*asked, first.reply, Message(role="user", content="That was too long.")]
    second = turn(goes_on, "Short.", created_ms=number * 10 + 5)
    made = (outgoing("turns", record.session, record) for record in (first, second))
    return next(made), next(made)


def resident_mib() -> float:
    """Return this process's resident memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def bench_kafka(broker: KafkaBroker, records: list[Outgoing]) -> bool:
    """Our Kafka log against kafka-python itself; says whether it reaches the target."""
    ours_in, bare_in, ours_out, bare_out = [], [], [], []
    for _ in range(ROUNDS):
        settings = fresh_topics(broker)
        log = open_log(settings)
        log.append(records[:1])  # connects
        ours_in.append(rate(lambda log=log: append_in_batches(log, records[1:]), len(records)))  # type: ignore[misc]
        ours_out.append(rate(lambda log=log: read_to_the_end(log, len(records)), len(records)))  # type: ignore[misc]
        log.close()
        both = [
            bare(broker, records, **tuned) for tuned in ({}, {"batch_size": 2**18, "linger_ms": 5})
        ]
        bare_in.append(max(appended for appended, _ in both))
        bare_out.append(max(read for _, read in both))
    show("", "ours", "kafka-python", "ratio")
    good = True
    for name, ours, theirs in (("appended", ours_in, bare_in), ("read", ours_out, bare_out)):
        a, b = statistics.median(ours), statistics.median(theirs)
        show(f"Kafka: {name}", f"{a:,.0f}/s", f"{b:,.0f}/s", f"{a / b:.0%}")
        good &= a >= TARGET * b
    log = open_log(fresh_topics(broker))
    log.append(records[:1])
    taken = single_appends(lambda record: log.append([record]), records[1 : NUM_SINGLE + 1])
    show("Kafka: one append, p50 / p99", percentiles(taken))
    log.close()
    return good


def bare(broker: KafkaBroker, records: list[Outgoing], **tuned: Any) -> tuple[float, float]:
    """Return kafka-python's own rates in and out, on topics like ours."""
    from kafka import KafkaConsumer, KafkaProducer, TopicPartition

    settings = fresh_topics(broker)
    topic = settings.topic_prefix + "turns"
    servers = settings.log.removeprefix("kafka://")
    producer = KafkaProducer(
        bootstrap_servers=servers, acks="all", enable_idempotence=True, max_request_size=2**23,
        allow_auto_create_topics=False, **tuned,
    )  # fmt: skip

    def send() -> None:
        for record in records:
            headers = [("id", record.id.encode())]
            producer.send(topic, key=record.key.encode(), value=record.value, headers=headers)
        producer.flush()

    producer.partitions_for(topic)
    appended = rate(send, len(records))
    producer.close()

    def receive() -> None:
        consumer = KafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
        consumer.assign([TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)])
        left = len(records)
        while left > 0:
            left -= sum(len(each) for each in consumer.poll(timeout_ms=5000).values())
        consumer.close()

    return appended, rate(receive, len(records))


def fresh_topics(broker: KafkaBroker) -> StreamsSettings:
    settings = StreamsSettings(log=broker.url, topic_prefix=f"{uuid4().hex[:8]}.")
    init_streams(settings)
    return settings


def main() -> int:
    """Print the table; fails when Kafka is there and ours is under the target."""
    records = turns(NUM_TURNS)
    size = sum(len(record.value) for record in records) / len(records)
    print(f"{len(records)} turns of {size:,.0f} bytes, median of {ROUNDS} rounds")
    with TemporaryDirectory() as name:
        bench_embedded(Path(name), records)
        bench_whole_way(Path(name) / "long")
        bench_judgement("embedded", StreamsSettings(home=Path(name) / "judged"))
        if kafka_home() is None:
            print("Kafka: skipped, KAFKA_HOME names no Apache Kafka 4")
            return 0
        broker = KafkaBroker(Path(name) / "kafka")
        broker.start()
        try:
            good = bench_kafka(broker, records)
            home = Path(name) / "judged on Kafka"
            settings = fresh_topics(broker).model_copy(update={"home": home})
            bench_judgement("Kafka", settings)
            return 0 if good else 1
        finally:
            broker.stop()


if __name__ == "__main__":
    raise SystemExit(main())
