"""What /metrics tells of an agent that nothing has happened to."""

import re
from pathlib import Path
from typing import get_args

import pytest

from agent import console
from agent.settings import AgentSettings
from agent.tools.calls import Fault
from agent.turn.making import beside
from agent.turn.recorder import Way
from agent.watch import metrics
from agent.watch.metrics import Metrics
from streams.records import Verb

# What these verbs change takes no version's place.
_SERVE_NO_OTHER = frozenset({"start", "pause", "resume", "hold", "abort", "learn"})


@pytest.mark.parametrize(
    "sample",
    [
        'swaps_total{verb="rollback"}',
        'failed_swaps_total{cause="SwapError"}',
        'operator_refusals_total{why="wrong-key"}',
        'limited_total{limit="replies_per_key"}',
        'feedback_total{score="-1",way="link"}',
        'unseen_replies_total{outcome="failed"}',
        'comparisons_total{outcome="refused"}',
        'tool_parse_failures_total{fault="malformed",line="main",member="true"}',
        'retried_tool_calls_total{line="main",member="false"}',
        'fallbacks_total{line="main",member="false"}',
    ],
)
async def test_what_tells_of_faults_is_there_before_the_first(sample: str) -> None:
    """A dashboard's increase() takes the difference to an earlier sample, so there must be one."""
    text = (await Metrics("main").text()).decode()
    assert f"quickset_{sample} 0.0" in text.splitlines()


def test_all_is_known_beforehand_that_is_counted() -> None:
    """The values of the labels are those that the counting code has."""
    assert get_args(Way) == metrics.WAYS
    assert get_args(Fault) == metrics.FAULTS
    assert get_args(beside.Outcome) == metrics.UNSEEN
    assert set(get_args(Verb)) - _SERVE_NO_OTHER == set(metrics.VERBS)
    assert set(metrics.LIMITS) <= set(AgentSettings.model_fields)
    files = Path(console.__file__).parent.rglob("*.py")
    whys = {
        why
        for file in files
        for why in re.findall(r'count_refusal\("([\w-]+)"\)', file.read_text(encoding="utf-8"))
    }
    assert set(metrics.REFUSALS) == whys
