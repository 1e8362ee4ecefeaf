"""Decides whether a candidate may be a lesson, by what the base finds likely behind which prompt.

Likelihoods come from forward passes and no list of words, so that they hold for any language. With
log p a mean over the candidate's tokens, nats a token:

  about   = log p(candidate | prompt + hint) − mean over others of log p(candidate | other + hint)
            (the hint stands on both sides: what it alone calls for, "Dear Ada,", is about nothing);
  follows = log p(candidate | prompt + hint) − log p(candidate | prompt + any wish), less the same
            of the reply that was given, both from where they part: how much more this hint says for
            it than a wish that says nothing, behind which replies are shorter as well;
  likely  = log p(candidate | prompt + hint) − log p(the reply that was given | prompt): babble is
            not what the hint makes of the question;
  to the point = of its first sentence, log p(… | prompt) − log p(… | a complaint about something
            else): an apology is what a complaint calls for, whatever it is about.

A lesson passes all four limits, and neither goes round in circles nor says the hint itself again,
which the hint makes likely as well. A likelihood says that the hint pulls a reply, not that the
reply arrives: so where rules can see what was wished (learner.form.directions), it must be there,
and where it was not before that is proof enough that it follows. No lesson apologises unless that
was wished. What a candidate is about and whether it is to the point shows in its first tokens;
whether it follows may show in its last.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from torch import Tensor

from kernels.contract import Backend
from learner.batch.rewriting.candidates import Candidate, Hinted, Tokens
from learner.batch.rewriting.placements import with_hint
from learner.form.directions import directions_of
from learner.form.obeys import apologises, missed
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.safety.readings.replies import is_degenerate
from streams.model.open import BaseModel
from streams.records import Message

# Chosen on one half of tests/hearing/wishes.jsonl, reported on the other (EXPERIMENTS, "Lessons").
LEAST_ABOUT_NATS: Final = 0.5
LEAST_FOLLOWS_NATS: Final = 0.2
LEAST_TO_THE_POINT_NATS: Final = 1.0
LEAST_LIKELY_NATS: Final = -1.5
# A candidate that parts from the reply by its stop token alone must not be judged by one number.
FEW_TOKENS: Final = 8
# So many tokens of the hint on end are no answer any more: more than "Dear Ada," or "Yours, Priya".
COPIED_TOKENS: Final = 7
# Past this an even clearer lesson is no better one: a short candidate would always win.
ENOUGH_NATS: Final = 1.0
# So many tokens say what a candidate is about, and how far the reply that was given obeys already.
HEAD_TOKENS: Final = 24
GIVEN_TOKENS: Final = 32

# Requests that nobody's turn is about, the same for every candidate; none is in another prompt set.
OTHERS: Final = ("What does a lighthouse keeper do?", "How do I sharpen a pencil with a knife?")
COMPLAINED: Final = (
    Message(role="user", content="How do I sharpen a pencil with a knife?"),
    Message(
        role="assistant",
        content="Hold it still and cut thin slices of wood away from you, all the way round.",
    ),
    Message(role="user", content="That was not what I wanted."),
)


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found of a candidate, nats a token."""

    about: float
    follows: float
    to_the_point: float
    likely: float = 0.0
    copies: bool = False  # the hint
    loops: bool = False
    misses: str = ""  # what rules see that was wished and is not there, or that nobody wished
    obeys: bool = False  # rules see that it does what was wished, and that the reply did not
    fault: str = ""  # why nothing could be found of it

    @property
    def reason(self) -> str:
        """Why it is no lesson, in words; empty: it is one."""
        if self.fault:
            return f"it cannot be proved: {self.fault}"
        if self.loops:
            return "it goes round in circles"
        if self.copies:
            return "it says the hint again"
        if not self.to_the_point >= LEAST_TO_THE_POINT_NATS:
            return f"it talks about the complaint ({self.to_the_point:+.2f} nats a token)"
        if not self.about >= LEAST_ABOUT_NATS:
            return f"it is not about the question ({self.about:+.2f} nats a token)"
        if self.misses:
            return f"it does not do what was wished: {self.misses}"
        if not self.obeys and not self.follows >= LEAST_FOLLOWS_NATS:
            return f"it does not do what was wished ({self.follows:+.2f} nats a token)"
        if not self.likely >= LEAST_LIKELY_NATS:
            return f"it is not likely with the wish either ({self.likely:+.2f} nats a token)"
        return ""

    def as_json(self) -> dict[str, float]:
        """What is kept of it."""
        return {
            "about": round(self.about, 3),
            "follows": round(self.follows, 3),
            "to_the_point": round(self.to_the_point, 3),
            "likely": round(self.likely, 3),
        }

    @property
    def strength(self) -> float:
        """How good a lesson it is among those that are one; −inf for what is none."""
        if self.reason:
            return -math.inf
        return min(self.about, ENOUGH_NATS) + min(self.follows, ENOUGH_NATS)


class Prover:
    """Proves the candidates of hinted turns with one base."""

    def __init__(self, base: BaseModel, *, backend: Backend, pause: Callable[[], None]) -> None:
        """Take the base; pause: called between pieces of work."""
        self._base, self._backend, self._pause = base, backend, pause

    def prove(
        self,
        turn: Hinted,
        hint: str,
        candidates: Sequence[Candidate],
        *,
        sentence: Callable[[Tokens], Tokens],
    ) -> list[Proof]:
        """Return a proof of each candidate of one turn.

        sentence: of a candidate's tokens, those of the first sentence
        """
        if not candidates:
            return []
        texts = [each.tokens for each in candidates]
        heads = [tokens[:HEAD_TOKENS] for tokens in texts]
        given = turn.reply[:GIVEN_TOKENS]
        plain = self._score(turn.prompt, [*heads, given])
        vague = self._score(turn.any_wish, [*texts, given])
        hinted = self._score(turn.asked["suffix"], [*texts, given])
        complained = self._score(self._complained(), heads)
        others = [self._score(prompt, heads) for prompt in self._others(hint)]
        said = self._base.encode(hint)
        wished, before = directions_of(hint), self._text(turn.reply)
        fails = bool(missed(wished, before, given=before, ended=True))
        misses = [self._misses(tokens, before, hint) for tokens in texts]
        ahead = [told - untold for told, untold in zip(hinted, vague, strict=True)]
        usual = _mean(plain[-1])
        found = []
        for place, head in enumerate(heads):
            size = len(head)
            opening = len(sentence(head)) or size
            point = plain[place][:opening] - complained[place][:opening]
            shared = _shared(texts[place], given)
            elsewhere = [_steady(other[place]) for other in others]
            found.append(
                Proof(
                    about=_steady(hinted[place][:size]) - sum(elsewhere) / len(elsewhere),
                    follows=_apart(ahead[place], shared) - _apart(ahead[-1], shared),
                    to_the_point=_mean(point),
                    likely=_mean(hinted[place]) - usual,
                    copies=_copies(texts[place], said),
                    loops=is_degenerate(texts[place]),
                    misses=misses[place],
                    obeys=fails and not misses[place],
                )
            )
        return found

    def _misses(self, tokens: Tokens, before: str, hint: str) -> str:
        """Return what rules see that was wished and is not there, or that nobody wished."""
        text = self._text(tokens)
        ended = bool(tokens) and tokens[-1] in self._base.stop_ids
        if apologises(text) and not apologises(hint):
            return "it apologises"
        return missed(directions_of(hint), text, given=before, ended=ended)

    def _text(self, tokens: Tokens) -> str:
        text: str = self._base.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def _complained(self) -> Tokens:
        return tuple(self._base.render(COMPLAINED))

    def _others(self, hint: str) -> list[Tokens]:
        return [
            tuple(self._base.render(with_hint([Message(role="user", content=other)], hint)))
            for other in OTHERS
        ]

    def _score(self, prompt: Tokens, texts: Sequence[Tokens]) -> list[Tensor]:
        passage = Passage(prompt, tuple(texts))
        (found,) = logprobs(self._base.decoder, [passage], backend=self._backend, pause=self._pause)
        return [each.double() for each in found]


def failed(cause: Exception) -> Proof:
    """Return the proof of a candidate of which nothing could be found, for a fault of ours."""
    return Proof(math.nan, math.nan, math.nan, fault=f"{type(cause).__name__}: {cause}")


def _copies(tokens: Tokens, hint: Sequence[int]) -> bool:
    """Whether so many tokens of the hint stand in a candidate on end."""
    runs = {
        tuple(hint[first : first + COPIED_TOKENS]) for first in range(len(hint) - COPIED_TOKENS + 1)
    }
    return any(
        tokens[first : first + COPIED_TOKENS] in runs
        for first in range(len(tokens) - COPIED_TOKENS + 1)
    )


def _shared(tokens: Tokens, given: Tokens) -> int:
    """Count the tokens with which both begin."""
    pairs = zip(tokens, given, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _apart(ahead: Tensor, shared: int) -> float:
    """Return the mean from where two replies part."""
    return _steady(ahead[shared:])


def _steady(scores: Tensor) -> float:
    """Return the mean, over no fewer tokens than FEW_TOKENS: two lucky tokens prove nothing."""
    return float(scores.sum()) / max(len(scores), FEW_TOKENS)


def _mean(scores: Tensor) -> float:
    return float(scores.mean())
