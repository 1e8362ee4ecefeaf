"""No short text keeps a regular expression busy: whoever may write to us could stop us with it."""

import re

import pytest

from tests.patterns import OURS, patterns, slowest

# On any machine more than whatever grows with the length of the text takes for it.
MOST_S = 1.0


@pytest.mark.parametrize("package", OURS)
def test_what_fits_no_pattern_is_refused_at_once(package: str) -> None:
    """However often it repeats what the pattern itself repeats, and however it ends."""
    found = patterns((package,))
    assert len(found) > 3
    took = {place: slowest(each, most_s=MOST_S) for place, each in found.items()}
    slow = {place: (took_s, text) for place, (took_s, text) in took.items() if took_s > MOST_S}
    assert slow == {}


@pytest.mark.parametrize(
    "planted", [r"(?:ab?|c|b)+", r"(?:\w+\s?)*\.", r"(x+x+)+y", r"\s*\.*\s*\Z"]
)
def test_a_planted_one_is_found(planted: str) -> None:
    """What can be taken in two ways, or from each of its places to its end."""
    assert slowest(re.compile(planted), most_s=0.1)[0] > 0.1
