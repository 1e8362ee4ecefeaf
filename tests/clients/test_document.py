"""docs/CLIENTS.md tells of everything that is tried, and of nothing else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENT = (HERE.parent.parent / "docs" / "CLIENTS.md").read_text(encoding="utf-8")


def tried(file: Path) -> Iterator[str]:
    """What a file's tests say that they try: the text that ends their mark."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("tried", "pytest.mark.client"):
            texts = [each.value for each in node.args if isinstance(each, ast.Constant)]
            if len(texts) == len(node.args):
                yield str(texts[-1])


def test_the_document_is_of_these_tests() -> None:
    """Run `CLIENTS_NPM=1 python -m tests.clients` when a test was added or says something else."""
    rows = re.findall(r"^\| [^|]+ \| [^|]+ \| ([^|]+) \| [^|]+ \|$", DOCUMENT, re.MULTILINE)
    told = {what.strip() for what in rows} - {"what was tried", "---"}
    assert told == {what for file in HERE.glob("test_*.py") for what in tried(file)}


def test_nothing_fails_in_the_document() -> None:
    """What is written down works, or says what it waits for."""
    assert "| fails |" not in DOCUMENT
