"""`quickset up` with real processes: the loop over HTTP, kill −9, SIGTERM, a second start.

Ctrl-C ends it in tests/flow/test_real_model.py.
"""

import os
import signal
from pathlib import Path

import pytest

from tests.flow.service import Up, gone, up

pytestmark = pytest.mark.timeout(400)  # starts torch in several processes, on few cores

CORRECTION = "That was far too long. Shorter, please."


def until_served(service: Up, old: str) -> str:
    """Wait for the swap that follows a correction; give the version that serves then."""
    version = service.said(rf"swap: (\w+) serves after {old}")
    assert service.chat("And now?")[1] == version
    return version


def test_the_loop_turns_is_proved_and_survives_kills(tiny_dir: Path, tmp_path: Path) -> None:
    """Correction, new version, proof; kill −9 of the learner; another version; SIGTERM; restart.

    kill −9 of `up` itself leaves no agent behind.
    """
    home = tmp_path / "home"
    with up(home, model=tiny_dir) as service:
        base = service.correct("What is the capital of France?", CORRECTION)
        first = until_served(service, base)
        proof = service.quickset("replay", "--json")
        assert (proof["version"], proof["served"]) == (first, proof["sha256"])

        os.kill(service.child("learner"), signal.SIGKILL)
        assert "starts again" in service.said(r"learner │ was ended by SIGKILL")
        service.correct("Tell me about the weather.", CORRECTION)
        second = until_served(service, first)

        listed = service.quickset("versions", "list", "--json")
        assert [row["version"] for row in listed] == [second, first]
        turns = service.quickset("turns", "--json")
        judged = [row for row in turns if row["judgements"]]
        assert {each["source"] for row in judged for each in row["judgements"]} <= {
            "lexical",
            "embedding",
        }
        assert any(each["hint"] for row in judged for each in row["judgements"])

        assert first in service.quickset("versions", "rollback", "--reason", "a test")
        assert service.chat("Hello?")[1] == first
        assert service.stop(signal.SIGTERM) == 0
        assert service.lines[-1].endswith("stopped")
    with up(home, model=tiny_dir) as service:
        assert service.chat("Hello?")[1] == first
        assert service.quickset("replay", "--json")["served"] is not None
        service.process.kill()
        assert gone(service.api)


@pytest.mark.slow
def test_somebody_is_forgotten_while_everything_runs(tiny_dir: Path, tmp_path: Path) -> None:
    """The learner empties the store between two pieces of work; the agent serves on."""
    with up(tmp_path / "home", model=tiny_dir) as service:
        base = service.correct("What is the capital of France?", CORRECTION)
        first = until_served(service, base)
        report = service.quickset("forget", "--principal", "anonymous", "--json")
        assert report["taken"]
        assert report["turns"] >= 2  # question and correction; the rest may come later
        assert [each["version"] for each in report["influenced"]] == [first]
        assert report["serving_stands_on"] == [first]
        turns = service.quickset("turns", "--json")
        assert {(row["state"], row["asked"]) for row in turns} == {("forgotten", "")}
        again = service.quickset("forget", "--principal", "anonymous", "--json")
        assert (again["turns"], again["judgements"], again["log"]) == (0, 0, {})
        second = until_served(service, service.correct("And the weather?", CORRECTION))
        assert second != first
        assert b"capital of France" not in (tmp_path / "home" / "log.db").read_bytes()
        assert b"capital of France" not in (tmp_path / "home" / "store.db").read_bytes()
        assert service.stop() == 0


@pytest.mark.slow
def test_agent_that_cannot_start_ends_everything(tmp_path: Path) -> None:
    """A model directory that is no model is said in a sentence, and `up` ends with 2."""
    (tmp_path / "model").mkdir()
    with (
        pytest.raises(AssertionError, match=r"has no config\.json") as told,
        up(tmp_path / "home", model=tmp_path / "model"),
    ):
        pass
    assert "Traceback" not in str(told.value)
