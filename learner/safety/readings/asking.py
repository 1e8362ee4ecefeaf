"""Turns a version into what the gate's probes read: how it answers the gate's prompts.

The prompts are the same for every version of a base, and chosen by the base alone: the harmful
ones that it is surest to refuse and the benign ones that it is surest not to, so that a change has
something to show in. Beside them stand plain requests without any policy before them, the same for
every base: what people see. What several probes read of a version (its greedy replies, what the
base thinks of them, the log-odds with which a reply opens with a refusal) is computed once, and of
the base itself once a machine (learner.safety.kept).

Forward passes only. Knows nothing of limits, or of what is done about a fall.
"""

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final

import torch
from torch import Tensor

from kernels.model.decode import greedy
from kernels.model.forward import Decoder
from learner.population.aboutness import aboutness
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.safety.measuring import Measuring
from learner.safety.prompts import PromptSet
from learner.safety.prompts.sets import Banks, Requests, load_set
from learner.safety.readings.geometry import Geometry
from learner.safety.readings.phrasings import spread_over
from learner.safety.readings.sets import Sets
from learner.safety.readings.text import Text
from streams.records import Message

TokenIds = list[int]

# Of an empty reply, and no reply counts for less: tokens drawn blindly from the vocabulary.
WORST_NATS: Final = -10.0
# Prompts that each plain reply is held against: with two the mean of eight replies is that of three
# within 0.03 nats, and a quarter cheaper (EXPERIMENTS, "Aboutness").
NUM_OTHERS: Final = 2
# Requests of each kind whose states are compared: a mean of as many is steady to a fifth of their
# deviation.
NUM_STATES: Final = 24
# How a reply begins that does what is asked; of each the first token counts.
ASSENTS: Final = ("Sure", "Of course", "Certainly", "Absolutely", "Here", "Yes", "Great", "Okay")


class Questions:
    """The prompts that every version of a base is asked, and how the base itself answers them."""

    def __init__(
        self,
        measuring: Measuring,
        prompts: PromptSet,
        *,
        count: int,
        max_tokens: int,
        num_items: int = 8,
    ) -> None:
        """Choose what is asked.

        measuring: the base, and what is kept of it
        count: harmful, benign and plain prompts each whose replies are read
        max_tokens: length of these replies
        num_items: items of each set that is scored without a reply (learner.safety.readings.sets)
        """
        base = measuring.base
        self.sets = Sets(measuring, count=num_items, refusal_openings=prompts.refusal_openings)
        self.measuring, self._base, self._max_tokens = measuring, base, max_tokens
        self._backend, self._pause = measuring.backend, measuring.pause
        self._openings = tuple(
            tuple(base.tokenizer.encode(opening, add_special_tokens=False))
            for opening in prompts.refusal_openings
        )
        self.harmful, self.benign = self._choose(prompts, count)
        # at least two, so that there is another one to compare with
        self.plain = [
            base.render([Message(role="user", content=request)])
            for request in prompts.benign[: max(2, count)]
        ]

    @cached_property
    def prose(self) -> Text:
        """Plain text that nobody teaches."""
        return Text(self.measuring)

    @cached_property
    def base_logprobs(self) -> list[float]:
        """How likely the base's own replies to the benign prompts are to it, nats a token."""
        replies = self.replies(self._base.decoder, self.benign)
        return Subject(self, self._base.decoder).logprobs(self.benign, replies)

    @cached_property
    def geometry(self) -> Geometry:
        """Requests whose states are compared: harmful and harmless ones, and neutral ones."""
        asked = [
            [self._prompt(item.phrasings[0]) for item in load_set(name, Requests).items]
            for name in ("harmful", "benign")
        ]
        neutral = [self._prompt(item.prompt) for item in load_set("banks", Banks).benign]
        chosen = [spread_over(each, NUM_STATES) for each in (*asked, neutral)]
        assents = [self._base.tokenizer.encode(x, add_special_tokens=False)[0] for x in ASSENTS]
        return Geometry(self.measuring, *chosen, assents=assents)

    def _prompt(self, request: str) -> tuple[int, ...]:
        return tuple(self._base.render([Message(role="user", content=request)]))

    def replies(self, decoder: Decoder, prompts: Sequence[TokenIds]) -> list[TokenIds]:
        """Return a version's greedy replies, their stop tokens left out."""
        base = self._base
        if decoder is base.decoder:
            replies = self.measuring.replies(prompts, max_tokens=self._max_tokens)
        else:
            replies = greedy(
                decoder,
                prompts,
                max_tokens=self._max_tokens,
                stop_ids=base.stop_ids,
                pause=self._pause,
            )
        return [[token for token in reply if token not in base.stop_ids] for reply in replies]

    def odds(self, decoder: Decoder, prompts: Sequence[TokenIds]) -> Tensor:
        """Return the log-odds of a refusal's opening after each prompt: (prompts,) float64."""
        if decoder is not self._base.decoder:
            return self._odds(decoder, prompts)
        asked = [[list(prompt) for prompt in prompts], self._openings]
        kept = self.measuring.kept.tensors(
            "odds", asked, lambda: {"odds": self._odds(decoder, prompts)}
        )
        return kept["odds"]

    def _odds(self, decoder: Decoder, prompts: Sequence[TokenIds]) -> Tensor:
        passages = [Passage(tuple(prompt), self._openings) for prompt in prompts]
        scores = logprobs(decoder, passages, backend=self._backend, pause=self._pause)
        sums = torch.stack([torch.stack([each.double().sum() for each in some]) for some in scores])
        mass = sums.logsumexp(dim=1)
        # log p − log(1 − p); the openings exclude each other, so p < 1 but for rounding
        return mass - torch.log1p(-mass.exp().clamp(max=1 - 1e-9))

    def mean_logprobs(
        self, prompts: Sequence[TokenIds], replies: Sequence[TokenIds]
    ) -> list[float]:
        """Return what the base thinks of replies, nats a token; −inf for an empty one."""
        passages = [
            Passage(tuple(p), (tuple(r),)) for p, r in zip(prompts, replies, strict=True) if r
        ]
        scores = iter(
            logprobs(self._base.decoder, passages, backend=self._backend, pause=self._pause)
        )
        return [float(next(scores)[0].mean()) if reply else -math.inf for reply in replies]

    def aboutness(self, replies: Sequence[TokenIds]) -> list[float]:
        """Return how far each reply to the plain prompts is about its own, nats a token.

        All 0 where a prompt set has a single one, and nothing can be compared.
        """
        if len(self.plain) < 2:
            return [0.0] * len(replies)
        return aboutness(
            self._base.decoder,
            self.plain,
            replies,
            num_others=NUM_OTHERS,
            backend=self._backend,
            pause=self._pause,
        )

    def text(self, reply: TokenIds) -> str:
        """Return a reply as people read it."""
        text: str = self._base.tokenizer.decode(reply, skip_special_tokens=True)
        return text

    def _choose(self, prompts: PromptSet, count: int) -> tuple[list[TokenIds], list[TokenIds]]:
        """Take each harmful prompt in the context where it is refused most, each benign likewise
        where it is refused least; of these the clearest `count`."""
        chosen = []
        for requests, sign in ((prompts.harmful, 1), (prompts.benign, -1)):
            asked = [
                [self._base.render(prompts.messages(context, request)) for request in requests]
                for context in prompts.contexts
            ]
            odds = sign * torch.stack(
                [self.odds(self._base.decoder, rendered) for rendered in asked]
            )
            clearest, context = odds.max(dim=0)
            order = clearest.argsort(descending=True, stable=True)[:count].tolist()
            chosen.append([asked[int(context[place])][place] for place in order])
        return chosen[0], chosen[1]


class Subject:
    """One version under the probes; what several of them need is computed when it is first read."""

    def __init__(self, questions: Questions, decoder: Decoder) -> None:
        self.questions, self.decoder = questions, decoder
        self._is_base = decoder is questions.measuring.base.decoder

    @cached_property
    def odds(self) -> Tensor:
        """Log-odds that a reply to each harmful prompt opens with a refusal, nats."""
        return self.questions.odds(self.decoder, self.questions.harmful)

    @property
    def to_harmful(self) -> list[TokenIds]:
        """Greedy replies to the harmful prompts."""
        return self._replies[: len(self.questions.harmful)]

    @property
    def to_benign(self) -> list[TokenIds]:
        """Greedy replies to the benign prompts."""
        first = len(self.questions.harmful)
        return self._replies[first : first + len(self.questions.benign)]

    @property
    def to_plain(self) -> list[TokenIds]:
        """Greedy replies to the plain prompts."""
        return self._replies[len(self.questions.harmful) + len(self.questions.benign) :]

    @cached_property
    def benign_logprobs(self) -> list[float]:
        """What the base thinks of the replies to benign prompts, nats a token; −inf if empty."""
        return self.logprobs(self.questions.benign, self.to_benign)

    @cached_property
    def aboutness(self) -> list[float]:
        """How far each reply to the plain prompts is about its own, nats a token."""
        asked = [self.questions.plain, self.to_plain, NUM_OTHERS]
        return self._told("aboutness", asked, lambda: self.questions.aboutness(self.to_plain))

    def logprobs(self, prompts: list[TokenIds], replies: list[TokenIds]) -> list[float]:
        """Return what the base thinks of this version's replies, nats a token; −inf if empty."""
        questions = self.questions
        return self._told(
            "logprobs", [prompts, replies], lambda: questions.mean_logprobs(prompts, replies)
        )

    def _told(self, kind: str, of: object, measure: Callable[[], list[float]]) -> list[float]:
        """Return figures of replies; those of the base's own are kept."""
        if not self._is_base:
            return measure()
        kept: list[float] = self.questions.measuring.kept.value(kind, of, measure)
        return kept

    @cached_property
    def _replies(self) -> list[TokenIds]:
        questions = self.questions
        return questions.replies(
            self.decoder, [*questions.harmful, *questions.benign, *questions.plain]
        )
