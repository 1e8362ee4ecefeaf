"""Every query of the dashboard is one that a live agent's /metrics answers."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.watch.metrics import Metrics
from streams.store.store import open_store
from streams.store.tables import PlannerRow
from tests.flow.conftest import Common, LearnerHome, common  # noqa: F401 - a fixture
from tests.flow.test_loop import served_from
from tests.flow.test_reset import QUICK

FILE = Path(__file__).parents[2] / "deploy" / "grafana" / "quickset.json"
DASHBOARD: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
OF_PROMETHEUS = {"job", "instance", "le"}  # a scrape adds two of them, a histogram the third


def queries() -> list[str]:
    """Every expression of every panel, with Grafana's variables put in."""
    found = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    assert len(found) > 40
    return [re.sub(r"\$__\w+", "5m", each).replace("$", "") for each in found]


def selectors(expr: Any) -> Iterator[Any]:
    """The selectors of an expression, wherever they stand in it."""
    match type(expr).__name__:
        case "VectorSelector":
            yield expr
        case "MatrixSelector":
            yield expr.vector_selector
        case "BinaryExpr":
            yield from selectors(expr.lhs)
            yield from selectors(expr.rhs)
        case "Call":
            for each in expr.args:
                yield from selectors(each)
        case "NumberLiteral" | "StringLiteral":
            pass
        case _:
            yield from selectors(expr.expr)


def grouped(query: str) -> set[str]:
    """The labels that an expression adds up by."""
    listed = re.findall(r"\bby \(([^)]*)\)", query)
    return {label.strip() for labels in listed for label in labels.split(",")}


def labels_of(text: str, metrics: Metrics) -> dict[str, set[str]]:
    """The series that an agent tells, by name, with their labels; also those without a sample."""
    told: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            told.setdefault(sample.name, set()).update(sample.labels)
    for collector, names in metrics.registry._collector_to_names.items():
        for name in names:
            told.setdefault(name, set()).update(getattr(collector, "_labelnames", ()))
    return told


@pytest.mark.usefixtures("common")
async def test_every_query_is_answered(tmp_path: Path, common: Common) -> None:  # noqa: F811
    """Each names a series that there is, and only labels that it has; none is of another system."""
    home = LearnerHome(tmp_path / "home", common, QUICK)
    store = open_store(home.streams)
    with store.transaction() as session:
        row = PlannerRow(line="main", waits_for="turns", since_ms=1, num_fresh=0, num_used=0,
                         num_weak=0, num_people=0)  # fmt: skip
        session.add(row)
    store.close()
    async with served_from(home) as here:
        await here.chat([{"role": "user", "content": "Hello?"}])
        async with asyncio.timeout(30):
            text = ""
            while "quickset_verdicts_fresh" not in text:  # a slow store is told at the next scrape
                async with here.http.get(f"{here.api}/metrics") as answer:
                    text = await answer.text()
        told = labels_of(text, here.service.metrics)
    for query in queries():
        found = list(selectors(promql.parse(query)))
        assert found, query
        for each in found:
            assert each.name in told, f"{each.name} of {query} is not told"
            asked = {matcher.name for matcher in each.matchers.matchers}
            assert asked - OF_PROMETHEUS <= told[each.name], query
            assert grouped(query) - OF_PROMETHEUS <= set().union(
                *(told[other.name] for other in found)
            ), query


def test_the_dashboard_can_be_imported() -> None:
    """It has what Grafana looks for: own ids, places that do not overlap, one data source."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    sources = {json.dumps(target["datasource"]) for p in panels for target in p.get("targets", [])}
    assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}
    variables = {each["name"] for each in DASHBOARD["templating"]["list"]}
    assert set(re.findall(r"\$(?!__)\{?(\w+)", FILE.read_text())) <= variables
    assert all(panel["title"] for panel in panels)
    assert all(panel["description"] for panel in panels if panel["type"] != "row")
