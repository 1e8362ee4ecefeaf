"""Decodes many replies together: a step admits, computes a piece of a prompt, and a token for all.

Invariants: a request runs from its first to its last token on the version that served when it was
admitted; requests are admitted in the order in which they came; a long prompt is computed in
pieces, so that running replies wait for one piece at most; a fault of one reply ends that reply.

One thread, its own, touches model and cache. Knows nothing of HTTP, the log or how versions come.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from agent.errors import AgentError, EngineStoppedError, QueueFullError
from agent.sampler import Sampler
from agent.settings import AgentSettings
from agent.stream import Event, Finish, Request, Stream, Token
from agent.text import Detokenizer
from agent.weights import Resident
from kernels.decode import next_logits, read_chunk
from kernels.kv import KvCache
from streams.base_model import BaseModel

__all__ = ["Engine", "Finish", "Request", "Stream", "Token"]

IDLE_CHUNKS = 4  # with nobody to keep waiting, a prompt is computed in larger pieces

_LOG = logging.getLogger(__name__)


class Versions(Protocol):
    """Who knows which version serves: agent.weights.Residents."""

    def hold(self) -> Resident: ...

    def release(self, resident: Resident) -> None: ...


@dataclass(slots=True, eq=False)
class Running:
    """A reply in the making."""

    request: Request
    stream: Stream
    resident: Resident
    slot: int
    sampler: Sampler
    text: Detokenizer
    computed: int = 0  # prompt tokens in the cache
    token_ids: list[int] = field(default_factory=list)

    @property
    def prefilled(self) -> bool:
        """Its whole prompt is in the cache, and its first token has been sampled."""
        return bool(self.token_ids)


class Engine:
    """Continuous batching over the resident versions."""

    def __init__(self, versions: Versions, *, settings: AgentSettings, base: BaseModel) -> None:
        """Prepare; nothing runs before `start`."""
        self._versions, self._settings, self._base = versions, settings, base
        capacity = min(settings.context_tokens, base.context_tokens)
        self._cache = KvCache(base.decoder, slots=settings.max_batch, capacity=capacity)
        self._waiting: deque[tuple[Request, Stream]] = deque()
        self._running: list[Running] = []
        self._changed = threading.Condition()
        self._state: Literal["new", "serving", "draining", "stopped"] = "new"
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

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

        raises: QueueFullError, EngineStoppedError
        """
        stream = Stream()
        with self._changed:
            if self._state != "serving" or not self.alive:
                raise EngineStoppedError("the engine takes no more requests")
            if len(self._waiting) >= self._settings.max_queue:
                raise QueueFullError(f"{len(self._waiting)} requests wait already")
            self._waiting.append((request, stream))
            self._changed.notify_all()
        return stream

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
        self._prefill()
        for version_group in self._groups():
            self._decode(version_group)

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.notify_all()
            while self._state != "stopped" and not (self._waiting or self._running):
                self._changed.wait()
            return self._state != "stopped"

    def _drop_cancelled(self) -> None:
        with self._changed:
            gone = [stream for _, stream in self._waiting if stream.cancelled]
            self._waiting = deque(each for each in self._waiting if not each[1].cancelled)
        for stream in gone:
            stream.deliver(Finish("cancelled"))
        for reply in [reply for reply in self._running if reply.stream.cancelled]:
            self._end(reply, Finish("cancelled"))

    def _admit(self) -> None:
        """Give free places to those who wait; from here on each keeps the version that serves."""
        while self._cache.free:
            if not self._waiting:
                return
            resident = self._versions.hold()
            with self._changed:  # only now, so that a fault before this tells the one who waits
                request, stream = self._waiting.popleft()
            text = Detokenizer(self._decode_ids, request.sampling.stop)
            sampler, slot = Sampler(request.sampling), self._cache.take()
            self._running.append(Running(request, stream, resident, slot, sampler, text))

    def _prefill(self) -> None:
        """Compute the next piece of the oldest prompt; its last piece gives the first token."""
        reply = next((reply for reply in self._running if not reply.prefilled), None)
        if reply is None:
            return
        alone = not any(other.prefilled for other in self._running)
        size = self._settings.prefill_chunk_tokens * (IDLE_CHUNKS if alone else 1)
        prompt, start = reply.request.prompt_token_ids, reply.computed
        piece = prompt[start : start + size]
        reply.computed += len(piece)
        decoder, linear = reply.resident.decoder, reply.resident.linear
        hidden = read_chunk(decoder, self._cache, reply.slot, piece, linear)
        if reply.computed == len(prompt):
            self._advance([reply], decoder.logits(hidden[-1:], linear))

    def _groups(self) -> Iterable[list[Running]]:
        """The replies that have a token to go on from, by version, by slot."""
        ready = [reply for reply in self._running if reply.prefilled]
        ready.sort(key=lambda reply: (reply.resident.version, reply.slot))
        for _, group in groupby(ready, key=lambda reply: reply.resident.version):
            yield list(group)

    def _decode(self, group: list[Running]) -> None:
        resident = group[0].resident
        slots, last = [reply.slot for reply in group], [reply.token_ids[-1] for reply in group]
        logits = next_logits(resident.decoder, self._cache, slots, last, resident.linear)
        self._advance(group, logits)

    def _advance(self, group: list[Running], logits: Tensor) -> None:
        """Sample and deliver one token of each reply; logits: (group, vocabulary)."""
        for reply, scores in zip(group, logits, strict=True):
            try:
                choice = reply.sampler.choose(scores)
            except AgentError as fault:
                self._end(reply, fault)
                continue
            reply.token_ids.append(choice.id)
            reason = self._why_last(reply, choice.id)
            text = reply.text.add(choice.id, last=reason is not None)
            reason = "stop" if reply.text.stopped else reason
            logprobs = (choice.logprob, choice.sampling_logprob)
            reply.stream.deliver(Token(choice.id, text, *logprobs, reply.resident.version))
            if reason is not None:
                self._end(reply, Finish(reason))

    def _why_last(self, reply: Running, token_id: int) -> Literal["stop", "length"] | None:
        if token_id in self._base.stop_ids:
            return "stop"
        used = len(reply.request.prompt_token_ids) + len(reply.token_ids)
        full = len(reply.token_ids) >= reply.request.sampling.max_tokens
        return "length" if full or used >= self._cache.capacity else None

    def _end(self, reply: Running, event: Event) -> None:
        self._running.remove(reply)
        self._cache.release(reply.slot)
        self._versions.release(reply.resident)
        reply.stream.deliver(event)

    def _end_all(self) -> None:
        with self._changed:
            waiting, self._waiting = list(self._waiting), deque()
            self._state = "stopped"
        event: Event = Finish("cancelled")
        if self._fault is not None:
            event = EngineStoppedError(f"the engine has stopped: {self._fault}")
        for _, stream in waiting:
            stream.deliver(event)
        for reply in list(self._running):
            self._end(reply, event)
        with self._changed:
            self._changed.notify_all()

    def _decode_ids(self, ids: list[int]) -> str:
        text: Any = self._base.tokenizer.decode(ids, skip_special_tokens=True)
        return str(text)
