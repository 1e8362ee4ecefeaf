"""Where a request comes from is read from headers and body, and nothing sent can break that."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from agent.turn.origin.origin import Origin, client_of, origin_of, parent_of

BODY: dict[str, Any] = {"model": "quickset", "messages": [{"role": "user", "content": "Grüß dich"}]}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def origin(body: bytes | None = None, principal: str = "ann", **headers: str) -> Origin:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return origin_of(CIMultiDict(named), body or json.dumps(BODY).encode(), principal)


def test_an_identical_body_has_the_same_key() -> None:
    """Order, spaces and escapes do not matter; a word, or the principal, does."""
    again = json.dumps(dict(reversed(BODY.items())), ensure_ascii=False, indent=1).encode()
    assert origin().body_key == origin(again).body_key
    assert origin().body_key != origin(json.dumps(BODY | {"seed": 1}).encode()).body_key
    assert origin().body_key != origin(principal="bob").body_key


def test_a_resend_is_named_by_its_header() -> None:
    """The Idempotency-Key itself is not kept, only that it is the same of the same principal."""
    first = origin(idempotency_key="stainless-retry-1")
    assert first.idempotency_key == origin(Idempotency_Key="stainless-retry-1").idempotency_key
    bob = origin(principal="bob", idempotency_key="stainless-retry-1")
    assert first.idempotency_key != bob.idempotency_key
    assert "stainless" not in str(first)
    assert origin().idempotency_key is None


def test_a_trace_is_continued() -> None:
    """A well-formed traceparent names the trace; any other begins a new one (W3C, sec. 4.3)."""
    given = f"00-{TRACE}-00f067aa0ba902b7-01"
    assert origin(traceparent=given).trace == parent_of(f" {given} ")[0] == TRACE
    assert parent_of(f"cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-will-be-like")[0] == TRACE
    refused = [
        None, "", given[:-3], given.upper(), given.replace("00-", "ff-"),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
    ]  # fmt: skip
    traces = {parent_of(each)[0] for each in refused}
    assert len(traces) == len(refused)
    assert TRACE not in traces


@given(st.text(), st.text(), st.text())
def test_no_header_breaks_a_request(agent: str, parent: str, resend: str) -> None:
    """Whatever is sent, what is kept of it fits the record."""
    given = origin(user_agent=agent, traceparent=parent, idempotency_key=resend or "x")
    assert given.client is None or (0 < len(given.client) <= 64 and given.client.isprintable())
    for key in (given.body_key, given.idempotency_key, given.trace):
        assert key is not None
        assert len(key) == 32
        int(key, 16)


def test_a_client_is_its_first_product() -> None:
    """What stands behind it changes with every machine."""
    assert client_of("OpenAI/Python 1.99.0") == "OpenAI/Python"
    assert client_of("Mozilla/5.0 (X11; Linux x86_64)") == "Mozilla/5.0"
    assert client_of("x" * 99) == "x" * 64
