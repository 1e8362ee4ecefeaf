"""Decodes many replies together: a step admits, reads a piece of a prompt, decodes a token each.

Invariants: a request is assigned its variant when it is admitted, and runs on it from its first to
its last token; requests are admitted in the order in which they came, but one that needs more room
than there is may be passed a few times; a long prompt is read in pieces, so that running replies
wait for one piece at most, and a short prompt for two; a seeded reply is the same to the bit,
whatever runs beside it; a fault of one reply ends that reply. An unseen reply goes on only in
steps in which no other does, and gives its place up to any other.

One thread, its own, touches model and cache. Knows nothing of HTTP, the log or how versions come.
"""

import logging
import math
import os
import threading
import time
from itertools import islice
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
from agent.engine.passes import Beginning, beginning, read_next, warm
from agent.engine.running import Running
from agent.engine.sampler import Choice, choose
from agent.engine.slots import Slots
from agent.engine.spelling import Spellings
from agent.engine.waiting import Waiter, Waiting
from agent.errors import (
    EngineStoppedError,
    ReplyFailedError,
    UnknownVersionError,
)
from agent.settings import AgentSettings
from kernels.model.kv import PAGE_TOKENS, KvCache
from streams.model.open import BaseModel

_LOG = logging.getLogger(__name__)

# How often a request that waits for room may be passed by others that fit: as many as run at once
# by default, so that it waits for one more round of them at most.
_PASSES: Final = 16
_LOOKS_AT: Final = 8  # requests at the head of the queue; more would be looked at in every step
_IDLE_S: Final = 5.0  # how soon after a swap nothing is known any more by what has left memory


class BatchingEngine:
    """Continuous batching over the variants in memory (agent.engine.contract.Engine)."""

    def __init__(
        self, residents: SupportsHold, *, settings: AgentSettings, base: BaseModel
    ) -> None:
        """Prepare; nothing runs before `start`."""
        self._residents, self._settings, self._base = residents, settings, base
        self._capacity = settings.context_of(base.context_tokens)
        self._spellings = Spellings(base.tokenizer)
        self._threads = settings.threads or os.cpu_count() or 1
        self._piece_tokens = piece_tokens = settings.prefill_chunk_tokens
        self._cache = KvCache(
            base.decoder,
            capacity=self._capacity,
            tokens=settings.kv_tokens or self._capacity,
            page_tokens=math.gcd(piece_tokens, PAGE_TOKENS),  # so that pieces are whole pages
        )
        self._slots = Slots(self._cache, piece_tokens=piece_tokens, batch=settings.max_batch)
        self._waiting = Waiting(most=settings.max_queue)
        self._running: list[Running] = []
        self._changed = threading.Condition()
        self._state: Literal["new", "serving", "draining", "stopped"] = "new"
        self._fault: Exception | None = None
        self._must_forget = False
        self._oldest_next = False  # whether the next piece is of the prompt that came first
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self.counts = Counts()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and self._fault is None

    @property
    def queued(self) -> int:
        return len(self._waiting.seen)

    @property
    def running(self) -> int:
        return len(self._running)

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
            self._waiting.add(request, stream)
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
            while self._thread.is_alive() and (self._waiting or self._running):
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
                warm(self._cache, self._base.decoder)
                while self._wait_for_work():
                    self._step()
        except Exception as fault:  # the thread ends: readers are told, the log has the trace
            self._fault = fault
            _LOG.exception("the engine has stopped")
        self._end_all()

    def _step(self) -> None:
        self._drop_cancelled()
        self._slots.keep_only(self._residents.resident)
        self._admit()
        going = self._next()
        self._share_cores(going)
        for replies, found in read_next(self._cache, going, self._piece_tokens):
            if isinstance(found, Exception):
                self._fail(replies, found)
            elif told := self._count_read(replies):
                chosen = [replies[row] for row in told]
                logits = found if len(told) == len(replies) else found[told]
                deliver(self._take(chosen, choose([each.sampler for each in chosen], logits)))

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
            while self._state != "stopped" and not (self._waiting or self._running):
                self._forget_now()
                self._changed.wait(
                    _IDLE_S if self._slots.keep_only(self._residents.resident) else None
                )
            self._forget_now()
            return self._state != "stopped"

    def _forget_now(self) -> None:
        if self._must_forget:
            self._must_forget = False
            self._slots.forget()

    def _drop_cancelled(self) -> None:
        stops = self._state != "serving"
        with self._changed:
            gone = self._waiting.drop(unseen=stops)
        deliver([(stream, Finish("cancelled")) for stream in gone])
        for reply in [reply for reply in self._running if reply.stream.cancelled]:
            deliver([self._end(reply, Finish("cancelled"))])
        while stops and self._preempt():
            pass

    def _admit(self) -> None:
        """Begin the replies that there is room for; unseen ones where no other is wanted.

        One that needs more room than there is does not hold up what fits behind it, until it has
        been passed as often as it may be.
        """
        passed: list[Waiter] = []
        for each in list(islice(self._waiting.seen, _LOOKS_AT)):
            while not (self._slots.free and self._begin(each)):
                if not self._preempt():
                    break
            else:
                for other in passed:
                    other.passed += 1
                continue
            passed.append(each)
            if not self._slots.free or each.passed >= _PASSES:
                return
        unseen = self._waiting.unseen
        while unseen and not self._waiting.seen and self._slots.free:
            if self._due() != self._running or not self._begin(unseen[0]):
                return

    def _begin(self, waiting: Waiter) -> bool:
        """Begin a reply, or end it where it cannot be made. Returns: False when it has to wait."""
        request, stream = waiting.request, waiting.stream
        try:
            resident = self._residents.hold(request.assign)
        except UnknownVersionError as cause:
            with self._changed:
                self._waiting.remove(waiting)
            self.counts.failed_replies += 1
            deliver([(stream, cause)])
            return True
        prompt = request.prompt_token_ids
        most_tokens = min(len(prompt) + request.sampling.max_tokens, self._capacity)
        slot = self._slots.take(resident.variant, request.owner, prompt, most_tokens=most_tokens)
        if slot is None:
            self._residents.release(resident)
            return False
        reply = Running.begun(request, stream, resident, slot, spellings=self._spellings)
        stream.variant = resident.variant
        with self._changed:  # at once: it is always found, waiting or running
            self._waiting.remove(waiting)
            self._running.append(reply)
        self._find(reply)
        return True

    def _due(self) -> list[Running]:
        """Return the replies that go on now: unseen ones only while there are no others."""
        return [reply for reply in self._running if not reply.request.unseen] or [*self._running]

    def _preempt(self) -> bool:
        """Cancel the newest unseen reply, for its place; False where there is none."""
        unseen = [reply for reply in self._running if reply.request.unseen]
        if unseen:
            self.counts.preempted_replies += 1
            deliver([self._end(unseen[-1], Finish("cancelled"))])
        return bool(unseen)

    def _room(self, reply: Running) -> bool:
        """Make room for one more token of a reply, if need be in the place of an unseen one."""
        while reply in self._running:
            if self._slots.room(reply.slot):
                return True
            if not self._preempt():
                break
        return False

    def _find(self, reply: Running) -> None:
        """Count what of a prompt need not be read, because the cache has it."""
        found = self._cache.length(reply.slot) - reply.read
        reply.read += found
        reply.stream.reused_tokens += found
        self.counts.reused_tokens += found

    def _to_read(self) -> list[Running]:
        """The replies whose prompts are to be read, first the one whose turn it is.

        By turns that is the oldest, which so comes to its end, and the one with the least left,
        which so need not wait for long ones.
        """
        reading = [reply for reply in self._due() if not reply.has_read]
        self._oldest_next = not self._oldest_next
        if reading and self._oldest_next:
            shortest = min(reading, key=lambda reply: reply.unread)
            reading.remove(shortest)
            reading.insert(0, shortest)
        return reading

    def _next(self) -> list[Running]:
        """The replies that go on in this step: by a token, or by a piece of a prompt.

        Prompts are read up to one piece's worth of tokens.
        """
        going = [reply for reply in self._due() if reply.has_read and self._room(reply)]
        budget, reads = self._piece_tokens, set[Beginning | None]()
        for reply in self._to_read():
            if budget <= 0:
                break
            self._slots.catch_up(reply.slot)  # what another has read of the same meanwhile
            self._find(reply)
            begun = beginning(reply, self._piece_tokens)
            if begun is None or begun not in reads:  # else it takes that up in the next step
                reads.add(begun)
                budget -= len(reply.unread_ids(self._piece_tokens))
                going.append(reply)
        return going

    def _count_read(self, replies: list[Running]) -> list[int]:
        """Count what was read of prompts. Returns: the places of replies that get a token now."""
        for reply in replies:
            if not reply.has_read:
                tokens = self._cache.length(reply.slot) - reply.read
                reply.read += tokens
                self.counts.read_tokens += tokens
        return [place for place, reply in enumerate(replies) if reply.has_read]

    def _take(
        self, replies: list[Running], choices: list[Choice | ReplyFailedError]
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
                events.append(self._end(reply, finish))
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
            deliver([self._end(reply, fault)])

    def _end(self, reply: Running, event: StreamEvent) -> tuple[Stream, StreamEvent]:
        self._running.remove(reply)
        known = reply.request.prompt_token_ids[: reply.read]
        self._slots.release(reply.slot, reply.resident.variant, reply.request.owner, known)
        self._residents.release(reply.resident)
        return reply.stream, event

    def _end_all(self) -> None:
        with self._changed:
            waiting = self._waiting.drop_all()
            self._state = "stopped"
        event: StreamEvent = Finish("cancelled")
        if self._fault is not None:
            event = EngineStoppedError(f"the engine has stopped: {self._fault}")
        deliver([(stream, event) for stream in waiting])
        deliver([(reply.stream, event) for reply in self._running])
        for reply in list(self._running):
            self._end(reply, event)
        with self._changed:
            self._changed.notify_all()
