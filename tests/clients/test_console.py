"""The operators' API is held to its own description, with right and wrong data."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from agent.console.access.roles import for_role
from agent.console.document import made_of
from streams.log.sqlite import SqliteLog
from streams.settings import StreamsSettings
from streams.store.store import open_store
from tests.agent.console.rows import fill
from tests.clients.conftest import version_of
from tests.clients.console import LiveConsole, live_console
from tests.clients.test_suites import CHECKS

# In `make test` a few of each endpoint, which are others every day; in `make test-slow` many.
FEW, MANY = 3, 60
NOW_MS = 1_790_000_000_000


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveConsole]:
    """A console without keys, over a day of learning."""
    home = tmp_path_factory.mktemp("console")
    store, log = open_store(StreamsSettings(home=home)), SqliteLog(home / "log.db")
    with store.transaction() as session:
        fill(session, now_ms=NOW_MS)
    with live_console(store, log=log) as running:
        yield running
    store.close()
    log.close()


@pytest.fixture(scope="module")
def document(console: LiveConsole) -> Any:
    """The description, as it is served."""
    with urllib.request.urlopen(f"{console.address}/openapi.json") as answer:
        return json.loads(answer.read())


def test_every_address_for_programs_is_described(console: LiveConsole, document: Any) -> None:
    """What is below /api and /operator stands in the document, each method of it."""
    told = {(m.upper(), path) for path, place in document["paths"].items() for m in place}
    real = {
        (route.method, route.resource.canonical)
        for route in console.app.router.routes()
        if route.resource is not None
        and route.method != "HEAD"
        and route.resource.canonical.startswith(("/api/", "/operator/"))
    }
    assert told == real
    assert document["openapi"].startswith("3.1.")


@pytest.mark.skipif(version_of("schemathesis") is None, reason="needs the extra clients")
@pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_schemathesis(console: LiveConsole, document: Any, mode: str, examples: int) -> None:
    """No failure of the server, no undocumented status, no answer of another schema."""
    import schemathesis

    schema: Any = schemathesis.openapi.from_dict(document)
    schema.config.base_url = console.address
    chosen = [getattr(schemathesis.checks, name) for name in CHECKS]
    cases = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path == "/operator/events":
            continue  # it has no end
        strategy = operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode))

        @settings(
            max_examples=examples, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=strategy)
        def prove(case: Any) -> None:
            nonlocal cases
            cases += 1
            if "line" in (case.path_parameters or {}) and mode == "positive":
                case.path_parameters["line"] = "main"  # else all would be 404
            case.validate_response(case.call(), checks=chosen)

        # what takes nothing can be given nothing wrong
        with suppress(*([Unsatisfiable] if mode == "negative" else [])):
            prove()
    assert cases > 5 * examples


def test_an_address_that_changes_something_describes_itself() -> None:
    """A write without a description fails when the console is assembled."""

    async def change(_: web.Request) -> web.Response:
        return web.Response()

    with pytest.raises(ValueError, match="describes nothing"):
        made_of(for_role("operator", [web.post("/operator/something", change)]))
