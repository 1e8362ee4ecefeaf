"""The port of rivals: how a service answers a person, and what it makes of complaints.

All rivals get the same sessions, the same verdicts and the same rewrites by the hinted base; they
differ in what they do with them alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from kernels.contract import Backend
from kernels.model.decode import greedy
from kernels.model.forward import Decoder
from learner.batch.lesson import Lesson
from learner.batch.placements import with_hint
from learner.form.obeys import apologises
from learner.population.members import Passage
from learner.population.scoring import logprobs
from streams.model.open import BaseModel
from streams.records import Message
from tests.experiments.rivals.people import Person

# Tokens of a reply: most of what pleases or not shows by then, and a session takes half a second.
REPLY_TOKENS: Final = 48
# Turns of one update, as `learner.turns_per_generation`, and how often one may be used.
TURNS: Final = 6
USES: Final = 8
# The confidence of the rules' judge in "Too long. …".
CONFIDENCE: Final = 0.8

Tokens = tuple[int, ...]


def nothing() -> None:
    """No pace."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What rivals share: the base, and its replies with and without each wish, made once."""

    base: BaseModel
    backend: Backend
    known: dict[tuple[str, str], Tokens] = field(default_factory=dict)

    def prompt(self, asked: str, wish: str = "") -> Tokens:
        """Return a request as tokens, with the wish behind it."""
        messages = [Message(role="user", content=asked)]
        return tuple(self.base.render(with_hint(messages, wish) if wish else messages))

    def of_base(self, asked: Sequence[str], wish: str = "") -> list[Tokens]:
        """Return the base's greedy replies, hinted with the wish."""
        missing = [text for text in asked if (text, wish) not in self.known]
        prompts = [self.prompt(text, wish) for text in missing]
        replies = self.replies(self.base.decoder, prompts)
        self.known.update(((text, wish), r) for text, r in zip(missing, replies, strict=True))
        return [self.known[text, wish] for text in asked]

    def replies(self, decoder: Decoder, prompts: Sequence[Tokens]) -> list[Tokens]:
        """Return a version's greedy replies, with the token that ended them."""
        stops = self.base.stop_ids
        found = greedy(decoder, prompts, max_tokens=REPLY_TOKENS, stop_ids=stops)
        return [tuple(reply) for reply in found]

    def text(self, reply: Tokens) -> str:
        """Return a reply as it is read."""
        text: str = self.base.tokenizer.decode(reply, skip_special_tokens=True)
        return text

    def pleased(self, person: Person, reply: Tokens) -> bool:
        """Whether a reply pleases somebody."""
        ended = bool(reply) and reply[-1] in self.base.stop_ids
        return person.pleased(self.text(reply), ended=ended)


@dataclass(frozen=True, slots=True)
class Said:
    """One session: what was asked and answered, and whether it pleased."""

    asked: str
    prompt: Tokens
    reply: Tokens
    pleased: bool


class Rival(Protocol):
    """A way to make somebody content.

    seconds: of processor spent on updates so far; lessons are the same for all and not counted
    """

    seconds: float

    @property
    def decoder(self) -> Decoder:
        """The version that answers now."""

    def answer(self, asked: Sequence[str]) -> list[Tokens]:
        """Answer some requests."""

    def learn(self, said: Sequence[Said]) -> None:
        """Make one update; said: the sessions that are new since the last one, perhaps none."""


class Still:
    """No learning: the base answers for ever."""

    def __init__(self, bench: Bench, person: Person) -> None:
        self.bench, self.person, self.wish = bench, person, ""
        self.seconds = 0.0

    @property
    def decoder(self) -> Decoder:
        """The base."""
        return self.bench.base.decoder

    def answer(self, asked: Sequence[str]) -> list[Tokens]:
        """Answer as the base does, with the wish in the prompt where it is known."""
        return self.bench.of_base(asked, self.wish)

    def learn(self, said: Sequence[Said]) -> None:
        """Learn nothing."""
        del said


class Remembering(Still):
    """Memory: from the first complaint on, the wish stands in every prompt."""

    def learn(self, said: Sequence[Said]) -> None:  # noqa: ARG002 - the wish is all it wants
        """Write the wish down."""
        self.wish = self.person.wish


class Lessons:
    """Sessions as lessons, newest first, each used a few times; what is unproved teaches by score.

    A rewrite is a target only when it has the wished form and apologises for nothing.
    """

    def __init__(self, bench: Bench, person: Person) -> None:
        self._bench, self._person = bench, person
        self._uses: dict[str, int] = {}
        self._known: list[Lesson] = []

    def take(self, said: Sequence[Said]) -> list[Lesson]:
        """Return the lessons of one update, of equal weight."""
        new = [s for s in said if not s.pleased]
        wish, bench = self._person.wish, self._bench
        rewrites = bench.of_base([s.asked for s in new], wish)
        hinted = [bench.prompt(s.asked, wish) for s in new]
        own = self._logprobs([(s.prompt, s.reply) for s in new])
        told = self._logprobs(list(zip(hinted, rewrites, strict=True)))
        for place, s in enumerate(new):
            lesson = Lesson(s.asked, 1.0, -1, CONFIDENCE, s.prompt, s.reply, own[place])
            if self._is_proved(rewrites[place]):
                lesson = Lesson(
                    s.asked, 1.0, -1, CONFIDENCE, s.prompt, s.reply, own[place],
                    target=rewrites[place], teacher=told[place],
                )  # fmt: skip
            self._known.insert(0, lesson)
        fresh = [each for each in self._known if self._uses.get(each.turn_id, 0) < USES]
        some = sorted(fresh, key=lambda each: self._uses.get(each.turn_id, 0))[:TURNS]
        for each in some:
            self._uses[each.turn_id] = self._uses.get(each.turn_id, 0) + 1
        return some

    def _is_proved(self, rewrite: Tokens) -> bool:
        text = self._bench.text(rewrite)
        return self._bench.pleased(self._person, rewrite) and not apologises(text)

    def _logprobs(self, texts: Sequence[tuple[Tokens, Tokens]]) -> list[tuple[float, ...]]:
        bench = self._bench
        found = logprobs(
            bench.base.decoder,
            [Passage(prompt, (reply,)) for prompt, reply in texts],
            backend=bench.backend,
            pause=nothing,
        )
        return [tuple(each.tolist()) for (each,) in found]
