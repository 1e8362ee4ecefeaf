"""What is gone back from while it is built serves nobody: real versions, built as a test says."""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from agent.swap.follow import Follower
from agent.swap.residents import Residents
from kernels.open import open_backend
from streams.model.open import BaseModel
from streams.records import Recipe
from tests.agent.lineage import Lineage
from tests.agent.swap.test_follow import WAIT_S, LogBench, gone_back, rollout, trial
from tests.agent.swap.test_residents import names


class Gate:
    """Snapshots of nothing, asked as each build begins: some wait until they may go on."""

    every = 0

    def __init__(self) -> None:
        self.begun, self.go_on = dict[str, threading.Event](), dict[str, threading.Event]()
        self.builds = Counter[str]()

    def hold(self, version: str) -> None:
        self.begun[version], self.go_on[version] = threading.Event(), threading.Event()

    def nearest(self, chain: Sequence[str]) -> str | None:
        self.builds[chain[-1]] += 1
        if chain[-1] in self.begun:
            self.begun[chain[-1]].set()
            assert self.go_on[chain[-1]].wait(WAIT_S)
        return None

    def load(self, version: str) -> Mapping[str, NDArray[np.int32]] | None:
        raise NotImplementedError(version)

    def refuse(self, version: str, why: str) -> None:
        raise NotImplementedError(version, why)

    def save(self, version: str, integers: Iterable[tuple[str, NDArray[np.int32]]]) -> object:
        raise NotImplementedError(version, integers)


class Bench(LogBench):
    """A follower between a real log and real versions, whose builds wait."""

    def __init__(self, folder: Path, base: BaseModel, lineage: Lineage) -> None:
        super().__init__(folder)
        self.gate = Gate()
        self.residents = Residents(base, open_backend("cpu"), snapshots=self.gate)
        self.follower = Follower(
            self.log, self.residents, line="main", base=base.name, put=self.append,
            events=self.events, metrics=self.metrics, clock=lambda: 1.0, poll_s=0.02,
        )  # fmt: skip
        self.operators = ThreadPoolExecutor(1)
        self.publish(lineage.mask, *lineage.recipes)

    def begin(self, version: str) -> None:
        """Let a version serve, as the first of the line."""
        self.publish(rollout(1, version))
        self.follower.start()
        self.serves(version)

    def build_begins(self, version: str) -> None:
        assert self.gate.begun[version].wait(WAIT_S)

    def serves(self, version: str) -> None:
        """Wait until a version is taken into service, and told."""
        told = f"{version} serves after"
        self.wait(lambda: any(each.startswith(told) for each in self.told("swap")))

    def told(self, *kinds: str) -> list[str]:
        return [event.text for event in self.events if event.kind in kinds]


@pytest.fixture
def lineage(tiny_base: BaseModel) -> Lineage:
    """A line of five versions."""
    line = Lineage(tiny_base)
    for _ in range(5):
        line.next()
    return line


@pytest.fixture
def bench(tmp_path: Path, tiny_base: BaseModel, lineage: Lineage) -> Iterator[Bench]:
    """A bench whose follower has not started, and whose log has every recipe."""
    made = Bench(tmp_path, tiny_base, lineage)
    yield made
    for held in made.gate.go_on.values():
        held.set()
    made.operators.shutdown()
    made.follower.stop()
    made.log.close()


def test_a_version_that_is_taken_back_while_it_is_built_serves_nobody(
    bench: Bench, lineage: Lineage
) -> None:
    """What served before serves through, nothing is told of a swap, and memory lets go of it."""
    first, second, third, *_ = names(lineage)
    bench.begin(first)
    bench.gate.hold(second)
    bench.publish(rollout(2, second))
    bench.build_begins(second)
    assert bench.follower.rollback("ann", "rude").version == first
    bench.gate.go_on[second].set()
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    bench.wait(lambda: second not in bench.residents.resident)
    assert bench.residents.serving == first
    bench.publish(rollout(4, third))
    bench.serves(third)
    assert [each.split(" ")[0] for each in bench.told("swap")] == [first, third]
    assert bench.sample("swaps", verb="promote") == 2


def test_a_candidate_that_is_gone_back_from_while_it_is_built_is_not_on_trial(
    bench: Bench, lineage: Lineage
) -> None:
    """Nor is it told that it answers, or why it would not."""
    first, second, third, *_ = names(lineage)
    bench.begin(first)
    bench.gate.hold(second)
    bench.publish(trial(2, second, first, share=0.5))
    bench.build_begins(second)
    bench.follower.rollback("ann", "rude")
    bench.gate.go_on[second].set()
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    bench.publish(rollout(4, third))
    bench.serves(third)
    assert bench.residents.trial is None
    assert bench.told("trial", "trial-lacking") == []


def test_what_an_agent_that_leaps_builds_on_the_way_may_be_taken_back(
    bench: Bench, lineage: Lineage, tiny_base: BaseModel
) -> None:
    """A reset while the version before is built is the end of both; neither serves."""
    first, second, third, *_ = names(lineage)
    bench.gate.hold(second)
    bench.publish(rollout(1, first), rollout(2, second), rollout(3, third))
    bench.follower.start()
    bench.build_begins(second)
    bench.follower.reset("ann", "off")
    bench.gate.go_on[second].set()
    bench.wait(lambda: bench.follower.following().caught_up)
    assert bench.residents.served == (tiny_base.name,)
    assert bench.gate.builds == {second: 1}
    assert bench.told("swap", "swap-failed") == []


def test_nothing_comes_between_a_rollback_and_its_version_that_must_be_built(
    bench: Bench, lineage: Lineage
) -> None:
    """What was ordered before is built before it, and does not serve meanwhile."""
    first, second, third, fourth, _ = names(lineage)
    bench.follower.start()
    for seq, version in enumerate((first, second, third), start=1):
        bench.publish(rollout(seq, version))
        bench.serves(version)
    bench.publish(gone_back(4, second))
    bench.wait(lambda: bench.residents.serving == second)
    assert first not in bench.residents.resident
    bench.gate.hold(fourth)
    bench.gate.hold(first)
    bench.publish(rollout(5, fourth))
    bench.build_begins(fourth)
    assert bench.follower.rollback("ann", "rude").version == second
    back = bench.operators.submit(bench.follower.rollback, "ann", "ruder")
    bench.wait(lambda: bench.follower.decisions.line().version == first)
    bench.gate.go_on[fourth].set()
    bench.build_begins(first)
    assert bench.residents.serving == second
    bench.gate.go_on[first].set()
    assert back.result(WAIT_S).version == first
    assert bench.residents.serving == first
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    assert not [each for each in bench.told("swap") if each.startswith(fourth)]


def test_a_version_that_two_threads_order_is_built_once(bench: Bench, lineage: Lineage) -> None:
    """As an operator and the log's follower may: the second flips to what the first one built."""
    first = names(lineage)[0]
    bench.gate.hold(first)
    bench.residents.book.add_mask(lineage.mask)
    bench.residents.book.add_recipe(lineage.recipes[0])
    with ThreadPoolExecutor(2) as both:
        orders = [both.submit(bench.residents.promote, first) for _ in range(2)]
        bench.build_begins(first)
        bench.wait(lambda: bench.residents._builder._work_queue.qsize() == 1)
        bench.gate.go_on[first].set()
    assert sorted(order.result() for order in orders) == [False, True]
    assert bench.gate.builds == {first: 1}


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_said_of_what_is_withdrawn_while_it_is_built_ahead(
    bench: Bench, lineage: Lineage, fails: bool
) -> None:
    """It is not in memory, should it be decided for, and nobody can decide for it any more."""
    first, second = lineage.recipes[:2]
    if fails:
        first = Recipe.model_validate(first.model_dump() | {"digest": "0" * 64})
    told = list[tuple[str, BaseException | None]]()
    bench.residents.book.add_mask(lineage.mask)
    bench.residents.book.add_recipe(lineage.recipes[0])
    bench.gate.hold(first.version)
    bench.residents.prepare(first, lambda *said: told.append(said))
    bench.build_begins(first.version)
    bench.residents.prepare(None, lambda *said: told.append(said))
    bench.residents.prepare(second, lambda *said: told.append(said))
    bench.gate.go_on[first.version].set()
    bench.wait(lambda: bool(told) and told[-1][0] == second.version)
    assert told == [(second.version, None)]
