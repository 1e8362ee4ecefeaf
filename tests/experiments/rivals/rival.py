"""The port of rivals: how a service answers a person, and what it makes of complaints.

All rivals get the same sessions, the same verdicts and the same rewrites by the hinted base; they
differ in what they do with them alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from kernels.contract import Backend
from kernels.model.decode import continued, greedy
from kernels.model.forward import Decoder
from learner.batch.lesson import Lesson
from learner.batch.rewriting.placements import PLACEMENTS, Placement, with_hint
from learner.batch.rewriting.sampling import Draws
from learner.form.obeys import apologises
from learner.population.members import Passage
from learner.population.scoring import logprobs
from learner.safety.readings.replies import is_degenerate
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
# How a wish is put to the base for a rewrite, and how often a reply is drawn where that fails.
PLACES: Final[tuple[Placement, ...]] = ("suffix", "example", "system")
DRAWN: Final = (1, 2, 3)

Tokens = tuple[int, ...]


def nothing() -> None:
    """No pace."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What the hinted base says: behind which prompt, and its tokens."""

    hinted: Tokens
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class Bench:
    """What rivals share, made once: the base, its replies, and its rewrites for each wish."""

    base: BaseModel
    backend: Backend
    known: dict[tuple[str, str], Tokens] = field(default_factory=dict)
    rewrites: dict[tuple[str, str], Rewrite | None] = field(default_factory=dict)

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

    def rewritten(self, person: Person, asked: Sequence[str]) -> list[Rewrite | None]:
        """Return what the hinted base says that pleases somebody; None where it finds nothing.

        The greedy replies in each placement are tried before drawn ones, as the service does.
        """
        missing = [text for text in asked if (text, person.wish) not in self.rewrites]
        left = dict.fromkeys(missing)
        for place, drawn in (*((place, 0) for place in PLACES), *(("suffix", n) for n in DRAWN)):
            some = [text for text, found in left.items() if found is None]
            for text, each in zip(some, self._candidates(person, some, place, drawn), strict=True):
                if self.pleased(person, each.tokens) and not apologises(self.text(each.tokens)):
                    left[text] = each
        self.rewrites.update(((text, person.wish), found) for text, found in left.items())
        return [self.rewrites[text, person.wish] for text in asked]

    def _candidates(
        self, person: Person, asked: Sequence[str], place: Placement, drawn: int
    ) -> list[Rewrite]:
        """Write replies behind hinted prompts; drawn: which draw it is, 0 for the likeliest."""
        put = PLACEMENTS[place]
        prompts = [
            tuple(self.base.render(put([Message(role="user", content=text)], person.wish)))
            for text in asked
        ]
        if not drawn:
            replies = self.replies(self.base.decoder, prompts)
        else:
            draws = Draws([f"{person.name} {drawn} {text}" for text in asked])
            stops = self.base.stop_ids
            found = continued(
                self.base.decoder, prompts, draws, max_tokens=REPLY_TOKENS, stop_ids=stops
            )
            replies = [tuple(reply) for reply in found]
        return [Rewrite(*each) for each in zip(prompts, replies, strict=True)]

    def text(self, reply: Tokens) -> str:
        """Return a reply as it is read."""
        text: str = self.base.tokenizer.decode(reply, skip_special_tokens=True)
        return text

    def pleased(self, person: Person, reply: Tokens) -> bool:
        """Whether a reply pleases somebody; nobody is by one that goes round in circles."""
        if is_degenerate(reply):
            return False
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

    A rewrite is a target only when it has the wished form and apologises for nothing
    (Bench.rewritten).
    """

    def __init__(self, bench: Bench, person: Person) -> None:
        self._bench, self._person = bench, person
        self._uses: dict[str, int] = {}
        self._known: list[Lesson] = []

    def take(self, said: Sequence[Said]) -> list[Lesson]:
        """Return the lessons of one update, of equal weight."""
        new = [s for s in said if not s.pleased]
        rewrites = self._bench.rewritten(self._person, [s.asked for s in new])
        own = self._logprobs([(s.prompt, s.reply) for s in new])
        told = iter(self._logprobs([(r.hinted, r.tokens) for r in rewrites if r is not None]))
        for place, (s, rewrite) in enumerate(zip(new, rewrites, strict=True)):
            lesson = Lesson(s.asked, 1.0, -1, CONFIDENCE, s.prompt, s.reply, own[place])
            if rewrite is not None:
                lesson = replace(lesson, target=rewrite.tokens, teacher=next(told))
            self._known.insert(0, lesson)
        fresh = [each for each in self._known if self._uses.get(each.turn_id, 0) < USES]
        some = sorted(fresh, key=lambda each: self._uses.get(each.turn_id, 0))[:TURNS]
        for each in some:
            self._uses[each.turn_id] = self._uses.get(each.turn_id, 0) + 1
        return some

    def _logprobs(self, texts: Sequence[tuple[Tokens, Tokens]]) -> list[tuple[float, ...]]:
        bench = self._bench
        found = logprobs(
            bench.base.decoder,
            [Passage(prompt, (reply,)) for prompt, reply in texts],
            backend=bench.backend,
            pause=nothing,
        )
        return [tuple(each.tolist()) for (each,) in found]
