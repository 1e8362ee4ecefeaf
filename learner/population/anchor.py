"""What members are held to beside their lessons: what the base would say to other prompts.

The base's distribution at every position of its own replies is kept; how far a member is from it
takes the layers that move, and nothing else. The layers under these are the base's in every
version, so what they make of the prompts is computed once for ever.

Knows nothing of which prompts, or of what the distance counts for.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.population.members import (
    Passage,
    Trunk,
    final_states,
    in_groups,
    lay_out,
    run_trunk,
)
from learner.population.noise import Population
from learner.population.shortlist import Shortlist
from learner.population.slopes import Pull

SEEN: Final = 1e-6  # nats a token; under this a distance is the rounding of sums in float32


@dataclass(frozen=True, slots=True)
class Anchor:
    """The base on some prompts and its replies to them; see `anchored`."""

    trunk: Trunk
    shortlist: Shortlist

    @torch.inference_mode()
    def apart(self, decoder: Decoder, *, pause: Callable[[], None]) -> float:
        """Return KL(base ‖ a version) over the replies' positions, nats a token; 0 for none."""
        found = float(self.shortlist.apart(final_states(decoder, self.trunk, pause=pause))[0])
        return found if found > SEEN or math.isnan(found) else 0.0

    @torch.inference_mode()
    def members_apart(
        self, decoder: Decoder, population: Population, members: range, *, pause: Callable[[], None]
    ) -> Tensor:
        """Return the same of members, which are computed beside the same others whoever asks.

        decoder: their parent
        returns: (len(members),) float32
        """
        return in_groups(
            decoder, self.trunk, population, self.shortlist.apart, members=members, pause=pause
        )

    @torch.inference_mode()
    def pull(self, decoder: Decoder, weight: float, *, pause: Callable[[], None]) -> Pull:
        """Return where a version is pulled back to the base; weight: of the distance."""
        states = final_states(decoder, self.trunk, pause=pause)[0]
        return Pull(self.trunk, weight * self.shortlist.pull_back(states))


@torch.inference_mode()
def anchored(
    base: Decoder,
    passages: Sequence[Passage],
    *,
    moving: int,
    backend: Backend,
    pause: Callable[[], None],
) -> Anchor:
    """Keep what the base says: its distribution at every scored position.

    passages: prompts with the base's replies; moving: number of last layers that move
    pause: called between pieces of work
    """
    scored = lay_out(passages, base.device)
    trunk = run_trunk(base, scored, moving=moving, pause=pause)
    states = final_states(base, trunk, pause=pause)[0]
    return Anchor(trunk, Shortlist(backend, states, base.head, scored.targets))
