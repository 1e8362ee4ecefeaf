"""A compiler is there where its package is; where it is not, the agent starts all the same."""

import sys

import pytest

from agent.constrain.open import open_compiler
from streams.model.open import BaseModel


def test_without_the_package_there_is_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tiny_base: BaseModel
) -> None:
    """The log says which package is missing."""
    assert open_compiler(tiny_base) is not None
    monkeypatch.setitem(sys.modules, "llguidance", None)
    assert open_compiler(tiny_base) is None
    assert "llguidance" in caplog.text
