"""Hears by embedding what no word list has: complaints, wishes, praise and thanks in their context.

A message goes with reply and question through an encoder that was tuned on labelled examples
(learner.judges.tuned), which gives the chances that it is unhappy with the reply, pleased, or says
nothing of it. Where the lexical judge hears nothing it speaks only when it is sure; where that one
has a verdict it confirms or doubts it. Text of programs, pasted text and answers to the agent's
question are never embedded.

Knows nothing of words or languages.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from learner.judges.acts.clauses import (
    approves_as_it_is,
    heard_parts,
    says_nothing_else,
    tells_of_others,
    thanks_and_goes_on,
)
from learner.judges.acts.message import Heard, hear
from learner.judges.acts.part import SHAPES
from learner.judges.acts.wording import OWN_WORDING
from learner.judges.judge import (
    SURE_OF_NOTHING,
    Evidence,
    Judge,
    KindOfEvidence,
    Source,
    judgement_of,
    said_in,
)
from learner.judges.reading.reading import Reading, read
from learner.judges.reading.text import READ_CHARS, is_cjk, tokens
from learner.judges.tuned.encoder import Chances, Encoder
from learner.judges.wishes import hint_of
from learner.link.conversation import Link
from learner.settings import LearnerSettings
from streams.records import Judgement, Turn

# From this chance on it speaks where no word list does: high, as precision comes before recall
# (EXPERIMENTS.md, "Judges").
SPEAKS: Final = {-1: 0.84, 1: 0.96}
# From this chance on where it hears a wish and the words name a shape.
BORNE_OUT: Final = 0.8
# From this chance on a lexical verdict stays; rules that are right more or less often than the
# others by themselves have their own.
SUPPORTS: Final = 0.3
SUPPORTS_OF: Final = {
    "mocks it": 0.1,
    "wishes a form": 0.9,
    "wishes a tone": 0.9,
    "too much of something": 0.9,
    "says what was asked": 0.9,
    "wanted something else": 0.9,
}
# The same where a message is courtesy, complaint and wish alone.
SUPPORTS_PLAIN: Final = 0.1
# What says itself that it is no verdict, whatever it sounds like.
SETTLED: Final = frozenset(
    {
        "a wish for what comes next",
        "doubts it",
        "denies a fault",
        "denies a wish",
        "wants it of life",
        "declines help",
        "takes back their own words",
    }
)
# With this share of words in common a message is the question again: a program's poll, or a retry.
SAME_QUESTION: Final = 0.8
# Messages whose chances are kept: the same few words are said again and again.
KEPT: Final = 1024
# What is a wish at least as likely as this is an order to the model, in the person's words.
WISHED: Final = 0.7

# How much of each text is read, in characters of Latin script; Chinese and Japanese count twice.
FOLLOWUP_CHARS: Final = 300
REPLY_BEGIN_CHARS: Final = 150
REPLY_END_CHARS: Final = 140
QUESTION_CHARS: Final = 160
SEPARATOR: Final = " ◀ "
# How Chinese and Japanese ask without a mark.
_ASKS: Final = re.compile(r"[吗嘛]\Z|(?:です|ます|でした|ました|でしょう|ません)か\Z")


@dataclass(frozen=True, slots=True)
class Said:
    """What was said after a reply to a question."""

    question: str
    reply: str
    followup: str


def seen(said: Said) -> str:
    """Return the text that is embedded: the words in their context.

    >>> seen(Said("Why?", "Because  of\\ngravity.", "too long"))
    'query: too long ◀ Because of gravity. ◀ Why?'
    """
    reply = " ".join(said.reply.split())
    begin, end = _cut(reply, REPLY_BEGIN_CHARS), _cut(reply, REPLY_END_CHARS, end=True)
    if len(begin) + len(end) < len(reply):
        reply = f"{begin} … {end}"
    followup = _cut(" ".join(said.followup.split()), FOLLOWUP_CHARS)
    question = _cut(" ".join(said.question.split()), QUESTION_CHARS)
    return f"query: {SEPARATOR.join((followup, reply, question))}"


def _cut(text: str, chars: int, *, end: bool = False) -> str:
    """The beginning or end of a text that has about so many characters of Latin script."""
    part = text[-chars:] if end else text[:chars]
    eastern = sum(map(is_cjk, part))
    kept = max(1, chars - eastern // 2 - eastern % 2) if eastern else chars
    return part[-kept:] if end else part[:kept]


class EmbeddingJudge:
    """A tuned encoder, over the next state."""

    source: Source = "embedding"
    reads: KindOfEvidence = Link

    def __init__(self, chances: Callable[[str], Chances]) -> None:
        """Judge by what gives the chances of a text that `seen` made."""
        self._chances = lru_cache(maxsize=KEPT)(chances)

    def judge(self, turn: Turn, evidence: Evidence) -> Judgement | None:
        """Return a verdict, 0 where it doubts the lexical one; None where it is not sure."""
        if not isinstance(evidence, Link) or evidence.kind != "reply":
            return None
        reading = read(turn, evidence)
        if reading is None or reading.origin != "person" or reading.asks != "nothing":
            return None
        heard = hear(reading)
        if heard.rule in SETTLED or (heard.score == 0 and _is_asked_again(reading)):
            return None
        says_only = says_nothing_else if heard.score < 0 else thanks_and_goes_on
        plain = says_only(reading)
        if plain and heard.score < 0 and heard.rule in OWN_WORDING:
            return None  # "Too long. One sentence only." is as plain as words can be
        if approves_as_it_is(reading):
            return None  # the words of the wish that it denies sound like one
        text = seen(Said(reading.asked, reading.reply, reading.said))
        chances = self._chances(text)
        decided = decide(chances, heard, speaks=_speaks_from(reading, chances), plain=plain)
        if decided is not None and decided.score > 0 == heard.score and _asks_on(reading):
            return None
        if decided is not None and decided.score < 0 == heard.score and tells_of_others(reading):
            return None
        return None if decided is None else _judgement(turn, evidence, reading, decided)


def open_judge(_: LearnerSettings) -> Judge:
    """Open the encoder.

    raises: ExtraMissingError when the package of its base is missing; ModelFilesError
    """
    encoder = Encoder.open()
    return EmbeddingJudge(lambda text: Chances.of(encoder.chances(text)))


def _is_asked_again(reading: Reading) -> bool:
    asked = set(tokens(reading.asked[:READ_CHARS]))
    again = set(tokens(reading.said[:READ_CHARS]))
    return len(asked & again) >= SAME_QUESTION * max(1, len(asked | again))


def _speaks_from(reading: Reading, chances: Chances) -> float:
    """Return the chance from which it is unhappy where no word list is."""
    shaped = any(told.part.has(*SHAPES) for told in heard_parts(reading))
    return BORNE_OUT if shaped and chances.wished >= WISHED else SPEAKS[-1]


def _asks_on(reading: Reading) -> bool:
    """Tell whether a question stands in it: behind praise it may be for what the reply left out."""
    marked = any(clause.question for clause in reading.clauses)
    return marked or any(_ASKS.search(clause.raw) for clause in reading.clauses)


@dataclass(frozen=True, slots=True)
class Decided:
    """A verdict, how sure it is, and why."""

    score: Literal[-1, 0, 1]
    confidence: float
    why: str
    wished: bool = False


def decide(
    chances: Chances, heard: Heard, *, speaks: float = SPEAKS[-1], plain: bool = False
) -> Decided | None:
    """Return a verdict, or None where no chance is large enough.

    heard: what the lexical judge made of it
    speaks: from this chance on it is unhappy where that one heard nothing
    plain: whether the message says nothing but what that one heard

    >>> from learner.judges.tuned.encoder import Chances
    >>> nothing, praise = Heard(0, "nothing", "a new topic"), Heard(1, "praise", "praises it")
    >>> decide(Chances(unhappy=0.98, nothing=0.01, pleased=0.01, wished=0.2), nothing).score
    -1
    >>> decide(Chances(unhappy=0.6, nothing=0.3, pleased=0.1, wished=0.2), nothing) is None
    True
    >>> decide(Chances(unhappy=0.6, nothing=0.3, pleased=0.1, wished=0.2), praise).why
    'sounds unhappy, 60 %: doubts the words'
    """
    name, chance = chances.likeliest
    said = f"sounds {name}, {100 * chance:.0f} %"
    if heard.score != 0:
        support = chances.unhappy if heard.score < 0 else chances.pleased
        needed = SUPPORTS_OF.get(heard.rule, SUPPORTS)
        if support < (min(needed, SUPPORTS_PLAIN) if plain else needed):
            return Decided(0, max(SURE_OF_NOTHING, 1 - support), f"{said}: doubts the words")
    if chances.unhappy >= (speaks if heard.score == 0 else SPEAKS[-1]):
        return Decided(-1, chances.unhappy, said, chances.wished >= WISHED)
    if chances.pleased >= SPEAKS[1]:
        return Decided(1, chances.pleased, said)
    return None


def _judgement(turn: Turn, link: Link, reading: Reading, decided: Decided) -> Judgement:
    return judgement_of(
        turn,
        "embedding",
        said_in(link),
        score=decided.score,
        confidence=round(min(decided.confidence, 1.0), 2),
        hint=hint_of(reading.said).text if decided.wished else None,
        evidence=decided.why,
        created_ms=link.created_ms,
    )
