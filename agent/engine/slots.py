"""Slots of the cache: one for each reply, found by what it still holds of the reply's prompt.

A conversation's next request begins with what the last one began with: that part is not read
again. Only whole pieces of a prompt are taken up, cut where every prompt is cut, so what is found
is to the bit what would be computed; and only by the same variant, for the same owner: how soon
a reply begins must not tell what somebody else has asked.

Knows nothing of text, streams or time.
"""

from dataclasses import dataclass
from typing import Final

from kernels.model.kv import KvCache
from streams.line.variant import Variant


@dataclass(frozen=True, slots=True)
class Held:
    """What a free slot still holds: the beginning of a prompt, read by a variant for its owner."""

    variant: Variant
    owner: str
    token_ids: list[int]


_NOTHING: Final = Held(Variant("", ""), "", [])


class Slots:
    """The slots of one cache: taken by replies, or free with what they still hold."""

    def __init__(self, cache: KvCache, *, piece_tokens: int) -> None:
        """Begin with every slot free and empty.

        piece_tokens: prompts are read in pieces of so many tokens, counted from their beginning
        """
        self._cache, self._piece = cache, piece_tokens
        # oldest first: the slot that was left longest ago is the first to be overwritten
        self._free: dict[int, Held] = dict.fromkeys(range(len(cache.lengths)), _NOTHING)

    @property
    def free(self) -> int:
        """How many slots no reply has."""
        return len(self._free)

    def take(self, variant: Variant, owner: str, prompt: list[int]) -> int:
        """Take a slot whose length is what it holds of this prompt: fewer tokens than the prompt.

        raises: StopIteration when none is free
        """
        slot, tokens = next(iter(self._free)), 0
        for each, held in self._free.items():
            shared = self._shared(held, variant, owner, prompt)
            if shared > tokens:
                slot, tokens = each, shared
        del self._free[slot]
        self._cache.reset(slot, keep=tokens)
        return slot

    def release(self, slot: int, variant: Variant, owner: str, prompt: list[int]) -> None:
        """Take a slot back, whose reply had read this much of its prompt; [] forgets it.

        raises: ValueError when nobody has the slot
        """
        if slot in self._free:
            raise ValueError(f"slot {slot} is free already")
        self._free[slot] = Held(variant, owner, prompt)

    def forget(self) -> None:
        """Empty the free slots: nothing of what was said in them is found again."""
        self._free = dict.fromkeys(self._free, _NOTHING)
        for slot in self._free:
            self._cache.reset(slot, keep=0)

    def _shared(self, held: Held, variant: Variant, owner: str, prompt: list[int]) -> int:
        if (held.variant, held.owner) != (variant, owner):
            return 0
        # the last token of a prompt is always read: its hidden state scores the first reply token
        longest, shared = min(len(held.token_ids), len(prompt) - 1), 0
        while (end := shared + self._piece) <= longest:
            if held.token_ids[shared:end] != prompt[shared:end]:
                break
            shared = end
        return shared
