"""Decodes many replies together: a step schedules, reads and decodes, samples a token each.

Invariants: a request is assigned its variant when it is admitted, and runs on it from its first to
its last token; which replies go on in a step is the scheduler's to say; a seeded reply is the same
to the bit, whatever runs beside it; a fault of one reply ends that reply. An unseen reply goes on
only in steps in which no other does, and gives its place up to any other.

One thread, its own, touches model and cache. Knows nothing of HTTP, the log or how versions come.
"""

import logging
import os
import threading
import time
from typing import Final, Literal

import torch

from agent.engine.contract import (
    Counts,
    Finish,
    Request,
    Stream,
    StreamEvent,
    SupportsHold,
    deliver,
)
from agent.engine.passes import read_next
from agent.engine.running import Running
from agent.engine.sampler import Choice, choose_each
from agent.engine.scheduler import Scheduler
from agent.errors import EngineStoppedError, ReplyFailedError
from agent.settings import AgentSettings
from streams.model.open import BaseModel

_LOG = logging.getLogger(__name__)

_IDLE_S: Final = 5.0  # how soon after a swap nothing is known any more by what has left memory


class BatchingEngine:
    """Continuous batching over the variants in memory (agent.engine.contract.Engine)."""

    def __init__(
        self, residents: SupportsHold, *, settings: AgentSettings, base: BaseModel
    ) -> None:
        """Prepare; nothing runs before `start`."""
        self._residents, self._base = residents, base
        self._capacity = settings.context_of(base.context_tokens)
        self._piece_tokens = settings.prefill_chunk_tokens
        self._threads = settings.threads or os.cpu_count() or 1
        self._changed = threading.Condition()
        self.counts = Counts()
        self._scheduler = Scheduler(
            residents, settings=settings, base=base, changed=self._changed, counts=self.counts
        )
        self._state: Literal["new", "serving", "draining", "stopped"] = "new"
        self._fault: Exception | None = None
        self._must_forget = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and self._fault is None

    @property
    def queued(self) -> int:
        return len(self._scheduler.waiting.seen)

    @property
    def running(self) -> int:
        return len(self._scheduler.running)

    def start(self) -> None:
        self._state = "serving"
        self._thread.start()

    def submit(self, request: Request) -> Stream:
        if not 0 < len(request.prompt_token_ids) < self._capacity:
            raise ValueError(
                f"a prompt of {len(request.prompt_token_ids)} tokens: 1 to {self._capacity - 1} fit"
            )
        stream = Stream()
        with self._changed:
            if self._state != "serving" or not self.alive:
                raise EngineStoppedError("the engine takes no more requests")
            self._scheduler.waiting.add(request, stream)
            self._changed.notify_all()
        return stream

    def forget(self) -> None:
        with self._changed:
            self._must_forget = True
            self._changed.notify_all()

    def drain(self, grace_s: float) -> None:
        end_s = time.monotonic() + grace_s
        with self._changed:
            self._state = "draining"
            self._changed.notify_all()
            while self._thread.is_alive() and self._scheduler.busy:
                if not self._changed.wait(max(end_s - time.monotonic(), 0)):
                    break
            self._state = "stopped"
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                while self._wait_for_work():
                    self._step()
        except Exception as fault:  # the thread ends: readers are told, the log has the trace
            self._fault = fault
            _LOG.exception("the engine has stopped")
        self._end_all()

    def _step(self) -> None:
        going = self._scheduler.schedule(unseen=self._state == "serving")
        self._share_cores(going)
        for replies, found in read_next(self._scheduler.cache, going, self._piece_tokens):
            if isinstance(found, Exception):
                self._fail(replies, found)
            elif told := self._scheduler.count_read(replies):
                chosen = [replies[row] for row in told]
                logits = found if len(told) == len(replies) else found[told]
                deliver(self._take(chosen, choose_each([each.sampler for each in chosen], logits)))

    def _share_cores(self, going: list[Running]) -> None:
        """Decode on a thread less while a version is built: a step waits for its slowest.

        Only where no bit depends on how many there are: in the compiled walk, not in torch's own
        operators, which read longer pieces of prompts, and models that are not compiled.
        """
        walked = self._base.decoder.step is not None and all(each.has_read for each in going)
        threads = max(1, self._threads - (walked and self._residents.building))
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.notify_all()
            while self._state != "stopped" and not self._scheduler.busy:
                self._forget_now()
                self._changed.wait(
                    _IDLE_S if self._scheduler.slots.keep_only(self._residents.resident) else None
                )
            self._forget_now()
            return self._state != "stopped"

    def _forget_now(self) -> None:
        if self._must_forget:
            self._must_forget = False
            self._scheduler.slots.forget()

    def _take(
        self, replies: list[Running], choices: list[Choice | Exception]
    ) -> list[tuple[Stream, StreamEvent]]:
        """Add a token to each reply, end those whose last it was, and return the events of it."""
        events: list[tuple[Stream, StreamEvent]] = []
        stop_ids, capacity = self._base.stop_ids, self._capacity
        for reply, choice in zip(replies, choices, strict=True):
            try:
                if isinstance(choice, Exception):
                    raise choice
                token, finish = reply.take(choice, stop_ids=stop_ids, capacity=capacity)
            except Exception as cause:
                self._fail([reply], cause)
                continue
            self.counts.sampled_tokens += 1
            events.append((reply.stream, token))
            if finish is not None:
                events.append(self._scheduler.end(reply, finish))
        return events

    def _fail(self, replies: list[Running], cause: Exception) -> None:
        """End replies by a fault that concerns only them."""
        _LOG.error("replies have failed", exc_info=cause)
        fault = cause
        if not isinstance(cause, ReplyFailedError):
            fault = ReplyFailedError(f"the reply could not be made: {cause}")
        for reply in replies:
            reply.read = 0  # what the slot holds is not to be trusted
            self.counts.failed_replies += 1
            deliver([self._scheduler.end(reply, fault)])

    def _end_all(self) -> None:
        with self._changed:
            waiting = self._scheduler.waiting.drop_all()
            self._state = "stopped"
        event: StreamEvent = Finish("cancelled")
        if self._fault is not None:
            event = EngineStoppedError(f"the engine has stopped: {self._fault}")
        deliver([(stream, event) for stream in waiting])
        deliver([(reply.stream, event) for reply in self._scheduler.running])
        for reply in list(self._scheduler.running):
            self._scheduler.end(reply, event)
        with self._changed:
            self._changed.notify_all()
