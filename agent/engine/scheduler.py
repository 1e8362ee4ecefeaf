"""Decides which replies go on in a step: admits what there is room for, and preempts unseen ones.

Requests are admitted in the order in which they came, but one that needs more room than there is
may be passed a few times; prompts are read by turns, up to one piece's worth of tokens in a step,
so that running replies wait for one piece at most, and a short prompt for two.

Only the engine's thread calls it. What other threads look at is changed under their lock. Knows
nothing of models or sampling.
"""

import math
import threading
from itertools import islice
from typing import Final

from agent.engine.contract import Counts, Finish, Stream, StreamEvent, SupportsHold, deliver
from agent.engine.passes import Beginning, beginning
from agent.engine.running import Running
from agent.engine.slots import Slots
from agent.engine.spelling import Spellings
from agent.engine.waiting import Waiter, Waiting
from agent.errors import UnknownVersionError
from agent.settings import AgentSettings
from kernels.model.kv import PAGE_TOKENS, KvCache
from streams.model.open import BaseModel

# How often a request that waits for room may be passed by others that fit: as many as run at once
# by default, so that it waits for one more round of them at most.
_PASSES: Final = 16
_LOOKS_AT: Final = 8  # requests at the head of the queue; more would be looked at in every step


class Scheduler:
    """The requests that wait and the replies that run, in the slots of one cache."""

    def __init__(
        self,
        residents: SupportsHold,
        *,
        settings: AgentSettings,
        base: BaseModel,
        changed: threading.Condition,
        counts: Counts,
    ) -> None:
        """Begin with nothing. changed: held while a request moves from one place to another."""
        self._residents, self._changed, self._counts = residents, changed, counts
        self._capacity = settings.context_of(base.context_tokens)
        self._piece_tokens = piece_tokens = settings.prefill_chunk_tokens
        self._spellings = Spellings(base.tokenizer)
        self.cache = KvCache(
            base.decoder,
            capacity=self._capacity,
            tokens=settings.kv_tokens or self._capacity,
            page_tokens=math.gcd(piece_tokens, PAGE_TOKENS),  # so that pieces are whole pages
        )
        self.slots = Slots(self.cache, piece_tokens=piece_tokens, batch=settings.max_batch)
        self.waiting = Waiting(most=settings.max_queue)
        self.running: list[Running] = []
        self._oldest_next = False  # whether the next piece is of the prompt that came first

    @property
    def busy(self) -> bool:
        """Whether anything waits or runs."""
        return bool(self.waiting or self.running)

    def schedule(self, *, unseen: bool) -> list[Running]:
        """Return the replies that go on in this step: by a token, or by a piece of a prompt.

        unseen: whether replies that nobody will see may run
        """
        self._drop_cancelled(unseen=not unseen)
        self.slots.keep_only(self._residents.resident)
        self._admit()
        return self._next()

    def count_read(self, replies: list[Running]) -> list[int]:
        """Count what was read of prompts. Returns: the places of replies that get a token now."""
        for reply in replies:
            if not reply.has_read:
                tokens = self.cache.length(reply.slot) - reply.read
                reply.read += tokens
                self._counts.read_tokens += tokens
        return [place for place, reply in enumerate(replies) if reply.has_read]

    def end(self, reply: Running, event: StreamEvent) -> tuple[Stream, StreamEvent]:
        """End a reply, and return the event of it for its reader."""
        self.running.remove(reply)
        known = reply.request.prompt_token_ids[: reply.read]
        self.slots.release(reply.slot, reply.resident.variant, reply.request.owner, known)
        self._residents.release(reply.resident)
        return reply.stream, event

    def _drop_cancelled(self, *, unseen: bool) -> None:
        """End what nobody waits for any more, and with `unseen` all that nobody will see."""
        with self._changed:
            gone = self.waiting.drop(unseen=unseen)
        deliver([(stream, Finish("cancelled")) for stream in gone])
        for reply in [reply for reply in self.running if reply.stream.cancelled]:
            deliver([self.end(reply, Finish("cancelled"))])
        while unseen and self._preempt():
            pass

    def _admit(self) -> None:
        """Begin the replies that there is room for; unseen ones where no other is wanted.

        One that needs more room than there is does not hold up what fits behind it, until it has
        been passed as often as it may be.
        """
        passed: list[Waiter] = []
        for each in list(islice(self.waiting.seen, _LOOKS_AT)):
            while not (self.slots.free and self._begin(each)):
                if not self._preempt():
                    break
            else:
                for other in passed:
                    other.passed += 1
                continue
            passed.append(each)
            if not self.slots.free or each.passed >= _PASSES:
                return
        unseen = self.waiting.unseen
        while unseen and not self.waiting.seen and self.slots.free:
            if self._due() != self.running or not self._begin(unseen[0]):
                return

    def _begin(self, waiting: Waiter) -> bool:
        """Begin a reply, or end it where it cannot be made. Returns: False when it has to wait."""
        request, stream = waiting.request, waiting.stream
        try:
            resident = self._residents.hold(request.assign)
        except UnknownVersionError as cause:
            with self._changed:
                self.waiting.remove(waiting)
            self._counts.failed_replies += 1
            deliver([(stream, cause)])
            return True
        prompt = request.prompt_token_ids
        most_tokens = min(len(prompt) + request.sampling.max_tokens, self._capacity)
        slot = self.slots.take(resident.variant, request.owner, prompt, most_tokens=most_tokens)
        if slot is None:
            self._residents.release(resident)
            return False
        reply = Running.begun(request, stream, resident, slot, spellings=self._spellings)
        stream.variant = resident.variant
        with self._changed:  # at once: it is always found, waiting or running
            self.waiting.remove(waiting)
            self.running.append(reply)
        self._find(reply)
        return True

    def _due(self) -> list[Running]:
        """Return the replies that go on now: unseen ones only while there are no others."""
        return [reply for reply in self.running if not reply.request.unseen] or [*self.running]

    def _preempt(self) -> bool:
        """Cancel the newest unseen reply, for its place; False where there is none."""
        unseen = [reply for reply in self.running if reply.request.unseen]
        if unseen:
            self._counts.preempted_replies += 1
            deliver([self.end(unseen[-1], Finish("cancelled"))])
        return bool(unseen)

    def _room(self, reply: Running) -> bool:
        """Make room for one more token of a reply, if need be in the place of an unseen one."""
        while reply in self.running:
            if self.slots.room(reply.slot):
                return True
            if not self._preempt():
                break
        return False

    def _find(self, reply: Running) -> None:
        """Count what of a prompt need not be read, because the cache has it."""
        found = self.cache.length(reply.slot) - reply.read
        reply.read += found
        reply.stream.reused_tokens += found
        self._counts.reused_tokens += found

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
            self.slots.catch_up(reply.slot)  # what another has read of the same meanwhile
            self._find(reply)
            begun = beginning(reply, self._piece_tokens)
            if begun is None or begun not in reads:  # else it takes that up in the next step
                reads.add(begun)
                budget -= len(reply.unread_ids(self._piece_tokens))
                going.append(reply)
        return going
