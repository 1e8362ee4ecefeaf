"""The labelled examples, and what is put together of them.

A few hundred sentences can be learned by heart; what must be learned is how they are used: quoted,
behind thanks, in front of a new question, as the answer to a question. So examples are put into
each other (frames.toml), and each with a context: its own, or, for words that say the same after
any reply, another example's.

Deterministic by its seed.
"""

import json
import random
import tomllib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, get_args

from learner.judges.embedding import Label

HERE: Final = Path(__file__).parent
EXAMPLES: Final = HERE.parent / "examples"
LABELS: Final = get_args(Label)
# A pattern that is put together is seen about this often in a language, English more.
TIMES: Final = 40
TIMES_ENGLISH: Final = 90
# Share of borrowed contexts whose reply closes politely, and of asked ones that say something first.
CLOSING: Final = 0.12
ASKING_LATE: Final = 0.4
# Neutral kinds that ask or order something new.
GOES_ON: Final = frozenset({"topic", "word", "continues", "similar", "wish_first"})


@dataclass(frozen=True, slots=True)
class Example:
    """What was said after a reply; without a reply the words mean the same after any."""

    language: str
    label: Label
    kind: str
    followup: str
    question: str = ""
    reply: str = ""


def load(folder: Path = EXAMPLES) -> list[Example]:
    """Read the examples; machine text is left out, as no judge by embedding ever sees it."""
    found = []
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            said = json.loads(line)
            if said["kind"] != "machine":
                said["label"] = said.pop("class")
                found.append(Example(language=file.stem, **said))
    return found


def grown(examples: Sequence[Example], *, seed: int) -> list[Example]:
    """Return the examples with a context each, and what is put together of them."""
    chance = random.Random(seed)
    frames = tomllib.loads((HERE / "frames.toml").read_text(encoding="utf-8"))
    by_language: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_language[example.language].append(example)
    found: list[Example] = []
    for language, own in by_language.items():
        found += _Grower(language, own, frames[language], chance).grow()
    return found


class _Grower:
    """Puts the examples of one language together."""

    def __init__(
        self,
        language: str,
        examples: list[Example],
        frames: dict[str, list[str]],
        chance: random.Random,
    ) -> None:
        self._language = language
        self._examples = examples
        self._frames = frames
        self._chance = chance
        self._contexts = [
            (example.question, example.reply)
            for example in examples
            if example.reply and example.kind != "answer"
        ]

    def grow(self) -> list[Example]:
        """Return all examples of the language."""
        times = TIMES_ENGLISH if self._language == "en" else TIMES
        ways: tuple[tuple[Callable[[], Example], float], ...] = (
            (self._quoted, 1.0), (self._told, 0.33), (self._behind_courtesy, 1.2),
            (self._wish_behind_courtesy, 0.5), (self._praise_in_front, 0.8),
            (self._wish_in_front, 0.8), (self._complaint_in_front, 0.25), (self._answered, 0.8),
        )  # fmt: skip
        made = [way() for way, share in ways for _ in range(int(times * share))]
        return [*map(self._placed, self._examples), *made]

    def _quoted(self) -> Example:
        words = self._one("complaint", "praise", "thanks", "wish")
        return self._neutral(self._frame("quoted").format(s=words.followup))

    def _told(self) -> Example:
        words = self._one("complaint", "praise")
        return self._neutral(self._frame("told").format(s=words.followup))

    def _behind_courtesy(self) -> Example:
        return self._courteous(self._placed(self._one("complaint", most=90)))

    def _wish_behind_courtesy(self) -> Example:
        return self._courteous(self._placed(self._one("wish", most=90)))

    def _courteous(self, words: Example) -> Example:
        said = self._frame("courtesy").format(
            t=_open(self._one("thanks", most=25).followup),
            p=_open(self._one("praise", most=35).followup),
            c=_low(words.followup),
            C=words.followup,
        )
        return replace(words, followup=said)

    def _praise_in_front(self) -> Example:
        words = self._one("praise", "thanks", most=50)
        joint = self._chance.choice([". ", "! ", ", ", " "])
        question, reply = self._context()
        said = _open(words.followup) + joint + self._next().followup
        return replace(words, followup=said, question=question, reply=reply)

    def _wish_in_front(self) -> Example:
        joint = self._chance.choice([": ", ". ", ", ", ". "])
        return self._neutral(
            _open(self._one("wish", most=60).followup) + joint + self._next().followup
        )

    def _complaint_in_front(self) -> Example:
        words = self._placed(self._one("complaint", most=60))
        return replace(words, followup=f"{_open(words.followup)}. {self._next().followup}")

    def _answered(self) -> Example:
        words = self._one("complaint", "praise", "wish", most=40)
        question, reply = self._context()
        first = f"{reply} " if self._chance.random() < ASKING_LATE else ""
        asks = self._chance.choice(self._frames["asks"])
        return replace(self._neutral(words.followup), question=question, reply=first + asks)

    def _neutral(self, said: str) -> Example:
        question, reply = self._context()
        return Example(self._language, "neutral", "put together", said, question, reply)

    def _placed(self, example: Example) -> Example:
        if example.reply:
            return example
        question, reply = self._context()
        return replace(example, question=question, reply=reply)

    def _context(self) -> tuple[str, str]:
        question, reply = self._chance.choice(self._contexts)
        if self._chance.random() < CLOSING:
            reply = f"{reply} {self._chance.choice(self._frames['closes'])}"
        return question, reply

    def _one(self, *labels: Label, most: int = 10_000) -> Example:
        among = [e for e in self._examples if e.label in labels and len(e.followup) < most]
        return self._chance.choice(among)

    def _next(self) -> Example:
        among = [e for e in self._examples if e.label == "neutral" and e.kind in GOES_ON]
        return self._chance.choice(among)

    def _frame(self, name: str) -> str:
        return self._chance.choice(self._frames[name])


def _open(words: str) -> str:
    """Words that go on behind."""
    return words.rstrip(" .!?。！？")


def _low(words: str) -> str:
    """Words in the middle of a sentence."""
    return words[0].lower() + words[1:] if len(words) > 1 and words[1].islower() else words
