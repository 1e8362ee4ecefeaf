"""Decodes many replies together: a step admits, reads a piece of a prompt, decodes a token each.

Invariants: a request runs from its first to its last token on the version that served when it was
admitted; requests are admitted in the order in which they came; a long prompt is read in pieces, so
that running replies wait for one piece at most; a seeded reply is the same to the bit whatever runs
beside it; a fault of one reply ends that reply.

One thread, its own, touches model and cache. Knows nothing of HTTP, the log or how versions come.
"""

import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from agent.engine.contract import Event, Finish, Request, Stream, Token, deliver
from agent.engine.running import Running
from agent.engine.sampler import Choice, Sampler, choose
from agent.engine.slots import Slots
from agent.engine.text import Detokenizer
from agent.errors import EngineStoppedError, QueueFullError, ReplyFailedError
from agent.settings import AgentSettings
from agent.swap.residents import Resident
from kernels.model.decode import next_logits, read_chunk
from kernels.model.kv import PAGE_TOKENS, KvCache
from streams.model.open import BaseModel

__all__ = ["Engine", "Finish", "Request", "Stream", "Token"]

_LOG = logging.getLogger(__name__)


class Versions(Protocol):
    """Who knows which version serves: agent.swap.residents.Residents."""

    def hold(self) -> Resident: ...

    def release(self, resident: Resident) -> None: ...


@dataclass(slots=True)
class Counts:
    """What the engine has done since it started."""

    read_tokens: int = 0  # prompt tokens computed
    reused_tokens: int = 0  # prompt tokens found in the cache
    sampled_tokens: int = 0
    failed_replies: int = 0


class Engine:
    """Continuous batching over the resident versions."""

    def __init__(self, versions: Versions, *, settings: AgentSettings, base: BaseModel) -> None:
        """Prepare; nothing runs before `start`."""
        self._versions, self._settings, self._base = versions, settings, base
        self._capacity = min(settings.context_tokens, base.context_tokens)
        piece_tokens = settings.prefill_chunk_tokens
        self._cache = KvCache(
            base.decoder,
            capacity=self._capacity,
            tokens=max(settings.kv_tokens, self._capacity),
            page_tokens=math.gcd(piece_tokens, PAGE_TOKENS),  # so that pieces are whole pages
        )
        self._slots = Slots(self._cache, piece_tokens=piece_tokens, batch=settings.max_batch)
        self._waiting: deque[tuple[Request, Stream]] = deque()
        self._running: list[Running] = []
        self._changed = threading.Condition()
        self._state: Literal["new", "serving", "draining", "stopped"] = "new"
        self._fault: Exception | None = None
        self._must_forget = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self.counts = Counts()

    @property
    def alive(self) -> bool:
        """Tokens will come."""
        return self._thread.is_alive() and self._fault is None

    @property
    def queued(self) -> int:
        """Requests that wait for a place."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Replies that are being made."""
        return len(self._running)

    def start(self) -> None:
        """Begin to decode."""
        self._state = "serving"
        self._thread.start()

    def submit(self, request: Request) -> Stream:
        """Ask for a reply. Call it in the event loop that will read the stream.

        raises: QueueFullError, EngineStoppedError; ValueError for a prompt that is empty or
            leaves no room for a reply
        """
        if not 0 < len(request.prompt_token_ids) < self._capacity:
            raise ValueError(
                f"a prompt of {len(request.prompt_token_ids)} tokens: 1 to {self._capacity - 1} fit"
            )
        stream = Stream()
        with self._changed:
            if self._state != "serving" or not self.alive:
                raise EngineStoppedError("the engine takes no more requests")
            if len(self._waiting) >= self._settings.max_queue:
                raise QueueFullError(f"{len(self._waiting)} requests wait already")
            self._waiting.append((request, stream))
            self._changed.notify_all()
        return stream

    def forget(self) -> None:
        """Keep nothing of past conversations in the cache, for nobody."""
        with self._changed:
            self._must_forget = True
            self._changed.notify_all()

    def drain(self, grace_s: float) -> None:
        """Take no more requests, let those taken end within grace_s, cancel the rest, stop."""
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
        except Exception as fault:  # the thread's last word: told to every reader, then logged
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
        with self._changed:
            gone = [stream for _, stream in self._waiting if stream.cancelled]
            self._waiting = deque(each for each in self._waiting if not each[1].cancelled)
        deliver([(stream, Finish("cancelled")) for stream in gone])
        for reply in [reply for reply in self._running if reply.stream.cancelled]:
            deliver([self._end(reply, Finish("cancelled"))])

    def _admit(self) -> None:
        """Begin the replies that there is room for; from here on each keeps its version."""
        while self._slots.free and self._waiting:
            request, stream = self._waiting[0]
            prompt, resident = request.prompt_token_ids, self._versions.hold()
            most_tokens = min(len(prompt) + request.sampling.max_tokens, self._capacity)
            slot = self._slots.take(
                resident.version, request.owner, prompt, most_tokens=most_tokens
            )
            if slot is None:
                self._versions.release(resident)
                return
            with self._changed:  # only now, so that a fault before this tells the one who waits
                self._waiting.popleft()
            read = self._cache.length(slot)
            text = Detokenizer(self._text_of, request.sampling.stop)
            sampler = Sampler(request.sampling)
            reply = Running(request, stream, resident, slot, read, sampler, text)
            self._running.append(reply)
            self.counts.reused_tokens += read

    def _prefill(self) -> Iterator[tuple[list[Running], Tensor]]:
        """Read pieces of prompts, oldest first, up to one piece's worth of tokens.

        yields: each reply whose prompt is read to its end, with the logits of its first token
        """
        size = budget = self._settings.prefill_chunk_tokens
        for reply in [reply for reply in self._running if not reply.has_read]:
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
        """Read the newest token of every reply that has one, all replies of a version in one pass.

        yields: these replies, with the logits (replies, vocabulary) of the token after it
        """
        ready = [r for r in self._running if r.has_read and self._slots.room(r.slot)]
        ready.sort(key=lambda reply: reply.resident.version)
        for _, group in groupby(ready, key=lambda reply: reply.resident.version):
            replies = list(group)
            resident = replies[0].resident
            slots, last = [r.slot for r in replies], [r.token_ids[-1] for r in replies]
            try:
                logits = next_logits(resident.decoder, self._cache, slots, last)
            except Exception as cause:
                self._fail(replies, cause)
                continue
            yield replies, logits

    def _take(
        self, replies: list[Running], choices: list[Choice | ReplyFailedError]
    ) -> list[tuple[Stream, Event]]:
        """Add a token to each reply, end those whose last it was, and give what is to be told."""
        told: list[tuple[Stream, Event]] = []
        stop_ids, capacity = self._base.stop_ids, self._capacity
        for reply, choice in zip(replies, choices, strict=True):
            try:
                if isinstance(choice, Exception):
                    raise choice
                token, reason = reply.take(choice, stop_ids=stop_ids, capacity=capacity)
            except Exception as cause:
                self._fail([reply], cause)
                continue
            self.counts.sampled_tokens += 1
            told.append((reply.stream, token))
            if reason is not None:
                told.append(self._end(reply, Finish(reason)))
        return told

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

    def _end(self, reply: Running, event: Event) -> tuple[Stream, Event]:
        self._running.remove(reply)
        known = reply.request.prompt_token_ids[: reply.read]
        self._slots.release(reply.slot, reply.resident.version, reply.request.owner, known)
        self._versions.release(reply.resident)
        return reply.stream, event

    def _end_all(self) -> None:
        with self._changed:
            waiting, self._waiting = list(self._waiting), deque()
            self._state = "stopped"
        event: Event = Finish("cancelled")
        if self._fault is not None:
            event = EngineStoppedError(f"the engine has stopped: {self._fault}")
        deliver([(stream, event) for _, stream in waiting])
        deliver([(reply.stream, event) for reply in self._running])
        for reply in list(self._running):
            self._end(reply, event)
        with self._changed:
            self._changed.notify_all()

    def _text_of(self, ids: list[int]) -> str:
        text: Any = self._base.tokenizer.decode(ids, skip_special_tokens=True)
        return str(text)
