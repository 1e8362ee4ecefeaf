"""The conformance suite of MCP (npm), run against our server and our client, and its table.

It needs npm, and takes a newer Node.js from there, too; both are installed into a folder of its
own. What does not apply to us is listed with the reason.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
SUITE, NODE = "@modelcontextprotocol/conformance@0.1.16", "node@22"
DOCUMENT: Final = ROOT / "docs" / "MCP.md"
BEGIN, END = "<!-- made by python -m tests.deploy.mcp -->", "<!-- until here -->"

# Scenarios of the suite's own "pending" ones are not stable, and not run.
CLIENT: Final = ("initialize", "tools_call", "sse-retry")
NOT_OURS: Final = {
    "elicitation-sep1034-client-defaults": "nobody is there to be asked when the agent calls a "
    "tool, so that elicitation is not among the client's capabilities",
    "auth/*": "keys are headers of the settings; the agent runs no OAuth flow, which needs "
    "a browser",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one scenario."""

    side: str
    scenario: str
    passed: int
    failed: int


def install(folder: Path) -> str:
    """Install suite and Node.js; return the command. Raises: CalledProcessError."""
    if not (folder / "node_modules" / ".bin" / "node").exists():
        install = ["npm", "install", "--silent", "--no-audit", "--prefix", str(folder), SUITE, NODE]
        subprocess.run(install, check=True, capture_output=True, timeout=300)
    modules = folder / "node_modules"
    index = modules / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    return f"{modules / '.bin' / 'node'} {index}"


def run(folder: Path) -> list[Outcome]:
    """Run all that is stable and applies to us."""
    suite = install(folder).split()
    with everything() as address:
        told = _run([*suite, "server", "--url", address, "-o", str(folder / "server")], folder)
    found = re.findall(r"[✓✗] (\S+): (\d+) passed, (\d+) failed", told)
    outcomes = [Outcome("server", name, int(ok), int(bad)) for name, ok, bad in found]
    client = f"{sys.executable} -m tests.agent.mcp.suite_client"
    for name in CLIENT:
        out = str(folder / "client")
        told = _run([*suite, "client", "--command", client, "--scenario", name, "-o", out], folder)
        passed = re.search(r"Passed: (\d+)/(\d+)", told)
        ok, all_ = (int(passed[1]), int(passed[2])) if passed else (0, 1)
        outcomes.append(Outcome("client", name, ok, all_ - ok))
    return outcomes


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as docs/MCP.md has them."""
    lines = ["| side | scenario | checks | outcome |", "|---|---|---|---|"]
    for each in outcomes:
        said = "passes" if each.passed and not each.failed else f"{each.failed} fail"
        checks = each.passed + each.failed
        lines.append(f"| {each.side} | `{each.scenario}` | {checks} | {said} |")
    lines += [f"| client | `{name}` | – | not ours: {why} |" for name, why in NOT_OURS.items()]
    return "\n".join(lines)


def write(outcomes: list[Outcome]) -> None:
    """Put the table into docs/MCP.md."""
    text = DOCUMENT.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    DOCUMENT.write_text(f"{head}{BEGIN}\n\n{table(outcomes)}\n\n{END}{tail}", encoding="utf-8")


@contextmanager
def everything() -> Iterator[str]:
    """Our server with the suite's tools, in a process of its own; yields its address."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "address"
        command = [sys.executable, "-m", "tests.deploy.mcp.everything", str(told)]
        process = subprocess.Popen(command, cwd=ROOT, env=_environment(), stderr=subprocess.DEVNULL)
        try:
            while not told.exists() or not told.read_text():
                assert process.poll() is None, "the server does not start"
                time.sleep(0.1)
            yield told.read_text()
        finally:
            process.terminate()
            process.wait()


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=ROOT, env=_environment()
    )
    (folder / "last.json").write_text(json.dumps({"out": done.stdout, "err": done.stderr}))
    return done.stdout + done.stderr


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
