"""What members and child are held against: the parent version on the same lessons.

The parent's layers under the first that moves are run once for everybody, its likeliest tokens are
kept at each scored position, and what a lesson measures from the parent is filled in. Beside the
lessons stands the anchor: how far everybody is from the base on prompts of the bank.
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
from learner.fitness.news import held, leads, news
from learner.population.anchor import Anchor
from learner.population.members import Scored, Trunk, final_states, lay_out, run_trunk
from learner.population.shortlist import Shortlist
from learner.population.slopes import Pull
from learner.serving import Serving
from learner.settings import LearnerSettings


@dataclass(frozen=True, slots=True)
class Compared:
    """What a child is beside its parent.

    moved: KL(child ‖ parent) on the lessons, nats a token; gain: how much fitter it is there, None
        where that is not finite; apart: KL(base ‖ child) on the anchor, None where there is none
    """

    moved: float
    gain: float | None
    apart: float | None


@dataclass(frozen=True, slots=True)
class Reference:
    """A parent version on some lessons."""

    parent: Serving
    lessons: tuple[Lesson, ...]
    terms: Terms
    trunk: Trunk
    shortlist: Shortlist
    anchor: Anchor | None = None  # none: the bank counts for nothing
    apart: float = 0.0  # the parent from the base, on the anchor: KL, nats a token

    def fitness(self, logprobs: Tensor, apart: Tensor | None = None) -> Floats:
        """(members, scored) → (turns, members).

        apart: (members,), from the base on the anchor; None where there is none
        """
        table = fitness.table(self.lessons, self.trunk.scored, logprobs, self.terms)
        return table if apart is None else table - self.terms.bank * apart.double().cpu().numpy()

    @property
    def slopes(self) -> Tensor:
        """How fast the parent's fitness rises with each scored log-probability: (scored,)."""
        return fitness.slopes(self.lessons, self.trunk.scored, self.shortlist.parent, self.terms)

    def pulls(self, *, pause: Callable[[], None]) -> list[Pull]:
        """Return where lessons and anchor pull the parent, for the search of signs."""
        found = [Pull(self.trunk, self.shortlist.pull(self.slopes))]
        if self.anchor is not None and self.apart > 0:
            weight = self.terms.bank * sum(lesson.weight for lesson in self.lessons)
            found.append(self.anchor.pull(self.parent.decoder, weight, pause=pause))
        return found

    @property
    def left(self) -> float:
        """How much the parent's fitness can still rise: 0 when it says all that is wished."""
        parent = self.shortlist.parent
        lessons = fitness.left(self.lessons, self.trunk.scored, parent, self.terms)
        shares = sum(lesson.weight for lesson in self.lessons)
        return lessons + self.terms.bank * self.apart * shares

    def compare(self, child: Decoder, *, backend: Backend, pause: Callable[[], None]) -> Compared:
        """Hold a child against the parent, and against the base."""
        states = final_states(child, self.trunk, pause=pause)[0]
        after = backend.token_logprobs(states, child.head, self.trunk.scored.targets)
        moved = self.shortlist.divergence(states, after)
        apart, both = None, None
        if self.anchor is not None:
            apart = self.anchor.apart(child, pause=pause)
            both = torch.tensor([self.apart, apart])
        table = self.fitness(torch.stack((self.shortlist.parent, after)), both)
        of_parent, of_child = fitness.combined(self.lessons, table).tolist()
        gain = of_child - of_parent
        return Compared(moved, gain if math.isfinite(gain) else None, apart)


def refer(
    parent: Serving,
    lessons: Sequence[Lesson],
    settings: LearnerSettings,
    *,
    backend: Backend,
    pause: Callable[[], None],
    anchor: Anchor | None = None,
) -> Reference:
    """Run the parent on the lessons, and on the anchor.

    lessons: at least one; pause: called between pieces of work; anchor: None: there is none
    """
    decoder = parent.decoder
    scored = lay_out([lesson.passage for lesson in lessons], decoder.device)
    moving = decoder.num_layers - min(parent.layers)
    trunk = run_trunk(decoder, scored, moving=moving, pause=pause)
    states = final_states(decoder, trunk, pause=pause)[0]
    pause()
    shortlist = Shortlist(backend, states, decoder.head, scored.targets)
    rivals = shortlist.rivals if settings.margin else None
    taught = referenced(lessons, scored, shortlist.parent, rivals, settings.margin)
    terms = Terms(
        reward=settings.reward_weight,
        hint=settings.hint_weight,
        kl=settings.kl_weight,
        ratio_clip=settings.ratio_clip,
        bank=settings.bank_weight,
    )
    pause()
    apart = anchor.apart(decoder, pause=pause) if anchor is not None else 0.0
    return Reference(parent, taught, terms, trunk, shortlist, anchor, apart)


def referenced(
    lessons: Sequence[Lesson],
    scored: Scored,
    parent: Tensor,
    rivals: Tensor | None = None,
    margin: float = 0.0,
) -> tuple[Lesson, ...]:
    """Fill in what lessons measure from the parent.

    parent: (scored,) its log-probabilities, nats; rivals: of the likeliest others, likewise; None:
        they count for nothing
    margin: see learner.settings
    """
    found = []
    for lesson, (place,) in zip(lessons, scored.places, strict=True):
        known = tuple(parent[place].tolist())
        if lesson.target:
            others = () if rivals is None else tuple(rivals[place].tolist())
            wanted = leads(lesson.teacher, margin) if others else ()
            taught = news(lesson.teacher, known, others, wanted)
            stays = held(taught, known, others, wanted) if others else ()
            lesson = replace(lesson, news=taught, held=stays)
        elif not lesson.logprobs:
            # a prompt that was cut is another condition: the parent under that one stands in
            lesson = replace(lesson, logprobs=known)
        found.append(lesson)
    return tuple(found)
