"""Cached tokens are those that a request did not have to read, by every API, and no others."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from streams.model.open import BaseModel
from tests.clients.live import Live, live

SYSTEM = " ".join(f"Rule {number}: be kind." for number in range(40))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModel) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("cached")
    with live(home, base=tiny_base, default_max_tokens=2, prefill_chunk_tokens=32) as running:
        yield running


def post(api: Live, path: str, key: str, **body: Any) -> Any:
    """The usage that a reply comes with."""
    request = urllib.request.Request(
        f"{api.address}/v1/{path}",
        json.dumps({"model": "quickset"} | body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)["usage"][key]


@pytest.mark.parametrize("choices", [1, 3])
def test_a_first_request_finds_nothing_and_the_next_one_its_beginning(
    api: Live, choices: int
) -> None:
    """Also where several choices read the prompt for one another: none of it was there before."""
    told = []
    for question in ("Hi?", "And?"):
        messages = [{"role": "system", "content": f"{choices} {SYSTEM}"},
                    {"role": "user", "content": question}]  # fmt: skip
        told.append(
            post(api, "chat/completions", "prompt_tokens_details", messages=messages, n=choices)
        )
    assert told[0]["cached_tokens"] == 0
    assert told[1]["cached_tokens"] > 200
    first = {"instructions": f"{choices} r {SYSTEM}", "input": "Hi?"}
    counted = [post(api, "responses", "input_tokens_details", **first) for _ in range(2)]
    assert counted[0]["cached_tokens"] == 0 < counted[1]["cached_tokens"]
    asked = {"system": f"{choices} m {SYSTEM}", "max_tokens": 2}
    asked["messages"] = [{"role": "user", "content": "Hi?"}]
    read = [post(api, "messages", "cache_read_input_tokens", **asked) for _ in range(2)]
    assert read[0] == 0 < read[1]
