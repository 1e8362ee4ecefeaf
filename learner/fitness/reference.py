"""What members and child are held against: the parent version on the same lessons.

The parent's layers under the first that moves are run once for everybody, its likeliest tokens are
kept at each scored position, and what a lesson measures from the parent is filled in.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kernels.contract import Backend
from kernels.model.forward import Decoder
from learner.batch.lesson import Lesson
from learner.fitness import fitness
from learner.fitness.fitness import Floats, Terms
from learner.fitness.news import news
from learner.population.members import Scored, Trunk, final_states, lay_out, run_trunk
from learner.population.shortlist import Shortlist
from learner.serving import Serving
from learner.settings import LearnerSettings


@dataclass(frozen=True, slots=True)
class Reference:
    """A parent version on some lessons."""

    parent: Serving
    lessons: tuple[Lesson, ...]
    terms: Terms
    trunk: Trunk
    shortlist: Shortlist

    def fitness(self, logprobs: Tensor) -> Floats:
        """(members, scored) → (turns, members)."""
        return fitness.table(self.lessons, self.trunk.scored, logprobs, self.terms)

    @property
    def slopes(self) -> Tensor:
        """How fast the parent's fitness rises with each scored log-probability: (scored,)."""
        return fitness.slopes(self.lessons, self.trunk.scored, self.shortlist.parent, self.terms)

    def compare(
        self, child: Decoder, *, backend: Backend, pause: Callable[[], None]
    ) -> tuple[float, float | None]:
        """Hold a child against the parent.

        returns: KL(child ‖ parent), nats a token; how much fitter the child is on the lessons,
            None where that is not finite
        """
        states = final_states(child, self.trunk, pause=pause)[0]
        after = backend.token_logprobs(states, child.head, self.trunk.scored.targets)
        moved = self.shortlist.divergence(states, after)
        both = self.fitness(torch.stack((self.shortlist.parent, after)))
        of_parent, of_child = fitness.combined(self.lessons, both).tolist()
        gain = of_child - of_parent
        return moved, gain if math.isfinite(gain) else None


def refer(
    parent: Serving,
    lessons: Sequence[Lesson],
    settings: LearnerSettings,
    *,
    backend: Backend,
    pause: Callable[[], None],
) -> Reference:
    """Run the parent on the lessons.

    lessons: at least one; pause: called between pieces of work
    """
    decoder = parent.decoder
    scored = lay_out([lesson.passage for lesson in lessons])
    moving = decoder.num_layers - min(parent.layers)
    trunk = run_trunk(decoder, scored, moving=moving, pause=pause)
    states = final_states(decoder, trunk, pause=pause)[0]
    pause()
    shortlist = Shortlist(backend, states, decoder.head, scored.targets)
    taught = referenced(lessons, scored, shortlist.parent)
    terms = Terms(
        reward=settings.reward_weight,
        hint=settings.hint_weight,
        kl=settings.kl_weight,
        ratio_clip=settings.ratio_clip,
    )
    pause()
    return Reference(parent, taught, terms, trunk, shortlist)


def referenced(lessons: Sequence[Lesson], scored: Scored, parent: Tensor) -> tuple[Lesson, ...]:
    """Fill in what lessons measure from the parent.

    parent: (scored,) its log-probabilities, nats
    """
    found = []
    for lesson, (place,) in zip(lessons, scored.places, strict=True):
        known = tuple(parent[place].tolist())
        if lesson.target:
            lesson = replace(lesson, news=news(lesson.teacher, known))
        elif not lesson.logprobs:
            # a prompt that was cut is another condition: the parent under that one stands in
            lesson = replace(lesson, logprobs=known)
        found.append(lesson)
    return tuple(found)
