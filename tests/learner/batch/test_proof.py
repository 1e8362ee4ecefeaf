"""What a proof allows, and that candidates are whole."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from learner.batch.rewriting.candidates import Candidate, Writer
from learner.batch.rewriting.placements import PLACEMENTS, as_system, behind_examples, with_hint
from learner.batch.rewriting.proof import Proof
from learner.batch.rewriting.rewriting import Tried, best_of, told
from learner.batch.rewriting.sampling import TOP_P, Draws
from streams.model.open import BaseModel
from streams.records import Message
from tests.learner.turns import said

nats = st.floats(-20, 20) | st.just(math.nan)
proofs = st.builds(Proof, nats, nats, nats, nats, st.booleans(), st.booleans())


@given(proof=proofs)
def test_what_is_no_lesson_says_why(proof: Proof) -> None:
    """A reason and no strength, or a strength and no reason; NaN is never a lesson."""
    assert (proof.reason == "") == math.isfinite(proof.strength)
    numbers = (proof.about, proof.follows, proof.to_the_point, proof.likely)
    assert proof.reason or all(map(math.isfinite, numbers))
    assert not (proof.loops or proof.copies) or proof.reason


@given(proof=proofs, more=st.floats(0, 20))
def test_a_better_candidate_is_a_lesson_as_well(proof: Proof, more: float) -> None:
    """Whatever rises, a lesson stays one and gets no weaker."""
    for name in ("about", "follows", "to_the_point", "likely"):
        fields = {
            each: getattr(proof, each)
            for each in ("about", "follows", "to_the_point", "likely", "copies", "loops")
        }
        better = Proof(**(fields | {name: fields[name] + more}))
        assert not (better.reason and not proof.reason)
        assert better.strength >= proof.strength


@given(found=st.lists(proofs, max_size=6))
def test_the_strongest_lesson_is_taken_or_none(found: list[Proof]) -> None:
    """None is taken that is no lesson, and where none is one a sentence says so."""
    tried = [
        Tried(Candidate(f"way {place}", (), (place,)), each) for place, each in enumerate(found)
    ]
    best = best_of(tried)
    if best is None:
        assert all(each.reason for each in found)
        assert told(tried)
    else:
        assert best.proof.strength == max(each.strength for each in found)
        assert not best.proof.reason


def test_a_candidate_that_was_cut_keeps_its_whole_sentences(tiny_base: BaseModel) -> None:
    """A half sentence is never a lesson, nor is one that says nothing."""
    writer = Writer(tiny_base, tiny_base.decoder, max_tokens=40, pause=lambda: None)
    end = tiny_base.end_id
    assert end is not None

    def tokens(text: str, *, ended: bool = False) -> tuple[int, ...]:
        ids = tiny_base.tokenizer.encode(text, add_special_tokens=False)
        return (*ids, end) if ended else tuple(ids)

    own = [
        Candidate("a", (), tokens("Rain falls. It is w")),
        Candidate("b", (), tokens("Rain fa")),
        Candidate("c", (), (end,)),
        Candidate("d", (), ()),
        Candidate("e", (), tokens("Rain falls", ended=True)),
        Candidate("f", (), tokens("Rain falls", ended=True)),
    ]
    kept = writer._whole(own)
    assert [(each.made, writer.text(each.tokens)) for each in kept] == [
        ("a", "Rain falls."), ("e", "Rain falls"),
    ]  # fmt: skip
    assert kept[1].tokens[-1] == end


def test_first_sentences_and_openings_end_at_marks(tiny_base: BaseModel) -> None:
    """In any script; a sentence that does not end is none, an opening is a few tokens then."""
    writer = Writer(tiny_base, tiny_base.decoder, max_tokens=60, pause=lambda: None)

    def tokens(text: str) -> tuple[int, ...]:
        return tuple(tiny_base.tokenizer.encode(text, add_special_tokens=False))

    assert writer.text(writer.sentence(tokens("It is so. Or not."))) == "It is so."
    assert writer.text(writer.sentence(tokens("水会在一百度沸腾。真的。"))) == "水会在一百度沸腾。"
    assert writer.sentence(tokens("It is so")) == ()
    assert writer.text(writer.opening(tokens("You, it is"))) == "You,"
    assert len(writer.opening(tokens("zzzzzzzzzzzzzzzz"))) == 4


def test_draws_do_not_depend_on_what_stands_beside_them() -> None:
    """The same name draws the same tokens alone, among others and in another place."""
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(0))
    alone, among = Draws(["b"]), Draws(["a", "b", "c"])
    first = [alone([0], logits[1:2])[0] for _ in range(20)]
    assert first == [among([0, 1, 2], logits)[1] for _ in range(20)]
    assert len(set(first)) > 1


def test_draws_leave_out_what_is_unlikely() -> None:
    """Nothing behind the likeliest tokens that reach top_p together is ever drawn."""
    chances = torch.tensor([[0.5, 0.3, 0.15, 0.04, 0.01]])
    logits = 0.8 * chances.log()  # what the temperature takes out again
    draws = Draws(["turn"])
    drawn = [draws([0], logits)[0] for _ in range(400)]
    kept = int((chances.cumsum(1) - chances < TOP_P).sum())
    assert set(drawn) == set(range(kept))
    assert 0.4 < drawn.count(0) / 400 < 0.65


def test_the_hint_goes_to_the_last_user_message() -> None:
    """Messages before and after it stay as they were."""
    messages = [*said("a", "b", "c"), Message(role="tool", content="t", tool_call_id="1")]
    hinted = with_hint(messages, "Be brief.")
    assert [m.content for m in hinted] == ["a", "b", "c\n\nBe brief.", "t"]
    assert messages[2].content == "c"


def test_without_a_user_message_the_hint_is_one() -> None:
    """A request of system messages alone gets the hint behind them."""
    hinted = with_hint([Message(role="system", content="s")], "Be brief.")
    assert [(m.role, m.content) for m in hinted] == [("system", "s"), ("user", "Be brief.")]


def test_the_operators_words_stay_first() -> None:
    """Wherever the hint stands, a system message is kept, at the beginning."""
    messages = [Message(role="system", content="s"), *said("a")]
    assert as_system(messages, "h")[0].content == "s\n\nh"
    assert behind_examples(messages, "h")[0].content == "s"
    for put in PLACEMENTS.values():
        placed = put(messages, "h")
        assert [m.role for m in placed].count("system") == 1
        assert (placed[-1].content or "").startswith("a")
