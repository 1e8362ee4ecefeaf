"""What plain prose makes of the last block's MLP, which no lesson is about.

Turns the passages of prompts/prose.json into what comes into its layers under the base, and how the
passages' log-probabilities rise with what they give, once; the layers under it are the base's in
every version where noise is searched. Nothing is measured on these passages; what is (safety.text)
are others.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import torch
from torch import Tensor

from kernels.contract import Backend
from learner.population.members import Passage, final_states, lay_out, run_trunk
from learner.population.shortlist import Shortlist
from learner.population.slopes import Pull, slopes_of_layers
from learner.population.spared import Side, Spared
from learner.safety.prompts.sets import Passages, load_set
from streams.model.open import BaseModel

_AT_ONCE: Final = 8  # passages in one pass


class Prose:
    """Plain prose under one base. Read when it is first asked for, and kept."""

    def __init__(self, base: BaseModel, *, backend: Backend) -> None:
        """Keep the base; nothing is computed yet."""
        self._base, self._backend = base, backend
        self._known: dict[float, dict[str, Spared]] = {}

    def is_read(self, spare: float) -> bool:
        """Whether `spared` returns at once."""
        return spare in self._known

    def spared(self, spare: float, *, pause: Callable[[], None]) -> Mapping[str, Spared]:
        """Return what is dear to move in each tensor of the last block's MLP, by its name.

        spare: above 0, see learner.settings; pause: called between pieces of work
        """
        if spare not in self._known:
            found = list(self._slopes(pause))
            mlp = f"model.layers.{self._base.decoder.num_layers - 1}.mlp"
            known = {}
            for module in found[0]:
                sides = zip(*(each[module] for each in found), strict=True)
                rows, columns = (Side.of(side, spare) for side in sides)
                known[f"{mlp}.{module}.weight"] = Spared(rows, columns)
                pause()
            self._known[spare] = known
        return self._known[spare]

    @torch.inference_mode()
    def _slopes(self, pause: Callable[[], None]) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
        """Yield what some passages at a time make of the layers; see slopes_of_layers."""
        base = self._base.decoder
        items = load_set("prose", Passages).items
        encode = self._base.tokenizer.encode
        texts = [tuple(encode(item.text, add_special_tokens=False)) for item in items]
        for first in range(0, len(texts), _AT_ONCE):
            some = [Passage(ids[:1], (ids[1:],)) for ids in texts[first : first + _AT_ONCE]]
            scored = lay_out(some, base.device)
            trunk = run_trunk(base, scored, moving=1, pause=pause)
            states = final_states(base, trunk, pause=pause)[0]
            shortlist = Shortlist(self._backend, states, base.head, scored.targets)
            each = torch.ones(len(scored.targets), device=base.device)
            yield slopes_of_layers(base, Pull(trunk, shortlist.pull(each)))
            pause()
