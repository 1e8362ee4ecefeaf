"""What can be told of the model itself: its sizes, what tokens write, what a version changed.

Reads weights' names and recipes, never a turn. Each call takes milliseconds to a second and wants a
thread of its own.
"""

import dataclasses
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch

from agent.engine.spelling import Spellings
from agent.swap.residents import Residents
from kernels.contract import Backend
from kernels.version.layout import parameter_name
from kernels.version.moved import moved_by
from streams.model.open import BaseModel
from streams.records import Json

KEPT = 64  # versions whose change is remembered: it never changes, and is some kilobytes


class Insight:
    """What operators may know of one agent's model. Any thread may ask."""

    def __init__(self, base: BaseModel, residents: Residents, backend: Backend) -> None:
        """Work nothing out yet."""
        self._base, self._book, self._backend = base, residents.book, backend
        self._spellings = Spellings(base.tokenizer)
        self._one = threading.Lock()  # a second measurement would take decoding's last core
        self._change_of = lru_cache(KEPT)(self._measure)

    def sizes(self) -> Mapping[str, int]:
        """How many layers the model has, and of each the neurons and attention groups."""
        decoder = self._base.decoder
        neurons, _ = self._base.model.layer(parameter_name(0, "up_proj")).shape
        return {"layers": decoder.num_layers, "neurons": neurons, "groups": decoder.kv_heads}

    def words(self, token_ids: Sequence[int]) -> tuple[list[str], str]:
        """What each token writes, half a character escaped, and what all write together."""
        spelt = [self._spellings[id] for id in token_ids]
        whole = b"".join(each.name.encode() if each.bytes is None else each.bytes for each in spelt)
        return [each.name for each in spelt], whole.decode(errors="replace")

    def moved(self, version: str) -> list[Json]:
        """What a version changed of its parent, a tensor at a time.

        raises: UnknownVersionError when its recipe or mask is not known here
        """
        with self._one:
            return self._change_of(version)

    @torch.inference_mode()
    def _measure(self, version: str) -> list[Json]:
        chain = self._book.chain(version)
        if not chain:
            return []  # the base has no parent
        recipe = chain[-1]
        found = moved_by(
            self._base.decoder, recipe, self._book.masks[recipe.mask], backend=self._backend
        )
        return [dataclasses.asdict(each) for each in found]
