"""How judgements on one turn combine."""

from typing import Literal

import pytest

from learner.judges.explicit import ExplicitJudge
from learner.judges.judge import combine
from streams.records import Feedback, Judgement
from tests.learner.judges.test_lexical import ASKED, user, verdict


def test_a_retry_is_no_verdict() -> None:
    """The same request again, as its reply did not arrive, says nothing of what it was worth."""
    assert verdict(kind="retry") is None


def feedback(
    score: Literal[-1, 0, 1], *, at: int, hint: str | None = None, principal: str = "alice"
) -> Judgement:
    """Return the judgement of a feedback."""
    given = ExplicitJudge().judge(
        ASKED,
        Feedback(
            id=f"f{at}", turn_id=ASKED.id, line="main", principal=principal, session="s",
            score=score, hint=hint, created_ms=at,
        ),
    )  # fmt: skip
    assert given is not None
    return given


def test_what_is_said_outright_decides() -> None:
    """An explicit thumb outweighs what was read from the words."""
    spoken = verdict(user("too long"))
    assert spoken is not None
    up = combine([spoken, feedback(1, at=1)])
    assert up is not None
    assert (up.score, up.hint) == (1, None)
    down = combine(
        [verdict(user("thanks")) or spoken, feedback(-1, at=1, hint="Say it in French.")]
    )
    assert down is not None
    assert (down.score, down.hint) == (-1, "Say it in French.")


def test_a_hint_beside_praise_is_a_wish_unless_it_praises() -> None:
    """The reply pleased all the same, and "great answer" is no order to any reply."""
    wished = feedback(1, at=1, hint="Next time as a list, please.")
    assert (wished.score, wished.hint) == (1, "Next time as a list, please.")
    praised = feedback(1, at=1, hint="Great answer, thanks!")
    assert (praised.score, praised.hint) == (1, None)
    assert praised.evidence == "feedback; hint refused: it is praise"
    assert feedback(-1, at=1, hint="Concise").hint == "Concise"


@pytest.mark.parametrize(
    "hint",
    ["Great: always answer in bullet points", "Perfect: two sentences, metric units",
     "I love it when you use tables", "Super, wenn du Beispiele nennst",
     "Thanks, perfect. Answer in German please."],
)  # fmt: skip
def test_what_pleased_is_wished_again_where_a_praise_names_it(hint: str) -> None:
    """Behind a colon or a "when", or as an order of its own."""
    assert feedback(1, at=1, hint=hint).hint == hint


def test_a_thumb_lends_weight_to_the_spoken_hint() -> None:
    """Thumbs down without a word takes its hint from the correction in the chat."""
    spoken = verdict(user("too long"))
    assert spoken is not None
    both = combine([spoken, feedback(-1, at=1)])
    assert both is not None
    assert (both.confidence, both.hint) == (1.0, spoken.hint)


def test_the_last_feedback_counts_and_can_be_taken_back() -> None:
    """A second thumb replaces the first; score 0 withdraws it."""
    changed = combine([feedback(1, at=2), feedback(-1, at=1)])
    assert changed is not None
    assert changed.score == 1
    assert combine([feedback(1, at=1), feedback(0, at=2)]) is None


def test_a_strangers_feedback_changes_nothing() -> None:
    """Only who asked for a reply may judge it."""
    combined = combine([feedback(1, at=1), feedback(-1, at=2, principal="mallory")])
    assert combined is not None
    assert combined.score == 1
    assert combine([feedback(-1, at=2, principal="mallory")]) is None


def spoken(
    source: Literal["lexical", "embedding", "verifier", "model"],
    score: Literal[-1, 0, 1],
    confidence: float,
    hint: str | None = None,
) -> Judgement:
    """Return a judgement of a source."""
    return Judgement(
        id=f"{source} {score}", turn_id=ASKED.id, line="main", version="base", principal="alice",
        source=source, score=score, confidence=confidence, hint=hint, evidence="said",
        created_ms=1_000,
    )  # fmt: skip


def test_sources_that_disagree_give_no_verdict() -> None:
    """No verdict is better than a wrong one, and no hint."""
    verdict = combine([spoken("lexical", 1, 0.8), spoken("embedding", -1, 0.95, "Shorter.")])
    assert verdict is not None
    assert (verdict.score, verdict.hint, verdict.teaches) == (0, None, False)


def test_a_source_that_is_sure_of_nothing_outweighs_a_sign() -> None:
    """One that merely found nothing doesn't."""
    doubted = combine([spoken("lexical", -1, 0.9, "Shorter."), spoken("embedding", 0, 0.8)])
    assert doubted is not None
    assert (doubted.score, doubted.hint) == (0, None)
    found = combine([spoken("lexical", 0, 0.2), spoken("embedding", -1, 0.95, "Shorter.")])
    assert found is not None
    assert (found.score, found.confidence, found.hint) == (-1, 0.95, "Shorter.")


def test_sources_that_agree_are_as_sure_as_the_surest() -> None:
    """The hint is the one that there is."""
    verdict = combine([spoken("lexical", -1, 0.7, "Shorter."), spoken("embedding", -1, 0.95)])
    assert verdict is not None
    assert (verdict.score, verdict.confidence, verdict.hint) == (-1, 0.95, "Shorter.")


def test_what_a_program_verified_has_twice_the_weight() -> None:
    """A call that no tool knows is wrong, whatever thanks came for it."""
    verdict = combine([spoken("lexical", 1, 0.8), spoken("verifier", -1, 1.0)])
    assert verdict is not None
    assert verdict.score == -1
