"""quickset keys: what is printed is what the settings and the console understand."""

import hashlib
import json
from pathlib import Path

import pytest

from agent.settings import OperatorKey
from deploy.settings.load import load
from tests.deploy.commands.test_commands import run


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_a_new_key_is_understood_by_the_settings(
    tmp_path: Path, role: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The printed lines are a settings file; the key, which is in none, has the hash in it."""
    code, out, _ = run("keys", "new", "ann", "--role", role, capsys=capsys)
    assert code == 0
    key = out.split()[1]
    file = tmp_path / "quickset.toml"
    file.write_text(out[out.index("[agent") :])
    assert key not in file.read_text()
    (known,) = load(config=file, environ={}, flags={}).settings.agent.operator_keys.values()
    assert known == OperatorKey(hash=hashlib.sha256(key.encode()).hexdigest(), role=role)
    code, out, _ = run("keys", "list", "--json", "--config", str(file), capsys=capsys)
    assert [(row["name"], row["role"]) for row in json.loads(out)] == [("ann", role)]


def test_a_clients_key_is_one_of_the_api(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --client the lines are of agent.keys."""
    _, out, _ = run("keys", "new", "app", "--client", capsys=capsys)
    file = tmp_path / "quickset.toml"
    file.write_text(out[out.index("[agent") :])
    digest = hashlib.sha256(out.split()[1].encode()).hexdigest()
    assert load(config=file, environ={}, flags={}).settings.agent.keys == {"app": digest}


def test_every_key_is_another(capsys: pytest.CaptureFixture[str]) -> None:
    """Keys are drawn."""
    drawn = {
        json.loads(run("keys", "new", "ann", "--json", capsys=capsys)[1])["key"] for _ in range(3)
    }
    assert len(drawn) == 3


def test_a_name_that_no_file_could_hold_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The name stands in the settings file and in the audit."""
    code, _, err = run("keys", "new", "a b", capsys=capsys)
    assert code == 2
    assert "is no name" in err
