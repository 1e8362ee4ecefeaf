"""Runs the learner until it is told to stop: opens its parts, waits for the lease, steps.

It computes at the lowest priority, on as many threads as its share of the machine, and no faster
than that share. A log or store that is away is waited for; whatever was half done is repeated.
"""

import dataclasses
import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import torch

from kernels.contract import Backend
from kernels.open import open_backend
from learner.assembly import open_parts
from learner.idle.pace import Clocks, IdlePause, Pace
from learner.loop import Learner
from learner.rollout.webhook import notifying
from learner.safety.kept import kept_of
from learner.safety.measuring import measuring_of
from learner.settings import LearnerSettings, group_of
from learner.steps.writer import RENEW_S
from streams.errors import (
    ConflictError,
    LeaseLostError,
    LogUnavailableError,
    StoreUnavailableError,
)
from streams.log.contract import Log
from streams.model.open import BaseModel, load_base
from streams.open import open_log
from streams.settings import (
    NO_OTEL,
    ModelSettings,
    OtelSettings,
    RolloutSettings,
    StreamsSettings,
)
from streams.store.lease import Lease
from streams.store.store import Store, open_store
from streams.trace.contract import Tracer
from streams.trace.open import open_tracer

_LOG = logging.getLogger(__name__)

# How long an idle learner waits for the next entry: also how late a lingering turn is noticed.
WAIT_S: Final = 0.5
# Between two tries while log, store or lease cannot be had.
RETRY_S: Final = 2.0
# The lowest priority: a reply that wants a core gets it.
NICE: Final = 19


class Stopped(BaseException):
    """The process was told to stop in the middle of a step; it is repeated at the next start.

    It may be raised anywhere in what others wrote, and what calls a failure of any kind by another
    name must not take it for one.
    """


def run(
    *,
    streams: StreamsSettings,
    model: ModelSettings,
    settings: LearnerSettings,
    rollout: RolloutSettings,
    otel: OtelSettings = NO_OTEL,
    stop: threading.Event | None = None,
    nice: int = NICE,
) -> None:
    """Learn until `stop` is set, or SIGTERM or SIGINT comes where there is none.

    nice: how far this thread and what it starts step back behind replies, 0 to 19
    raises: ModelFilesError, SchemaError, LedgerError, KernelError, each with a sentence that says
        what to do
    """
    has_signals, stop = stop is None, stop or threading.Event()
    try:
        if has_signals:
            stop_at_signals(stop, at_once=True)
        pause = yield_to_others(settings, stop, nice)
        base = load_base(model, plain_head=True)
        backend = open_backend(model.backend, base.decoder.device)
        if has_signals:
            stop_at_signals(stop)
    except (Stopped, Exception):
        if not stop.is_set():
            raise
        _LOG.info("stopped while it was starting")  # whatever became of the wish on its way here
        return
    log, store = open_log(streams), open_store(streams)
    tracer = open_tracer(otel, service="quickset-learner")
    try:
        _learn(
            base, backend, streams, model, settings, rollout,
            store=store, log=log, stop=stop, pause=pause, tracer=tracer,
        )  # fmt: skip
    except Stopped:
        _LOG.info("stopped in the middle of a step, which is repeated at the next start")
    finally:
        tracer.close()
        log.close()
        store.close()


def _learn(
    base: BaseModel,
    backend: Backend,
    streams: StreamsSettings,
    model: ModelSettings,
    settings: LearnerSettings,
    rollout: RolloutSettings,
    *,
    store: Store,
    log: Log,
    stop: threading.Event,
    pause: Callable[[], None],
    tracer: Tracer,
) -> None:
    # A start that dies must not be taken for the next one, even on the same machine.
    holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    lease = Lease(store, group_of(settings.line), holder=holder)
    kept = kept_of(model, base.name)
    try:
        while _acquired(lease, stop):
            try:
                own = IdlePause(_with_renewal(lease, pause))
                measuring = measuring_of(base, settings, backend=backend, pause=own, kept=kept)
                parts = open_parts(
                    measuring, streams, settings, store=store, log=log, lease=lease, pause=own
                )
                with notifying(rollout, store, line=settings.line):
                    _step_until(
                        stop, Learner(dataclasses.replace(parts, rollout=rollout, tracer=tracer))
                    )
            except LeaseLostError as cause:
                _LOG.warning("%s; waiting until it is free", cause)
    finally:
        with suppress(StoreUnavailableError):  # it runs out by itself
            lease.release()


def _acquired(lease: Lease, stop: threading.Event) -> bool:
    waiting = False
    while not stop.is_set():
        try:
            if lease.acquire():
                return True
            if not waiting:
                _LOG.info("another learner holds %s: standing by", lease.name)
            waiting = True
        except StoreUnavailableError as cause:
            _LOG.warning("%s", cause)
        stop.wait(RETRY_S)
    return False


def _step_until(stop: threading.Event, learner: Learner) -> None:
    try:
        while not stop.is_set():
            try:
                learner.step(wait_s=WAIT_S)
            except (LogUnavailableError, StoreUnavailableError) as cause:
                _LOG.warning("%s; trying again", cause)
                stop.wait(RETRY_S)
            except ConflictError as cause:
                _LOG.warning("%s; reading again from the stored offsets", cause)
                learner.close()
    finally:
        learner.close()


def take_threads(settings: LearnerSettings) -> int:
    """Compute with as many threads as the share of this machine says; return its cores.

    Sums may round differently with another number of threads: what is to be equal to the bit uses
    the same number.
    """
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(max(1, round(cores * settings.cpu_share)))
    return cores


def yield_to_others(
    settings: LearnerSettings, stop: threading.Event, nice: int
) -> Callable[[], None]:
    """Take this process out of the way of replies, and return what is called between pieces.

    nice: how far it steps back behind replies, 0 to 19
    """
    os.nice(nice)
    clocks = Clocks(sleep=stop.wait)
    pace = Pace(settings.cpu_share, cores=take_threads(settings), clocks=clocks)

    def pause() -> None:
        pace()
        if stop.is_set():  # while it slept, too: the next piece may take a while
            raise Stopped

    return pause


def _with_renewal(lease: Lease, pause: Callable[[], None]) -> Callable[[], None]:
    """Keep the lease through work that takes longer than it lasts: measuring, the gate."""
    renewed_s = time.monotonic()

    def pause_and_renew() -> None:
        nonlocal renewed_s
        pause()
        if time.monotonic() - renewed_s >= RENEW_S:
            lease.renew()
            renewed_s = time.monotonic()

    return pause_and_renew


def stop_at_signals(stop: threading.Event, *, at_once: bool = False) -> None:
    """Note at SIGTERM and SIGINT that this process is to stop.

    at_once: stop wherever it is, for what takes long and looks at nothing, and holds nothing yet;
        told again, it is ending already
    """

    def told(*_: object) -> None:
        ending = stop.is_set()
        stop.set()
        if at_once and not ending:
            raise Stopped

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
