"""Which link counts, and what is no retry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.link.conversation import Following, Link, Tried, outweighs, response_of, retries
from streams.records import Turn
from tests.learner.turns import said, turn

LINKS = st.builds(
    Link,
    turn_id=st.just("t"),
    kind=st.sampled_from(["reply", "retry", "branch"]),
    messages=st.just(()),
    created_ms=st.integers(0, 50),
    confidence=st.sampled_from([1.0, 0.98, 0.8, 0.6]),
)


def tier(link: Link) -> tuple[str, bool, int]:
    return link.kind, link.confidence >= 0.9, link.created_ms


@given(st.lists(LINKS, min_size=1, max_size=6, unique_by=tier), st.randoms())
def test_the_order_of_arrival_does_not_choose_the_link(links: list[Link], random: object) -> None:
    """Whatever the order in which links come, the same one remains."""

    def remaining(order: list[Link]) -> Link:
        kept = order[0]
        for new in order[1:]:
            if outweighs(new, Following(kept.kind, kept.created_ms, kept.confidence)):
                kept = new
        return kept

    shuffled = list(links)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert remaining(links) == remaining(shuffled)


def test_sure_evidence_outweighs_weak_evidence_that_came_before() -> None:
    """A guess by words gives way to the whole conversation, and not the other way round."""
    weak = Following("reply", 1_000, 0.6)
    assert outweighs(Link("t", "reply", (), 9_000, confidence=0.98), weak)
    assert not outweighs(Link("t", "reply", (), 9_000, confidence=0.6), weak)
    sure = Following("reply", 1_000, 1.0)
    assert not outweighs(Link("t", "reply", (), 500, confidence=0.6), sure)


FAILED = Tried("chatcmpl-aa", "s", 1_000, arrived=False, body_key="b" * 32, idempotency_key=None)


def again(**changes: object) -> Turn:
    """The request of FAILED once more, unless something is changed."""
    request = turn(said("ping"), "pong", id="chatcmpl-bb", created_ms=2_000)
    return request.model_copy(update={"session": "s", "body_key": "b" * 32, **changes})


def test_the_same_body_after_a_reply_that_did_not_arrive_is_a_retry() -> None:
    """In the same session, or under the same idempotency key."""
    assert retries(again(), FAILED)
    keyed = Tried("chatcmpl-aa", "s", 1_000, False, "b" * 32, "k" * 32)
    assert retries(again(session="other", idempotency_key="k" * 32), keyed)


@pytest.mark.parametrize(
    ("request_", "tried"),
    [
        (again(), Tried("chatcmpl-aa", "s", 1_000, True, "b" * 32, None)),
        (again(session="other"), FAILED),
        (again(body_key="c" * 32), FAILED),
        (again(id="chatcmpl-aa-1"), FAILED),
        (again(created_ms=1_000 + 6 * 60_000), FAILED),
        (again(created_ms=1_000), FAILED),
        (
            again(idempotency_key="x" * 32),
            Tried("chatcmpl-aa", "s", 1_000, False, "b" * 32, "k" * 32),
        ),
    ],
    ids=["arrived", "session", "body", "choice of one request", "later", "before", "another key"],
)
def test_without_something_that_speaks_for_it_nothing_is_a_retry(
    request_: Turn, tried: Tried
) -> None:
    """The same text alone says nothing of a reply."""
    assert not retries(request_, tried)


def test_choices_of_one_request_share_its_response() -> None:
    """Their ids are the response's, with a number behind it; other ids stay as they are."""
    assert response_of("chatcmpl-0f-1") == response_of("chatcmpl-0f") == "chatcmpl-0f"
    assert response_of("turn-2024") == "turn-2024"
