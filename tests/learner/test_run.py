"""The learner as a process runs it: opened from settings, stopped when told, line kept."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import pytest
import torch
from sqlmodel import select

from kernels.contract import Backend
from learner.assembly import line_mask
from learner.run import Stopped, run, stop_at_signals, yield_to_others
from learner.safety.kept import KeptBase
from learner.safety.measuring import Measuring
from learner.serving import Serving
from learner.settings import MODULES, LearnerSettings
from streams.errors import LedgerError
from streams.line import ledger
from streams.log.contract import outgoing
from streams.model.open import BaseModel
from streams.open import open_log
from streams.records import Candidate, Mask, Message, Recipe, Rollout, decode
from streams.settings import ModelSettings, RolloutSettings, StreamsSettings
from streams.store.lease import Lease
from streams.store.store import Store, open_store
from streams.store.tables import ArtefactRow, GenerationRow, LeaseRow, OutboxRow
from tests.learner.test_serving import draft
from tests.learner.turns import said, turn

SETTINGS = LearnerSettings(
    last_layers=2, pairs=1, turns_per_generation=1, uses=1, linger_s=0, max_reply_tokens=4,
    gate_prompts=1, gate_items=1, gate_tokens=4, gate_tolerance=1.0, gate_odds_nats=100.0,
    gate_sense_nats=100.0, gate_aboutness_nats=100.0, proved_lessons=False, drift_refusal=0.0,
    held_out_fitness=100.0, kl_budget=9.0,
    cpu_share=1.0, frozen_share=0.0,
)  # fmt: skip


@pytest.fixture
def streams(tmp_path: Path) -> StreamsSettings:
    """A home of its own."""
    return StreamsSettings(home=tmp_path / "home")


def go_on() -> None:
    """Never pause."""


@pytest.mark.timeout(300)
def test_a_learner_runs_until_it_is_told_to_stop(
    streams: StreamsSettings, tiny_dir: Path, tiny_base: BaseModel
) -> None:
    """From a corrected turn in the log to a rollout in the log, and a clean end."""
    asked, threads = said("hello"), torch.get_num_threads()
    ids = tiny_base.render(asked)
    first = turn(asked, "a long reply", id="a", version=tiny_base.name, prompt=ids)
    after = [*asked, first.reply, Message(role="user", content="too long")]
    second = turn(after, "ok", id="b", version=tiny_base.name, created_ms=2_000)
    log, stop = open_log(streams), threading.Event()
    log.append(outgoing("turns", "k", each) for each in (first, second))
    model = ModelSettings(path=tiny_dir, cache=streams.home)
    learner = threading.Thread(
        target=run,
        kwargs={
            "streams": streams,
            "model": model,
            "settings": SETTINGS,
            "stop": stop,
            "nice": 0,
            "rollout": RolloutSettings(),
        },
    )
    learner.start()
    reader = log.subscribe(["rollouts"], group=None, positions=lambda _: {})
    while not (entries := reader.poll(wait_s=1)):
        assert learner.is_alive()
    stop.set()
    learner.join()
    torch.set_num_threads(threads)
    rollout = decode(entries[0].value)
    assert isinstance(rollout, Rollout)
    reader.close()
    store = open_store(streams)
    with store.reading() as session:
        (row,) = session.exec(select(GenerationRow)).all()
        assert (row.child, row.state) == (rollout.version, "released")
        assert ledger.chain(session, rollout.version)[0].parent == tiny_base.name
        (lease,) = session.exec(select(LeaseRow)).all()
        assert lease.expires_ms == 0  # given back, so that the next start need not wait
    masks = log.subscribe(["recipes"], group=None, positions=lambda _: {})
    kinds = [type(decode(each.value)) for each in masks.poll(wait_s=0)]
    assert kinds == [Mask, Candidate, Recipe]  # a mask stands before all that names it
    masks.close()
    log.close()
    store.close()


def test_a_learner_that_is_told_to_stop_does_no_further_piece() -> None:
    """Not even where the word came while it slept to keep its share."""
    stop, threads = threading.Event(), torch.get_num_threads()
    pause = yield_to_others(SETTINGS, stop, nice=0)
    torch.set_num_threads(threads)
    pause()
    stop.set()
    with pytest.raises(Stopped):
        pause()


@pytest.fixture
def _own_signals() -> Iterator[None]:
    """Let the test's process answer signals as before."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("_own_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_learner_that_loads_is_stopped_at_once(number: signal.Signals) -> None:
    """Loading looks at nothing, and takes minutes on a loaded machine; later a pause looks."""
    stop = threading.Event()
    stop_at_signals(stop, at_once=True)
    with pytest.raises(Stopped):
        signal.raise_signal(number)
    assert stop.is_set()
    signal.raise_signal(number)  # it is ending, and nothing breaks that off
    stop.clear()
    stop_at_signals(stop)
    signal.raise_signal(number)
    assert stop.is_set()


@contextmanager
def at_call_of(name: str, do: Callable[[], None]) -> Iterator[None]:
    """Do something once, within the first call of a function of this qualified name."""

    def look(frame: FrameType, kind: str, _: object) -> None:
        if kind == "call" and frame.f_code.co_qualname == name:
            sys.setprofile(None)
            do()

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield
    finally:
        assert sys.getprofile() is None, f"{name} was not called"
        sys.setprofile(before)


@pytest.mark.usefixtures("_own_signals")
@pytest.mark.parametrize(
    "name",
    [
        "AutoConfig.from_pretrained",
        "PreTrainedTokenizerBase.from_pretrained",
        "PreTrainedTokenizerBase.apply_chat_template",
    ],
)
def test_a_model_that_was_being_read_is_not_called_damaged(
    streams: StreamsSettings, tiny_dir: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """What takes every failure for a damaged file does not see the wish to stop."""
    model, threads = ModelSettings(path=tiny_dir, cache=streams.home), torch.get_num_threads()
    caplog.set_level("INFO")
    with at_call_of(name, partial(signal.raise_signal, signal.SIGTERM)):
        run(streams=streams, model=model, settings=SETTINGS, rollout=RolloutSettings(), nice=0)
    signal.raise_signal(signal.SIGINT)
    torch.set_num_threads(threads)
    assert "stopped while it was starting" in caplog.text
    assert not (streams.home / "log.db").exists()


@pytest.fixture
def store(streams: StreamsSettings) -> Store:
    """An empty store."""
    return open_store(streams)


@pytest.fixture
def lease(store: Store) -> Lease:
    """A lease that is held."""
    lease = Lease(store, "learner/main", holder="test")
    assert lease.acquire()
    return lease


def grow(store: Store, serving: Serving) -> None:
    """Put one recipe of the line into the ledger."""
    with store.transaction() as session:
        ledger.append(session, serving.child(draft(serving)).recipe)


def test_a_line_keeps_the_mask_that_it_began_with(
    store: Store,
    lease: Lease,
    tiny_base: BaseModel,
    backend: Backend,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """When settings change, a line that has versions keeps its frozen units, and it is said."""
    measuring = Measuring(tiny_base, backend, go_on, KeptBase(tmp_path, tiny_base.name))
    mask = line_mask(store, lease, measuring, SETTINGS)
    again = line_mask(store, lease, measuring, SETTINGS)
    assert mask == again
    with store.reading() as session:
        sent = [row.topic for row in session.exec(select(OutboxRow))]
    assert sent == ["recipes"]  # published once
    grow(store, Serving(tiny_base, backend, mask, layers=[2, 3], modules=MODULES))
    share = SETTINGS.model_copy(update={"frozen_share": 0.1})
    assert line_mask(store, lease, measuring, SETTINGS) == mask
    assert not caplog.records
    other = line_mask(store, lease, measuring, share)
    assert other == mask
    assert "is for new lines" in caplog.text


def test_a_lost_mask_is_said(
    store: Store, lease: Lease, serving: Serving, backend: Backend
) -> None:
    """A line whose mask is gone is not continued under another one."""
    grow(store, serving)
    with pytest.raises(LedgerError, match="lacks the mask"):
        line_mask(store, lease, Measuring(serving.base, backend, go_on), SETTINGS)
    with store.reading() as session:
        assert session.exec(select(ArtefactRow)).all() == []
