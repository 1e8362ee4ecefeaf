"""Places a hint in a conversation: what the teacher reads before it writes a turn's reply again.

- suffix: at the end of the last user message, as OpenClaw-RL places it;
- system: as the operator's own words;
- example: as the suffix, behind two worked examples in which somebody wished something and got it.
  A model that was only told is tempted to talk about what it was told, and to apologise; one that
  has seen how a hint is met meets it.

Knows nothing of tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from streams.records import Message

Placement = Literal["suffix", "system", "example"]

# A wish and a reproach, as people's own words are, and no form that would be copied: behind an
# example in capital letters, replies came in capital letters.
_EXAMPLES: Final = (
    Message(role="user", content="What is a cat?\n\nMention milk, please."),
    Message(
        role="assistant",
        content="A cat is a small animal with soft fur. It likes to sleep and to drink milk.",
    ),
    Message(role="user", content="How do I cook an egg?\n\nYou forgot the salt."),
    Message(
        role="assistant",
        content="Put it into boiling water with a little salt, and wait for six to ten minutes.",
    ),
)


# A wish that says nothing of what is wished: what it changes, any wish would change.
ANY_WISH: Final = "Please answer in another way."


def with_hint(messages: Sequence[Message], hint: str) -> list[Message]:
    """Return the request with the hint at the end of its last user message.

    >>> with_hint([Message(role="user", content="Why?")], "Be brief.")[0].content
    'Why?\\n\\nBe brief.'
    """
    hinted = list(messages)
    for place in reversed(range(len(hinted))):
        if hinted[place].role == "user":
            content = "\n\n".join(filter(None, ((hinted[place].content or "").rstrip(), hint)))
            hinted[place] = hinted[place].model_copy(update={"content": content})
            return hinted
    return [*hinted, Message(role="user", content=hint)]


def as_system(messages: Sequence[Message], hint: str) -> list[Message]:
    """Return the request with the hint at the end of its system message, or as one.

    >>> [m.content for m in as_system([Message(role="user", content="Why?")], "Be brief.")]
    ['Be brief.', 'Why?']
    """
    if messages and messages[0].role == "system":
        content = "\n\n".join(filter(None, ((messages[0].content or "").rstrip(), hint)))
        return [messages[0].model_copy(update={"content": content}), *messages[1:]]
    return [Message(role="system", content=hint), *messages]


def behind_examples(messages: Sequence[Message], hint: str) -> list[Message]:
    """Return the request with the hint as suffix, and worked examples before it."""
    first = 1 if messages and messages[0].role == "system" else 0
    return [*messages[:first], *_EXAMPLES, *with_hint(messages[first:], hint)]


PLACEMENTS: Final[Mapping[Placement, Callable[[Sequence[Message], str], list[Message]]]] = {
    "suffix": with_hint,
    "system": as_system,
    "example": behind_examples,
}
