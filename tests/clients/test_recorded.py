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

from tests.clients.kitchen import Kitchen
from tests.clients.live import live
from tests.clients.recording import FOLDER, Recorded, Sent

CONTEXT_TOKENS = 16_384
FILES = sorted(FOLDER.glob("*.json"))


@pytest.fixture
def kitchen(tmp_path: Path) -> Iterator[Kitchen]:
    """A service with room for what a coding agent sends."""
    with live(tmp_path, context_tokens=CONTEXT_TOKENS) as api:
        yield Kitchen(tmp_path, api)


def send(address: str, request: Sent) -> None:
    """Send a request, and take the whole reply."""
    headers = {**request.headers, "Content-Type": "application/json"}
    body = json.dumps(request.body).encode()
    asked = urllib.request.Request(f"{address}{request.path}", body, headers)
    with urllib.request.urlopen(asked, timeout=60) as response:
        response.read()


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
