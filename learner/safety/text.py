"""How likely plain prose is to a version: what every lesson leaves alone, or wears down.

By forward passes, without any template. The layers that no version moves are run once.
"""

from collections.abc import Callable
from statistics import fmean
from typing import Final

import torch

from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.population.members import Passage, Trunk, final_states, lay_out, run_trunk
from learner.safety.choices import first_moved
from learner.safety.prompts.sets import Passages, load_set
from streams.model.open import BaseModel

# Tokens of each of the texts: of 24 texts these are 2,300, and the mean is told to a hundredth.
TEXT_TOKENS: Final = 96
_AT_ONCE: Final = 8  # texts in one pass


class Text:
    """Plain prose that is about nothing in particular. Not shared between threads."""

    def __init__(self, base: BaseModel, *, backend: Backend, pause: Callable[[], None]) -> None:
        """Read it; nothing is computed yet. pause: called between pieces of work."""
        self._base, self._backend, self._pause = base.decoder, backend, pause
        prose = [
            tuple(base.tokenizer.encode(item.text, add_special_tokens=False))
            for item in load_set("plain_text", Passages).items
            if item.language == "en"
        ]
        passages = [Passage(ids[:1], (ids[1 : 1 + TEXT_TOKENS],)) for ids in prose]
        starts = range(0, len(passages), _AT_ONCE)
        device = base.decoder.device
        self._pieces = [lay_out(passages[first : first + _AT_ONCE], device) for first in starts]
        self._trunks: list[Trunk] = []

    @torch.inference_mode()
    def nats(self, decoder: Decoder) -> float:
        """Return its negative log-likelihood without any template, mean over texts, a token."""
        first, last = first_moved(self._base.model, decoder.model), self._base.num_layers
        if not self._trunks or self._trunks[0].layers.start > first:
            self._trunks = [
                run_trunk(self._base, piece, moving=last - first, pause=self._pause)
                for piece in self._pieces
            ]
        found: list[float] = []
        for trunk in self._trunks:
            states = final_states(decoder, trunk, pause=self._pause)[0]
            each = self._backend.token_logprobs(states, decoder.head, trunk.scored.targets)
            found += [float(each[place].mean()) for (place,) in trunk.scored.places]
            self._pause()
        return -fmean(found)
