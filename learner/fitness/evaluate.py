"""The port of evaluation: a parent on some lessons, a key and a range of pairs, to a fitness table.

Evaluating a population is embarrassingly parallel: whoever holds the parent's weights can evaluate
any range of its pairs from a few numbers, and the tables of neighbouring ranges stand side by side
to the same bits as the whole, on machines that round alike. So a pool of processes, or a GPU, is
another file with this port; the local one is below.

The port stands in the room of fitness, not of the population, because a table needs both: members
come from the room before, lessons and their terms from this one. The update comes after.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kernels.contract import Backend
from learner.fitness.fitness import Floats
from learner.fitness.reference import Reference
from learner.population.members import score
from learner.population.noise import Perturbation, Where
from learner.population.noises.open import open_population
from learner.serving import Serving
from learner.settings import LearnerSettings


def perturb(
    parent: Serving,
    settings: LearnerSettings,
    key: int,
    *,
    backend: Backend,
    where: Where | None = None,
) -> Perturbation:
    """Return what a generation perturbs of its parent."""
    return Perturbation(
        backend,
        parent.specs,
        key=key,
        pairs=settings.pairs,
        sigmas_log2=[scale + settings.sigma_log2 for scale in parent.scales],
        frozen=parent.frozen,
        where=where,
    )


class Evaluator(Protocol):
    """Scores the members of a generation."""

    def evaluate(
        self,
        reference: Reference,
        key: int,
        pairs: range,
        *,
        pause: Callable[[], None],
        where: Where | None = None,
    ) -> Floats:
        """Score the members of some pairs on the lessons.

        reference: the parent, and the lessons; another process rebuilds it from the parent's name
        key: the generation's 64-bit key; pairs: ascending, within the generation's
        pause: called between pieces of work, and may raise to give up
        where: of searched noise, where the pairs lie; it comes with the key and is not searched
            again, for another machine may round otherwise
        returns: (turns, 2 · len(pairs)), the + and − of each pair side by side; the same rows as
            those that a wider range gives for these pairs, to the bit
        raises: ValueError for pairs that the generation does not have
        """
        ...


@dataclass(frozen=True, slots=True)
class LocalEvaluator:
    """Scores in this process."""

    backend: Backend
    settings: LearnerSettings

    def evaluate(
        self,
        reference: Reference,
        key: int,
        pairs: range,
        *,
        pause: Callable[[], None],
        where: Where | None = None,
    ) -> Floats:
        """Score the members of some pairs; see Evaluator."""
        settings, parent = self.settings, reference.parent
        if pairs.step != 1 or not 0 <= pairs.start < pairs.stop <= settings.pairs:
            raise ValueError(f"{pairs} is no range of the generation's {settings.pairs} pairs")
        perturbation = perturb(parent, settings, key, backend=self.backend, where=where)
        population = open_population(settings.noise, perturbation)
        members = range(2 * pairs.start, 2 * pairs.stop)
        logprobs = score(
            parent.decoder,
            reference.trunk,
            population,
            members=members,
            shortlist=reference.shortlist,
            pause=pause,
        )
        if reference.anchor is None:
            return reference.fitness(logprobs)
        apart = reference.anchor.members_apart(parent.decoder, population, members, pause=pause)
        return reference.fitness(logprobs, apart)
