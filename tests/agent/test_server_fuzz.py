"""Whatever a client sends, it is answered, and never by a 5xx."""

import json
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.api.chat.request import ChatRequest
from tests.agent.conftest import Api

SHARED = settings(
    max_examples=150,
    deadline=None,
    # The API keeps nothing that one example could leave to the next.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(codec=None), max_size=20)  # lone surrogates too
)
VALID = {"model": "quickset", "messages": [{"role": "user", "content": "Hi"}]}
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
FUNCTIONS = st.fixed_dictionaries(
    {"name": TEXT},
    optional={"parameters": st.dictionaries(TEXT, JSON, max_size=3), "description": TEXT},
)
CALLS = st.fixed_dictionaries(
    {
        "id": TEXT,
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {
                "name": TEXT,
                "arguments": TEXT
                | st.sampled_from(["{}", "[" * 50_000, '{"x": NaN}', '"\\ud800"']),
            }
        ),
    }
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "tool"]), "content": TEXT},
    optional={"tool_call_id": TEXT, "name": TEXT},
) | st.fixed_dictionaries(
    {"role": st.just("assistant")},
    optional={
        "content": st.none() | TEXT | st.just([{"type": "text", "text": "part"}]),
        "tool_calls": st.lists(CALLS, max_size=3),
    },
)
# For each parameter, values that make sense; a request has a few that do not.
SENSIBLE = {
    "messages": st.lists(MESSAGES, min_size=1, max_size=4),
    "stream": st.booleans(),
    "stream_options": st.just({"include_usage": True}),
    "n": st.integers(1, 3),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0.01, 1),
    "max_tokens": st.integers(1, 64),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "top_k": st.integers(-1, 100),
    "min_p": st.floats(0, 1),
    "presence_penalty": st.floats(-2, 2),
    "repetition_penalty": st.floats(0.01, 100),
    "logit_bias": st.dictionaries(st.integers(0, 9000).map(str), st.floats(-100, 100), max_size=2),
    "truncation": st.sampled_from(["auto", "disabled"]),
    "continue_final_message": st.booleans(),
    "top_logprobs": st.integers(0, 20),
    "stop": TEXT | st.lists(TEXT, max_size=3),
    "logprobs": st.booleans(),
    "tools": st.lists(
        st.fixed_dictionaries({"type": st.just("function"), "function": FUNCTIONS}), max_size=3
    ),
    "tool_choice": st.sampled_from(["auto", "none", "required"]),
    "metadata": st.dictionaries(TEXT, JSON, max_size=2),
    "user": TEXT,
    "store": st.booleans(),
}
STRANGE = st.dictionaries(st.sampled_from(sorted(ChatRequest.model_fields)), JSON, max_size=1)
BODIES = st.builds(
    lambda sensible, strange: VALID | sensible | strange,
    st.fixed_dictionaries({}, optional=SENSIBLE),
    STRANGE,
)


async def answered(api: Api, method: str, path: str, body: bytes, **headers: str) -> int:
    """Send a request, and check that its answer is complete and no failure of ours."""
    response = await api.client.request(method, path, data=body, headers=headers)
    text = await response.text()
    assert response.status < 500, text
    if response.status >= 400:
        assert set(json.loads(text)["error"]) == {"message", "type", "param", "code"}
    return response.status


@SHARED
@given(BODIES)
async def test_no_chat_request_breaks_the_server(api: Api, body: dict[str, Any]) -> None:
    """Known parameters with any values at all."""
    await answered(api, "POST", "/v1/chat/completions", json.dumps(body).encode())
    assert [event for event in api.service.events if event.kind == "dropped"] == []


@SHARED
@given(st.binary(max_size=300))
async def test_no_bytes_break_the_server(api: Api, body: bytes) -> None:
    """Bytes that need not be JSON."""
    assert await answered(api, "POST", "/v1/chat/completions", body) == 400


@SHARED
@given(st.text(min_size=1, max_size=80), JSON)
async def test_no_feedback_breaks_the_server(api: Api, response_id: str, body: Any) -> None:
    """Any response id, any body."""
    path = f"/v1/feedback/{quote(response_id.encode('utf-8', 'replace').decode(), safe='')}"
    status = await answered(api, "PUT", path, json.dumps(body).encode())
    assert status in (400, 404, 405)


HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))


@SHARED
@given(HEADER, HEADER, HEADER, HEADER)
async def test_no_headers_break_the_server(
    api: Api, session: str, kind: str, learn: str, key: str
) -> None:
    """Any session, turn type, opt-out and key."""
    headers = {"X-Session-Id": session, "X-Turn-Type": kind, "X-Learn": learn, "Authorization": key}
    encoded = {name: value.strip() for name, value in headers.items()}
    await answered(api, "POST", "/v1/chat/completions", json.dumps(VALID).encode(), **encoded)
