"""Tuning the encoder as its command does it: going on from a file, beside it, into another one."""

import itertools
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from learner.judges.training import __main__ as training
from learner.judges.training.compose import Example
from learner.judges.tuned.encoder import FILE, Encoder, unpacked
from streams.model.embedding.e5_file import E5File

SAID = "It still leaks."


def examples(folder: Path, of_each: int) -> None:
    """Write some of the product's own English examples of each class."""
    lines = (training.EXAMPLES / "en.jsonl").read_text("utf-8").splitlines()
    read = sorted(map(json.loads, lines), key=lambda each: each["class"])
    some = [
        each
        for _, group in itertools.groupby(read, key=lambda each: each["class"])
        for each in itertools.islice((each for each in group if each.get("reply")), of_each)
    ]
    written = "".join(f"{json.dumps(each)}\n" for each in some)
    (folder / "xx.jsonl").write_text(written, "utf-8")


def test_it_goes_on_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is written loads, is near to what it began with, and is not the same."""
    (tmp_path / "examples").mkdir()
    examples(tmp_path / "examples", 4)
    monkeypatch.setattr(training, "EXAMPLES", tmp_path / "examples")
    into = tmp_path / "new.safetensors"
    given = ["--start", FILE, "--beside", FILE, "--into", into, "--runs", 1, "--epochs", 1]
    monkeypatch.setattr(sys, "argv", ["training", *map(str, given), "--held-out", "0.2"])
    training.main()
    printed = capsys.readouterr().out
    assert "16 examples" in printed
    assert "4 examples that were kept back" in printed
    said = training.text(Example("xx", "complaint", "plain", "How?", "So.", SAID))
    file = E5File.installed()
    before, after = (
        Encoder(file, unpacked(load_file(each))).chances(said) for each in (FILE, into)
    )
    assert not torch.equal(before, after)
    assert torch.allclose(before, after, atol=0.2)
