"""A JSON object is followed character by character exactly as a parser reads it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tools.json_object import MAX_DEPTH, JsonObject

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)  # fmt: skip
OBJECTS: Any = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), VALUES)
BITS = st.sampled_from(
    [*'{}[]:,"\\ \n0123-+.eEtfnu', "true", "null", '"a"', '{"a":', "\\ud83d", "\x01"]
)


@given(OBJECTS, st.booleans(), st.sampled_from([None, 2]), st.lists(st.integers(1, 9)))
def test_objects_are_taken_and_no_more(
    value: Any, plain: bool, indent: int | None, sizes: list[int]
) -> None:
    """Whatever is written, in whatever pieces; what follows it does not belong to it."""
    text = json.dumps(value, ensure_ascii=plain, indent=indent)
    each, rest, count = JsonObject(), text + "}", 0
    for size in [*sizes, len(rest)]:
        count += each.take(rest[:size])
        rest = rest[size:]
        if each.ended:
            break
        assert not each.broken
    assert (count, each.ended, each.broken) == (len(text), True, False)


@given(st.lists(BITS).map("".join), OBJECTS.map(json.dumps), st.integers(0, 99))
def test_what_is_taken_parses(bits: str, begun: str, end: int) -> None:
    """And what a parser reads is taken."""
    text = begun[:end] + bits
    each = JsonObject()
    taken = text[: each.take(text)]
    if each.ended:
        assert isinstance(json.loads(taken), dict)
        json.loads(taken).__repr__().encode()
    try:
        read = json.loads(text)
        json.dumps(read, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return
    assert each.ended == (isinstance(read, dict) and text.startswith("{"))


@pytest.mark.parametrize(
    "text",
    ['{"a" 1', "{1", "{,", '{"a":,', '{"a":01', '{"a":1.}', '{"a":.', '{"a":+', '{"a":1e}',
     '{"a":N', '{"a":tru}', '{"a":[1,]', '{"a":1,}', '{"a":"\n', '{"a":"\\x', '{"a":"\\ud83d"',
     '{"a":"\\ud83dx', '{"a":"\\ude00', '{"a":"\\ud83d\\n', '{"a":"\\u12g', "[", "1", '{"a":1]',
     '{"a":' + "[" * MAX_DEPTH],
)  # fmt: skip
def test_it_breaks_at_the_first_wrong_character(text: str) -> None:
    """All before it is the beginning of an object."""
    each = JsonObject()
    assert each.take(text) == len(text) - 1
    assert each.broken


def test_halves_of_characters_are_taken_where_a_grammar_allows_them() -> None:
    """What a reply is held to has been masked already."""
    each = JsonObject(halves=True)
    assert each.take('{"a":"\\ude00"}') == 14
    assert each.ended
