"""The conformance suite of MCP: each of its stable scenarios that applies to us passes."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.mcp.suite import BEGIN, CLIENT, DOCUMENT, END, NOT_OURS, run, table


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not here: @modelcontextprotocol/*")
def test_every_stable_scenario_passes(tmp_path: Path) -> None:
    """Server and client; docs/MCP.md has the table that this run would write."""
    try:
        outcomes = run(tmp_path)
    except subprocess.SubprocessError as cause:
        pytest.skip(f"npm cannot install the conformance suite: {cause}")
    assert len(outcomes) >= 30
    assert [each for each in outcomes if each.failed or not each.passed] == []
    assert table(outcomes) in DOCUMENT.read_text(encoding="utf-8")


def test_the_document_tells_every_scenario() -> None:
    """The table names what the client passes, and what is not ours with the reason."""
    told = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    assert all(f"| client | `{name}` |" in told for name in CLIENT)
    for name, why in NOT_OURS.items():
        assert f"| client | `{name}` | – | not ours: {why} |" in told
    assert " fail |" not in told
