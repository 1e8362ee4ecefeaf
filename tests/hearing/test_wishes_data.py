"""The complaints that wishes are read from: their form, counts, and checks that can be met."""

from collections import Counter
from pathlib import Path
from typing import Final, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tests.hearing.checks import Check, Language

WISHES: Final = Path(__file__).parent / "wishes.jsonl"
KINDS: Final = (
    "tone", "form", "length", "language", "address", "person", "ending", "facts", "format",
    "emoji", "persona", "audience",
)  # fmt: skip
Kind = Literal[
    "tone", "form", "length", "language", "address", "person", "ending", "facts", "format",
    "emoji", "persona", "audience",
]  # fmt: skip
Reason = Literal[
    "empty", "absurd", "too long", "contradicts itself", "reveals the prompt",
    "sets instructions aside",
]  # fmt: skip
UNSPACED: Final = ("ja", "zh")


class Wish(BaseModel):
    """One complaint, and the instruction that it should become."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z]{2}-[a-z]+-\d+$")
    language: Language
    kind: Kind | None
    prompt: str = Field(min_length=1)
    reply: str = Field(min_length=1)
    complaint: str
    outcome: Literal["instruction", "none", "refused"]
    instruction: str | None = Field(max_length=100)
    check: Check | None
    rewrite: str | None = None
    reason: Reason | None = None
    babble: Literal[True] | None = None

    @model_validator(mode="after")
    def _fits_its_outcome(self) -> "Wish":
        wished = self.outcome == "instruction"
        if any(wished != bool(told) for told in (self.instruction, self.rewrite)):
            raise ValueError("an instruction and a rewrite are given where they are expected")
        if wished and self.kind is None:
            raise ValueError("what is wished has a kind")
        if (self.outcome == "refused") != (self.reason is not None):
            raise ValueError("what is refused has a reason, and only that")
        if not wished and (self.check or self.babble):
            raise ValueError("without an instruction there is nothing to check")
        if wished and self.check is None and self.kind != "facts":
            raise ValueError("only facts cannot be checked by a program")
        return self


def load() -> list[Wish]:
    """Read all items."""
    lines = WISHES.read_text(encoding="utf-8").splitlines()
    return [Wish.model_validate_json(line) for line in lines]


ITEMS: Final = load()
CHECKED: Final = [(item, item.check) for item in ITEMS if item.check is not None]


def test_there_are_enough_of_every_kind() -> None:
    """Mostly English, some of each other language, each kind, and the awkward ones."""
    languages = Counter(item.language for item in ITEMS)
    kinds = Counter(item.kind for item in ITEMS if item.outcome == "instruction")
    outcomes = Counter(item.outcome for item in ITEMS)
    assert len(ITEMS) >= 100
    assert languages["en"] > len(ITEMS) / 2
    assert {n for name, n in languages.items() if name != "en"} <= {3, 4, 5}
    assert len(languages) == 8
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 5
    assert min(outcomes["none"], outcomes["refused"]) >= 10
    assert sum(item.babble is True for item in ITEMS) >= 15


def test_ids_prompts_and_complaints_are_unique() -> None:
    """Nothing is measured twice."""
    for field in ("id", "prompt", "complaint"):
        found = Counter(getattr(item, field) for item in ITEMS)
        assert [value for value, times in found.items() if times > 1] == []


def test_replies_are_as_long_as_a_small_model_writes() -> None:
    """60 to 90 words, or as much in a language without spaces."""
    for item in ITEMS:
        if item.language in UNSPACED:
            assert 140 <= len(item.reply) <= 240, item.id
        else:
            assert 60 <= len(item.reply.split()) <= 90, item.id


def test_every_reason_to_refuse_is_there() -> None:
    """Empty, absurd, endless (4,000 characters), contradictory and hostile hints."""
    refused = [item for item in ITEMS if item.outcome == "refused"]
    assert {item.reason for item in refused} == set(Reason.__args__)  # type: ignore[attr-defined]
    assert max(len(item.complaint) for item in refused) >= 4_000
    assert [item.id for item in ITEMS if not item.complaint.strip()] == ["en-bad-1"]


def test_no_reply_obeys_yet() -> None:
    """People complain of what they did not get."""
    assert [item.id for item, check in CHECKED if check.obeys(item.reply)] == []


def test_every_rewrite_obeys() -> None:
    """No check asks for what cannot be written."""
    assert [item.id for item, check in CHECKED if not check.obeys(item.rewrite or "")] == []


@pytest.mark.parametrize(
    ("check", "obeys", "fails"),
    [
        ('{"max_words": 3}', "It is green.", "It is very green."),
        ('{"max_sentences": 1}', "About 3.5 m, they say.", "Yes. No."),
        ('{"max_sentences": 1}', "水在一百度沸腾。", "水会沸腾。真的。"),
        ('{"starts_with": "Dear Ada,"}', "Dear Ada,\n\nit is.", "Hello. Dear Ada, it is."),
        ('{"ends_with": "?"}', "It is. Is it?\n", "Is it? It is."),
        ('{"contains_any": ["thou", "老孙"]}', "俺老孙来也", "Although, without."),
        ('{"contains_none": ["others"]}', "My brothers say so.", "Others say so."),
        ('{"language": "de"}', "Das ist nicht der Mond.", "This is not the moon, is it?"),
        ('{"language": "fr"}', "C'est le chat qui est dans la rue.", "El gato está en la calle."),
        ('{"language": "ja"}', "月は丸い。", "月亮是圆的。"),
        ('{"language": "zh"}', "月亮是圆的。", "月は丸い。"),
        ('{"regex": "!(?s:.*)!"}', "Up!\nNow!", "Up!"),
        ('{"no_lists": true}', "Flour - and salt.", "1. Flour\n2. Salt"),
        ('{"lists": true}', "一、开门\n二、进去", "一、开门，然后进去"),
        ('{"no_apology": true}', "It sank.", "I apologize, it sank."),
        ('{"all": [{"max_words": 4}, {"ends_with": "?"}]}', "Is it green?", "It is green."),
    ],
)
def test_checks_tell_obedience_from_its_opposite(check: str, obeys: str, fails: str) -> None:
    """Each operator, on a reply that does what it says and on one that does not."""
    made = Check.model_validate_json(check)
    assert (made.obeys(obeys), made.obeys(fails), made.obeys(" … ")) == (True, False, False)


@pytest.mark.parametrize(
    "check",
    ["{}", '{"max_words": 0}', '{"lists": false}', '{"regex": "("}', '{"all": []}',
     '{"tone": "warm"}', '{"max_words": 5, "lists": true}'],
)  # fmt: skip
def test_a_check_that_says_nothing_is_refused(check: str) -> None:
    """No operator, two at once, or one that does not exist."""
    with pytest.raises(ValidationError):
        Check.model_validate_json(check)
