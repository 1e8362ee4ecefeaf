"""What measures a base, and the two parts of it that take long: replies, and states under it all.

The base's greedy replies, and what its layers below the first that moves make of fixed texts, are
the same for every version; so they are computed once for a base and kept (learner.safety.kept).

Knows nothing of probes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kernels.contract import Backend
from kernels.model.decode import greedy
from learner.population.members import Scored, Trunk, run_trunk, trunk_behind
from learner.safety.kept import KeptBase
from learner.settings import LearnerSettings
from streams.model.open import BaseModel


@dataclass(frozen=True, slots=True)
class Measuring:
    """A base, and by what it is measured. Not shared between threads.

    pause: called between pieces of work; may raise, and what was kept by then is not done again
    moving: number of last layers that versions move
    """

    base: BaseModel
    backend: Backend
    pause: Callable[[], None]
    kept: KeptBase = field(default_factory=lambda: KeptBase(None, ""))
    moving: int = 1

    def replies(self, prompts: Sequence[Sequence[int]], *, max_tokens: int) -> list[list[int]]:
        """Return the base's own greedy replies; stop tokens are part of them."""
        base = self.base
        found: list[list[int]] = self.kept.value(
            "replies",
            [[list(prompt) for prompt in prompts], max_tokens, sorted(base.stop_ids)],
            lambda: greedy(
                base.decoder,
                prompts,
                max_tokens=max_tokens,
                stop_ids=base.stop_ids,
                pause=self.pause,
            ),
        )
        return found

    def trunk(self, scored: Scored, *, first: int) -> Trunk:
        """Return texts behind the layers under the first that moves."""
        decoder = self.base.decoder
        moving = decoder.num_layers - first
        packed = scored.packed
        hidden = self.kept.tensors(
            "states",
            [packed.ids.tolist(), packed.paths, first],
            lambda: {"hidden": run_trunk(decoder, scored, moving=moving, pause=self.pause).hidden},
        )["hidden"]
        return trunk_behind(decoder, scored, hidden.to(decoder.device), moving=moving)


def measuring_of(
    base: BaseModel,
    settings: LearnerSettings,
    *,
    backend: Backend,
    pause: Callable[[], None] = lambda: None,
    kept: KeptBase | None = None,
) -> Measuring:
    """Return what measures a base for the versions that the settings move.

    kept: what is kept of it; None: nothing is
    """
    layers, _ = settings.moving(base.decoder.num_layers)
    return Measuring(base, backend, pause, kept or KeptBase(None, base.name), moving=len(layers))
