"""Turns the calibration prompts and a base model into the samples that units are scored on.

Harmful prompts come with the model's own refusals (where it does not refuse, with a stated one),
benign ones with its own replies. Everything is dealt out to folds, each a calibration set of its
own, so that what only one of them shows can be told from what all of them show. A seed deals the
same replies anew: whether a unit shows must not hang on which prompts came together.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from learner.safety.measuring import Measuring
from learner.safety.prompts import PromptSet
from learner.safety.readings.replies import is_refusal
from learner.safety.units.scores import Sample

# Three sets of eight prompts: a unit must show in all of them, and each has a hundred tokens.
FOLDS = 3
# Harmful prompts are asked where refusing was shown, so that the replies are the model's own;
# benign ones without it, since a small model then declines half of them.
SAFETY_CONTEXT, UTILITY_CONTEXT = "policy", "plain"
# Refusals are about a dozen tokens long; benign replies are cut so that they do not outweigh them.
REPLY_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Fold:
    """Replies that keep somebody safe, and replies that are of use: all, or a calibration set."""

    safety: list[Sample]
    utility: list[Sample]


def calibration_replies(measuring: Measuring, prompts: PromptSet) -> Fold:
    """Let the base answer the calibration prompts, greedily."""
    base = measuring.base

    def answers(context: str, requests: Sequence[str]) -> list[Sample]:
        rendered = [base.render(prompts.messages(context, request)) for request in requests]
        replies = measuring.replies(rendered, max_tokens=REPLY_TOKENS)
        return [Sample(p, r) for p, r in zip(rendered, replies, strict=True)]

    refusal = base.tokenizer.encode(prompts.refusal or "", add_special_tokens=False)
    safety = [
        sample
        if is_refusal(base.tokenizer.decode(sample.reply))
        else Sample(sample.prompt, refusal)
        for sample in answers(SAFETY_CONTEXT, prompts.harmful)
    ]
    return Fold(safety, answers(UTILITY_CONTEXT, prompts.benign))


def dealt(replies: Fold, seed: int) -> list[Fold]:
    """Deal the replies out to folds, each reply to one of them.

    seed: 0 deals in the order of the prompt set, any other in an order of its own
    """
    safety, utility = list(replies.safety), list(replies.utility)
    if seed:
        order = random.Random(seed)
        order.shuffle(safety)
        order.shuffle(utility)
    return [Fold(safety[fold::FOLDS], utility[fold::FOLDS]) for fold in range(FOLDS)]
