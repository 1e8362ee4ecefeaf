"""How a behaviour of a client is written down: requests, replies, and what follows what."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.records import Message


def system(text: str) -> Message:
    return Message(role="system", content=text)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def reply(text: str) -> Message:
    return Message(role="assistant", content=text)


def call(name: str, arguments: str, id: str = "call_1", content: str | None = None) -> Message:
    function = {"name": name, "arguments": arguments}
    return Message(
        role="assistant",
        content=content,
        tool_calls=[{"id": id, "type": "function", "function": function}],
    )


def result(text: str, id: str = "call_1") -> Message:
    return Message(role="tool", content=text, tool_call_id=id)


@dataclass(frozen=True)
class Step:
    """One request and its reply.

    follows: the step whose reply the last message is about; None: it is about none
    options: further fields of the turn (tests.learner.turns.turn)
    """

    messages: list[Message]
    reply: Message
    follows: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Behaviour:
    """What a client does; named for the table."""

    name: str
    steps: list[Step]


def ask(
    *messages: Message, says: str | Message, follows: int | None = None, **options: Any
) -> Step:
    """A step."""
    answer = says if isinstance(says, Message) else reply(says)
    return Step(list(messages), answer, follows, options)


BREAD = "For bread, mix 500 g of flour with 350 g of water, let it rise for a night, and bake it."
SHORT = "Flour, water, a night, forty minutes."
RYE = "Take rye for a third of the flour, and ten grams more water."


def plain(*, before: Sequence[Message] = (), **options: Any) -> list[Step]:
    """The client that changes nothing."""
    one = [*before, user("How do I bake bread?")]
    two = [*one, reply(BREAD), user("Too long, please.")]
    three = [*two, reply(SHORT), user("And with rye?")]
    return [
        ask(*one, says=BREAD, **options),
        ask(*two, says=SHORT, follows=0, **options),
        ask(*three, says=RYE, follows=1, **options),
    ]


def changed(
    change: Callable[[Message], Message], *, given: Callable[[str], str] = str
) -> list[Step]:
    """The client that sends back every older message changed.

    given: what the replies were before that
    """
    told = [given(BREAD), given(SHORT), given(RYE)]
    one = [user("How do I bake bread?")]
    two = [*map(change, [*one, reply(told[0])]), user("Too long, please.")]
    three = [*map(change, [*one, reply(told[0]), user("Too long, please."), reply(told[1])])]
    return [
        ask(*one, says=told[0]),
        ask(*two, says=told[1], follows=0),
        ask(*three, user("And with rye?"), says=told[2], follows=1),
    ]


def replies_changed(
    change: Callable[[str], str], *, given: Callable[[str], str] = str
) -> list[Step]:
    """The client that sends back every reply changed."""

    def back(message: Message) -> Message:
        return reply(change(message.content or "")) if message.role == "assistant" else message

    return changed(back, given=given)
