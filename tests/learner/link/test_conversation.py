"""Linking by the hash chain."""

from hypothesis import given
from hypothesis import strategies as st

from learner.link.conversation import Link, link, outweighs
from streams.records import Message, Turn
from tests.learner.turns import said, turn


def follow(*texts: str, at: int = 2_000, **options: object) -> Turn:
    """Give a request whose conversation so far is `texts`."""
    return turn(said(*texts), "…", created_ms=at, **options)  # type: ignore[arg-type]


def test_the_next_request_carries_the_next_state() -> None:
    """What the user says after a reply is that reply's next state."""
    first = turn(said("hi"), "hello")
    (found,) = link(follow("hi", "hello", "too long"), [first])
    assert (found.turn_id, found.kind) == (first.id, "reply")
    assert [m.content for m in found.messages] == ["too long"]
    assert found.created_ms == 2_000


def test_every_parallel_tool_result_is_next_state() -> None:
    """All messages up to the next reply count, not only the last."""
    calls = [{"id": x, "function": {"name": "f", "arguments": "{}"}} for x in "ab"]
    asked = [Message(role="user", content="weather?")]
    call = Message(role="assistant", tool_calls=calls)
    results = [Message(role="tool", content=x, tool_call_id=x) for x in "ab"]
    first = turn(asked, call)
    request = turn([*asked, call, *results], "sunny", created_ms=2_000)
    (found,) = link(request, [first])
    assert found.messages == tuple(results)


def test_an_earlier_reply_is_followed_up_to_the_next_reply() -> None:
    """A request that carries two replies gives each its own next state."""
    first, second = turn(said("a"), "b"), turn(said("a", "b", "c"), "d", created_ms=1_500)
    found = {x.turn_id: x for x in link(follow("a", "b", "c", "d", "e"), [first, second])}
    assert [m.content for m in found[first.id].messages] == ["c"]
    assert [m.content for m in found[second.id].messages] == ["e"]


def test_the_same_request_again_is_a_retry() -> None:
    """A second reply to the same messages links the first one as retried."""
    first = turn(said("hi"), "hello")
    (found,) = link(turn(said("hi"), "hey", created_ms=2_000), [first])
    assert (found.kind, found.messages) == ("retry", ())


def test_an_edited_last_message_is_a_branch() -> None:
    """Going back to an earlier reply and asking otherwise branches off the turn between."""
    first = turn(said("a", "b", "c"), "d")
    (found,) = link(follow("a", "b", "instead"), [first])
    assert (found.kind, [m.content for m in found.messages]) == ("branch", ["instead"])


def test_a_shared_opening_is_no_branch() -> None:
    """Two conversations with one system prompt do not concern each other."""
    system = Message(role="system", content="be kind")
    first = turn([system, *said("a")], "b")
    assert link(turn([system, *said("x")], "y", created_ms=2_000), [first]) == []


def test_a_stranger_says_nothing_about_a_turn() -> None:
    """Another principal who sends the same conversation links nothing."""
    first = turn(said("hi"), "hello")
    assert link(follow("hi", "hello", "bad", principal="mallory"), [first]) == []


def test_a_chore_says_nothing_about_a_turn() -> None:
    """A client's own request for a title, and one that must not be learned from, are no verdict."""
    first = turn(said("hi"), "hello")
    chat = ("hi", "hello", "too long")
    assert link(follow(*chat, purpose="chore"), [first]) == []
    assert link(follow(*chat, learn=False), [first]) == []


def test_an_untrained_turn_is_linked_all_the_same() -> None:
    """A turn that is not learned from still gets its next state."""
    first = turn(said("hi"), "hello", learn=False)
    (found,) = link(follow("hi", "hello", "too long", learn=False), [first])
    assert found.kind == "reply"


def test_white_space_does_not_break_the_chain() -> None:
    """A client that trims what it sends back is in the same conversation."""
    first = turn(said("hi"), "hello \n")
    assert link(follow("hi", "hello", "ok"), [first])


LINKS = st.builds(
    Link,
    turn_id=st.just("t"),
    kind=st.sampled_from(["reply", "retry", "branch"]),
    messages=st.just(()),
    created_ms=st.integers(0, 50),
)


@given(
    st.lists(LINKS, min_size=1, max_size=6, unique_by=lambda x: (x.kind, x.created_ms)),
    st.randoms(),
)
def test_the_order_of_arrival_does_not_choose_the_link(links: list[Link], random: object) -> None:
    """Whatever the order in which links come, the same one remains."""

    def remaining(order: list[Link]) -> Link:
        kept = order[0]
        for new in order[1:]:
            if outweighs(new, kept.kind, kept.created_ms):
                kept = new
        return kept

    shuffled = list(links)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert remaining(links) == remaining(shuffled)
