"""Passwords of URLs are hidden in whatever is told, at the cost of reading it once."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.settings import masked

BITS = st.sampled_from([*":/@? \n&=.a", "://", ":/a:", "s3cret@", "?token=", "&pwd"])


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://bot:s3cret@a, and more", "http://bot:***@a, and more"),
        ("x://a:b@c x://:d@e f:g", "x://a:***@c x://:***@e f:g"),
        ("no://pass:word, mail me@home?", "no://pass:***@home?"),
        ("http://host:80/a?key=b", "http://host:80/a?key=***"),
        (f"http://bot:{'s3cret' * 10**4}@a", "http://bot:***@a"),
    ],
)
def test_what_is_before_an_at_is_hidden(url: str, told: str) -> None:
    """However long a password is, and rather too much than too little."""
    assert masked(url) == told


@given(st.lists(BITS).map("".join))
def test_a_password_is_looked_for_to_the_last_at_as_to_the_end(text: str) -> None:
    """What is behind it has none."""
    plain = re.sub(r"(:/+[^:/@\s]*):[^@]*@(?:\S*@)?", r"\1:***@", text)
    again = re.sub(r"([?&;][\w.-]*(?:pwd|token)=)[^&;#\s]+", r"\1***", plain)
    assert masked(text) == again


@pytest.mark.parametrize("begin", ["", "@", "?", "x://a:b@"])
@pytest.mark.parametrize(
    "hostile", ["x:/:", "x://a:\n", ":/x:y@ ", ":/x:y@", ":", "/", "?token", "&pwd=", "pwd.", "@"]
)
def test_hostile_texts_take_no_longer(hostile: str, begin: str) -> None:
    """A megabyte of half a URL costs well under a second of processor (three on a slow machine)."""
    text = begin + hostile * (10**6 // len(hostile))
    began_s = time.thread_time()
    masked([text, text + "@"])
    assert time.thread_time() - began_s < 3.0
