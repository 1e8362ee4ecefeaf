"""Decodes many replies together: a step admits, reads a piece of a prompt, decodes a token each.

Invariants: a request is assigned its variant when it is admitted, and runs on it from its first to
its last token; requests are admitted in the order in which they came; a long prompt is read in
pieces, so that running replies wait for one piece at most; a seeded reply is the same to the bit
whatever runs beside it; a fault of one reply ends that reply. An unseen reply goes on only in
steps in which no other does, and gives its place up to any other.

One thread, its own, touches model and cache. Knows nothing of HTTP, the log or how versions come.
"""

import logging
import math
import os
import threading
import time
from collections.abc import Iterator
from itertools import chain, groupby
from typing import Literal, Protocol

import torch
from torch import Tensor

from agent.engine.contract import Assign, Counts, Finish, Request, Stream, StreamEvent, deliver
from agent.engine.running import Running, told_by
from agent.engine.sampler import Choice, choose
from agent.engine.slots import Slots
from agent.engine.spelling import Spellings
from agent.engine.waiting import Queue, Waiting
from agent.errors import (
    EngineStoppedError,
    ReplyFailedError,
    UnknownVersionError,
)
from agent.settings import AgentSettings
from agent.swap.residents import Resident
from kernels.model.decode import read_chunk
from kernels.model.kv import PAGE_TOKENS, KvCache
from kernels.model.together import Rows, next_logits_of
from streams.model.open import BaseModel

_LOG = logging.getLogger(__name__)


class SupportsHold(Protocol):
    """What has variants in memory: agent.swap.residents.Residents."""

    def hold(self, assign: Assign) -> Resident:
        """Keep what is assigned until it is released. Raises: UnknownVersionError."""
        ...

    def release(self, resident: Resident) -> None: ...


class BatchingEngine:
    """Continuous batching over the variants in memory (agent.engine.contract.Engine)."""

    def __init__(
        self, residents: SupportsHold, *, settings: AgentSettings, base: BaseModel
    ) -> None:
        """Prepare; nothing runs before `start`."""
        self._residents, self._settings, self._base = residents, settings, base
        self._capacity = min(settings.context_tokens, base.context_tokens)
        self._spellings = Spellings(base.tokenizer)
        piece_tokens = settings.prefill_chunk_tokens
        self._cache = KvCache(
            base.decoder,
            capacity=self._capacity,
            tokens=max(settings.kv_tokens, self._capacity),
            page_tokens=math.gcd(piece_tokens, PAGE_TOKENS),  # so that pieces are whole pages
        )
        self._slots = Slots(self._cache, piece_tokens=piece_tokens, batch=settings.max_batch)
        self._waiting = Waiting(most=settings.max_queue)
        self._running: list[Running] = []
        self._changed = threading.Condition()
        self._state: Literal["new", "serving", "draining", "stopped"] = "new"
        self._fault: Exception | None = None
        self._must_forget = False
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
        torch.set_num_threads(self._settings.threads or os.cpu_count() or 1)
        try:
            with torch.inference_mode():
                while self._wait_for_work():
                    self._step()
        except Exception as fault:  # the thread ends: readers are told, the log has the trace
            self._fault = fault
            _LOG.exception("the engine has stopped")
        self._end_all()

    def _step(self) -> None:
        self._drop_cancelled()
        self._admit()
        for replies, logits in chain(self._prefill(), self._decode()):
            choices = choose([reply.sampler for reply in replies], logits)
            deliver(self._take(replies, choices))

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.notify_all()
            while self._state != "stopped" and not (self._waiting or self._running):
                self._forget_now()
                self._changed.wait()
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
        """Begin the replies that there is room for; unseen ones where no other is wanted."""
        seen, unseen = self._waiting.seen, self._waiting.unseen
        while seen:
            if not (self._slots.free and self._begin(seen)) and not self._preempt():
                return
        while unseen and self._slots.free and self._due() == self._running:
            if not self._begin(unseen):
                return

    def _begin(self, queue: Queue) -> bool:
        """Begin the first reply of a queue on the variant that it is assigned; False: no room."""
        request, stream = queue[0]
        try:
            resident = self._residents.hold(request.assign)
        except UnknownVersionError as cause:
            with self._changed:
                queue.popleft()
            self.counts.failed_replies += 1
            deliver([(stream, cause)])
            return True
        prompt = request.prompt_token_ids
        most_tokens = min(len(prompt) + request.sampling.max_tokens, self._capacity)
        slot = self._slots.take(resident.variant, request.owner, prompt, most_tokens=most_tokens)
        if slot is None:
            self._residents.release(resident)
            return False
        read = self._cache.length(slot)
        told = told_by(request, self._base.tokenizer, self._spellings)
        reply = Running(request, stream, resident, slot, read, *told)
        with self._changed:  # at once: it is always found, waiting or running
            queue.popleft()
            self._running.append(reply)
        self.counts.reused_tokens += read
        stream.reused_tokens, stream.variant = read, resident.variant
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

    def _prefill(self) -> Iterator[tuple[list[Running], Tensor]]:
        """Read pieces of prompts, oldest first, up to one piece's worth of tokens.

        yields: each reply whose prompt is read to its end, with the logits of its first token
        """
        size = budget = self._settings.prefill_chunk_tokens
        for reply in [reply for reply in self._due() if not reply.has_read]:
            if budget <= 0:
                return
            piece = reply.piece(size)
            budget -= len(piece)
            decoder = reply.resident.decoder
            try:
                hidden = read_chunk(decoder, self._cache, reply.slot, piece)
                logits = decoder.logits(hidden[-1:])
            except Exception as cause:
                self._fail([reply], cause)
                continue
            reply.read += len(piece)
            self.counts.read_tokens += len(piece)
            if reply.has_read:
                yield [reply], logits

    def _decode(self) -> Iterator[tuple[list[Running], Tensor]]:
        """Read the newest token of every reply that has one, in one walk of all variants.

        yields: replies of one variant, with the logits (replies, vocabulary) of the token after it
        """
        ready = [r for r in self._due() if r.has_read and self._room(r)]
        ready.sort(key=lambda reply: reply.resident.variant)
        groups = [list(each) for _, each in groupby(ready, key=lambda r: r.resident.variant)]
        if not groups:
            return
        try:
            found = self._next(*groups)
        except Exception as cause:
            if len(groups) == 1:
                self._fail(groups[0], cause)
            else:  # each by itself: a fault concerns one variant
                yield from chain.from_iterable(self._alone(group) for group in groups)
            return
        yield from zip(groups, found, strict=True)

    def _alone(self, replies: list[Running]) -> Iterator[tuple[list[Running], Tensor]]:
        try:
            (logits,) = self._next(replies)
        except Exception as cause:
            self._fail(replies, cause)
            return
        yield replies, logits

    def _next(self, *groups: list[Running]) -> list[Tensor]:
        """Read the newest token of replies, a group a variant; return the logits of each group."""
        parts = [
            Rows(g[0].resident.decoder, [r.slot for r in g], [r.token_ids[-1] for r in g])
            for g in groups
        ]
        return next_logits_of(self._cache, parts)

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
