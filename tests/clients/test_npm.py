"""The npm clients of OpenAI, Anthropic and Vercel, installed into a folder when asked for."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.live import Live

HERE = Path(__file__).parent
PACKAGES = ("openai", "@anthropic-ai/sdk", "ai", "@ai-sdk/openai-compatible", "zod")
ASKED = os.environ.get("CLIENTS_NPM") == "1"
Drive = Callable[[Live, str], Any]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not (ASKED and shutil.which("npm")),
        reason="npm clients: set CLIENTS_NPM=1 where node and npm are (they install from npm)",
    ),
]


def tried(package: str, what: str) -> pytest.MarkDecorator:
    return pytest.mark.client(package, what, apart=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the packages are installed."""
    made = tmp_path_factory.mktemp("npm")
    (made / "package.json").write_text('{"private": true, "type": "module"}')
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
    subprocess.run(["npm", "install", *quiet, *PACKAGES], cwd=made, check=True, timeout=600)
    return made


@pytest.fixture
def drive(folder: Path, record_property: Callable[[str, Any], None]) -> Drive:
    """A function that runs one of the scripts, and gives what it printed."""
    installed = json.loads((folder / "package-lock.json").read_text())["packages"]
    versions = {f"{p} (npm)": installed[f"node_modules/{p}"]["version"] for p in PACKAGES}
    record_property("versions", versions)

    def run(api: Live, script: str) -> Any:
        shutil.copy(HERE / script, folder / script)
        done = subprocess.run(
            ["node", script, api.address],
            cwd=folder, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@tried("openai (npm)", "chat, responses, completions, models, errors; whole, streamed, helpers")
def test_openai(api: Live, drive: Drive) -> None:
    """Everything comes as in the Python client."""
    told = drive(api, "openai.mjs")
    texts = ("chat", "stream", "helper", "responses", "retrieved", "responsesHelper", "completion")
    assert {name: told[name] for name in texts} == dict.fromkeys(texts, "Hello, world!")
    assert told["items"] == ["user", "assistant", "user"]
    assert told["models"] == ["quickset", "quickset@stable"]
    assert (told["deleted"], told["refused"]) == (404, [400, "n"])


@tried("@anthropic-ai/sdk (npm)", "messages, count_tokens, models, errors; whole, streamed, helper")
def test_anthropic(api: Live, drive: Drive) -> None:
    """Everything comes as in the Python client."""
    told = drive(api, "anthropic.mjs")
    assert told["message"] == told["helper"] == "Hello, world!"
    assert (told["events"][0], told["events"][-1]) == ("message_start", "message_stop")
    assert (told["counted"], told["models"]) == (3, ["quickset", "quickset@stable"])
    assert told["refused"] == [400, "invalid_request_error"]


@tried("ai (npm)", "generateText, streamText, and generateObject by a schema")
def test_vercel(api: Live, real: Live, drive: Drive) -> None:
    """A model of noise makes the object of the schema."""
    told = drive(api, "aisdk.mjs")
    assert (told["text"], told["stream"]) == ("Hello, world!", "Hello, world!")
    made = drive(real, "aisdk.mjs")["object"]
    assert made["city"] in ("Oslo", "Rome")
    assert 0 <= made["days"] <= 99
