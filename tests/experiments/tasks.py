"""Small tasks that a program can check, from the package reasoning-gym, and what a reply answers.

Install it with: pip install -e '.[experiments]'. The instruction comes first and is the same for
all questions, so that a batch reads it once.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from streams.model.open import BaseModel
from streams.records import Message

INSTRUCTION: Final = "Answer with the result only, nothing else."


@dataclass(frozen=True, slots=True)
class Kind:
    """A task of reasoning-gym, at a size that a small model has a chance at."""

    dataset: str
    settings: Mapping[str, Any]
    answer: str = r"-?\d+"  # the last match in a reply counts


_TWO: Final[Mapping[str, Any]] = {"min_terms": 2, "max_terms": 2, "min_digits": 1}
_ADDED: Final = {"operators": ["+"], "allow_parentheses": False, "allow_negation": False}
KINDS: Final[Mapping[str, Kind]] = {
    "additions": Kind("basic_arithmetic", {**_TWO, **_ADDED, "max_digits": 2}),
    "additions-2": Kind("basic_arithmetic", {**_TWO, **_ADDED, "min_digits": 2, "max_digits": 2}),
    "additions-of-3": Kind(
        "basic_arithmetic", {**_ADDED, "min_terms": 3, "max_terms": 3, "max_digits": 1}
    ),
    "sums-1": Kind("chain_sum", {**_TWO, "max_digits": 1}),
    "sums-2": Kind("chain_sum", {**_TWO, "min_digits": 2, "max_digits": 2}),
    "products-1": Kind("products", {**_TWO, "max_digits": 1}),
    "products": Kind("products", {**_TWO, "max_digits": 2}),
    "gcd": Kind("gcd", {"max_numbers": 2, "max_value": 12}),
    "backward": Kind("spell_backward", {"min_word_len": 3, "max_word_len": 4}, r"[A-Za-z]+"),
    "letters": Kind("letter_counting", {"min_words": 2, "max_words": 3}),
    "needle": Kind("needle_haystack", {"min_num_statements": 2, "max_num_statements": 3}, r"\w+"),
}


@dataclass(frozen=True, slots=True)
class Questions:
    """Questions of one kind, with their prompts."""

    kind: Kind
    entries: list[dict[str, Any]]
    prompts: list[tuple[int, ...]]
    score: Callable[[str, dict[str, Any]], float]

    def right(self, answers: Sequence[str]) -> list[bool]:
        """Tell which answers the task's own verifier takes for entirely right."""
        return [each for n, answer in enumerate(answers) for each in self.one_right(n, [answer])]

    def one_right(self, number: int, answers: Sequence[str]) -> list[bool]:
        """Tell the same of several answers to one question."""
        return [float(self.score(answer, self.entries[number])) >= 1 for answer in answers]


def load_questions(
    base: BaseModel, kind: Kind, *, seed: int, sizes: Sequence[int]
) -> list[Questions]:
    """Draw sets of questions, no question twice; the same seed gives the same ones.

    raises: ValueError when the task has not so many questions
    """
    import reasoning_gym

    drawn = reasoning_gym.create_dataset(
        kind.dataset, seed=seed, size=8 * sum(sizes), **kind.settings
    )
    entries = iter({entry["question"]: entry for entry in drawn}.values())
    told = Message(role="system", content=INSTRUCTION)

    def prompt(entry: dict[str, Any]) -> tuple[int, ...]:
        return tuple(base.render([told, Message(role="user", content=entry["question"])]))

    sets = [list(islice(entries, size)) for size in sizes]
    if any(len(found) < size for found, size in zip(sets, sizes, strict=True)):
        raise ValueError(f"{kind.dataset} has fewer questions than {sum(sizes)} at this size")
    return [
        Questions(kind, found, [prompt(entry) for entry in found], drawn.score_answer)
        for found in sets
    ]


def answer_in(reply: str, pattern: str) -> str:
    """Find what a reply answers: the last match, in small letters; empty: nothing.

    >>> answer_in("42 - 25 = 17.", r"-?\\d+")
    '17'
    """
    found: list[str] = re.findall(pattern, reply)
    return found[-1].lower() if found else ""


def majority(answers: Sequence[str]) -> str:
    """Return the most frequent answer, the first one among equals; no answer is no vote.

    >>> majority(["", "", "7", "9", "9"])
    '9'
    """
    votes = Counter(filter(None, answers))
    return votes.most_common(1)[0][0] if votes else ""
