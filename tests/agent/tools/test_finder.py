"""Tool calls are found in a reply however it is cut into tokens, and nothing else is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tools.calls import Call
from agent.tools.finder import CallFinder

PIECES = st.sampled_from(
    ["<", "tool_call>", "<tool_call>", "</tool_call>", '{"name": "f", "arguments": {}}', "text",
     "\n", "</", "{", "}", '"', "[", "]", "<tool_", "call>"]
)  # fmt: skip


def found(*pieces: str) -> list[str | Call]:
    """Feed a finder piece by piece, and join the neighbouring texts that it gives."""
    finder = CallFinder()
    given = [item for piece in pieces for item in finder.feed(piece)] + finder.finish()
    joined: list[str | Call] = []
    for item in given:
        if isinstance(item, str) and joined and isinstance(joined[-1], str):
            joined[-1] += item
        else:
            joined.append(item)
    return joined


CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
WEATHER = Call("weather", '{"city": "Oslo"}')


def test_a_call_is_found_between_text() -> None:
    """Text before and after a call stays text, in order."""
    assert found(f"Let me see.\n{CALL} Done.") == ["Let me see.\n", WEATHER, " Done."]


def test_two_calls_are_two() -> None:
    """Parallel calls, in tags of their own or as one list, are each a call."""
    body = CALL[len("<tool_call>") : -len("</tool_call>")]
    assert found(CALL + CALL) == [WEATHER, WEATHER]
    assert found(f"<tool_call>[{body}, {body}]</tool_call>") == [WEATHER, WEATHER]


@given(st.lists(st.integers(1, 12), max_size=30))
def test_the_cut_into_tokens_changes_nothing(sizes: list[int]) -> None:
    """However the reply is cut, the same text and calls come out."""
    text, pieces = f"a < b {CALL} and <tool_call>broken</tool_call> <tool", []
    rest = text
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert found(*pieces, rest) == found(text)


@given(st.lists(PIECES))
def test_text_is_never_lost(pieces: list[str]) -> None:
    """What is not a call comes out exactly as it went in."""
    text = "".join(pieces)
    if not any(isinstance(item, Call) for item in found(*pieces)):
        assert "".join(item for item in found(*pieces) if isinstance(item, str)) == text


def test_text_is_not_held_back_longer_than_needed() -> None:
    """Only what may be the beginning of a tag waits."""
    finder = CallFinder()
    assert finder.feed("a < b") == ["a < b"]
    assert finder.feed(" <tool") == [" "]
    assert finder.feed("box") == ["<toolbox"]


@pytest.mark.parametrize(
    "inside",
    ["not JSON", "{}", '{"name": 3}', '{"name": ""}', "[]", "3",
     '{"name": "f", "arguments": {"x": NaN}}', '{"name": "f", "arguments": "\\ud800"}',
     "[" * 100_000],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_what_is_no_call_stays_text(inside: str) -> None:
    """Broken, nameless or unwritable JSON between tags is the reply's text."""
    text = f"<tool_call>{inside}</tool_call>"
    assert found(text) == [text]


def test_a_reply_that_ends_in_a_call_needs_no_closing_tag() -> None:
    """Small models forget the closing tag; a whole call without it counts."""
    assert found('<tool_call>{"name": "f", "arguments": {}}') == [Call("f", "{}")]
    assert found('<tool_call>{"name": "f", "argum') == ['<tool_call>{"name": "f", "argum']


def test_arguments_are_json_text() -> None:
    """Arguments come as an object or as JSON in a string; both become one JSON text."""
    inner = json.dumps({"x": 1})
    assert found(f'<tool_call>{{"name": "f", "arguments": {json.dumps(inner)}}}</tool_call>') == [
        Call("f", inner)
    ]
    assert found('<tool_call>{"name": "f"}</tool_call>') == [Call("f", "{}")]
