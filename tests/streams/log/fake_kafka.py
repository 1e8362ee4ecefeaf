"""Clients of kafka-python without a broker: calls that hang, and joins that are forgotten."""

import threading
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from streams.log.kafka.client import ID_HEADER, MemberState, TopicPartition


class FakeKafka:
    """A cluster of one topic, and the clients that were opened to it."""

    def __init__(self, topic: str, *, partitions: int = 1, steps: int = 1) -> None:
        """steps: how many polls a join takes."""
        self.places = [TopicPartition(topic, number) for number in range(partitions)]
        self.values: dict[Any, list[bytes]] = {place: [] for place in self.places}
        self.steps = steps
        self.hanging: set[str] = set()
        self.released = threading.Event()
        self.consumers: list[FakeConsumer] = []
        self.producers: list[FakeProducer] = []

    def consumer(self, **given: Any) -> "FakeConsumer":
        """Open a client that reads."""
        self.consumers.append(FakeConsumer(self, given.get("group_id")))
        return self.consumers[-1]

    def producer(self, **_: Any) -> "FakeProducer":
        """Open a client that appends."""
        self.call("open")
        self.producers.append(FakeProducer(self))
        return self.producers[-1]

    def call(self, name: str) -> None:
        """Hang in this call, if calls of its name are to; until the test ends."""
        if name in self.hanging:
            self.released.wait()


class FakeConsumer:
    """Joins a group in some polls, and forgets that it does after the first one."""

    def __init__(self, kafka: FakeKafka, group: str | None) -> None:
        self.kafka, self.group = kafka, group
        self.state = MemberState.UNJOINED
        self.next: dict[Any, int] = {}
        self.listener: Any = None
        self.closed = threading.Event()
        self.stopped = threading.Event()
        self._to_join, self._steps = True, kafka.steps
        self._paused: set[Any] = set()
        self._coordinator = SimpleNamespace(request_rejoin=self._rejoin)
        self._net = SimpleNamespace(stop=lambda timeout_ms: self.stopped.set())  # noqa: ARG005

    def partitions_for_topic(self, topic: str) -> set[int]:
        self.kafka.call("partitions_for_topic")
        return {place.partition for place in self.kafka.places if place.topic == topic}

    def assign(self, places: Iterable[Any]) -> None:
        self.next = dict.fromkeys(places, 0)

    def assignment(self) -> set[Any]:
        return set(self.next)

    def subscribe(self, topics: Iterable[str], *, listener: Any) -> None:  # noqa: ARG002
        self.listener = listener

    def pause(self, *places: Any) -> None:
        self._paused |= set(places)

    def resume(self, *places: Any) -> None:
        self._paused -= set(places)

    def seek(self, place: Any, offset: int) -> None:
        self.next[place] = offset

    def seek_to_beginning(self, place: Any) -> None:
        self.next[place] = 0

    def group_metadata(self) -> Any:
        return SimpleNamespace(state=self.state)

    def poll(self, *, timeout_ms: int, max_records: int) -> dict[Any, list[Any]]:  # noqa: ARG002
        self.kafka.call("poll")
        if self.group is not None and self._to_join:
            self._join()
        found = {}
        for place in sorted(set(self.next) - self._paused):
            values = self.kafka.values[place][self.next[place] :]
            if values:
                found[place] = [_record(self.next[place] + n, v) for n, v in enumerate(values)]
                self.next[place] += len(values)
        return found

    def position(self, place: Any, *, timeout_ms: int) -> int:  # noqa: ARG002
        self.kafka.call("position")
        return self.next[place]

    def end_offsets(self, places: Iterable[Any], *, timeout_ms: int) -> dict[Any, int]:  # noqa: ARG002
        self.kafka.call("end_offsets")
        return {place: len(self.kafka.values[place]) for place in places}

    def close(self, *, autocommit: bool, timeout_ms: int) -> None:  # noqa: ARG002
        self.kafka.call("close")
        self.closed.set()

    def be_given(self) -> None:
        """Tell the listener that all partitions are this reader's."""
        self.next = dict.fromkeys(self.kafka.places, 0)
        self.listener.on_partitions_assigned(self.kafka.places)

    def _join(self) -> None:
        self.state, self._to_join = MemberState.REBALANCING, False
        self._steps -= 1
        if self._steps <= 0:
            self.state = MemberState.STABLE
            self.be_given()

    def _rejoin(self) -> None:
        self._to_join = True


class FakeProducer:
    """Appends what is sent when it is flushed, unless it was thrown away before."""

    def __init__(self, kafka: FakeKafka) -> None:
        self.kafka = kafka
        self.thrown_away = threading.Event()
        self._sender = SimpleNamespace(
            force_close=self.thrown_away.set,
            join=lambda timeout: None,  # noqa: ARG005
        )
        self._sent: list[bytes] = []

    def send(self, topic: str, *, value: bytes, **_: Any) -> Any:  # noqa: ARG002
        self._sent.append(value)
        return SimpleNamespace(failed=lambda: False)

    def flush(self, *, timeout: float) -> None:  # noqa: ARG002
        self.kafka.call("flush")
        if not self.thrown_away.is_set():
            self.kafka.values[self.kafka.places[0]] += self._sent
        self._sent = []

    def close(self, *, timeout: float) -> None:  # noqa: ARG002
        self.kafka.call("close")


def _record(offset: int, value: bytes) -> Any:
    headers = [(ID_HEADER, value)]
    return SimpleNamespace(offset=offset, key=b"k", value=value, headers=headers, timestamp=0)
