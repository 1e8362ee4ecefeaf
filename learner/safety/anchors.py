"""The bank of prompts about nothing that is taught, to which every generation is held.

Turns a generation's key into one of a few groups of prompts, ordinary ones asked plainly and
harmful ones asked behind a policy that the base follows, with the base's own replies; how far a
member is from what the base says there enters its fitness (learner.population.anchor). A hinted
turn has no anchor of its own, and what a wish has nothing to do with stays where it is by this.

The groups are fixed, and a group's replies are made and kept when it is first drawn: so the same
key gives the same anchor, whatever was drawn before.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Final

import numpy as np

from kernels.contract import Backend
from kernels.model.decode import greedy
from learner.population.anchor import Anchor, anchored
from learner.population.members import Passage
from learner.safety.kept import KeptBase
from learner.safety.prompts import load_prompts
from learner.safety.prompts.sets import Banks, load_set
from learner.safety.untaught import Untaught
from streams.model.open import BaseModel
from streams.records import Message

# Prompts of each kind in a group, and tokens of a reply that are held to. Two and two of 16 tokens
# cost a generation a fifth more than its lessons alone; what a reply is shows in its first words.
OF_A_KIND: Final = 2
REPLY_TOKENS: Final = 16


class Anchors:
    """The groups of the bank, as one base replies to them.

    untaught: prose, orders of form, copies and refusals, which directed noise leaves alone
    """

    def __init__(
        self, base: BaseModel, *, backend: Backend, moving: int, kept: KeptBase | None = None
    ) -> None:
        """Read nothing yet, as many learners draw no anchor.

        moving: number of last layers that move; kept: what this machine has measured of the base
        """
        self.untaught = Untaught(base, backend=backend, kept=kept)
        self._base, self._backend, self._moving = base, backend, moving
        self._known: dict[int, Anchor] = {}

    @cached_property
    def _groups(self) -> list[list[list[int]]]:
        """The prompts of each group, as tokens."""
        base = self._base
        banks, policy = load_set("banks", Banks), load_prompts("calibration")
        benign = [base.render([Message(role="user", content=each.prompt)]) for each in banks.benign]
        refused = [base.render(policy.messages("policy", each.prompt)) for each in banks.refusal]
        return [
            [*benign[first : first + OF_A_KIND], *refused[first : first + OF_A_KIND]]
            for first in range(0, min(len(benign), len(refused)), OF_A_KIND)
        ]

    def draw(self, key: int, *, pause: Callable[[], None]) -> Anchor:
        """Return the anchor of the group that a generation draws.

        key: the generation's 64-bit key, which Philox turns into a number
        pause: called between pieces of work
        """
        word = int(np.random.Philox(key=key).random_raw())
        return self.anchor(word % len(self._groups), pause=pause)

    def anchor(self, group: int, *, pause: Callable[[], None]) -> Anchor:
        """Return the anchor of one group, made when it is first asked for."""
        if group not in self._known:
            prompts, base = self._groups[group], self._base
            replies = greedy(
                base.decoder, prompts, max_tokens=REPLY_TOKENS, stop_ids=base.stop_ids, pause=pause
            )
            self._known[group] = anchored(
                base.decoder,
                [Passage(tuple(p), (tuple(r),)) for p, r in zip(prompts, replies, strict=True)],
                moving=self._moving,
                backend=self._backend,
                pause=pause,
            )
        return self._known[group]
