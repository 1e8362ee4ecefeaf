"""The examples that the judge by embedding compares with: their form, counts and balance."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Final, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

EXAMPLES: Final = Path(__file__).parents[3] / "learner" / "judges" / "examples"
LANGUAGES: Final = ("de", "en", "es", "fr", "it", "ja", "pt", "zh")
NEUTRAL: Final = {
    "topic", "similar", "story", "quotation", "pasted", "machine", "answer", "word", "wish_first",
    "negated", "continues", "doubt", "own_mistake", "agrees",
}  # fmt: skip
# How a complaint, wish, praise or thanks is said.
MANNERS: Final = {
    "complaint": {"plain", "courtesy", "sarcasm", "everyday", "short", "long"},
    "wish": {"plain", "courtesy", "everyday", "short", "long"},
    "praise": {
        "plain",
        "short",
        "emoji",
        "with_request",
        "passing",
        "long",
        "negated",
        "everyday",
    },
    "thanks": {"plain", "everyday", "short", "with_request", "long"},
    "neutral": NEUTRAL,
}
# Kinds that are written in English only.
ENGLISH: Final = {"thanks": {"emoji", "passing"}}
MOST_WORDS: Final = 80
MOST_CHARS: Final = 200  # languages without spaces have no words to count

Text = Annotated[str, StringConstraints(min_length=1)]


class Example(BaseModel):
    """One follow-up; with question and reply, in their short form, where it depends on them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    label: Literal["complaint", "wish", "praise", "thanks", "neutral"] = Field(alias="class")
    question: Text | None = None
    reply: Text | None = None
    followup: Text
    kind: Text


def load(language: str) -> list[Example]:
    """Read the examples of one language."""
    lines = (EXAMPLES / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
    return [Example.model_validate_json(line) for line in lines]


BY_LANGUAGE: Final = {language: load(language) for language in LANGUAGES}


def test_there_are_enough_examples_in_every_language() -> None:
    """English has the most; no language is a stub, and no file is left out."""
    counts = {language: len(examples) for language, examples in BY_LANGUAGE.items()}
    assert {file.stem for file in EXAMPLES.glob("*.jsonl")} == set(LANGUAGES)
    assert counts.pop("en") >= 60
    assert min(counts.values()) >= 450
    assert sum(map(len, BY_LANGUAGE.values())) >= 5000


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_followup_stands_twice(language: str) -> None:
    """An example repeated would count double; the same words may follow another reply."""
    said = Counter((e.question, e.reply, e.followup) for e in BY_LANGUAGE[language])
    assert [text for text, times in said.items() if times > 1] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_class_has_its_kinds(language: str) -> None:
    """Each language has every way to say it, and a quarter is neutral."""
    found: dict[str, set[str]] = {}
    for example in BY_LANGUAGE[language]:
        found.setdefault(example.label, set()).add(example.kind)
    english = ENGLISH if language == "en" else {}
    assert found == {name: kinds | english.get(name, set()) for name, kinds in MANNERS.items()}
    counts = Counter(example.label for example in BY_LANGUAGE[language])
    assert counts["neutral"] >= 0.25 * counts.total()
    assert counts["complaint"] >= 8
    assert counts["wish"] >= 7
    assert min(counts["praise"], counts["thanks"]) >= 4


@pytest.mark.parametrize("language", LANGUAGES)
def test_replies_are_short_forms(language: str) -> None:
    """What was before is told shortly, and no text has stray white space."""
    for example in BY_LANGUAGE[language]:
        for context in filter(None, (example.question, example.reply)):
            assert len(context.split()) <= MOST_WORDS, example
            assert len(context) <= MOST_CHARS or language not in ("ja", "zh"), example
            assert context == context.strip(), example
        assert example.followup == example.followup.strip(), example
