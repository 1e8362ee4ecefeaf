"""The labelled follow-ups are what README.md says of them; nothing is judged here.

Knows the form of the files alone: no judge, no embedder.
"""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Final, Literal, Self, get_args

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

HERE: Final = Path(__file__).parent
Language = Literal["en", "de", "fr", "es", "it", "pt", "zh", "ja"]
Kind = Literal[
    "complaint",
    "wish",
    "courtesy_then_complaint",
    "negated_complaint",
    "praise",
    "thanks",
    "praise_then_new",
    "new_topic",
    "another_question",
    "same_again",
    "own_story",
    "quotation",
    "machine",
    "answer_to_question",
    "sarcasm",
    "praise_as_topic",
    "wish_in_front",
    "obeyed_wish",
    "emoji",
    "doubt",
    "topic_words",
]
# The scores that a kind may have; the others depend on the reply, too.
SCORES: Final[dict[Kind, set[int]]] = {
    "complaint": {-1},
    "wish": {-1},
    "courtesy_then_complaint": {-1},
    "negated_complaint": {0, 1},
    "praise": {1},
    "thanks": {1},
    "praise_then_new": {1},
    "same_again": {-1, 0},
    "sarcasm": {-1},
    "emoji": {-1, 0, 1},
    "doubt": {-1, 0},
}
# Stands on a line of its own between the messages of one next state.
SEPARATOR: Final = "\n␞\n"


class Before(BaseModel):
    """A message before the question."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    role: Literal["system", "user", "assistant", "tool"]
    content: str = Field(min_length=1)


class Item(BaseModel):
    """One question, the reply to it, what came next, and what that says about the reply."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    id: str = Field(pattern=r"^[a-z]{2}-\d{4}$")
    language: Language
    kind: Kind
    turns_before: list[Before] = []
    question: str = Field(min_length=1)
    reply: str = Field(min_length=1)
    followup: str = Field(min_length=1)
    roles: list[Literal["user", "program", "tool"]] = ["user"]
    score: Literal[-1, 0, 1]
    wish: bool
    instruction: str | None
    soft: bool = False

    @model_validator(mode="after")
    def labels_agree(self) -> Self:
        """Check the labels against each other and against the kind."""
        if self.score not in SCORES.get(self.kind, {0}):
            raise ValueError(f"the kind {self.kind} is never {self.score}")
        if self.wish and not (self.score == -1 and self.instruction):
            raise ValueError("a wish has the score -1 and an instruction")
        if self.kind == "wish" and not self.wish:
            raise ValueError("the kind wish is a wish")
        if self.instruction is not None and self.score != -1:
            raise ValueError("an instruction is for a reply that did not do")
        if self.instruction is not None and not self.instruction.endswith("."):
            raise ValueError("an instruction is a sentence")
        if self.soft != (self.kind == "doubt"):
            raise ValueError("doubt, and nothing else, is soft")
        if len(self.followup.split(SEPARATOR)) != len(self.roles):
            raise ValueError("one role for each message of the next state")
        if self.kind == "machine" and "user" in self.roles:
            raise ValueError("a machine's text is a program's or a tool's")
        return self


@cache
def items() -> tuple[Item, ...]:
    """Read all files, in the order of their names."""
    return tuple(
        Item.model_validate_json(line)
        for file in sorted((HERE / "followups").glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines()
    )


def table() -> str:
    """Return the counts as README.md shows them: a row for each kind, a column a language."""
    counts = Counter((item.kind, item.language) for item in items())
    languages = get_args(Language)
    lines = [
        "| kind | " + " | ".join(languages) + " | all |",
        "|---|" + "---:|" * (len(languages) + 1),
    ]
    for kind in get_args(Kind):
        numbers = [counts[kind, language] for language in languages]
        lines.append(f"| {kind} | " + " | ".join(map(str, [*numbers, sum(numbers)])) + " |")
    totals = [sum(counts[kind, one] for kind in get_args(Kind)) for one in languages]
    lines.append("| all | " + " | ".join(map(str, [*totals, sum(totals)])) + " |")
    return "\n".join(lines)


@pytest.mark.parametrize("language", get_args(Language))
def test_a_file_holds_its_language(language: str) -> None:
    """Each file has valid items of its own language, numbered without a gap."""
    lines = (HERE / f"followups/{language}.jsonl").read_text(encoding="utf-8").splitlines()
    ids = [Item.model_validate_json(line).id for line in lines]
    assert ids == [f"{language}-{number:04d}" for number in range(1, len(ids) + 1)]


def test_there_are_enough_items() -> None:
    """At least 900 items, 260 of them English, and 90 in every other language."""
    counts = Counter(item.language for item in items())
    assert counts.total() >= 900
    assert counts["en"] >= 260
    assert min(counts[language] for language in get_args(Language)) >= 90


def test_every_kind_is_there_in_every_language() -> None:
    """No kind is left out in any language."""
    counts = Counter((item.kind, item.language) for item in items())
    every = {(kind, one) for kind in get_args(Kind) for one in get_args(Language)}
    assert every == set(counts)
    assert min(counts.values()) >= 3


def test_no_item_stands_there_twice() -> None:
    """No follow-up to a reply is repeated, not even with other case or white space."""
    pairs = Counter(
        " ".join(f"{item.reply} ␟ {item.followup}".casefold().split()) for item in items()
    )
    assert [pair for pair, count in pairs.items() if count > 1] == []


def test_the_same_words_mean_different_things() -> None:
    """Some follow-ups need the reply: the same words have two verdicts."""
    scores: dict[str, set[int]] = {}
    for item in items():
        scores.setdefault(item.followup.casefold().strip(" .!?。！？"), set()).add(item.score)
    assert sum(len(found) > 1 for found in scores.values()) >= 4


def test_the_readme_has_the_counts() -> None:
    """The table in README.md is that of the files."""
    assert table() in (HERE / "README.md").read_text(encoding="utf-8")
