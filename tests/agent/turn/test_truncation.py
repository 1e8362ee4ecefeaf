"""Whole exchanges are left out of a conversation, the oldest first, and never what is asked."""

from hypothesis import given
from hypothesis import strategies as st

from agent.turn.truncation import KEPT, exchanges, without
from streams.records import Message

ROLES = st.lists(st.sampled_from(["system", "developer", "user", "assistant", "tool"]), max_size=14)


def talk(roles: list[str]) -> list[Message]:
    return [
        Message.model_validate({"role": role, "content": str(at)}) for at, role in enumerate(roles)
    ]


@given(ROLES)
def test_whole_exchanges_go_and_the_rest_keeps_its_order(roles: list[str]) -> None:
    """Instructions stay; what is left of the others is an end of the conversation."""
    messages = talk(roles)
    others = [each for each in messages if each.role not in KEPT]
    lengths = []
    for number in range(exchanges(messages) + 1):
        left = without(messages, number)
        assert [each for each in left if each.role in KEPT] == [
            each for each in messages if each.role in KEPT
        ]
        rest = [each for each in left if each.role not in KEPT]
        assert rest == others[len(others) - len(rest) :]
        assert number == 0 or rest[0].role == "user"
        assert left == sorted(left, key=lambda each: int(each.content or ""))
        lengths.append(len(rest))
    assert lengths == sorted(set(lengths), reverse=True)  # each step leaves out something


@given(ROLES)
def test_the_last_user_message_and_what_follows_it_stays(roles: list[str]) -> None:
    """However much is left out."""
    messages = talk(roles)
    left = without(messages, exchanges(messages))
    users = [at for at, each in enumerate(messages) if each.role == "user"]
    if users:
        assert left[-len(messages[users[-1] :]) :] == messages[users[-1] :]
        assert [each.role for each in left].count("user") == 1
    else:
        assert left == messages
