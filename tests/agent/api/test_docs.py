"""docs/API.md says what the API does: routes, parameters, codes, metrics, events."""

import json
import re
from pathlib import Path
from typing import get_args

from agent import errors
from agent.api.chat.parameters import IGNORED, REFUSED, UNDERSTOOD
from agent.watch.events import Kind
from tests.agent.conftest import Api

API_MD = (Path(__file__).parents[3] / "docs" / "API.md").read_text(encoding="utf-8")


def told(section: str, column: int = 0) -> set[str]:
    """What stands in backticks in one column of a section's tables."""
    text = re.split(rf"^## {section}.*$", API_MD, flags=re.MULTILINE)[1].split("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row[column])}


async def test_routes(api: Api) -> None:
    """Every route of the API is documented, and no other; the page's files go without saying."""
    app = api.client.server.app  # type: ignore[attr-defined]
    routes = {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.method != "HEAD" and route.resource is not None
    }
    files = {
        route for route in routes if re.match(r"GET /(chat|docs|feedback-page|static)/", route)
    }
    twins = {route for route in routes if route.replace(" /", " /v1/", 1) in routes}
    assert told("Endpoints") == routes - files - twins


def test_parameters() -> None:
    """Every parameter that is understood, ignored or refused is documented as that."""
    headers = {name for name in told("Chat") if name[0].isupper()}
    assert told("Chat") - headers == UNDERSTOOD
    assert told("Refused parameters") == set(REFUSED)
    assert told("Ignored parameters") == set(IGNORED)


def test_why_a_parameter_is_refused_or_ignored() -> None:
    """The page gives the reasons that the code gives, and the values that ask for nothing."""
    lines = API_MD.splitlines()
    for name, refused in REFUSED.items():
        rows = [line for line in lines if f"`{name}`" in line and refused.why in line]
        assert len(rows) == 1, name
        assert all(json.dumps(value) in rows[0] for value in refused.harmless)
    assert all(f"| `{name}` | {why} |" in API_MD for name, why in IGNORED.items())


def test_codes() -> None:
    """Every error class of the API is documented with its status and code."""
    classes = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.ApiError) and each.code
    ]
    assert {each.code for each in classes} <= told("Errors", 1)
    statuses = {str(each.status) for each in classes}
    assert all(f"| {status} |" in API_MD for status in statuses)


async def test_metrics(api: Api) -> None:
    """Every metric of ours is documented, and no other."""
    names = set()
    for family in api.service.metrics.registry.collect():
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        names.add(f"{family.name}{suffix}")
    ours = {name for name in names if name.startswith("quickset_")}
    assert told("Metrics") == ours


def test_events() -> None:
    """Every kind of event is documented, and no other."""
    assert told("Events") == set(get_args(Kind))
