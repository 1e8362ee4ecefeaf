"""Suites that hold the server to the APIs' own descriptions, and to the one that we give of it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from tests.clients.conftest import version_of
from tests.clients.live import Live

ANTHROPIC = ["--auth-header", "x-api-key", "--no-bearer", "-H", "anthropic-version:2023-06-01"]
FORMATS: dict[str, tuple[str, list[str]]] = {
    "chat": ("openai-chat", []),
    "responses": ("open-responses", []),
    "anthropic": ("anthropic", ANTHROPIC),
}
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


@pytest.mark.client("llm-comply", "its suite of one API")
@pytest.mark.parametrize("name", FORMATS)
def test_llm_comply(api: Live, name: str, record_property: Callable[[str, Any], None]) -> None:
    """Every check passes, but for images, and what the suite itself leaves out."""
    kind, more = FORMATS[name]
    command = shutil.which("llm-comply", path=str(Path(sys.executable).parent)) or "llm-comply"
    done = subprocess.run(
        [command, "--format", kind, "-u", f"{api.address}/v1", "-k", "none", "-m", "quickset",
         "--json", *more],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    results = json.loads(done.stdout)["results"]
    lacking = {each["id"]: each for each in results if each["status"] != "passed"}
    assert {name: each["errors"] for name, each in lacking.items() if name not in LACKING} == {}
    record_property("suite", name)
    record_property("checks", len(results))
    record_property("lacking", {check: WHY[LACKING[check]] for check in lacking})


CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_schema_conformance", "response_headers_conformance",
)  # fmt: skip
# In `make test` a few of each endpoint, which are others every day; in `make test-slow` many.
FEW, MANY = 8, 60


@pytest.fixture(scope="module")
def described(_scripted: Live) -> Any:
    """The description, as schemathesis reads it."""
    import schemathesis

    from agent.api.openapi.document import document
    from agent.server import OPERATIONS

    schema: Any = schemathesis.openapi.from_dict(json.loads(json.dumps(document(OPERATIONS))))
    schema.config.base_url = _scripted.address
    return schema


@pytest.mark.skipif(version_of("schemathesis") is None, reason="needs the extra clients")
@pytest.mark.client("schemathesis", "every endpoint of /openapi.json, with right and wrong data")
@pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
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
