"""Attacks by words and names come to nothing, or to what the table says."""

from tests.attacks import texts


def test_instructions_in_complaints_are_seldom_taken() -> None:
    """At most the two that read like a wish about the answer; refused are all others."""
    found = texts.instructing_complaints()
    assert found.defended <= 2


def test_praise_in_results_is_nobodys() -> None:
    """Some of them would praise in the user's role; none does in the tool's."""
    found = texts.praise_in_results()
    assert (found.undefended > 0, found.defended) == (True, 0)


def test_feedback_of_strangers_teaches_nothing() -> None:
    """The same words of the reply's own person do."""
    found = texts.forged_feedback()
    assert (found.undefended, found.defended) == (20, 0)


def test_feedback_again_and_again_counts_once() -> None:
    """Under one id or under many."""
    assert texts.replayed_feedback().defended == 0


def test_names_of_two_principals_never_meet() -> None:
    """Neither the session that a client names, nor the one that its first words give."""
    found = texts.colliding_names()
    assert (found.undefended, found.defended) == (20, 0)


def test_orders_to_a_judge_are_data() -> None:
    """No verdict turns round, and none gets out of what is quoted."""
    assert texts.judge_injections().defended == 0


def test_ids_of_others_and_invented_ones_open_nothing() -> None:
    """Without the tag each would."""
    found = texts.forged_ids()
    assert (found.undefended, found.defended) == (40, 0)


def test_what_others_have_asked_is_not_found_in_the_cache() -> None:
    """Of a cache without owners each finds it."""
    found = texts.known_prompts()
    assert (found.undefended, found.defended) == (20, 0)
