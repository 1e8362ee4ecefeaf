"""The off switch: after any history the base serves, the bits of its files, and nothing learns."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agent.settings import AgentSettings
from deploy.cli import main
from deploy.operate.forget import forget
from deploy.operate.reset import read_files, reset_agent
from streams.line.offer import decided
from streams.open import open_log
from streams.settings import ModelSettings
from streams.store.store import open_store
from tests.flow.conftest import SETTINGS, Common
from tests.flow.test_loop import AGENT, Running, running

QUICK = SETTINGS.model_copy(update={"turns_per_generation": 1, "uses": 1})


def console_of(here: Running) -> AgentSettings:
    """The settings by which the command line reaches the agent's console."""
    port = int(here.console.rpartition(":")[2])
    return AGENT.model_copy(update={"console_port": port})


async def taught(here: Running, versions: int) -> list[str]:
    """Let the agent learn some versions; return what has served, the base first."""
    served = [here.serving]
    for number in range(versions):
        await here.correct(f"Tell me about the number {number}.", "Too long. Be brief.")
        await here.learn(turns=2 * (number + 1))
        served.append(await here.until_decided())
    assert len(set(served)) == versions + 1
    return served


async def test_a_reset_is_the_base_bit_for_bit(
    tmp_path: Path, common: Common, tiny_dir: Path
) -> None:
    """After several versions, and somebody forgotten, what serves is what the files hold."""
    async with running(tmp_path / "home", common, QUICK) as here:
        base, *_, last = await taught(here, 3)
        store, log = open_store(here.learner.streams), open_log(here.learner.streams)
        asked: dict[str, Any] = {"line": "main", "who": "ann", "reason": "by mail"}
        asked["wait"] = lambda _: None
        await asyncio.to_thread(forget, store, log, here.learner.streams, "anonymous", **asked)
        store.close()
        console = console_of(here)
        now, changed = await asyncio.to_thread(
            reset_agent, console, reason="off", keep_learning=False
        )
        files = await asyncio.to_thread(
            read_files, ModelSettings(path=tiny_dir, cache=tmp_path / "cache")
        )
        assert changed
        assert (now["version"], now["previous"], now["learning"]) == (base, None, False)
        assert now["sha256"] == files.sha256 == await here.digest(base)
        assert files.version == base
        assert here.service.residents.resident == [base]
        assert (await here.chat([{"role": "user", "content": "Hello?"}]))[1] == base
        # a second time changes nothing, and proves the same
        again, changed = await asyncio.to_thread(
            reset_agent, console, reason="off", keep_learning=False
        )
        assert (again["sha256"], changed) == (files.sha256, False)
        (line,) = [decided(log, "main")]
        log.close()
        assert line is not None
        assert (line.verb, line.served, line.learning) == ("reset", (base,), False)
        assert last not in line.served


async def test_learning_stops_until_it_is_resumed_and_goes_on_from_the_base(
    tmp_path: Path, common: Common
) -> None:
    """What people say after a reset is kept; once learning is resumed it moves the base."""
    async with running(tmp_path / "home", common, QUICK) as here:
        base, _ = await taught(here, 1)
        console = console_of(here)
        await asyncio.to_thread(reset_agent, console, reason="off", keep_learning=False)
        await here.correct("Tell me about the sea.", "Too long. Be brief.")
        assert await here.learn(turns=4) == 0
        assert here.serving == base
        await asyncio.to_thread(reset_agent, console, reason="on", keep_learning=True)
        assert await asyncio.to_thread(here.learner.learn) == 1
        version = await here.until_decided()
        assert version != base
        proof = await asyncio.to_thread(here.proof, version)
        assert (proof.recipes, proof.sha256) == (1, await here.digest(version))


def test_without_an_agent_the_reset_is_in_the_log(
    tmp_path: Path, tiny_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command writes it for the next agent, once, and tells the digest of the files."""
    home = tmp_path / "home"
    flags = ["--home", str(home), "--model", str(tiny_dir), "--console-port", "1", "--yes"]
    flags += ["--set", f"model.cache={tmp_path / 'cache'}"]
    main_ok(["streams", "init", "--home", str(home)])
    capsys.readouterr()
    for changed in (True, False):
        main_ok(["reset", "--json", *flags])
        told = json.loads(capsys.readouterr().out)
        assert (told["changed"], told["served"], told["learning"]) == (changed, None, False)
        assert len(told["files"]) == 64
    main_ok(["reset", "--keep-learning", *flags])
    assert "learning goes on" in capsys.readouterr().out
    main_ok(["rollouts", "list", "--json", "--home", str(home)])
    verbs = [row["verb"] for row in json.loads(capsys.readouterr().out)]
    assert verbs == ["learn", "reset"]


def main_ok(arguments: list[str]) -> None:
    """Run a command that must succeed."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert not ended.value.code
