"""The rivals run on a tiny model, from the same sessions, and tell what they came to."""

from typing import Any

import pytest

from kernels.open import open_backend
from learner.safety.anchors import Anchors
from learner.safety.measuring import Measuring
from learner.safety.watched import watch_alone
from learner.settings import LearnerSettings
from streams.model.open import BaseModel
from tests.experiments.rivals.__main__ import course
from tests.experiments.rivals.evolved import Evolved
from tests.experiments.rivals.measured import beside, told
from tests.experiments.rivals.people import PEOPLE, Person, requests
from tests.experiments.rivals.rival import Bench, Remembering, Still, nothing

PERSON = Person("nobody", "Answer in one short sentence.", lambda _text, _ended: False)


@pytest.fixture(scope="module")
def bench(tiny_base: BaseModel) -> Bench:
    """The tiny model and its replies."""
    return Bench(tiny_base, open_backend("cpu"))


def test_nothing_is_learned_and_memory_writes_the_wish_down(bench: Bench) -> None:
    """Both answer with the base; memory with the wish in its prompts from the first complaint."""
    asked = requests(0, 12)
    assert asked == requests(0, 12) != requests(1, 12)
    still, memory = Still(bench, PERSON), Remembering(bench, PERSON)
    found = [course(bench, PERSON, rival, asked) for rival in (still, memory)]
    assert [each["sessions_to_adaptation"] for each in found] == [None, None]
    assert memory.answer(asked[:2]) == bench.of_base(asked[:2], PERSON.wish)
    assert still.answer(asked[:2]) == bench.of_base(asked[:2])


def test_nobody_is_pleased_by_a_reply_that_goes_round_in_circles(bench: Bench) -> None:
    """However well it has the form that they like."""
    anybody = Person("anybody", "Start with the words: Dear Ada,", lambda _text, _ended: True)
    encode = bench.base.tokenizer.encode
    circles = tuple(encode("Dear Ada, " * 20, add_special_tokens=False))
    once = tuple(encode("Dear Ada, it rains here today.", add_special_tokens=False))
    assert not bench.pleased(anybody, circles)
    assert bench.pleased(anybody, once)


@pytest.mark.slow
def test_a_screened_rival_moves_and_is_measured_beside_the_base(bench: Bench) -> None:
    """After two rounds of complaints it is another version, and its row has every column."""
    settings = LearnerSettings(pairs=4)
    bank = Anchors(bench.base, backend=bench.backend, moving=1)
    rival = Evolved(bench, PERSON, settings, bank=bank)
    found = course(bench, PERSON, rival, requests(0, 12))
    assert found["updates"] == 1
    assert rival.decoder is not bench.base.decoder
    watch = watch_alone(Measuring(bench.base, bench.backend, nothing), items=2, gate_prompts=2)
    watched = beside(watch, rival.decoder)
    row: dict[str, Any] = {"person": "x", "rival": "screened", "seed": 0, "watched": watched}
    assert any(value != 0 for value in row["watched"].values())
    assert told(row | found).count("|") == 12


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("length", "Birds sing at dawn.", "Birds sing at dawn"),
        ("form", "- red\n- blue", "red and blue"),
        ("tone", "What a lovely day!", "It is a day."),
        ("address", "Dear Ada, it rains.", "It rains, Dear Ada."),
        (
            "language",
            "Der Hund ist ein Tier und nicht mit der Katze verwandt.",
            "The dog is a dog.",
        ),
        ("closing question", "It rains. Do you like rain?", "Do you like rain? It rains."),
    ],
)
def test_a_person_is_pleased_by_what_they_wish(name: str, good: str, bad: str) -> None:
    """Each likes what has the form of the wish, and nothing else."""
    person = next(each for each in PEOPLE if each.name == name)
    ended = name != "length"
    assert person.pleased(good, ended=True)
    assert not person.pleased(bad, ended=ended)
    assert not person.pleased("Ja!", ended=True)
