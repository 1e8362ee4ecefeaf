"""The scripted people whose preferences ways to learn are compared by: form, counts, no overlap."""

from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from pydantic import BaseModel, ConfigDict, Field

from deploy.demo.user import load_prompts
from tests.hearing.checks import Check

PEOPLE: Final = Path(__file__).parent / "people.json"
NAMES: Final = ("length", "form", "tone", "address", "language", "closing question")

# One reply a preference that the person is pleased by, and one that is as the base writes.
REPLIES: Final = {
    "length": (
        "A desert is a dry place with little rain.",
        "A desert is a region that receives little rain. It is home to plants and animals.",
    ),
    "form": (
        "1. Plan your meals.\n2. Cook at home.\n3. Buy in bulk.",
        "To save money on food, it is essential to plan your meals - and to cook at home.",
    ),
    "tone": (
        "The sun is a big, hot ball. It is far away and makes our days warm.",
        "The sun is the star at the center of our solar system, composed of hydrogen and helium, "
        "and its gravitational pull is extraordinary.",
    ),
    "address": (
        "Dear Ada,\n\nuse warm water and a dry cloth.",
        "To clean a window, dear Ada, use warm water.",
    ),
    "language": (
        "Die Hauptstadt von Italien ist Rom, und dort wohnen viele Menschen.",
        "The capital of Italy is Rome, and it is the largest city in the country.",
    ),
    "closing question": (
        "Try a crime story, they make the hours fly. Which author do you like?",
        "Which book is good? A crime story is a popular choice.",
    ),
}


class Person(BaseModel):
    """One preference: how its owner complains and praises, and what is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    instruction: str
    complaints: tuple[str, ...] = Field(min_length=5, max_length=8)
    praise: tuple[str, ...] = Field(min_length=4, max_length=6)
    check: Check
    training: tuple[str, ...] = Field(min_length=24, max_length=24)
    held_out: tuple[str, ...] = Field(min_length=24, max_length=24)


class People(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str
    preferences: tuple[Person, ...]


FOUND: Final = People.model_validate_json(PEOPLE.read_text(encoding="utf-8")).preferences


def test_the_six_preferences_are_there() -> None:
    """Length, form, tone, address, language and closing question, each once."""
    assert tuple(person.name for person in FOUND) == NAMES


def test_no_prompt_stands_twice() -> None:
    """What is learned from is never measured on, over the whole file and the demo's prompts."""
    demo = load_prompts()
    asked = [prompt for person in FOUND for prompt in (*person.training, *person.held_out)]
    found = Counter(prompt.casefold() for prompt in (*asked, *demo.training, *demo.test))
    assert [prompt for prompt, times in found.items() if times > 1] == []


def test_no_words_of_reaction_stand_twice() -> None:
    """A wording belongs to one preference, and is praise or complaint, not both."""
    said = Counter(words for person in FOUND for words in (*person.complaints, *person.praise))
    shared = {words for words, times in said.items() if times > 1}
    assert not shared & {words for person in FOUND for words in person.complaints}


@pytest.mark.parametrize("person", FOUND, ids=lambda person: person.name)
def test_the_check_tells_what_pleases(person: Person) -> None:
    """A reply that fulfils the wish passes, one in the base's usual manner does not."""
    pleases, usual = REPLIES[person.name]
    assert (person.check.obeys(pleases), person.check.obeys(usual)) == (True, False)
