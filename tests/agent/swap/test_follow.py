"""The follower takes into service what the log decides, and nothing that fails a check."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.errors import NoPreviousError, SwapError
from agent.swap.follow import STANDS_S, Follower
from agent.swap.residents import Stands
from agent.turn.assign import assign
from agent.watch.events import Events
from agent.watch.metrics import Metrics
from kernels.errors import DigestMismatchError
from streams.errors import ConflictError, LogUnavailableError, VerbRefusedError
from streams.line.line import Line, Trial
from streams.log.contract import Log, Outgoing, Subscription, outgoing
from streams.log.sqlite import SqliteLog
from streams.records import Candidate, Forgotten, Mask, Recipe, Record, Rollout, encode
from tests.agent.fakes import FakeResidents
from tests.agent.turn.test_reply import ask

WAIT_S = 60.0
MASK = Mask(base="base", neurons={0: [1]}, groups={})


def recipe(parent: str, number: int, *, mask: Mask = MASK) -> Recipe:
    return Recipe(
        line="main", number=number, parent=parent, strategy="es", noise="rank1", key="0" * 16,
        coefficients=[1], step=1, sigma_log2=-4, layers=[0], modules=["up_proj"], scales=[0],
        mask=mask.digest, digest="d",
    )  # fmt: skip


A = recipe("base", 1)
B = recipe(A.version, 2)
C = recipe(B.version, 3)


def rollout(seq: int, version: str, previous: str = "") -> Rollout:
    return Rollout(
        id=f"r{seq}{version}", line="main", seq=seq, version=version, previous=previous,
        state="completed", verb="promote", reason="better", who="learner", created_ms=seq,
    )  # fmt: skip


class Versions(FakeResidents):
    """Resident versions without weights that fail where they are told to."""

    def __init__(self) -> None:
        super().__init__("base")
        self.promoted: list[str] = []
        self.failing: dict[str, Exception] = {}
        self.changed = threading.Condition()
        self.during: Callable[[str], None] = lambda _: None

    def promote(self, version: str, *, back: bool = False, stands: Stands = lambda: True) -> bool:
        self.during(version)
        with self.changed:
            self.changed.notify_all()
            if version in self.failing:
                raise self.failing[version]
            flipped = super().promote(version, back=back, stands=stands)
            if flipped:
                self.promoted.append(version)
            return flipped

    def try_out(self, trial: Trial | None, *, stands: Stands = lambda: True) -> bool:
        if trial is not None:
            self.during(trial.version)
        if trial is not None and trial.version in self.failing:
            raise self.failing[trial.version]
        return super().try_out(trial, stands=stands)

    def wait(self, version: str) -> None:
        """Wait until a version serves."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.serving == version, WAIT_S), self.serving


class BreakableLog:
    """A real log that can be away."""

    def __init__(self, log: Log) -> None:
        self.log, self.away = log, False

    def subscribe(self, *given: Any, **named: Any) -> "BreakableSubscription":
        if self.away:
            raise LogUnavailableError("the broker is away")
        return BreakableSubscription(self, self.log.subscribe(*given, **named))

    def __getattr__(self, name: str) -> object:
        if self.away:
            raise LogUnavailableError("the broker is away")
        return getattr(self.log, name)


class BreakableSubscription:
    """A reader of a log that can be away: then it can still be closed, and nothing else."""

    def __init__(self, log: BreakableLog, reader: Subscription) -> None:
        self.log, self.reader = log, reader

    def close(self) -> None:
        self.reader.close()

    def __getattr__(self, name: str) -> object:
        if self.log.away:
            raise LogUnavailableError("the broker is away")
        return getattr(self.reader, name)


class LogBench:
    """A real log that a follower reads, and what the follower tells of."""

    def __init__(self, folder: Path) -> None:
        self.log = SqliteLog(folder / "log.db")
        self.events, self.metrics = Events(), Metrics()

    def append(self, records: list[Outgoing]) -> Future[bool]:
        self.log.append(records)
        done: Future[bool] = Future()
        done.set_result(True)
        return done

    def publish(self, *records: Record) -> None:
        for record in records:
            topic = "rollouts" if isinstance(record, Rollout) else "recipes"
            self.log.append([outgoing(topic, "main", record)])  # type: ignore[arg-type]

    def wait(self, what: Callable[[], bool]) -> None:
        """Wait until the follower's thread has made something true."""
        pause = threading.Event()
        for _ in range(int(WAIT_S / 0.01)):
            if what():
                return
            pause.wait(0.01)
        pytest.fail(f"never happened; events: {list(self.events)}")

    def sample(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"quickset_{name}_total", labels) or 0.0


class Bench(LogBench):
    """A follower between a real log and fake versions."""

    def __init__(self, folder: Path, *, left: Sequence[Rollout] = ()) -> None:
        super().__init__(folder)
        self.breakable, self.versions = BreakableLog(self.log), Versions()
        self.forgotten: list[Forgotten] = []
        self.put: Callable[[list[Outgoing]], Future[bool]] = self.append
        self.follower = Follower(
            self.breakable,  # type: ignore[arg-type]  # a log by delegation
            self.versions,
            line="main",
            base="base",
            put=lambda records: self.put(records),
            left=[outgoing("rollouts", each.line, each) for each in left],
            events=self.events,
            metrics=self.metrics,
            clock=lambda: 1.0,
            forget=self.forgotten.append,
            poll_s=0.02,
        )

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench whose follower has not started."""
    made = Bench(tmp_path)
    yield made
    made.follower.stop()
    made.log.close()


def test_an_agent_that_starts_late_builds_what_it_needs(bench: Bench) -> None:
    """Of a long history only what serves is built, and what a rollback would take back."""
    bench.publish(MASK, A, rollout(1, A.version), B, rollout(2, B.version), C)
    bench.publish(rollout(3, C.version))
    bench.follower.start()
    bench.versions.wait(C.version)
    assert bench.versions.promoted == [B.version, C.version]
    bench.wait(lambda: bench.follower.following().caught_up)
    assert bench.follower.following().line.previous == B.version
    assert bench.sample("swaps", verb="promote") == 1


def test_what_is_announced_is_built_ahead_until_it_is_decided_on(bench: Bench) -> None:
    """It serves nobody; a decision for it, or its withdrawal, ends that, at a late start too."""

    def announced(made: Recipe | None) -> Candidate:
        body = json.loads(encode(made)) if made else {}
        return Candidate(id=uuid.uuid4().hex, line="main", recipe=body, created_ms=1)

    bench.publish(MASK, announced(A), A, rollout(1, A.version), announced(B))
    bench.follower.start()
    bench.wait(lambda: bench.versions.ahead == B.version)
    assert bench.versions.serving == A.version
    assert bench.kinds() == ["swap", "ahead"]
    bench.publish(announced(None))
    bench.wait(lambda: bench.versions.ahead is None)
    bench.publish(announced(B), B, rollout(2, B.version))
    bench.versions.wait(B.version)
    bench.wait(lambda: bench.versions.ahead is None)
    bench.publish(announced(None), Candidate(id="x", line="main", recipe={"v": 0}, created_ms=1))
    bench.wait(lambda: bench.sample("unreadable_records") == 1)
    assert bench.versions.serving == B.version


def test_a_rollout_waits_for_its_recipe_and_mask(bench: Bench) -> None:
    """A decision that comes before what it needs is pending, and is kept."""
    bench.follower.start()
    bench.publish(rollout(1, A.version), A)
    bench.wait(lambda: bench.follower.following().pending == A.version)
    assert bench.versions.serving == "base"
    bench.publish(MASK)
    bench.versions.wait(A.version)
    bench.wait(lambda: bench.follower.following().pending is None)


def test_a_version_that_fails_a_check_does_not_serve(bench: Bench) -> None:
    """The old version serves on, the failure is counted, told and shown; the next one is tried."""
    bench.versions.failing[A.version] = DigestMismatchError("K is not what the recipe promises")
    bench.publish(MASK, A, rollout(1, A.version))
    bench.follower.start()
    bench.wait(lambda: bench.follower.following().failed is not None)
    assert bench.versions.serving == "base"
    assert "promises" in str(bench.follower.following().failed)
    assert bench.kinds() == ["swap-failed"]
    assert bench.sample("failed_swaps", cause="DigestMismatchError") == 1
    bench.publish(B, rollout(2, B.version))
    bench.versions.wait(B.version)
    bench.wait(lambda: bench.follower.following().failed is None)


def test_a_poison_record_holds_nothing_up(bench: Bench) -> None:
    """What cannot be read is counted and told, and what follows it is used."""
    bench.log.append([Outgoing("recipes", "main", "x", b"no record"),
                      Outgoing("rollouts", "main", "y", b'{"kind":"rollout","v":99}')])  # fmt: skip
    bench.publish(MASK, A, rollout(1, A.version))
    bench.follower.start()
    bench.versions.wait(A.version)
    assert bench.kinds()[:2] == ["unreadable", "unreadable"]
    assert bench.sample("unreadable_records") == 2


def test_the_log_may_come_late(bench: Bench) -> None:
    """An agent that starts without its log serves, says so, and catches up when the log comes."""
    bench.publish(MASK, A, rollout(1, A.version))
    bench.breakable.away = True
    bench.follower.start()
    bench.wait(lambda: bench.follower.following().away is not None)
    assert bench.versions.serving == "base"
    bench.breakable.away = False
    bench.versions.wait(A.version)
    bench.wait(lambda: bench.kinds()[:2] == ["log-away", "log-back"])


def test_a_rollback_serves_at_once_and_is_written_down(bench: Bench) -> None:
    """The previous version serves when the call returns; the log then says the same."""
    bench.publish(MASK, A, B, rollout(1, A.version), rollout(2, B.version))
    bench.follower.start()
    bench.versions.wait(B.version)
    bench.wait(lambda: bench.follower.following().line.seq == 2)
    back = bench.follower.rollback("ann", "it was rude", expected_seq=2)
    assert bench.versions.serving == A.version
    assert (back.seq, back.version, back.previous) == (3, A.version, B.version)
    assert (back.verb, back.state, back.who) == ("rollback", "aborted", "ann")
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    assert bench.follower.following().line.previous == "base"
    assert bench.versions.serving == A.version
    assert bench.sample("swaps", verb="rollback") == 1


def test_what_a_rollback_passed_over_is_no_failure_of_what_serves(bench: Bench) -> None:
    """The follower's thread may have tried the version, too, as a change of the same place."""
    bench.publish(MASK, A, B, rollout(1, A.version), rollout(2, B.version))
    bench.follower.start()
    bench.versions.wait(B.version)
    bench.wait(lambda: bench.follower.following().line.seq == 2)
    bench.versions.failing[A.version] = MemoryError("no room")

    def until_both_failed(version: str) -> None:
        if version == A.version and threading.current_thread() is threading.main_thread():
            bench.wait(lambda: bench.follower.following().failed is not None)

    bench.versions.during = until_both_failed
    back = bench.follower.rollback("ann", "it was rude")
    assert (back.seq, back.version, bench.versions.serving) == (3, "base", "base")
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    assert bench.follower.following().line.version == "base"
    assert bench.follower.following().failed is None


def test_a_rollback_needs_no_log(bench: Bench) -> None:
    """With the log away the previous version serves all the same, and nothing undoes it."""
    bench.publish(MASK, A, rollout(1, A.version))
    bench.follower.start()
    bench.versions.wait(A.version)
    bench.breakable.away = True
    spooled: list[Outgoing] = []
    bench.put = lambda records: spooled.extend(records) or Future()  # type: ignore[func-returns-value]
    bench.follower.rollback("ann", "wrong")
    assert bench.versions.serving == "base"
    assert bench.follower.following().line.seq == 2
    assert len(spooled) == 1


@pytest.mark.fault("full disk")
def test_a_disk_that_is_full_does_not_stop_a_rollback(bench: Bench) -> None:
    """What cannot be written down still serves, and the operator is told what that means."""
    bench.publish(MASK, A, rollout(1, A.version))
    bench.follower.start()
    bench.versions.wait(A.version)

    def refuse(_: list[Outgoing]) -> Future[bool]:
        done: Future[bool] = Future()
        done.set_result(False)
        return done

    bench.put = refuse
    bench.follower.rollback("ann", "wrong")
    assert bench.versions.serving == "base"
    assert bench.kinds()[-1] == "rollback-unwritten"


def test_a_rollback_that_comes_second_is_written_again(bench: Bench) -> None:
    """A promotion that reached the log first is taken back too: the operator's decision stands."""
    bench.publish(MASK, A, B, rollout(1, A.version))
    bench.follower.start()
    bench.versions.wait(A.version)
    held: list[list[Outgoing]] = []
    bench.put = lambda records: held.append(records) or Future()  # type: ignore[func-returns-value]
    bench.follower.rollback("ann", "wrong")
    bench.publish(rollout(2, B.version))
    bench.wait(lambda: len(held) == 2)
    bench.put = bench.append
    for records in held:
        bench.log.append(records)
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    line = bench.follower.following().line
    assert (line.seq, line.version) == (3, "base")
    assert bench.versions.serving == "base"
    assert B.version not in bench.versions.promoted


def gone_back(seq: int, version: str, *, line: str = "main") -> Rollout:
    """The record of an operator who went back."""
    values = {"verb": "rollback", "who": "ann", "id": f"back{seq}", "line": line}
    return rollout(seq, version).model_copy(update=values)


@pytest.mark.parametrize("came_first", [True, False])
def test_a_rollback_in_the_spool_stands_over_a_restart(tmp_path: Path, came_first: bool) -> None:
    """It is made again behind a promotion that reached the log first, and else is not.

    Left of other lines, or no rollback, is nothing of this one.
    """
    back = gone_back(3, A.version)
    left = [gone_back(1, "base", line="other"), back, rollout(9, C.version)]
    bench = Bench(tmp_path, left=left)
    bench.publish(MASK, A, B, C, rollout(1, A.version), rollout(2, B.version))
    if came_first:
        bench.publish(rollout(3, C.version))
    else:
        bench.publish(back, rollout(4, C.version))
    held: list[Outgoing] = []
    bench.put = lambda records: held.extend(records) or Future()  # type: ignore[func-returns-value]
    bench.follower.start()
    bench.versions.wait(A.version if came_first else C.version)
    assert bench.kinds()[0] == "rollback"
    bench.publish(back)  # what the spool drains, a second time in the one case
    bench.log.append(held)
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    line = bench.follower.following().line
    assert (line.seq, line.version) == (4, A.version if came_first else C.version)
    assert len(held) == came_first
    assert (C.version in bench.versions.promoted) is not came_first
    bench.follower.stop()
    bench.log.close()


def test_a_rollback_in_the_spool_is_in_force_before_the_log_has_it(tmp_path: Path) -> None:
    """What it took back does not serve again meanwhile, and is not built."""
    bench = Bench(tmp_path, left=[gone_back(3, A.version), gone_back(4, "base")])
    bench.publish(MASK, A, B, rollout(1, A.version), rollout(2, B.version))
    bench.follower.start()
    bench.wait(lambda: bench.follower.following().caught_up)
    assert (bench.versions.promoted, bench.versions.serving) == ([], "base")
    assert bench.follower.decisions.unwritten == 2
    bench.publish(gone_back(3, A.version), gone_back(4, "base"))
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    assert bench.follower.following().line.seq == 4
    bench.follower.stop()
    bench.log.close()


def test_a_rollback_of_days_ago_is_told_and_not_made_again(tmp_path: Path) -> None:
    """Whatever was decided since then, its host cannot know."""
    old = gone_back(3, A.version)
    old = old.model_copy(update={"created_ms": -int(2 * STANDS_S * 1000)})
    bench = Bench(tmp_path, left=[old])
    bench.publish(MASK, A, B, C, rollout(1, A.version), rollout(2, B.version))
    bench.publish(rollout(3, C.version), old)
    bench.follower.start()
    bench.versions.wait(C.version)
    assert bench.kinds()[0] == "rollback"
    assert bench.follower.decisions.unwritten == 0
    bench.follower.stop()
    bench.log.close()


def test_two_operators_who_take_back_the_same_version_take_it_back_once(bench: Bench) -> None:
    """The second one's record is ignored, and not written again."""
    bench.publish(MASK, A, B, rollout(1, A.version), rollout(2, B.version))
    bench.follower.start()
    bench.versions.wait(B.version)
    held: list[list[Outgoing]] = []
    bench.put = lambda records: held.append(records) or Future()  # type: ignore[func-returns-value]
    bench.follower.rollback("ann", "wrong")
    other = rollout(3, A.version).model_copy(update={"verb": "rollback", "who": "bob", "id": "bob"})
    bench.publish(other)
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    assert len(held) == 1
    assert bench.follower.following().line.version == A.version


def test_a_rollback_never_goes_forward_to_what_was_taken_back(bench: Bench) -> None:
    """When somebody went back further first, there is nothing left to take back."""
    bench.publish(MASK, A, B, rollout(1, A.version), rollout(2, B.version))
    bench.follower.start()
    bench.versions.wait(B.version)
    held: list[list[Outgoing]] = []
    bench.put = lambda records: held.append(records) or Future()  # type: ignore[func-returns-value]
    bench.follower.rollback("ann", "wrong")
    bench.publish(rollout(3, "base").model_copy(update={"verb": "rollback", "id": "bob"}))
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    assert len(held) == 1
    assert bench.follower.following().line.served == ("base",)


def test_a_rollback_during_a_swap_has_the_last_word(bench: Bench) -> None:
    """A version that was being built when it was taken back does not stay in service."""
    bench.publish(MASK, A, B, rollout(1, A.version))
    bench.follower.start()
    bench.versions.wait(A.version)
    building, finish = threading.Event(), threading.Event()

    def slow(version: str) -> None:
        if version == B.version:
            building.set()
            assert finish.wait(WAIT_S)

    bench.versions.during = slow
    bench.publish(rollout(2, B.version))
    assert building.wait(WAIT_S)
    bench.follower.rollback("ann", "stop")
    finish.set()
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    assert bench.versions.serving == A.version
    assert bench.versions.promoted == [A.version]


def test_a_rollback_that_the_log_has_passed_by_changes_nothing(bench: Bench) -> None:
    """Whoever goes back does not go forward to what was taken back while it was built."""
    bench.publish(MASK, A, B, rollout(1, A.version), rollout(2, B.version))
    bench.follower.start()
    bench.versions.wait(B.version)
    bench.wait(lambda: bench.follower.following().line.seq == 2)

    def passed_by(_: str) -> None:
        if threading.current_thread() is threading.main_thread():
            other = {"verb": "reset", "state": "aborted", "id": "bob", "who": "bob"}
            bench.publish(rollout(3, "base").model_copy(update=other))
            bench.versions.wait("base")

    bench.versions.during = passed_by
    bench.follower.rollback("ann", "wrong")
    assert bench.versions.promoted[-1] == bench.versions.serving == "base"
    told = [event.text for event in bench.events if event.kind == "rollback"]
    assert told == [f"ann went back to {A.version}, and by then the log to base: wrong"]


def test_a_rollback_that_fails_takes_nothing_back_that_came_since(bench: Bench) -> None:
    """Where the log has gone back, and on to another version, the one before is not tried."""
    bench.publish(MASK, A, B, C, rollout(1, A.version), rollout(2, B.version))
    bench.follower.start()
    bench.versions.wait(B.version)
    bench.wait(lambda: bench.follower.following().line.seq == 2)
    bench.versions.failing[A.version] = MemoryError("no room")

    def passed_by(version: str) -> None:
        if version == A.version and threading.current_thread() is threading.main_thread():
            other = {"verb": "reset", "state": "aborted", "id": "bob", "who": "bob"}
            bench.publish(rollout(3, "base").model_copy(update=other), rollout(4, C.version))
            bench.versions.wait(C.version)

    bench.versions.during = passed_by
    with pytest.raises(ConflictError, match="changed meanwhile: look again"):
        bench.follower.rollback("ann", "wrong")
    line = bench.follower.following().line
    assert (line.seq, line.version, bench.versions.serving) == (4, C.version, C.version)
    assert bench.follower.decisions.unwritten == 0
    assert not any(event.text.startswith("ann") for event in bench.events)


def test_a_version_that_is_taken_back_and_then_fails_is_not_told(bench: Bench) -> None:
    """Nobody waits for it any more, so its failure is nobody's."""
    bench.publish(MASK, A, B, rollout(1, A.version))
    bench.follower.start()
    bench.versions.wait(A.version)
    begun, go_on = threading.Event(), threading.Event()

    def waits(version: str) -> None:
        if version == B.version:
            begun.set()
            assert go_on.wait(5)

    bench.versions.during = waits
    bench.versions.failing[B.version] = MemoryError("no room")
    bench.publish(rollout(2, B.version))
    assert begun.wait(5)
    bench.follower.rollback("ann", "rude")
    go_on.set()
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    assert not any(event.kind == "swap-failed" for event in bench.events)


def test_an_operator_who_saw_another_state_is_refused(bench: Bench) -> None:
    """A rollback names the seq that its operator saw; a line that moved on is not touched."""
    bench.publish(MASK, A, rollout(1, A.version))
    bench.follower.start()
    bench.versions.wait(A.version)
    with pytest.raises(ConflictError, match="changed meanwhile"):
        bench.follower.rollback("ann", "wrong", expected_seq=7)
    assert bench.versions.serving == A.version


def test_the_base_has_nothing_before_it(bench: Bench) -> None:
    """At the base a rollback is refused in words."""
    with pytest.raises(NoPreviousError, match="base"):
        bench.follower.rollback("ann", "wrong")


def test_a_rollback_passes_over_a_version_that_cannot_be_taken(bench: Bench) -> None:
    """When the previous version cannot be built, the one before it is taken back."""
    bench.versions.failing[A.version] = DigestMismatchError("broken")
    bench.publish(MASK, A, B, rollout(1, A.version), rollout(2, B.version))
    bench.follower.start()
    bench.versions.wait(B.version)
    bench.wait(lambda: bench.follower.following().line.seq == 2)
    assert bench.follower.rollback("ann", "wrong").version == "base"
    assert bench.versions.serving == "base"
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    assert bench.follower.following().line.version == "base"


def test_a_rollback_that_cannot_be_taken_changes_nothing(bench: Bench) -> None:
    """When no earlier version can be built, the serving one serves on and nothing is said."""
    bench.publish(MASK, A, rollout(1, A.version))
    bench.follower.start()
    bench.versions.wait(A.version)
    bench.versions.failing["base"] = MemoryError("no room")
    with pytest.raises(SwapError, match="no room"):
        bench.follower.rollback("ann", "wrong")
    assert bench.versions.serving == A.version
    assert bench.follower.following().line.version == A.version


def test_two_rollbacks_without_a_log_go_back_twice(bench: Bench) -> None:
    """Rollbacks that the log does not have yet add up, and stay in force until it has them."""
    bench.publish(MASK, A, B, rollout(1, A.version), rollout(2, B.version))
    bench.follower.start()
    bench.versions.wait(B.version)
    bench.wait(lambda: bench.follower.following().line.seq == 2)
    held: list[list[Outgoing]] = []
    bench.put = lambda records: held.append(records) or Future()  # type: ignore[func-returns-value]
    assert bench.follower.rollback("ann", "wrong").seq == 3
    assert bench.follower.rollback("ann", "wrong, too").seq == 4
    bench.publish(C)
    bench.wait(lambda: bench.versions.book.is_whole(C.version))
    assert bench.versions.serving == "base"
    for records in held:
        bench.log.append(records)
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    assert bench.follower.following().line == Line("main", ("base",), 4, 1000, "rollback")
    assert bench.versions.serving == "base"


def test_who_is_forgotten_is_told_at_every_start(bench: Bench) -> None:
    """Records of before the start and of later are passed on, each once, and change no version."""
    records = [
        Forgotten(id=f"f{n}", principal=f"p{n}", reason="", who="op", created_ms=n) for n in (1, 2)
    ]
    bench.log.append([outgoing("forgotten", "p1", records[0])])
    bench.follower.start()
    bench.wait(lambda: bench.forgotten == records[:1])
    bench.log.append([outgoing("forgotten", "p2", records[1])])
    bench.wait(lambda: bench.forgotten == records)
    assert bench.versions.serving == "base"


def trial(seq: int, candidate: str, serving: str, *, share: float = 0.1, **rest: Any) -> Rollout:
    """The record that puts a candidate on trial."""
    values = {"candidate": candidate, "share": share, "state": "running", "verb": "start"} | rest
    return rollout(seq, serving, serving).model_copy(update=values)


def test_a_candidate_answers_beside_what_serves_until_its_trial_ends(bench: Bench) -> None:
    """Its share follows the log; when it is aborted nobody is assigned to it any more."""
    bench.publish(MASK, A, B, rollout(1, A.version), trial(2, B.version, A.version))
    bench.follower.start()
    bench.wait(lambda: bench.versions.trial is not None)
    assert bench.versions.serving == A.version
    bench.publish(trial(3, B.version, A.version, share=0.5, verb="step"))
    bench.wait(lambda: bench.versions.trial is not None and bench.versions.trial.share == 0.5)
    bench.publish(trial(4, B.version, A.version, share=0.0, verb="abort", state="aborted"))
    bench.wait(lambda: bench.versions.trial is None)
    assert (bench.versions.serving, bench.follower.following().line.trial) == (A.version, None)


def test_while_the_log_is_away_both_versions_go_on_and_nothing_is_promoted(bench: Bench) -> None:
    """Each session keeps its version; what was decided meanwhile holds when the log is back."""
    bench.publish(MASK, A, B, rollout(1, A.version), trial(2, B.version, A.version, share=0.5))
    bench.follower.start()
    bench.wait(lambda: bench.versions.trial is not None)
    asks = [replace(ask(), session=f"session {number}") for number in range(100)]

    def assigned() -> list[str]:
        line = Line("main", (bench.versions.serving,), trial=bench.versions.trial)
        return [assign(each, line).version for each in asks]

    before = assigned()
    bench.breakable.away = True
    done = {"verb": "step", "state": "completed", "previous": A.version}
    bench.publish(trial(3, B.version, B.version, share=1.0, **done))
    bench.wait(lambda: "log-away" in bench.kinds())
    assert assigned() == before
    assert set(before) == {A.version, B.version}
    bench.breakable.away = False
    bench.versions.wait(B.version)


def test_a_candidate_that_is_gone_back_from_while_it_is_built_answers_nobody(bench: Bench) -> None:
    """With the log away, too, which would tell of it."""
    bench.put = lambda _: Future()

    def gone_back(version: str) -> None:
        if version == B.version and not bench.breakable.away:
            bench.breakable.away = True
            bench.follower.rollback("ann", "back")

    bench.versions.during = gone_back
    bench.publish(MASK, A, B, rollout(1, A.version))
    bench.follower.start()
    bench.versions.wait(A.version)
    bench.publish(trial(2, B.version, A.version, share=0.5))
    bench.wait(lambda: bench.follower.following().away is not None)
    assert (bench.versions.serving, bench.versions.trial) == ("base", None)


def test_a_candidate_that_is_promoted_or_rolled_back_is_on_trial_no_more(bench: Bench) -> None:
    """Completion flips to it; an operator's rollback ends a trial without the log."""
    bench.publish(MASK, A, B, rollout(1, A.version), trial(2, B.version, A.version))
    bench.follower.start()
    bench.wait(lambda: bench.versions.trial is not None)
    done: dict[str, Any] = {
        "verb": "step",
        "state": "completed",
        "previous": A.version,
        "share": 1.0,
    }
    bench.publish(trial(3, B.version, B.version, **done))
    bench.versions.wait(B.version)
    assert bench.versions.trial is None
    bench.publish(C, trial(4, C.version, B.version))
    bench.wait(lambda: bench.versions.trial is not None)
    bench.breakable.away = True
    assert bench.follower.rollback("ann", "worse").version == A.version
    assert (bench.versions.serving, bench.versions.trial) == (A.version, None)


def test_an_agent_that_lacks_the_candidate_serves_on_and_says_so(bench: Bench) -> None:
    """What serves answers the candidate's sessions, until its recipe has come."""
    bench.publish(MASK, A, rollout(1, A.version), trial(2, B.version, A.version))
    bench.follower.start()
    bench.wait(lambda: bench.follower.following().lacking is not None)
    assert bench.versions.trial is None
    assert "recipe or mask is missing" in str(bench.follower.following().lacking)
    assert bench.sample("failed_swaps", cause="CandidateLacking") == 1
    bench.publish(B)
    bench.wait(lambda: bench.versions.trial is not None)
    bench.wait(lambda: bench.follower.following().lacking is None)


def test_a_candidate_that_fails_a_check_answers_nobody(bench: Bench) -> None:
    """It is tried once, told, and the line is as it was; the next candidate is tried again."""
    bench.versions.failing[B.version] = DigestMismatchError("K is not what the recipe promises")
    bench.publish(MASK, A, B, C, rollout(1, A.version), trial(2, B.version, A.version))
    bench.follower.start()
    bench.wait(lambda: "promises" in str(bench.follower.following().lacking))
    bench.wait(lambda: bench.kinds().count("trial-lacking") == 1)
    assert (bench.versions.serving, bench.versions.trial) == (A.version, None)
    bench.publish(trial(3, B.version, A.version, share=0.0, verb="abort", state="aborted"))
    bench.publish(trial(4, C.version, A.version))
    bench.wait(lambda: bench.versions.trial is not None)


def test_a_reset_serves_the_base_with_the_log_away(bench: Bench) -> None:
    """The off switch needs neither log nor disk; nothing is left to go back to, nothing learns."""
    bench.publish(MASK, A, B, rollout(1, A.version), rollout(2, B.version))
    bench.follower.start()
    bench.versions.wait(B.version)
    bench.breakable.away = True
    spooled: list[Outgoing] = []
    bench.put = lambda records: spooled.extend(records) or Future()  # type: ignore[func-returns-value]
    made = bench.follower.reset("ann", "off")
    assert (made.verb, made.version, made.seq) == ("reset", "base", 3)
    assert bench.versions.serving == "base"
    line = bench.follower.following().line
    assert (line.served, line.learning, line.trial) == (("base",), False, None)
    assert len(spooled) == 1
    assert bench.kinds()[-1] == "reset"
    with pytest.raises(VerbRefusedError, match="does not learn"):
        bench.follower.reset("bob", "off")
    with pytest.raises(NoPreviousError):
        bench.follower.rollback("bob", "back")


def test_a_reset_that_comes_second_is_written_again(bench: Bench) -> None:
    """A promotion that reached the log first is taken out of service too."""
    bench.publish(MASK, A, B, rollout(1, A.version))
    bench.follower.start()
    bench.versions.wait(A.version)
    held: list[list[Outgoing]] = []
    bench.put = lambda records: held.append(records) or Future()  # type: ignore[func-returns-value]
    bench.follower.reset("ann", "off")
    bench.publish(rollout(2, B.version))
    bench.wait(lambda: len(held) == 2)
    for records in held:
        bench.log.append(records)
    bench.wait(lambda: not bench.follower.decisions.unwritten)
    line = bench.follower.following().line
    assert (line.seq, line.version, line.learning) == (3, "base", False)
    assert B.version not in bench.versions.promoted


def test_a_replica_that_joins_in_mid_trial_assigns_as_the_others_do(bench: Bench) -> None:
    """It reads the trial as it is by now: the same step, the same share, the same sessions."""
    bench.publish(MASK, A, B, rollout(1, A.version), trial(2, B.version, A.version))
    bench.publish(trial(3, B.version, A.version, share=0.5, verb="step", step=1))
    bench.publish(trial(4, B.version, A.version, share=0.5, verb="hold", state="held", step=1))
    bench.follower.start()
    bench.wait(lambda: bench.versions.trial is not None)
    found = bench.versions.trial
    assert found is not None
    assert (found.state, found.step, found.share) == ("held", 1, 0.5)
    others = Line("main", (A.version,), trial=Trial(B.version, "held", 1, 0.5))
    own = Line("main", (A.version,), trial=found)
    for number in range(200):
        each = replace(ask(), session=f"session {number}")
        assert assign(each, own) == assign(each, others)


def test_a_candidate_that_nobody_sees_is_in_memory_and_has_no_session(bench: Bench) -> None:
    """It is built and proved as any other; while it is paused it isn't kept."""
    bench.publish(MASK, A, B, rollout(1, A.version), trial(2, B.version, A.version, share=0.0))
    bench.follower.start()
    bench.wait(lambda: bench.versions.trial is not None)
    found = bench.versions.trial
    assert found is not None
    assert (found.unseen, found.share) == (True, 0.0)
    assert assign(ask(), Line("main", (A.version,), trial=found)).version == A.version
    bench.publish(trial(3, B.version, A.version, share=0.0, verb="pause", state="paused"))
    bench.wait(lambda: bench.versions.trial is None)
