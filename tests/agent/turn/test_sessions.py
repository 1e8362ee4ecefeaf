"""What a request belongs to is recognised from its messages, and headers are honoured."""

import pytest
from multidict import CIMultiDict

from agent.errors import InvalidError
from agent.turn.origin.sessions import may_learn, purpose_of, session_of
from streams.records import Message

ASK = [Message(role="user", content="What is a quickset?")]
LATER = [
    *ASK,
    Message(role="assistant", content="A living hedge."),
    Message(role="user", content="And a hawthorn?"),
]


def session(messages: list[Message] = ASK, principal: str = "ann", **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return session_of(messages, CIMultiDict(named), principal)


def test_a_conversation_keeps_its_session_without_a_header() -> None:
    """A later request of the same conversation is of the same session; another principal's not."""
    assert session(ASK) == session(LATER)
    assert session(ASK) != session(ASK, principal="bob")
    assert session(ASK) != session([Message(role="user", content="Hello")])


def test_a_session_header_is_honoured_within_its_principal() -> None:
    """The same name is one session for one principal, and never somebody else's."""
    assert session(ASK, x_session_id="s1") == session([ASK[0]], X_Session_Id="s1")
    assert session(ASK, x_session_id="s1") != session(ASK, x_session_id="s2")
    assert session(ASK, x_session_id="s1") != session(ASK, principal="bob", x_session_id="s1")


@pytest.mark.parametrize("name", ["x" * 300, "a\x00b", "a\nb"])
def test_a_session_header_is_bounded(name: str) -> None:
    """A name that no client would choose is refused, by the header's name."""
    with pytest.raises(InvalidError, match="X-Session-Id"):
        session(x_session_id=name)


def test_opting_out_is_honoured() -> None:
    """X-Learn: off means that the turn teaches nothing."""
    assert may_learn({})
    assert may_learn(CIMultiDict({"x-learn": "on"}))
    assert not may_learn(CIMultiDict({"x-learn": "Off"}))


def test_a_misspelt_opt_out_is_refused() -> None:
    """What was meant as an opt-out is never taken for consent."""
    with pytest.raises(InvalidError, match="X-Learn"):
        may_learn(CIMultiDict({"X-Learn": "of"}))
    with pytest.raises(InvalidError, match="X-Turn-Type"):
        purpose_of(ASK, CIMultiDict({"X-Turn-Type": "aside"}))


def test_side_turns_are_marked_by_the_client() -> None:
    """X-Turn-Type: side makes a side turn."""
    assert purpose_of(ASK, CIMultiDict({"X-Turn-Type": "side"})) == "side"
    assert purpose_of(ASK, CIMultiDict({"X-Turn-Type": "main"})) == "main"


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_turn_type_says_nothing(blank: str) -> None:
    """As a blank session is no name; a blank opt-out would be taken for consent."""
    assert purpose_of(ASK, CIMultiDict({"X-Turn-Type": blank})) == "main"
    with pytest.raises(InvalidError, match="X-Learn"):
        may_learn(CIMultiDict({"X-Learn": blank}))


@pytest.mark.parametrize(
    ("headers", "metadata"),
    [
        ({"X-OpenWebUI-Chat-Id": "c1"}, None),
        ({"X-OpenCode-Session": "c1"}, None),
        ({}, {"chat_id": "c1"}),
        ({}, {"session_id": "c1", "chat_id": "other"}),
        ({"X-Session-Id": "c1"}, {"session_id": "other"}),
    ],
)
def test_what_clients_name_by_themselves_is_a_session(
    headers: dict[str, str], metadata: dict[str, str] | None
) -> None:
    """A chat's id in a header or in the metadata names it; our own header counts first."""
    named = session(ASK, x_session_id="c1")
    assert session_of(ASK, CIMultiDict(headers), "ann", metadata) == named


@pytest.mark.parametrize("value", [7, None, "", "a\nb", "x" * 300, ["c1"]])
def test_metadata_that_is_no_name_is_passed_over(value: object) -> None:
    """Metadata is the client's own: nothing in it is an error."""
    assert session_of(ASK, {}, "ann", {"session_id": value}) == session(ASK)


def test_a_clock_in_the_system_prompt_is_no_new_session() -> None:
    """What the system says moves; the conversation and its session stay."""
    clocks = (Message(role="system", content=f"It is {hour}:00.") for hour in range(2))
    assert session(ASK) == session([next(clocks), *ASK]) == session([next(clocks), *LATER])
