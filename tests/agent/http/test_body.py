"""Reading a body: whatever the bytes, a JSON object that is safe to handle, or a 400."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import InvalidError
from agent.http.body import MAX_DEPTH, read_json
from streams.records import canonical_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_invalid(body: bytes) -> None:
    """No bytes at all raise anything but InvalidError."""
    with contextlib.suppress(InvalidError):
        assert isinstance(read_json(body), dict)


@given(st.dictionaries(st.text(), JSON))
def test_what_is_read_can_be_written_as_a_record(value: dict[str, object]) -> None:
    """What passes has a canonical form, so that recording it cannot fail."""
    try:
        read = read_json(json.dumps(value).encode())
    except InvalidError:
        return
    canonical_json(read)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b'{"n": NaN}',
        b'{"n": -Infinity}',
        b'{"n": 1e999}',
        b'{"n": ' + b"9" * 5000 + b"}",
        b'{"n": "\\ud800"}',
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"n": ' * 5000 + b"1" + b"}" * 5000,
        b'{"n": 1, "n": 1}',
        b'{"a": [{"n": 1, "\\u006e": 2}]}',
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b'{"n": 1e1, "m": .5}',
        b'{"n": 1}{}',
        b'{"n": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
    ],
    ids=lambda body: repr(body[:16]),
)
def test_what_cannot_be_handled_is_refused(body: bytes) -> None:
    """Broken, non-finite, half-character and deep JSON is refused in words."""
    with pytest.raises(InvalidError, match="the body"):
        read_json(body)


def test_nesting_up_to_the_limit_passes() -> None:
    """The limit counts levels, not brackets."""
    deep = b'{"a": ' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}"
    assert read_json(deep)
    assert read_json(b'{"a": [' + b"[]," * 500 + b"[]]}")


def test_a_whole_surrogate_pair_is_a_character() -> None:
    """An escaped emoji is text like any other."""
    assert read_json(b'{"a": "\\ud83d\\ude00"}') == {"a": "😀"}
