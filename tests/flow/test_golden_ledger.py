"""Ledgers that an earlier build wrote lead to the same bits for ever."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.operate.replay import replay
from kernels.open import open_backend
from streams.model.open import BaseModel
from streams.records import Mask, Recipe

GOLDEN = Path(__file__).parent.parent / "golden"


def replayed(base: BaseModel, name: str) -> None:
    """Replay a kept ledger, and compare every name, digest and weight with what was kept."""
    kept: dict[str, Any] = json.loads((GOLDEN / name).read_text())
    mask = Mask.model_validate(kept["mask"])
    chain = [Recipe.model_validate(recipe) for recipe in kept["recipes"]]
    assert base.name == kept["base"]
    assert [recipe.version for recipe in chain] == kept["versions"]
    proof = replay(base, chain, mask, backend=open_backend("cpu"))
    assert proof.recipes == len(chain) >= 10
    assert proof.digest == chain[-1].digest
    assert proof.sha256 == kept["weights_sha256"]


def test_a_kept_ledger_of_the_tiny_model_replays_to_its_bits(tiny_base: BaseModel) -> None:
    """ES and RandOpt, one to three layers, more pairs than a noise word: all as written."""
    replayed(tiny_base, "ledger_tiny.json")


def test_a_kept_ledger_of_three_noises_replays_to_its_bits(tiny_base: BaseModel) -> None:
    """Normal noise beside signs of rank 1 and full rank, made by the reference: all as written."""
    replayed(tiny_base, "ledger_normal.json")


@pytest.mark.model
def test_a_kept_ledger_of_the_bundled_model_replays_to_its_bits(bundled_base: BaseModel) -> None:
    """Ten generations of the product's own model, with frozen units: all as written."""
    replayed(bundled_base, "ledger_bundled.json")
