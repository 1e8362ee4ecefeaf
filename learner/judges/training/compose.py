"""Composes further examples of labelled ones: courtesy before a fault, quotations, wishes in front.

What a few thousand examples cannot say often enough is how a verdict turns: the same words quoted,
told of somebody else, in answer to the agent's question, or in front of a new task are none. Each
composed example is of one language, and follows the label rule of learner/judges/examples.
"""

import random
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from learner.judges.tuned.encoder import Label

FRAMES: Final = tomllib.loads((Path(__file__).parent / "frames.toml").read_text("utf-8"))
_ENDS: Final = " .!?。！？"
_ASKS: Final = ("?", "？")
_TASKS: Final = frozenset({"topic", "word", "continues", "similar", "wish_first"})
# How many of each kind are composed, for English and for each other language; shares of that.
_MANY, _FEW = 45, 20
# These say the same after any reply.
_FREE: Final = frozenset({"word", "story", "topic", "pasted", "quotation"})
_UNHAPPY: Final = ("complaint", "wish")
_PLEASED: Final = ("praise", "thanks")


@dataclass(frozen=True, slots=True)
class Example:
    """What was said, and what it is; a question or reply that is missing may be any."""

    language: str
    label: Label
    kind: str
    question: str
    reply: str
    followup: str


def composed(examples: Sequence[Example], *, seed: int) -> list[Example]:
    """Return the examples, their missing contexts filled in, and those composed of them."""
    by_language = defaultdict[str, list[Example]](list)
    for example in examples:
        by_language[example.language].append(example)
    found = list[Example]()
    for language, some in sorted(by_language.items()):
        if language in FRAMES:
            composer = _Composer(language, some, random.Random(f"{seed} {language}"))
            found += [composer.placed(example) for example in some]
            found += composer.all()
        else:
            found += some
    return found


class _Composer:
    """Composes in one language."""

    def __init__(self, language: str, some: Sequence[Example], chance: random.Random) -> None:
        self._language, self._chance = language, chance
        self._frames: dict[str, list[str]] = FRAMES[language]
        self._of = defaultdict[str, list[Example]](list)
        for example in some:
            self._of[example.label].append(example)
        self._contexts = [(e.question, e.reply) for e in some if e.reply and e.kind != "answer"]
        self._tasks = [e for e in self._of["neutral"] if e.kind in _TASKS]
        asking = [e for e in self._tasks if e.followup.rstrip().endswith(_ASKS)]
        self._questions = asking or self._tasks

    def placed(self, example: Example) -> Example:
        """Put an example that could follow any reply behind one."""
        if example.reply:
            return example
        question, reply = self._context()
        return replace(example, question=question, reply=reply)

    def all(self) -> Iterator[Example]:
        """Compose every kind."""
        many = _MANY if self._language == "en" else _FEW
        for compose, share in (
            (self._quoted, 1.0),
            (self._told, 0.33),
            (self._courtesy, 1.2),
            (self._courteous_wish, 0.5),
            (self._then_new, 0.8),
            (self._wish_in_front, 0.8),
            (self._fault_then_new, 0.25),
            (self._answer, 0.8),
            (self._elsewhere, 3.0),
        ):
            yield from (compose() for _ in range(int(many * share)))

    def _quoted(self) -> Example:
        said = self._some(*_UNHAPPY, *_PLEASED)
        return self._anywhere("neutral", self._frame("quote").format(s=said.followup))

    def _told(self) -> Example:
        said = self._some("complaint", "praise")
        return self._anywhere("neutral", self._frame("said").format(s=said.followup))

    def _courtesy(self) -> Example:
        fault = self.placed(self._some("complaint", below=90))
        return replace(fault, kind="courtesy", followup=self._but(fault.followup))

    def _courteous_wish(self) -> Example:
        wish = self.placed(self._some("wish", below=90))
        return replace(wish, kind="courtesy", followup=self._but(wish.followup))

    def _then_new(self) -> Example:
        pleased = self._some(*_PLEASED, below=50)
        joint = self._chance.choice([". ", "! ", ", ", " "])
        words = pleased.followup.rstrip(_ENDS) + joint + self._chance.choice(self._tasks).followup
        return self._anywhere(pleased.label, words)

    def _wish_in_front(self) -> Example:
        wish = self._some("wish", below=60).followup.rstrip(_ENDS)
        joint = self._chance.choice([": ", ". ", ", "])
        return self._anywhere(
            "neutral", wish + joint + self._chance.choice(self._questions).followup
        )

    def _fault_then_new(self) -> Example:
        fault = self.placed(self._some("complaint", below=60))
        asked = self._chance.choice(self._questions).followup
        return replace(fault, followup=f"{fault.followup.rstrip(_ENDS)}. {asked}")

    def _answer(self) -> Example:
        said = self._some("complaint", "praise", "wish", below=40)
        question, reply = self._context()
        before = f"{reply} " if self._chance.random() < 0.4 else ""
        asked = before + self._frame("asks")
        return Example(self._language, "neutral", "answer", question, asked, said.followup)

    def _elsewhere(self) -> Example:
        """Put praise, thanks or what says nothing behind another reply."""
        label: Label = self._chance.choice(("praise", "praise", "thanks", "neutral"))
        said = self._some(label)
        while label == "neutral" and said.kind not in _FREE:
            said = self._some(label)
        return self._anywhere(label, said.followup)

    def _but(self, fault: str) -> str:
        """Put courtesy before a fault or wish."""
        thanks = self._some("thanks", below=25).followup.rstrip(_ENDS)
        praise = self._some("praise", below=35).followup.rstrip(_ENDS)
        small = fault[0].lower() + fault[1:] if fault[1:2].islower() else fault
        return self._frame("but").format(t=thanks, p=praise, c=small, C=fault)

    def _anywhere(self, label: Label, followup: str) -> Example:
        question, reply = self._context()
        return Example(self._language, label, "composed", question, reply, followup)

    def _some(self, *labels: Label, below: int = 10**6) -> Example:
        """Choose an example of some labels that is short enough."""
        found = [e for label in labels for e in self._of[label] if len(e.followup) < below]
        return self._chance.choice(found)

    def _context(self) -> tuple[str, str]:
        question, reply = self._chance.choice(self._contexts)
        closes = self._chance.random() < 0.12
        return question, f"{reply} {self._frame('close')}" if closes else reply

    def _frame(self, name: str) -> str:
        return self._chance.choice(self._frames[name])
