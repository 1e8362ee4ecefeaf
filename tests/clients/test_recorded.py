"""Histories of clients that no test can install are linked: what they sent is sent again.

The files of `recorded/` were written by test_coding_agents.py, with RECORD=1, from what aider and
opencode sent; Open WebUI's are written as its source writes them.
"""

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.settings import AgentSettings
from streams.model.open import load_base
from streams.settings import ModelSettings
from tests.clients.kitchen import Kitchen
from tests.clients.live import live
from tests.clients.recording import FOLDER, Recorded, Sent

CONTEXT_TOKENS = 16_384
REPLY_TOKENS = 16  # what a coding agent asks for, 2,048, would take minutes
FILES = sorted(FOLDER.glob("*.json"))


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    """A service with room for what a coding agent sends."""
    with live(tmp_path, context_tokens=CONTEXT_TOKENS) as api:
        yield Kitchen(tmp_path, api)


def send(address: str, request: Sent, *, timeout_s: float = 60) -> Any:
    """Send a request, and take the whole reply; returns it where it is one JSON object."""
    headers = {**request.headers, "Content-Type": "application/json"}
    body = json.dumps(request.body).encode()
    asked = urllib.request.Request(f"{address}{request.path}", body, headers)
    with urllib.request.urlopen(asked, timeout=timeout_s) as response:
        told = response.read()
    return None if request.body.get("stream") else json.loads(told)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_bundled_model_answers_a_coding_agents_request(tmp_path: Path) -> None:
    """opencode's instructions and tools fit its default context, and the next step reads little."""
    base = load_base(ModelSettings())
    _, first, second, *_ = Recorded.read(FOLDER / "opencode.json").requests
    with live(tmp_path, base=base, context_tokens=AgentSettings().context_tokens) as api:
        for request in (first, second):
            request.body |= {"max_tokens": REPLY_TOKENS, "stream": False}
        told, again = (send(api.address, each, timeout_s=580) for each in (first, second))
    usage, reply = told["usage"], told["choices"][0]
    assert usage["prompt_tokens"] > 4_000
    assert reply["finish_reason"] in {"stop", "length", "tool_calls"}
    assert usage["completion_tokens"] > 0
    found = again["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert found > 0.9 * usage["prompt_tokens"]
    print(f"{usage['prompt_tokens']} tokens, {found} of the next request found")


def last_words(request: Sent) -> str:
    """What the last message of a request says."""
    return str(request.body["messages"][-1]["content"])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_was_sent_links(
    kitchen: Kitchen, file: Path, record_property: Callable[[str, Any], None]
) -> None:
    """Every reply that something follows is linked to it, and chores to nothing.

    Each chat has one complaint, "Too long", with what the client puts around it: it is heard.
    """
    recorded = Recorded.read(file)
    record_property("versions", {recorded.client: recorded.version})
    kitchen.play(*([request.said] for request in recorded.requests))
    for request in recorded.requests:
        send(kitchen.api.address, request)
    followed = {by: place for place, by in enumerate(recorded.follows) if by is not None}
    assert kitchen.followed() == [followed.get(place) for place in range(len(recorded.requests))]
    disliked = {
        place
        for place, request in zip(recorded.follows, recorded.requests, strict=True)
        if place is not None and "Too long" in last_words(request)
    }
    scores = kitchen.scores()
    assert {place for place, score in enumerate(scores) if score == -1} == disliked != set()
