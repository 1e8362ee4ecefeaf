"""Langfuse's own client, pointed at our address instead of its cloud."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.clients.live import Live

tried = pytest.mark.client("langfuse", "create_score: a thumb, a correction, one that is refused")


@pytest.fixture
def client(api: Live, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The client; it traces nothing."""
    import langfuse

    monkeypatch.setenv("LANGFUSE_MEDIA_UPLOAD_ENABLED", "false")
    made = langfuse.Langfuse(
        public_key="pk-any", secret_key="none", host=api.address, flush_interval=0.2
    )
    yield made
    made.shutdown()


@tried
def test_scores(api: Live, client: Any) -> None:
    """A score by the response's id is feedback on it; a grade of something else is refused."""
    body = {"model": "quickset", "messages": [{"role": "user", "content": "Hi"}]}
    made = httpx.post(f"{api.address}/v1/chat/completions", json=body).json()
    client.create_score(name="toxicity", value=1, trace_id=made["id"], data_type="BOOLEAN")
    client.create_score(
        name="user-feedback", value=0, trace_id=made["id"], data_type="BOOLEAN", comment="long"
    )
    client.flush()
    kept = httpx.get(f"{api.address}/v1/feedback/{made['id']}").json()
    assert (kept["score"], kept["comment"]) == (-1, "long")
    client.create_score(name="output", value="Hello.", trace_id=made["id"], data_type="CORRECTION")
    client.flush()
    kept = httpx.get(f"{api.address}/v1/feedback/{made['id']}").json()
    assert (kept["score"], kept["hint"]) == (-1, "Hello.")
