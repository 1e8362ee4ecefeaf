"""What a request belongs to is recognised from its messages, and headers are honoured."""

import pytest
from multidict import CIMultiDict

from agent.errors import InvalidError
from agent.turn.sessions import is_chore, may_learn, purpose_of, session_of
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


CHORES = [
    "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.",
    "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history",
    "### Task:\nSuggest 3-5 relevant follow-up questions or prompts that the user might",
    "### Task:\nAnalyze the chat history to determine the necessity of generating search queries",
    "### Task:\nGenerate a detailed prompt for am image generation task based on the given",
    "### Task:\nYou are an autocompletion system. Continue the text in `<text>` based on",
    "Create a concise, 3-5 word title with an emoji as a title for the chat history, in",
    "Here is the query:\n\nhello\n\nCreate a concise, 3-5 word phrase as a title for the previous",
    "Provide a concise, 5-word-or-less title for the conversation, using title case conventions.",
    "Please generate a four to five word title summarizing our conversation without any lead-in",
    "Generate a concise 3-7 word title for this conversation, omitting punctuation. Go straight",
    "Given the following... please reply with a title for the chat that is 3-4 words in length",
    "Please write a 5-10 word title for the following conversation:\n\nUser: hi",
    "你是一名擅长会话的助理，你需要将用户的会话总结为 10 个字以内的标题",
    "Your task is to reflect the speaker's likely facial expression through a fitting emoji.",
]


@pytest.mark.parametrize("text", CHORES, ids=lambda text: text[:40])
def test_chores_of_chat_clients_are_recognised(text: str) -> None:
    """What a client asks for itself is told by its own instruction."""
    assert is_chore([Message(role="user", content=text)])
    assert is_chore([*LATER, Message(role="user", content=f"  {text}")])
    assert purpose_of([Message(role="user", content=text)], {}) == "chore"


def test_a_chore_may_have_its_reply_begun() -> None:
    """What the assistant shall go on with stands behind the instruction."""
    begun = Message(role="assistant", content="{")
    assert is_chore([Message(role="user", content=CHORES[0]), begun])
    assert not is_chore([*ASK, begun])


def test_a_chore_may_stand_in_the_system_message() -> None:
    """Coding agents keep their title instruction in the system message."""
    system = Message(
        role="system", content="You are a title generator. You output ONLY a thread title"
    )
    assert is_chore([system, *ASK])


@pytest.mark.parametrize(
    "text",
    [
        "Please write a title for my essay on hawthorns.",
        "Generate a concise title for this chapter, 3-5 words.",
        "Summarize our conversation so far.",
        "### Task:\nRespond to the user query using the provided context, with citations.",
        "Suggest three follow-up questions for my interview.",
        "In Python, what does 'Generate 1-3 broad tags' in a prompt do?",
        "x " * 400 + "Provide a concise, 5-word-or-less title for the conversation",
    ],
    ids=lambda text: text[:40],
)
def test_a_person_who_asks_for_a_title_is_not_a_chore(text: str) -> None:
    """People's own requests are trained on, also when they resemble a chore."""
    assert not is_chore([Message(role="user", content=text)])


def test_a_quoted_chore_in_the_history_is_no_chore() -> None:
    """Only the last message and the system message instruct."""
    assert not is_chore([Message(role="user", content=CHORES[0]), *LATER])
