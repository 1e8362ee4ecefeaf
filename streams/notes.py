"""Puts notes into a conversation: standing wishes, behind the last words of the user.

There a small model follows them best, and there the learner's teacher reads a hint, so both mean
the same. Agent and learner place them alike: what a reply was sampled behind can be worked out
again.

Knows nothing of tokens or principals.
"""

from collections.abc import Sequence

from streams.records import Message


def with_notes(messages: Sequence[Message], texts: Sequence[str]) -> list[Message]:
    """Return the messages with notes at the end of the last user message; as they are without one.

    >>> with_notes([Message(role="user", content="Why?")], ["Be brief."])[0].content
    'Why?\\n\\nBe brief.'
    """
    noted = list(messages)
    if not texts:
        return noted
    for place in reversed(range(len(noted))):
        if noted[place].role == "user":
            content = "\n\n".join(filter(None, ((noted[place].content or "").rstrip(), *texts)))
            noted[place] = noted[place].model_copy(update={"content": content})
            break
    return noted
