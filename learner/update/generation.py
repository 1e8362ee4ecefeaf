"""One generation: from judged turns to a child of the serving version, forward passes only.

    lessons ─▶ trunk ─▶ members scored ─▶ fitness ─▶ integers ─▶ child within the KL budget

The same lessons, key and parent give the same child, so a crash repeats nothing differently.
Nothing here reads or writes anything.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from kernels.change import most_weight
from kernels.contract import Backend
from kernels.errors import DigestMismatchError, KernelError
from kernels.version.master import step_log2
from learner.batch.lesson import Lesson
from learner.fitness import fitness
from learner.fitness.evaluate import Evaluator, LocalEvaluator, perturb
from learner.fitness.fitness import Floats
from learner.fitness.reference import Reference, refer
from learner.population.directed import direct
from learner.population.noise import Perturbation, Where
from learner.population.screen import screen
from learner.safety.anchors import Anchors
from learner.serving import Child, Serving
from learner.settings import SEARCHED, LearnerSettings
from learner.update import strategies
from learner.update.candidate import draft
from learner.update.strategies import Update
from streams.records import Recipe
from streams.store.tables import GenerationRow

Pause = Callable[[], None]

# Ranks have the same size whether turns say something or nothing, and a full step into noise only
# wears the model down: α of the step is taken. Not less than this, for α of few turns is a guess.
LEAST_AGREEMENT: Final = 0.25
# Kept digits of a fitness: finer than any two members differ, and half the bytes of all of them.
DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a generation came to."""

    table: Floats  # fitness, (turns, members)
    turn_ids: tuple[str, ...]  # of the table's rows
    mean: float  # over members
    spread: float
    update: Update | None = None
    child: Child | None = None  # none: the generation is void, for this reason
    reason: str = ""
    kl: float | None = None  # child from parent, nats a token
    gain: float | None = None  # the child's fitness over its parent's, on the same lessons
    apart: float | None = None  # child from base on prompts of the bank, nats a token
    tried: bool = True  # False: nothing was looked at, so its turns have scored nothing


def void(reason: str, *, tried: bool = True) -> Outcome:
    """Return the outcome of a generation that could not be scored."""
    return Outcome(np.zeros((0, 0)), (), 0.0, 0.0, reason=reason, tried=tried)


def orphaned(parent: str) -> Outcome:
    """Return the outcome of a generation whose parent was taken back before it was begun."""
    return void(f"its parent {parent} does not serve any more", tried=False)


def recorded(row: GenerationRow, recipe: Recipe, serving: Serving) -> Outcome:
    """Return again what a generation came to, from its row and its recipe; nothing is scored.

    raises: KernelError when the recipe does not fit the serving version
    """
    child = serving.child(recipe)
    if child.recipe != recipe:
        raise DigestMismatchError(f"{recipe.version} gives {child.recipe.digest}")
    return Outcome(
        np.asarray(row.fitness),
        tuple(row.scored_ids),
        row.fitness_mean or 0.0,
        row.fitness_spread or 0.0,
        update=Update(tuple(recipe.coefficients), recipe.step),
        child=child,
        kl=row.kl,
        gain=row.gain,
        apart=row.apart,
    )


def run_generation(
    key: str,
    lessons: Sequence[Lesson],
    serving: Serving,
    settings: LearnerSettings,
    *,
    backend: Backend,
    pause: Pause,
    anchors: Anchors | None,
    evaluator: Evaluator | None = None,
) -> Outcome:
    """Score a population on the lessons, and build the child that they ask for.

    key: learner.batch.plan.generation_key; pause: called between pieces of work
    anchors: what is not to move: the base's replies, to which members are held, and plain prose,
        which directed noise leaves alone; None: neither, whatever the settings say
    evaluator: scores the members; None: this process
    """
    if not lessons:
        return void("nothing to learn from: the batch's turns are gone, or say nothing")
    anchor = None
    if anchors is not None and settings.bank_weight:
        anchor = anchors.draw(int(key, 16), pause=pause)
    reference = refer(serving, lessons, settings, backend=backend, pause=pause, anchor=anchor)
    evaluator = evaluator or LocalEvaluator(backend, settings)
    perturbation = perturb(serving, settings, int(key, 16), backend=backend)
    where = _searched(reference, perturbation, settings, anchors, pause)
    table = evaluator.evaluate(
        reference,
        int(key, 16),
        range(settings.pairs),
        pause=pause,
        where=where,
    )
    members = fitness.combined(reference.lessons, table)
    turn_ids = tuple(lesson.turn_id for lesson in lessons)
    if not np.isfinite(members).all():
        reason = "a member's fitness is not finite"
        return Outcome(np.nan_to_num(table), turn_ids, 0.0, 0.0, reason=reason)
    outcome = Outcome(table.round(DIGITS), turn_ids, float(members.mean()), float(members.std()))
    update = _update(members, settings, reference, table)
    if not any(update.coefficients):
        return replace(outcome, reason="the members do not differ")
    if not update.step:
        return replace(outcome, reason=f"{reference.left:.4f} nats are left to gain: too little")
    described = draft(
        serving,
        key,
        update,
        sigma_log2=settings.sigma_log2,
        strategy=settings.strategy,
        noise=settings.noise,
        line=settings.line,
        where=where,
        decay=settings.decay,
    )
    return _within_budget(outcome, described, reference, settings.kl_budget, backend, pause)


def _searched(
    reference: Reference,
    perturbation: Perturbation,
    settings: LearnerSettings,
    anchors: Anchors | None,
    pause: Pause,
) -> Where | None:
    """Search where the pairs of searched noise are to lie; of other noise None."""
    if settings.noise not in SEARCHED:
        return None
    parent, pulls = reference.parent.decoder, reference.pulls(pause=pause)
    if settings.noise == "screened":
        return screen(parent, pulls, perturbation, pause=pause)
    spared = None if anchors is None else anchors.untaught.spared(settings, pause=pause)
    return direct(parent, pulls, perturbation, pause=pause, spared=spared)


def _update(
    members: Floats, settings: LearnerSettings, reference: Reference, table: Floats
) -> Update:
    most = most_weight(settings.noise)
    if settings.strategy == "randopt":
        folded = strategies.randopt(
            members,
            top_k=settings.top_k,
            sigma_log2=settings.sigma_log2,
            quantum_log2=step_log2(settings.noise),
        )
        return strategies.fitted(folded, most)
    agreement = fitness.agreement(reference.lessons, table)
    update = strategies.es(
        members,
        step=settings.step * min(1.0, max(LEAST_AGREEMENT, agreement)),
        goal=settings.gain_share * reference.left,
        ranked=settings.noise != "directed",
        sigma_log2=settings.sigma_log2,
        quantum_log2=step_log2(settings.noise),
    )
    return strategies.fitted(update, most)


def _within_budget(
    outcome: Outcome,
    described: Recipe,
    reference: Reference,
    budget: float,
    backend: Backend,
    pause: Pause,
) -> Outcome:
    """Build the child with the draft's step, or the largest tried one that stays in the budget.

    One that went so far that its own lessons lost by it is tried at half the step, too.
    """
    step, reason = described.step, ""
    while step >= 1:
        outcome = replace(outcome, update=Update(tuple(described.coefficients), step))
        moved = math.inf
        try:
            child = reference.parent.child(described.model_copy(update={"step": step}))
        except (KernelError, ValueError) as cause:  # ValueError: no such change could be exact
            reason = str(cause)
        else:
            pause()
            found = reference.compare(child.decoder, backend=backend, pause=pause)
            pause()
            moved = found.moved
            gained = found.gain is None or found.gain >= 0
            if moved <= budget and gained:  # false for one that is not finite, too
                return replace(outcome, child=child, kl=moved, gain=found.gain, apart=found.apart)
            reason = f"moves {moved:.3f} nats a token, over the budget of {budget}"
            if not gained:
                reason, moved = f"its own lessons lose {-(found.gain or 0.0):.4f}", math.inf
        step = strategies.shrunk(step, moved, budget)
    return replace(outcome, reason=f"even the smallest step fails: {reason}")
