"""Two versions of a running agent side by side, by the command line, while people chat."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from deploy.cli import main
from tests.flow.conftest import Common
from tests.flow.test_loop import running
from tests.flow.test_reset import QUICK, console_of, taught


async def test_versions_answer_side_by_side(
    tmp_path: Path, common: Common, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each answers as it does when it serves; what is not in memory is built, and let go again."""
    question = [{"role": "user", "content": "Hello?"}]
    async with running(tmp_path / "home", common, QUICK) as here:
        as_base, _ = await here.chat(question)
        base, first, last = await taught(here, 2)
        as_last, version = await here.chat(question)
        assert version == last
        await here.service.steering.rollback("ann", "so that the newest is not in memory")
        assert last not in here.service.residents.resident
        port = str(console_of(here).console_port)
        command = ["versions", "diff", "0", last[:8], "-p", "Hello?", "--max-tokens", "12"]
        command += ["--console-port", port, "--json"]
        compared = asyncio.create_task(asyncio.to_thread(_ended, command))
        beside = await asyncio.gather(*(here.chat(question) for _ in range(4)))
        assert await compared == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert (told["a"], told["b"]) == (base, last)
        (pair,) = told["answers"]
        assert (pair["a"]["text"], pair["b"]["text"]) == (as_base, as_last)
        assert {version for _, version in beside} == {first}
        resident = set(here.service.residents.resident)
        assert resident == {base, first}


def _ended(arguments: list[str]) -> int:
    """Run a command; return its exit code."""
    try:
        main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    return 0
