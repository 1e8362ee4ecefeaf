"""How likely plain prose is to a version: what every lesson leaves alone, or wears down.

By forward passes, without any template. The layers that no version moves are run once.
"""

from statistics import fmean
from typing import Final

import torch

from kernels.model.forward import Decoder
from learner.population.members import Passage, Trunk, final_states, lay_out
from learner.safety.measuring import Measuring
from learner.safety.prompts.sets import Passages, load_set
from learner.safety.readings.choices import first_moved

# Tokens of each of the texts: of 24 texts these are 2,300, and the mean is told to a hundredth.
TEXT_TOKENS: Final = 96
_AT_ONCE: Final = 8  # texts in one pass


class Text:
    """Plain prose that is about nothing in particular. Not shared between threads."""

    def __init__(self, measuring: Measuring) -> None:
        """Read it; nothing is computed yet."""
        base = measuring.base
        self._measuring, self._base, self._pause = measuring, base.decoder, measuring.pause
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

    def nats(self, decoder: Decoder) -> float:
        """Return its negative log-likelihood without any template, mean over texts, a token."""
        if decoder is not self._base:
            return self._nats(decoder)
        texts = [[piece.packed.ids.tolist(), piece.packed.paths] for piece in self._pieces]
        kept: float = self._measuring.kept.value("text", texts, lambda: self._nats(decoder))
        return kept

    @torch.inference_mode()
    def _nats(self, decoder: Decoder) -> float:
        first = self._base.num_layers - self._measuring.moving
        first = min(first, first_moved(self._base.model, decoder.model))
        if not self._trunks or self._trunks[0].layers.start > first:
            self._trunks = [self._measuring.trunk(piece, first=first) for piece in self._pieces]
        found: list[float] = []
        for trunk in self._trunks:
            states = final_states(decoder, trunk, pause=self._pause)[0]
            backend = self._measuring.backend
            each = backend.token_logprobs(states, decoder.head, trunk.scored.targets)
            found += [float(each[place].mean()) for (place,) in trunk.scored.places]
            self._pause()
        return -fmean(found)
