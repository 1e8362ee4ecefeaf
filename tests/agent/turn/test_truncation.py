"""Whole exchanges are left out of a conversation, the oldest first, and never what is asked."""

from hypothesis import given
from hypothesis import strategies as st

from agent.turn.truncation import KEPT, steps, without
from streams.records import Message

ROLES = st.lists(st.sampled_from(["system", "developer", "user", "assistant", "tool"]), max_size=14)


def talk(roles: list[str]) -> list[Message]:
    return [
        Message.model_validate({"role": role, "content": str(at)}) for at, role in enumerate(roles)
    ]


def asked(messages: list[Message]) -> int:
    """Where the user's last message stands; -1: nowhere."""
    return max((at for at, each in enumerate(messages) if each.role == "user"), default=-1)


@given(ROLES)
def test_whole_exchanges_go_and_the_rest_keeps_its_order(roles: list[str]) -> None:
    """Instructions stay; until only the question is left, the rest is the conversation's end."""
    messages = talk(roles)
    others = [each for each in messages if each.role not in KEPT]
    lengths = []
    for number in range(steps(messages) + 1):
        left = without(messages, number)
        assert [each for each in left if each.role in KEPT] == [
            each for each in messages if each.role in KEPT
        ]
        rest = [each for each in left if each.role not in KEPT]
        if [each.role for each in rest].count("user") > 1:
            assert rest == others[len(others) - len(rest) :]
        assert number == 0 or rest[0].role == "user"
        assert left == sorted(left, key=lambda each: int(each.content or ""))
        lengths.append(len(rest))
    assert lengths == sorted(set(lengths), reverse=True)  # each step leaves out something


@given(ROLES)
def test_what_is_asked_and_the_newest_round_of_work_on_it_stay(roles: list[str]) -> None:
    """However much is left out, and no result of a tool loses the reply that called for it."""
    messages = talk(roles)
    left = without(messages, steps(messages))
    last = asked(messages)
    if last < 0:
        assert left == messages
        return
    assert messages[last] in left
    assert [each.role for each in left].count("user") == 1
    replies = [at for at in range(last, len(messages)) if messages[at].role == "assistant"]
    newest = messages[replies[-1] if replies else last :]
    assert left[len(left) - len(newest) :] == newest
    for number in range(steps(messages) + 1):
        some = without(messages, number)
        for each in messages:
            if each.role == "tool" and each in some:
                at = int(each.content or "")
                before = [m for m in messages[:at] if m.role in ("assistant", "user")]
                assert not before or before[-1] in some


def test_an_agents_long_work_on_one_question_keeps_the_question_and_the_newest_results() -> None:
    """One message of a user, then round after round: calls go together with their results."""
    messages = talk(["system", "user", *["assistant", "tool", "tool"] * 3])
    contents = [[each.content for each in without(messages, n)] for n in range(3)]
    assert steps(messages) == 2
    assert contents[1] == ["0", "1", "5", "6", "7", "8", "9", "10"]
    assert contents[2] == ["0", "1", "8", "9", "10"]
