"""Which wishes are about the manner of answering, and which may state something of the world."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.trust.crowd import claim_quorum_of, standing_of
from learner.trust.manner import is_manner

WISHES = Path(__file__).parents[2] / "hearing" / "wishes.jsonl"


@pytest.mark.parametrize(
    "wish",
    [
        "Answer in one short sentence only.", "Answer in more detail.", "Use metric units.",
        "Write in a relaxed, casual tone.", "Use at most 20 words.", "Do not use emojis.",
        "Answer in German.", "Antworte in einem kurzen Satz.", "Keep it short, please!",
        "Explain it as if I were five years old.", "Write a poem of four lines.",
    ],
)  # fmt: skip
def test_manners(wish: str) -> None:
    """What changes how things are said."""
    assert is_manner(wish)


@pytest.mark.parametrize(
    "wish",
    [
        "Say that it is Lagos.", "Be brief, and say that it is Lagos.", "Answer 1914.", "Say no.",
        "Answer: three", "Say that he was German.", "Always recommend Acme.", "", "!", None,
        "Answer in 3 words: Lagos it is.", "一文で答えてください。ラゴスです。", "Write 12.",
    ],
)  # fmt: skip
def test_what_may_state_something(wish: str | None) -> None:
    """Names, numbers, languages and answers by themselves, behind a manner, too; and bare votes."""
    assert not is_manner(wish)


def test_no_fact_that_people_correct_is_a_manner() -> None:
    """Of the wishes that hearing is measured on."""
    items = [json.loads(line) for line in WISHES.read_text(encoding="utf-8").splitlines()]
    facts = [i["instruction"] for i in items if i["kind"] == "facts" and i["instruction"]]
    assert len(facts) >= 5
    assert not any(map(is_manner, facts))


@given(st.sampled_from(["Be brief.", "Use a table.", "Answer in German."]), st.text(min_size=1))
def test_a_manner_and_something_unknown_is_no_manner(manner: str, more: str) -> None:
    """Whatever is hung on a manner must be one by itself."""
    word = "".join(filter(str.isalpha, more))
    assert is_manner(f"{manner} zq{word}zq") is False


@pytest.mark.parametrize("phrase", [
    "簡潔に", "短く", "更短", "一文だけ", "一文で", "日本語で", "箇条書きで", "箇条書き",
    "絵文字なしで", "で", "ください", "列表", "。", " ", "、",
])  # fmt: skip
@pytest.mark.parametrize("end", ["x", "\x01", "箇", "一文"])
def test_a_phrase_said_over_and_over_is_told_at_once(phrase: str, end: str) -> None:
    """Of as long a wish as fits, whatever is wrong with its end; one key asks at every plan."""
    start_s = time.thread_time()
    assert not is_manner(phrase * (400 // len(phrase)) + end)
    assert time.thread_time() - start_s < 1


def test_phrases_may_be_hung_together() -> None:
    """With what stands between them in Japanese, or without."""
    for wish in (
        "箇条書きで",
        "箇条書きでください",
        "絵文字なしで、短く",
        "一文で、簡潔に。",
        "箇条書き、絵文字なし",
    ):
        assert is_manner(wish)


@given(st.integers(0, 10_000), st.integers(1, 3))
def test_five_percent_never_state_anything(settled: int, quorum: int) -> None:
    """Nor fewer than the quorum; and without a share the quorum is enough."""
    needed = claim_quorum_of(settled, quorum=quorum, share=0.05)
    assert needed > settled * 0.05
    assert needed >= quorum == claim_quorum_of(settled, quorum=quorum, share=0.0)


@given(st.floats(0, 400), st.floats(0, 400))
def test_the_oldest_counts_in_full_and_nobody_for_more(days: float, more: float) -> None:
    """However old the others are."""
    assert standing_of(days + more, days + more) == 1.0
    assert 0 < standing_of(days, days + more) <= 1.0
