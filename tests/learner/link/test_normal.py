"""Normal text is the same whatever clients do to a text on the way."""

import html
import time
import unicodedata
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.link.letters import bare
from learner.link.normal import normal, spoken

WORDS = st.text(alphabet=st.characters(exclude_characters="&", exclude_categories=["Cs"]))


@given(WORDS, st.sampled_from(["NFC", "NFD"]))
def test_unicode_forms_have_one_normal_text(text: str, form: Literal["NFC", "NFD"]) -> None:
    """What an editor composes or decomposes is the same text."""
    assert normal(unicodedata.normalize(form, text)) == normal(text)


@given(st.lists(st.text(alphabet="abcé中", min_size=1), min_size=1))
def test_white_space_is_nothing(words: list[str]) -> None:
    """Blanks, line ends of any kind, trimmed or joined: all the same."""
    one, other = " ".join(words), "\r\n \t".join(words) + "\n"
    assert normal(one) == normal(other) == normal("".join(words))


@given(st.text(alphabet="ab<>'\"é "))
def test_entities_are_the_characters_that_they_stand_for(text: str) -> None:
    """A text that went through a page is the text."""
    assert normal(html.escape(text)) == normal(text)


@given(WORDS)
def test_normal_text_is_its_own(text: str) -> None:
    """Nothing changes the second time."""
    assert normal(normal(text)) == normal(text)


@pytest.mark.parametrize("digits", [4_300, 4_301, 100_000])
def test_a_number_of_any_length_stays_a_text(digits: int) -> None:
    """What no character has for its number raises nothing, and what stands around it is read."""
    assert normal(f"Caf&eacute; &#{'9' * digits}; bar") != normal("Café bar")
    assert normal(f"Caf&eacute; &#{'9' * digits}; bar").startswith("Café")
    assert bare(f"Caf&amp;eacute; &amp;#{'9' * digits};").startswith("Café")
    assert normal(f"&#{'0' * 4_298}65;") == "A"


@pytest.mark.parametrize(
    ("reply", "aloud"),
    [
        ("<think>They greet.</think>\n\nHello!", "Hello!"),
        ("<THINKING>x</THINKING> Hello!", "Hello!"),
        ("They greet.</think>Hello!", "Hello!"),
        ("[THINK]x[/THINK]Hello!", "Hello!"),
        ("◁think▷x◁/think▷Hello!", "Hello!"),
        ('<details type="reasoning">\n<summary>1 s</summary>\nx</details>\nHello!', "Hello!"),
        ("<think>cut in the mid", ""),
        ("<think>a</think>Hel<think>b</think>lo!", "Hello!"),
        ('<think duration="3 s">x</think >Hello!', "Hello!"),
        ("<antThinking>x</antThinking><seed:think>y</seed:think>Hello!", "Hello!"),
        ("<|begin_of_thought|>x<|end_of_thought|>Hello!", "Hello!"),
        ("x<|end_of_thought|>Hello!", "Hello!"),
        ("<think>x</think>\n<scratchpad>y</scratchpad>\nHello!", "Hello!"),
        ("<analysis>Rome is large.</analysis>", "<analysis>Rome is large.</analysis>"),
        ("<reflection>It is", "<reflection>It is"),
        ("Use <scratchpad>x</scratchpad> so.", "Use <scratchpad>x</scratchpad> so."),
        ("Write <think> before a thought.", "Write <think> before a thought."),
        ("Hello!", "Hello!"),
    ],
)  # fmt: skip
def test_what_was_thought_is_not_said(reply: str, aloud: str) -> None:
    """Thoughts go, in whatever marks; talk about such marks stays."""
    assert normal(spoken(reply)) == normal(aloud)


@pytest.mark.parametrize(
    "hostile",
    [
        "<think>" * 100_000,
        "<think>a" * 50_000 + "</think>" * 50_000,
        '<details type="reasoning"' * 30_000,
        "</think>" * 100_000,
        "<think " * 100_000,
        "<|begin_of_thought|>" * 50_000,
        "<analysis> </analysis> " * 40_000,
        "<analysis>" * 100_000,
        "&amp" * 200_000,
        "&#" * 500_000,
        "&#" + "9" * 1_000_000,
        f"&#{'9' * 4_301};" * 250,
        "e\u0301" * 300_000,
    ],
    ids=lambda text: text[:12],
)
def test_hostile_texts_take_no_longer(hostile: str) -> None:
    """A megabyte of marks costs well under a second of processor (three on a slow machine)."""
    began = time.thread_time()
    normal(spoken(hostile))
    assert time.thread_time() - began < 3.0
