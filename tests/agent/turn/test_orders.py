"""What clients order of a conversation is a chore, in whatever words; what people ask is not.

orders.jsonl has a request a line: what chat programs, coding agents, memories and retrievers order
or want decided (as they ship it, or in other words), and what people ask or products are told that
is like it.
"""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from agent.turn.origin.chores import is_chore
from agent.turn.origin.needs import asks_for_search
from agent.turn.origin.orders import is_order, is_role
from streams.records import Message

LINES = Path(__file__).with_name("orders.jsonl").read_text(encoding="utf-8").splitlines()
REQUESTS: list[dict[str, Any]] = [json.loads(line) for line in LINES]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: each["name"])
def test_an_order_is_told_from_a_question(request_: dict[str, Any]) -> None:
    """Essays need titles, too, and a product may be told to tag, to rewrite or to sum up."""
    messages = [Message(role=role, content=text) for role, text in request_["messages"]]
    assert is_chore(messages) is request_["chore"]


SHOWN = "\n\nUser: Bread?\nAssistant: Flour.\n\n"
NAME = "Write a title for the conversation, only three words."


@pytest.mark.parametrize("order", [NAME + SHOWN, SHOWN.strip() + "\n\n" + NAME])
def test_who_sends_the_replies_need_not_show_them(order: str) -> None:
    """A transcript behind replies is a person's, and so is one whose next words are asked for."""
    asked = Message(role="user", content=order)
    before = [Message(role="user", content="Hi"), Message(role="assistant", content="Hello!")]
    assert is_chore([asked])
    assert not is_chore([*before, asked])
    assert is_chore([asked, Message(role="assistant", content="{")])
    assert not is_chore([Message(role="user", content=f"{order}\nAssistant:")])


def test_what_a_transcript_says_is_not_ordered() -> None:
    """The same words, said in it, are nobody's order to us; and "I" in it is not who orders."""
    said = f"Is this rude?\n\nUser: {NAME}\nAssistant: I would rather not.\n\nIt was on a train."
    assert not is_chore([Message(role="user", content=said)])
    assert is_chore([Message(role="user", content=f"{NAME}\n\nUser: {said}")])


@pytest.mark.parametrize(
    "hostile",
    ["the user ", "chat ", "a name for ", "based on title ", "user, decide if ",
     "does the user's ", "the user: reply with only the ", "user {\"a\": if search ",
     "this chat between the ", "chat: a, ", "user:\n\n", "only the chat \"", "title of a chat "],
)  # fmt: skip
def test_hostile_texts_take_no_longer(hostile: str) -> None:
    """A megabyte of half an order costs well under a second of processor."""
    began = time.thread_time()
    is_order(hostile * 10**5)
    is_role(hostile * 10**5)
    asks_for_search(hostile * 10**5)
    assert time.thread_time() - began < 1.0
