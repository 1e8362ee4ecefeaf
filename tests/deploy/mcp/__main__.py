"""Runs the conformance suite, and writes what came of it: the table of docs/MCP.md.

python -m tests.deploy.mcp
"""

import sys
from pathlib import Path

from tests.deploy.mcp.suite import run, table, write


def main() -> int:
    """Return 1 where something failed."""
    outcomes = run(Path.home() / ".cache" / "quickset" / "mcp-suite")
    write(outcomes)
    print(table(outcomes))
    return int(any(each.failed or not each.passed for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
