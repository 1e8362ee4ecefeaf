"""Drives every client that is here against the API, and writes what came of it: docs/CLIENTS.md.

python -m tests.clients                 the Python clients that are installed
CLIENTS_NPM=1 python -m tests.clients   those of npm, too; CLIENTS_AIDER=1: aider and instructor,
                                        each in an environment of its own
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import version_of

HERE = Path(__file__).parent
DOCUMENT = HERE.parent.parent / "docs" / "CLIENTS.md"
HEAD = """\
# Clients

What real clients do with this API, unmodified: each row is one or more tests in `tests/clients`,
which drive the client against the server's own code (over a scripted engine, so that every reply is
known; and once over a tiny real model). This page is written by them:

    pip install -e '.[clients]'
    CLIENTS_NPM=1 CLIENTS_AIDER=1 python -m tests.clients

What a reply is held to (schemas, calls that must be made) is tried on the tiny real model, whose
replies are noise: what comes out right there is the sampler's doing and not the model's. A tool's
`strict: true` is kept to where a call is demanded; with the default choice, auto, a client gets the
arguments as the model wrote them, and checks them (docs/API.md).

A call of the agent's own tools that needs somebody's approval is asked for in Responses alone, of
clients that name the server (a tool of type `mcp`, HostedMCPTool in OpenAI's Agents SDK) or send
`X-Server-Tools: ask`: others break at the question, and the model is told that nobody can be asked
(docs/MCP.md).

| client | version | what was tried | outcome |
|---|---|---|---|
"""
SUITES = """
## Suites

| suite | version | of | checks | what does not pass |
|---|---|---|---|---|
"""


@dataclass
class Tried:
    """What came of one test."""

    package: str
    what: str
    outcome: str  # "works", "fails", or why it was not tried
    told: dict[str, Any]


class Collector:
    """A plugin of pytest that notes what came of each client's tests."""

    def __init__(self) -> None:
        self.tried: list[Tried] = []
        self._marks: dict[str, pytest.Mark] = {}

    def pytest_collection_modifyitems(self, items: Iterable[pytest.Item]) -> None:
        """Keep each test's mark, which reports do not have."""
        for item in items:
            if (mark := item.get_closest_marker("client")) is not None:
                self._marks[item.nodeid] = mark

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note an outcome: of the call, or of a setup that did not come to it."""
        mark = self._marks.get(report.nodeid)
        if mark is None or (report.when != "call" and report.passed):
            return
        outcome = "fails"
        if report.passed:
            waits = mark.kwargs.get("waits")
            outcome = f"waits for {waits}" if waits else "works"
        elif report.skipped:
            outcome = "not tried: " + str(report.longrepr[2]).removeprefix("Skipped: ")  # type: ignore[index]
        package, what = mark.args
        self.tried.append(Tried(package, what, outcome, dict(report.user_properties)))


def table(tried: Iterable[Tried], versions: dict[str, str]) -> str:
    """The document: one row for each thing that was tried with each client, then the suites."""
    rows: dict[tuple[str, str], list[str]] = {}
    suites = []
    for each in tried:
        if "suite" in each.told:
            suites.append(each)
        rows.setdefault((each.package, each.what), []).append(each.outcome)
    lines = [HEAD]
    for (package, what), outcomes in rows.items():
        named = versions.get(package) or version_of(package) or "–"
        lines.append(f"| {package} | {named} | {what} | {_worst(outcomes)} |\n")
    lines.append(SUITES)
    largest = {(each.package, each.told["suite"]): each for each in suites}  # the last of a kind
    for each in largest.values():
        lacking = each.told.get("lacking") or {}
        checks = each.told["checks"]
        count = f"{checks - len(lacking)} of {checks}" if lacking else str(checks)
        why = "; ".join(f"`{check}`: {reason}" for check, reason in lacking.items()) or "–"
        version = version_of(each.package)
        lines.append(f"| {each.package} | {version} | {each.told['suite']} | {count} | {why} |\n")
    return "".join(lines)


def _worst(outcomes: list[str]) -> str:
    for outcome in outcomes:
        if outcome.startswith("fails"):
            return outcome
    tried = [outcome for outcome in outcomes if not outcome.startswith("not tried")]
    return (tried or outcomes)[0]


def main() -> int:
    """Run the tests, write the document, and return pytest's exit status."""
    collector = Collector()
    status = pytest.main([str(HERE), "-q", "-p", "no:cacheprovider"], plugins=[collector])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return int(status)  # nothing was tried, and so nothing is written
    versions = {
        name: version
        for each in collector.tried
        for name, version in each.told.get("versions", {}).items()
    }
    DOCUMENT.write_text(table(collector.tried, versions), encoding="utf-8")
    print(f"wrote {DOCUMENT}")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
