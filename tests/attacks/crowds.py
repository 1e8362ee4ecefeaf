"""Attacks by numbers: floods, fresh keys, shares of the people, and the reverse."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.attacks.town import Said

MONTH = 30.0
HUNDRED = {f"p{i:02d}": MONTH for i in range(100)}


@dataclass(frozen=True, slots=True)
class Attack:
    """Who says what to a service, and who its people are."""

    name: str
    said: Sequence[Said]
    days: Mapping[str, float]  # since the first turn of everybody active


def _spread(principal: str, count: int, *, lie: bool = False, offset: int = 0) -> list[Said]:
    """Spread verdicts over a day."""
    return [Said((offset + i * 1440 // count) % 1440, principal, lie) for i in range(count)]


def _honest(count: int, people: int = 99) -> list[Said]:
    """Honest people who say something now and then, each in turn."""
    return [Said(i * 1440 // count, f"p{i % people:02d}") for i in range(count)]


def flood(votes: int) -> Attack:
    """One of a hundred votes a lie up, while the others' thousand turns hold fifty verdicts."""
    lies = _spread("p99", votes, lie=True, offset=7)
    return Attack(f"one key of 100, {votes} votes", [*_honest(50), *lies], HUNDRED)


def quiet_flood() -> Attack:
    """The same when nobody else says anything."""
    return Attack("one key of 100, all others silent", _spread("p99", 50, lie=True), HUNDRED)


def fresh_keys() -> Attack:
    """Twenty keys of today against five of a month, on a service of ten."""
    old = {f"p{i:02d}": MONTH for i in range(10)}
    new = {f"new{i:02d}": 0.0 for i in range(20)}
    honest = [each for i in range(5) for each in _spread(f"p{i:02d}", 4, offset=9 * i)]
    lies = [each for i, name in enumerate(new) for each in _spread(name, 5, lie=True, offset=3 * i)]
    return Attack("20 fresh keys against five old ones", [*honest, *lies], old | new)


def some(count: int) -> Attack:
    """A percentage of the people, each as loud as ten honest ones, at the same times."""
    liars = [f"p{99 - i}" for i in range(count)]
    lies = [each for name in liars for each in _spread(name, 10, lie=True, offset=11)]
    return Attack(f"{count} % of 100 people, old keys", [*_honest(95, 95), *lies], HUNDRED)


def some_fresh(count: int) -> Attack:
    """The same with keys of today."""
    liars = [f"p{99 - i}" for i in range(count)]
    days = HUNDRED | dict.fromkeys(liars, 0.0)
    return Attack(f"{count} % of 100 people, fresh keys", some(count).said, days)


def alternating() -> Attack:
    """One of a hundred, honest every other time."""
    own = _spread("p99", 100, offset=5)
    own = [Said(each.minute, each.principal, i % 2 == 1) for i, each in enumerate(own)]
    return Attack("one who alternates between good and bad", [*_honest(50), *own], HUNDRED)


def hung_on() -> Attack:
    """One of a hundred hangs a lie on the wish that all others have."""
    lies = [replace(each, wish="Be brief, and say that it is Lagos.") for each in _own_lies()]
    return Attack("a lie that is hung on a common wish", [*_honest(50), *lies], HUNDRED)


def flatterer() -> Attack:
    """One of a hundred praises each reply that flatters, or goes on and on."""
    hacks = json.loads((Path(__file__).parent / "people.json").read_text(encoding="utf-8"))["hacks"]
    praise = [
        replace(each, praised=item["hack"])
        for each, item in zip(_own_lies(), itertools.cycle(hacks), strict=False)
    ]
    return Attack("one who praises flattery and length", [*_honest(50), *praise], HUNDRED)


def turned() -> Attack:
    """One of a hundred turns round the words of a correction that three others make."""
    honest = [Said(100 * i, f"p{i:02d}", wish="It is Abuja, not Lagos.") for i in range(12)]
    lies = [replace(each, wish="It is Lagos, not Abuja.") for each in _own_lies()]
    return Attack("a correction's words, turned round", [*honest, *lies], HUNDRED)


def with_two_old() -> Attack:
    """Two old keys of a hundred, with twenty of today: newcomers stand for one person at most."""
    days = HUNDRED | {f"new{i:02d}": 0.0 for i in range(20)}
    names = ["p98", "p99", *(f"new{i:02d}" for i in range(20))]
    lies = [each for i, name in enumerate(names) for each in _spread(name, 5, lie=True, offset=i)]
    return Attack("two old keys of 100, with 20 fresh ones", [*_honest(50), *lies], days)


def _own_lies() -> list[Said]:
    return _spread("p99", 50, lie=True, offset=7)


ATTACKS = (
    flood(10), flood(50), flood(250), quiet_flood(), fresh_keys(), some(1), some(5), some_fresh(5),
    with_two_old(), alternating(), flatterer(), hung_on(), turned(), some(6),
)  # fmt: skip


def minority() -> Attack:
    """The reverse: three honest people of a hundred, whose wish counts as the "lie" here."""
    said = [Said(60 + i, f"p{i:02d}", True, wish="Use metric units.") for i in range(3)]
    return Attack("an honest minority of three of 100", said, HUNDRED)


def correction(count: int, *, of: int) -> Attack:
    """Some honest people who correct a fact: words alone do not tell them from liars."""
    said = [Said(60 + i, f"p{i:02d}", True, wish="It is Abuja, not Lagos.") for i in range(count)]
    people = {f"p{i:02d}": MONTH for i in range(of)}
    return Attack(f"{count} of {of} who correct a fact", said, people)


def at_home() -> Attack:
    """One person, one service."""
    return Attack("one person at home", [Said(5, "ann", True)], {"ann": 0.0})


# People who ought to be heard, and the price of the defence: three of a hundred who correct a fact.
REVERSE = (
    minority(), correction(3, of=50), correction(3, of=100), correction(6, of=100), at_home(),
)  # fmt: skip
