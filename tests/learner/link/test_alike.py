"""What a client makes of a text is told from what it does not: laws, and a table of neighbours."""

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.link.alike import LEFT_CHARS, comes_from, holds
from learner.link.letters import bare

WORDS = st.lists(st.text("abcdefgz", min_size=2, max_size=8), min_size=6, max_size=12)
SIGNS = st.sampled_from(["**", "_", "`", "> ", "- ", "\n\n", "\u200e", "\ufe0f", "…", " – ", "“"])
GAPS = st.sampled_from(["…", "...", "\n[...]\n", " [truncated] "])
REPLY = "It is 280 kilometres north of it."


@given(WORDS, st.lists(SIGNS, max_size=8), st.randoms())
def test_signs_change_nothing(words: list[str], signs: list[str], chance: random.Random) -> None:
    """However a reply is marked and spaced, it is the same one; its letters decide."""
    marked = list(words)
    for sign in signs:
        marked.insert(chance.randint(0, len(marked)), sign)
    assert bare(" ".join(marked)) == bare(" ".join(words))
    assert comes_from(" ".join(marked), " ".join(words), cut=False)


@given(WORDS, st.sets(st.integers(0, 12), min_size=2), GAPS)
def test_what_is_left_of_a_reply_is_known_in_its_order(
    words: list[str], places: set[int], gap: str
) -> None:
    """Parts of it with gaps between, if enough is left; and never with a letter that it has not."""
    parts = [" ".join(words[a:b]) for a, b in list(pairwise(sorted(places)))[::2]]
    left = gap.join(part for part in parts if part)
    if sum(len(bare(part)) for part in parts) >= LEFT_CHARS:
        assert comes_from(left, " ".join(words), cut=False)
    if bare(" ".join(words)) not in bare(left):
        assert not comes_from(f"{left} x", " ".join(words), cut=False)


@given(WORDS, st.integers(1, 200))
def test_of_a_cut_reply_any_beginning_is_enough(words: list[str], length: int) -> None:
    """And no other part that is as short."""
    text = " ".join(words)
    shown = text[:length]
    assert comes_from(shown, text, cut=True)
    assert not comes_from("x" + shown[1:], text, cut=True) or "x" not in bare("x" + shown[1:])


@given(st.text("ab \n<>:", max_size=30), st.text("ab \n<>:", max_size=30))
def test_questions_hold_each_other_or_not(one: str, other: str) -> None:
    """Whichever is asked of first; what says nothing holds nothing."""
    assert holds(one, other) == holds(other, one)
    assert not holds(one, " \n")


@pytest.mark.parametrize(
    ("shown", "whole"),
    [
        ("It is 500 kilometres north of it.", REPLY),
        ("It is […] south of it, 280 kilometres.", REPLY),
        ("north of it […] It is 280 kilometres", REPLY),
        ("Yes. By quite a lot, and there is a train.", "Yes."),
        ("👎", "👍"),
        ("**43**", "42"),
        ("[stopped]", REPLY),
        ("", REPLY),
    ],
)
def test_another_reply_is_another(shown: str, whole: str) -> None:
    """Other figures, another order, a short reply that others begin with."""
    assert not comes_from(shown, whole, cut=False)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is this?", "hi"),
        ("How do I cook okra?", "ok"),
        ("please say hi", "hi"),
        ("<mail>A</mail>", "<mail>B</mail>"),
        ("Is it north? <mail>A</mail>", "Is it south? <mail>A</mail>"),
    ],
)
def test_another_question_is_another(one: str, other: str) -> None:
    """Letters of a short one stand in many; a block alone is no question."""
    assert not holds(one, other)


@pytest.mark.parametrize(
    "hostile", ["<a>", "<a ", "](", "…", "[...", "(", "&amp;", "<think>", "**x", "\n:"]
)
def test_hostile_text_takes_linear_time(hostile: str) -> None:
    """A megabyte, as itself and against another."""
    text = hostile * (2**20 // len(hostile))
    begun = time.process_time()
    comes_from(text, text + "y", cut=True)
    holds(text, text + "y")
    assert time.process_time() - begun < 10
