"""A plan's settings are read as its build meant them, also where one is gone or was not there."""

from typing import Any

import pytest

from learner.rerun.first_run import settings_of
from learner.settings import MOST_TURNS, LearnerSettings
from streams.errors import LedgerError
from streams.store.tables import GenerationRow


def planned(settings: dict[str, Any]) -> GenerationRow:
    """Return a plan that notes these settings."""
    return GenerationRow(
        id="main/1", line="main", number=1, parent="base", key="0" * 16, state="planned",
        turn_ids=[], planned_ms=1, settings=settings,
    )  # fmt: skip


def test_a_plan_of_an_older_build_spares_nothing() -> None:
    """What it does not note is what that build did, not what is the default now."""
    found = settings_of(planned({"noise": "screened", "pairs": 64}))
    assert (found.noise, found.pairs, found.spare, found.decay) == ("screened", 64, 0.0, 0.0)
    assert LearnerSettings().spare > 0


def test_a_setting_that_is_gone_is_read_where_it_did_nothing() -> None:
    """Moves in groups cannot be repeated, and the plan says so instead of being run otherwise."""
    noted = LearnerSettings(noise="screened").model_dump(mode="json")
    assert settings_of(planned(noted | {"signs_per_pair": 1})).noise == "screened"
    with pytest.raises(LedgerError, match="use the build that planned it"):
        settings_of(planned(noted | {"signs_per_pair": 8}))


@pytest.mark.parametrize(
    ("noted", "taken"),
    [
        ({"mode": "idle", "windows": ["22:00-06:00", "00:00-00:00"]}, {}),
        ({"uses": 10**9}, {"uses": MOST_TURNS}),
        ({"probes": ["finite", "odds", "finite"]}, {"probes": ("finite", "odds")}),
        ({"judge_url": "localhost:8000/v1"}, {}),
    ],
)
def test_what_a_start_refuses_today_is_read_where_it_plans_the_same(
    noted: dict[str, Any], taken: dict[str, Any]
) -> None:
    """A line that was learned with it before can be run again without somebody."""
    now = LearnerSettings().model_dump(mode="json")
    usual = settings_of(planned(now))
    assert settings_of(planned(now | noted)) == usual.model_copy(update=taken)
