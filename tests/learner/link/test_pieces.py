"""The same conversation has the same hashes, however a client sends it; another has others."""

import json
from dataclasses import asdict
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.link.pieces import echoes_of, is_same_call, pieces_of
from streams.records import Message
from tests.learner.turns import said, turn

TEXTS = st.lists(st.text(alphabet="abc é", min_size=1, max_size=6), min_size=1, max_size=5)


@given(TEXTS, st.text(max_size=10))
def test_what_the_system_says_is_left_out(texts: list[str], system: str) -> None:
    """Wherever it stands, and whatever it says."""
    plain = said(*texts)
    noted = [Message(role="system", content=system), *plain]
    noted.insert(len(noted) // 2, Message(role="developer", content=system))
    assert pieces_of(turn(plain, "x")) == pieces_of(turn(noted, "x"))


@given(TEXTS, TEXTS)
def test_different_conversations_have_different_hashes(one: list[str], other: list[str]) -> None:
    """Nothing is taken for something else; adjacent messages of one role are one."""
    keys, bare = [], []
    for texts in (one, other):
        asked = turn(said(*texts), "x")
        keys.append(pieces_of(asked).talk_key)
        talk = groupby([*asked.messages, asked.reply], key=lambda each: each.role)
        joined = [(role, "".join(str(each.content) for each in run)) for role, run in talk]
        bare.append([(role, "".join(text.split())) for role, text in joined])
    assert (keys[0] == keys[1]) == (bare[0] == bare[1])


def called(arguments: object, *, id: str = "1") -> Message:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    made = {"id": id, "type": "function", "function": {"name": "f", "arguments": text}}
    return Message(role="assistant", tool_calls=[made])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip


@given(VALUES)
def test_arguments_are_json_and_not_its_spelling(value: object) -> None:
    """Spaces, the order of names and escapes are the client's; so is a call's id."""
    spelt = json.dumps(value, indent=3, sort_keys=True, ensure_ascii=False)
    one, other = called(json.dumps(value)), called(spelt, id="call_xyz")
    assert pieces_of(turn(said("a"), one)) == pieces_of(turn(said("a"), other))


@pytest.mark.parametrize("broken", ['{"a": ', "[" * 100_000, "NaN", '{"a": 1e999}', "\ud800", ""])
def test_arguments_that_are_no_json_are_text(broken: str) -> None:
    """A call that was cut, or that is hostile, has hashes like any other."""
    found = pieces_of(turn(said("a"), called(broken)))
    assert found == pieces_of(turn(said("a"), called(broken, id="2")))
    assert found.reply_key is not None


def test_a_reply_that_says_nothing_has_no_hash_of_its_own() -> None:
    """Else all empty replies would be one."""
    assert pieces_of(turn(said("a"), "<think>only a thought</think>")).reply_key is None


def test_an_echo_is_what_the_turn_was() -> None:
    """The hashes in a later request are those of the turn's row."""
    made = turn(said("a", "b", "c"), "d")
    first, second = echoes_of(said("a", "b", "c", "d", "e"))
    row = asdict(pieces_of(made))
    assert (second.key, second.talk_key) == (made.key, row["talk_key"])
    assert (second.reply_key, second.asked_key) == (row["reply_key"], row["asked_key"])
    assert second.before_key == row["echo_key"] == first.reply_key
    assert first.talk_key == row["before_key"]


def test_only_replies_that_something_follows_are_echoes() -> None:
    """A request that ends with the assistant's words asks for their end."""
    assert [echo.reply for echo in echoes_of(said("a", "b", "c", "d"))] == ["b"]


def test_every_message_up_to_the_next_reply_follows() -> None:
    """All parallel tool results, not only the last."""
    results = [Message(role="tool", content=x, tool_call_id=x) for x in "ab"]
    (echo,) = echoes_of([*said("weather?"), called({}), *results])
    assert echo.after == tuple(results)


MADE = '["look",{"at":"sky","for":null}]'


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        (MADE, True),
        ('["functions.look",{"at":"sky","for":null}]', True),
        ('["mcp__eyes__look",{"at":"sky","for":null}]', True),
        ('["look",{"at":"sky"}]', True),
        ('["look",{"at":"sky","for":null,"deep":false}]', True),
        ('["look",{"at":"sea","for":null}]', False),
        ('["look",{}]', False),
        ('["overlook",{"at":"sky"}]', False),
        ('["look","at the sky"]', False),
        ("[null,{}]", False),
    ],
)
def test_what_frameworks_make_of_a_call(shown: str, same: bool) -> None:
    """Another tool, or another argument, is another call."""
    assert is_same_call(shown, MADE) is same


FILES = "I have *added these files to the chat* so you can go ahead and edit them.\n\nbread.py"
REPORTS = [
    ("I committed the changes with git hash 12ab & commit msg: rye", "Ok."),
    ("I updated the files.", "Ok."),
    ("I ran this command:\n\nls\n\nAnd got this output:\n\nbread.py", "Ok."),
    (FILES, "Ok, any changes I propose will be to those files."),
    ("Here are some READ ONLY files, provided for your reference.\n\nrye.py",
     "Ok, I will use these files as references."),
]  # fmt: skip


@pytest.mark.parametrize("report", REPORTS, ids=lambda each: each[0][:20])
def test_what_a_client_tells_and_answers_itself_follows_nothing(report: tuple[str, str]) -> None:
    """What the person says behind it follows the reply before it, and nothing is an echo of it."""
    (echo,) = echoes_of(said("a", "b", *report, *REPORTS[3], "Too long."))
    assert (echo.reply, [each.content for each in echo.after]) == ("b", ["Too long."])
    assert [each.reply for each in echoes_of(said(*report, "a", "b", "c"))] == ["b"]
    (echo,) = echoes_of(said("a", "b", *report))  # nobody has said anything yet
    assert [each.content for each in echo.after] == [report[0]]


@pytest.mark.parametrize(
    "told",
    [
        ("I updated the files, and it fails.", "Ok."),
        ("Only say ok.", "Ok."),
        ("I updated the files.", "Which ones?"),
        (f"My notes. {FILES}", "Ok."),
    ],
)
def test_what_a_model_answers_is_a_reply(told: tuple[str, str]) -> None:
    """However short: what is said behind it is said of it."""
    first, second = echoes_of(said("a", "b", *told, "Too long."))
    assert [each.content for each in first.after] == [told[0]]
    assert (second.reply, [each.content for each in second.after]) == (told[1], ["Too long."])
