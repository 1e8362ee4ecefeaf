"""What plain prose makes of the last block's MLP: the inputs that no lesson is about.

Turns the passages of prompts/prose.json into the base's inputs there, once; the layers under it are
the base's in every version where noise is screened, and so are the inputs. Nothing is measured on
these passages; what is (safety.text) are others.
"""

from collections.abc import Callable, Mapping
from typing import Final

from learner.population.members import Passage, lay_out, run_trunk
from learner.population.spared import Spared, inputs_of
from learner.safety.prompts.sets import Passages, load_set
from streams.model.open import BaseModel

_AT_ONCE: Final = 8  # passages in one pass


class Prose:
    """Plain prose under one base. Read when it is first asked for, and kept."""

    def __init__(self, base: BaseModel) -> None:
        """Keep the base; nothing is computed yet."""
        self._base = base
        self._known: dict[float, dict[str, Spared]] = {}

    def spared(self, spare: float, *, pause: Callable[[], None]) -> Mapping[str, Spared]:
        """Return what is dear to move in each tensor of the last block's MLP, by its name.

        spare: above 0, see learner.settings; pause: called between pieces of work
        """
        if spare not in self._known:
            base = self._base.decoder
            encode = self._base.tokenizer.encode
            items = load_set("prose", Passages).items
            texts = [tuple(encode(item.text, add_special_tokens=False)) for item in items]
            found = []
            for first in range(0, len(texts), _AT_ONCE):
                some = [Passage(ids[:1], (ids[1:],)) for ids in texts[first : first + _AT_ONCE]]
                trunk = run_trunk(base, lay_out(some, base.device), moving=1, pause=pause)
                found.append(inputs_of(base, trunk))
                pause()
            known = {}
            for name in found[0]:
                known[name] = Spared.of([each[name] for each in found], spare)
                pause()
            self._known[spare] = known
        return self._known[spare]
