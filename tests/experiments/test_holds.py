"""What runs that were made apart come to together."""

import json
from pathlib import Path
from typing import Final

import pytest

from streams.records import Json
from tests.experiments.holds import most, read, table


def report(value: float | None, outcome: str = "pass") -> Json:
    """Return a report of one probe with the limit 2, beside a serving version at 1."""
    row = {
        "probe": "odds", "outcome": outcome, "limit": 2.0,
        "candidate": {"value": value}, "serving": {"value": 1.0},
    }  # fmt: skip
    return {"passed": outcome == "pass", "rows": [row]}


REPORTS: Final = (report(0.0), report(-2.0, "fail"), report(None, "fail"))


def test_runs_made_apart_are_counted_together(tmp_path: Path) -> None:
    """Falls are parts of the limit; what is not finite is held, and has none."""
    files = [tmp_path / "one", tmp_path / "two"]
    files[0].write_text(json.dumps(REPORTS[0]) + "\n")
    files[1].write_text("".join(json.dumps(each) + "\n" for each in REPORTS[1:]))
    first, *_, row = table(read(files))
    assert first.startswith("held: 2 of 3, ")
    assert row == "| odds | 2 | +1.000 | 0.500 | +1.500 | -2.00 |"


def test_the_bound_is_the_exact_one() -> None:
    """None of n: 1 − 0.05^(1/n); all of n: everything."""
    for asked in (1, 58, 150):
        assert most(0, asked) == pytest.approx(1 - 0.05 ** (1 / asked), abs=1e-12)
    assert most(3, 3) == pytest.approx(1.0)
