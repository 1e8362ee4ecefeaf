"""What the page /connect shows works: each text is taken from the page and run as it stands.

Shells and npm's clients run in processes of their own, Python beside the other tests of its client;
settings of programs that are no packages are read in the form that these read.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.chat.connect import NO_KEY, clients
from tests.clients.copied import HELLO, shown
from tests.clients.live import Live

ASKED = os.environ.get("CLIENTS_NPM") == "1"


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_curl(api: Live) -> None:
    """The line for a shell."""
    done = subprocess.run(
        ["bash", "-c", shown(api)["curl"]], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == HELLO


def test_every_text_is_filled_in(api: Live) -> None:
    """The page names the address under which it was asked for, and no place is left open."""
    texts = shown(api)
    assert {client.id for client in clients()} <= set(texts)
    for client in clients():
        assert api.address in texts[client.id], client.id
        assert NO_KEY in texts[client.id], client.id
        assert not re.search(r"\{(base|key)\}", texts[client.id]), client.id


def test_settings_are_what_programs_read(api: Live) -> None:
    """JSON, YAML and variables of the environment, with the address where each has it."""
    texts, address = shown(api), f"{api.address}/v1"
    opencode = json.loads(texts["opencode"])
    provider, model = opencode["model"].split("/")
    assert model in opencode["provider"][provider]["models"]
    assert opencode["provider"][provider]["options"]["baseURL"] == address
    libre = yaml.safe_load(texts["librechat"])["endpoints"]["custom"][0]
    assert (libre["baseURL"], libre["apiKey"], libre["models"]["default"]) == (
        address, NO_KEY, ["quickset"],
    )  # fmt: skip
    going_on = yaml.safe_load(texts["continue"])
    assert {"name", "version", "schema"} <= set(going_on)
    assert (going_on["models"][0]["apiBase"], going_on["models"][0]["apiKey"]) == (address, NO_KEY)
    webui = dict(line.split("=", 1) for line in texts["open-webui"].splitlines())
    assert webui["OPENAI_API_BASE_URL"] == address


@pytest.mark.parametrize(
    ("name", "program", "variable", "path"),
    [
        ("aider", "aider", "OPENAI_API_BASE", "/v1"),
        ("claude-code", "claude", "ANTHROPIC_BASE_URL", ""),
    ],
)
def test_lines_of_a_shell_start_the_program(
    api: Live, tmp_path: Path, name: str, program: str, variable: str, path: str
) -> None:
    """The shell takes the lines; the program, here a stand-in, is started with what they set."""
    stand_in = tmp_path / program
    stand_in.write_text(f'#!/bin/sh\necho "${variable} $*"\n')
    stand_in.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-eu", "-c", shown(api)[name]],
        env=environ, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.split()[0] == f"{api.address}{path}"
    if name == "aider":
        assert done.stdout.split()[1:] == ["--model", "openai/quickset"]


@pytest.mark.slow
@pytest.mark.skipif(not (ASKED and shutil.which("npm")), reason="npm clients: set CLIENTS_NPM=1")
@pytest.mark.parametrize(
    ("name", "package"), [("openai-npm", "openai"), ("anthropic-npm", "@anthropic-ai/sdk")]
)
def test_npm(api: Live, tmp_path: Path, name: str, package: str) -> None:
    """The SDKs from npm."""
    done = installed(tmp_path, package)(["node", "chat.mjs"], {"chat.mjs": shown(api)[name]})
    assert done.strip() == HELLO


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(not (ASKED and shutil.which("npm")), reason="npm clients: set CLIENTS_NPM=1")
@pytest.mark.client("opencode-ai (npm)", "the page /connect: a question and its reply", apart=True)
def test_opencode(api: Live, tmp_path: Path, record_property: Callable[[str, Any], None]) -> None:
    """The coding agent answers one question by the settings of the page."""
    run = installed(tmp_path, "opencode-ai", scripts=True)
    package = json.loads((tmp_path / "node_modules" / "opencode-ai" / "package.json").read_text())
    record_property("versions", {"opencode-ai (npm)": package["version"]})
    out = run(["npx", "opencode", "run", "Say hello"], {"opencode.json": shown(api)["opencode"]})
    assert HELLO in out


def installed(
    folder: Path, package: str, *, scripts: bool = False
) -> Callable[[list[str], dict[str, str]], str]:
    """Install a package of npm; returns what runs a program beside files, and gives its output."""
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    quiet = ["--no-audit", "--no-fund", "--silent", *([] if scripts else ["--ignore-scripts"])]
    subprocess.run(["npm", "install", *quiet, package], cwd=folder, check=True, timeout=200)

    def run(command: list[str], files: dict[str, str]) -> str:
        for name, text in files.items():
            (folder / name).write_text(text)
        environ = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")}
        done = subprocess.run(
            command, cwd=folder, env=environ, capture_output=True, text=True, timeout=200,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
