"""Suites that hold the server to the APIs' own descriptions, and to the one that we give of it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from streams.model.open import BaseModel
from tests.agent.scripted import HELLO, Script
from tests.clients.conftest import version_of
from tests.clients.live import Live, live

ANTHROPIC = ["--auth-header", "x-api-key", "--no-bearer", "-H", "anthropic-version:2023-06-01"]
FORMATS: dict[str, tuple[str, list[str]]] = {
    "chat": ("openai-chat", []),
    "responses": ("open-responses", []),
    "anthropic": ("anthropic", ANTHROPIC),
}
# The check of a call that must be made, which no script makes.
CALLS = {"chat": "chat-tool-calling", "responses": "tool-calling", "anthropic": "anth-tool-calling"}
# Noise may write a text of a call up to the limit that the suite sets.
TRIES = 5
# What does not pass, and why; everything else must.
WHY = {
    "image": "refused by name: this model reads text only, and would make the picture up",
    "skipped": "left out by the suite, by the model's name: for models that reason",
}
LACKING = {
    "chat-image-input": "image", "image-input": "image", "anth-image-input": "image",
    "chat-reasoning-summary": "skipped", "reasoning-summary": "skipped",
    "anth-thinking-display": "skipped",
}  # fmt: skip


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory, tiny_base: BaseModel) -> Iterator[Live]:
    """A model of noise, with room for a call that it must make: its texts end by chance alone."""
    given: dict[str, Any] = {
        "default_max_tokens": 3000, "default_temperature": 1.0, "prefill_chunk_tokens": 8,
    }  # fmt: skip
    with live(tmp_path_factory.mktemp("noisy"), base=tiny_base, **given) as running:
        yield running


@pytest.mark.client("llm-comply", "its suite of one API; calls that must be made on a real model")
@pytest.mark.parametrize("name", FORMATS)
def test_llm_comply(
    api: Live, noisy: Live, name: str, record_property: Callable[[str, Any], None]
) -> None:
    """Every check passes, but for images, and what the suite itself leaves out."""
    called = CALLS[name]
    scripted = [each for each in complied(api, name) if each["id"] != called]
    for _ in range(TRIES):
        drawn = complied(noisy, name, "-f", called)
        if drawn[0]["status"] == "passed":
            break
    results = scripted + drawn
    assert [each["id"] for each in results].count(called) == 1
    lacking = {each["id"]: each for each in results if each["status"] != "passed"}
    assert {name: each["errors"] for name, each in lacking.items() if name not in LACKING} == {}
    record_property("suite", name)
    record_property("checks", len(results))
    record_property("lacking", {check: WHY[LACKING[check]] for check in lacking})


def complied(api: Live, name: str, *more: str) -> list[dict[str, Any]]:
    """What the suite says of one API."""
    kind, headers = FORMATS[name]
    command = shutil.which("llm-comply", path=str(Path(sys.executable).parent)) or "llm-comply"
    done = subprocess.run(
        [command, "--format", kind, "-u", f"{api.address}/v1", "-k", "none", "-m", "quickset",
         "--json", *headers, *more],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    results: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    return results


CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_schema_conformance", "response_headers_conformance",
)  # fmt: skip
# In `make test` a few of each endpoint, which are others every day; in `make test-slow` many.
FEW, MANY = 3, 60
BUSY_S = 30  # for one example of every endpoint, where other processes want the cores, too


@pytest.fixture(scope="module")
def described(_scripted: Live) -> Any:
    """The description, as schemathesis reads it."""
    import schemathesis

    from agent.api.openapi.document import document
    from agent.server import OPERATIONS

    schema: Any = schemathesis.openapi.from_dict(json.loads(json.dumps(document(OPERATIONS))))
    schema.config.base_url = _scripted.address
    schema.config.request_timeout = 60  # on a machine that is busy with other tests
    return schema


HI = [{"role": "user", "content": "Hi"}]
STREAMS: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": HI, "stream_options": {"include_usage": True}},
    "completions": {"prompt": "Hi", "stream_options": {"include_usage": True}},
    "responses": {"input": "Hi"},
    "messages": {"messages": HI, "max_tokens": 9},
}


@pytest.mark.skipif(version_of("schemathesis") is None, reason="needs the extra clients")
@pytest.mark.client("schemathesis", "every endpoint of /openapi.json, with right and wrong data")
@pytest.mark.parametrize("path", STREAMS)
def test_each_event_of_a_stream_is_as_described(api: Live, described: Any, path: str) -> None:
    """To its mark, and where it breaks off with an error."""
    import schemathesis

    chosen = [getattr(schemathesis.checks, name) for name in CHECKS]
    body = {"model": "quickset", "stream": True} | STREAMS[path]
    scripts: list[Script] = [HELLO, ["a ", RuntimeError("broken")]]
    for script in scripts:
        api.play(script)
        case = described[f"/v1/{path}"]["POST"].Case(body=body, media_type="application/json")
        case.validate_response(case.call(), checks=chosen)


@pytest.mark.skipif(version_of("schemathesis") is None, reason="needs the extra clients")
@pytest.mark.client("schemathesis", "every endpoint of /openapi.json, with right and wrong data")
@pytest.mark.parametrize(
    "examples",
    [FEW, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(MANY * BUSY_S)])],
)
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_schemathesis(
    api: Live,
    described: Any,
    mode: str,
    examples: int,
    record_property: Callable[[str, Any], None],
) -> None:
    """No failure of the server, no undocumented status, no answer of another schema."""
    import schemathesis

    chosen = [getattr(schemathesis.checks, name) for name in CHECKS]
    cases = 0
    for found in described.get_all_operations():
        strategy = found.ok().as_strategy(generation_mode=schemathesis.GenerationMode(mode))

        @settings(
            max_examples=examples, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=strategy)
        def prove(case: Any) -> None:
            nonlocal cases
            cases += 1
            if mode == "positive" and isinstance(case.body, dict) and "model" in case.body:
                case.body["model"] = "quickset"  # else all would be 404
            case.validate_response(case.call(), checks=chosen)

        # what takes nothing can be given nothing wrong
        with suppress(*([Unsatisfiable] if mode == "negative" else [])):
            prove()
    assert cases > 8 * examples
    assert [event for event in api.service.events if event.kind == "dropped"] == []
    record_property("suite", f"{mode} data")
    record_property("checks", cases)
