"""Slots of the cache: a reply's, with pages as it grows, and those of prompts that are still known.

A conversation's next request begins with what the last one began with: that part is not read
again, and replies that begin alike read it once, whichever comes to it first. Only whole pieces of
a prompt are taken up, cut where every prompt is cut, so what is found is to the bit what would be
computed; and only by the same variant, for the same owner: how soon a reply begins must not tell
what somebody else has asked. What is known is let go, the oldest first, when a reply needs its
pages, and when the version that has read it leaves memory.

Pages are few, and a reply that has begun must come to its end. So a reply is given a page only if
afterwards all could still end, one after the other, though each became as long as it may (the
banker's algorithm, Dijkstra 1965). So no reply is begun in vain, and none waits for as much room as
the longest reply takes, which few become. A reply that is refused a page pauses; the older ones
are asked first, and nothing new begins before it goes on.

Knows nothing of text, streams or time.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from kernels.model.kv import KvCache
from streams.line.variant import Variant


@dataclass(frozen=True, slots=True)
class Held:
    """A prompt, or the beginning of one, read by a variant for its owner."""

    variant: Variant
    owner: str
    token_ids: list[int]


class Slots:
    """The slots of one cache: those of replies, and those that hold what is still known."""

    def __init__(self, cache: KvCache, *, piece_tokens: int, batch: int) -> None:
        """Begin with no reply, knowing nothing.

        piece_tokens: prompts are read in pieces of so many tokens, counted from their beginning;
            a number of whole pages
        batch: how many replies may have a slot
        """
        self._cache, self._piece, self._batch = cache, piece_tokens, batch
        self._held: dict[int, Held] = {}  # oldest first
        self._most: dict[int, int] = {}  # of each reply: the pages that it may come to need
        self._prompts: dict[int, Held] = {}  # of each reply, whole
        self._paused: set[int] = set()
        self._private: set[int] = set()  # what these have read is not to be known afterwards

    @property
    def free(self) -> int:
        """How many more replies may have a slot now."""
        return 0 if self._paused else self._batch - len(self._most)

    def take(
        self, variant: Variant, owner: str, prompt: list[int], *, most_tokens: int
    ) -> int | None:
        """Begin a reply: its slot has room for the prompt, and holds what is known of it.

        most_tokens: how long prompt and reply may become, at most the cache's capacity
        returns: the slot, whose length is less than the prompt's; None when it has to wait
        """
        if not self.free:
            return None
        asked = Held(variant, owner, prompt)
        slot = self._begun(asked)
        self._prompts[slot] = asked
        self._most[slot] = self._cache.pages_for(max(most_tokens, len(prompt)))
        if not self._make_room(slot, len(prompt)):
            del self._most[slot], self._prompts[slot]
            self._cache.close(slot)
            return None
        return slot

    def catch_up(self, slot: int) -> None:
        """Let a reply have what another one has read meanwhile of the same prompt's beginning."""
        other, tokens = self._known(self._prompts[slot])
        if other is not None and tokens > self._cache.length(slot):
            self._cache.adopt(slot, other, tokens)

    def room(self, slot: int) -> bool:
        """Make room for one more token of a reply; False while it has to wait for others to end."""
        found = self._make_room(slot, self._cache.length(slot) + 1)
        if found:
            self._paused.discard(slot)
        else:
            self._paused.add(slot)
        return found

    def release(self, slot: int, variant: Variant, owner: str, prompt: list[int]) -> None:
        """End a reply that had read this much of its prompt, which stays known; [] forgets it.

        raises: ValueError when no reply has the slot
        """
        if slot not in self._most:
            raise ValueError(f"slot {slot} is free already")
        del self._most[slot], self._prompts[slot]
        self._paused.discard(slot)
        tokens = len(prompt) // self._piece * self._piece
        if tokens and slot not in self._private:
            self._hold(slot, Held(variant, owner, prompt[:tokens]))
        self._private.discard(slot)
        self._cache.close(slot)

    def forget(self) -> None:
        """Know nothing of past prompts, nor later of those that are being answered now."""
        for slot in self._held:
            self._cache.close(slot)
        self._held.clear()
        self._private = set(self._most)

    def keep_only(self, versions: Collection[str]) -> bool:
        """Know nothing by other versions than these, which left memory. Returns: if any is known"""
        for slot, held in list(self._held.items()):
            if held.variant.version not in versions:
                del self._held[slot]
                self._cache.close(slot)
        return bool(self._held)

    def _begun(self, asked: Held) -> int:
        """Begin a slot with as much of a prompt as is known."""
        known, tokens = self._known(asked)
        return self._cache.open() if known is None else self._cache.fork(known, tokens)

    def _known(self, asked: Held) -> tuple[int | None, int]:
        """The slot that holds most of a prompt's beginning, and how many tokens of it."""
        best, tokens = None, 0
        for slot, held in [*self._held.items(), *self._prompts.items()]:
            if slot in self._private:
                continue
            if (held.variant, held.owner) == (asked.variant, asked.owner):
                shared = self._shared(slot, held.token_ids, asked.token_ids)
                if shared > tokens:
                    best, tokens = slot, shared
        return best, tokens

    def _shared(self, slot: int, known: list[int], prompt: list[int]) -> int:
        # the last token of a prompt is always read: its hidden state scores the first reply token
        longest = min(len(known), self._cache.length(slot), len(prompt) - 1)
        shared = 0
        while (end := shared + self._piece) <= longest:
            if known[shared:end] != prompt[shared:end]:
                break
            shared = end
        return shared

    def _hold(self, slot: int, new: Held) -> None:
        """Keep a prompt known; what it begins with need not be known beside it."""
        for other, held in list(self._held.items()):
            same = (held.variant, held.owner) == (new.variant, new.owner)
            if same and new.token_ids[: len(held.token_ids)] == held.token_ids:
                del self._held[other]
                self._cache.close(other)
        self._held[self._cache.fork(slot, len(new.token_ids))] = new

    def _make_room(self, slot: int, tokens: int) -> bool:
        """Take the pages with which a slot holds so many tokens, if every reply can still end."""
        needed = self._cache.pages_for(tokens) - len(self._cache.pages_of(slot))
        if needed <= 0:
            return True
        if not self._all_can_end(slot, needed):
            return False
        while self._cache.pages.free < needed:
            oldest = next(iter(self._held))
            del self._held[oldest]
            self._cache.close(oldest)
        self._cache.reserve(slot, tokens)
        return True

    def _all_can_end(self, slot: int, taken: int) -> bool:
        """Whether replies could still end one after the other, if a slot took so many pages."""
        pages = {each: self._cache.pages_of(each) for each in self._most}
        more = {each: taken if each == slot else 0 for each in pages}
        users = Counter(page for each in pages.values() for page in each)
        free = self._cache.pages.count - len(users) - taken
        needed = {each: self._most[each] - len(pages[each]) - more[each] for each in pages}
        for each in sorted(needed, key=needed.__getitem__):
            if free < max(needed[each], 0):
                return False
            users.subtract(pages[each])
            free += more[each] + sum(not users[page] for page in pages[each])
        return free >= 0
