"""The command `llm`, as it comes from PyPI, with the server named in its own configuration."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.live import Live, called

MODELS = """
- model_id: quickset
  model_name: quickset
  api_base: {address}/v1
  api_key_name: quickset
  supports_tools: true
  supports_schema: true
- model_id: quickset-text
  model_name: quickset
  api_base: {address}/v1
  api_key_name: quickset
  completion: true
"""
TOOLS = '''
def weather(city: str) -> str:
    """The weather now."""
    return f"sunny in {city}"
'''


def tried(what: str, **more: Any) -> pytest.MarkDecorator:
    return pytest.mark.client("llm", what, **more)


def run(api: Live, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a configuration of its own."""
    home.mkdir(exist_ok=True)
    (home / "extra-openai-models.yaml").write_text(MODELS.format(address=api.address))
    (home / "keys.json").write_text('{"quickset": "none"}')
    beside = shutil.which("llm", path=str(Path(sys.executable).parent))
    return subprocess.run(
        [beside or "llm", *arguments],
        env=os.environ | {"LLM_USER_PATH": str(home), "LLM_LOAD_PLUGINS": ""},
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.slow
@tried("a prompt: streamed, whole, continued, and a text completion")
def test_prompts(api: Live, tmp_path: Path) -> None:
    """What a person types, and what they type next."""
    for more in ([], ["--no-stream"], ["-c"]):
        done = run(api, tmp_path, "-m", "quickset", "Hi there", *more)
        assert (done.returncode, done.stdout) == (0, "Hello, world!\n"), done.stderr
    done = run(api, tmp_path, "-m", "quickset-text", "Once")
    assert done.stdout.strip().endswith("Hello, world!"), done.stderr


@tried("-T: a Python function is called and its result answered")
def test_tools(api: Live, tmp_path: Path) -> None:
    """The command's own loop, with a function from a file."""
    functions = tmp_path / "tools.py"
    functions.write_text(TOOLS)
    api.play(called("weather", city="Oslo"))
    done = run(
        api, tmp_path, "-m", "quickset", "Weather?", "--functions", str(functions),
        "--td", "--chain-limit", "3",
    )  # fmt: skip
    assert "sunny in Oslo" in done.stderr


@tried("--schema")
def test_a_schema(real: Live, tmp_path: Path) -> None:
    """What is printed is JSON of the schema."""
    schema = {"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}},
              "required": ["city"], "additionalProperties": False}  # fmt: skip
    done = run(real, tmp_path, "-m", "quickset", "Hi", "--schema", json.dumps(schema),
               "-o", "max_tokens", "200")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["city"] in ("Oslo", "Rome")


@tried("a real model: a prompt")
def test_a_real_model(real: Live, tmp_path: Path) -> None:
    """Whatever a model samples is printed."""
    done = run(real, tmp_path, "-m", "quickset", "Hi")
    assert done.returncode == 0, done.stderr
