"""Of contradictory wishes a line learns that of more people, or neither; it never swings."""

from learner.form.directions import directions_of
from learner.lessons.opposed import Wish, outvoted, overtaken


def wish(id: str, principal: str, words: str) -> Wish:
    return Wish(id, principal, directions_of(words))


BRIEF, LONG = "Shorter, please.", "Answer in more detail."


def test_two_people_with_opposite_wishes_are_both_told_so() -> None:
    """As many on both sides: neither is learned, and each one's reason says why."""
    ann, bob = wish("a", "ann", BRIEF), wish("b", "bob", LONG)
    for one in (ann, bob):
        assert "as many people wish the opposite" in outvoted(one, [ann, bob])


def test_the_wish_of_more_people_is_learned() -> None:
    """Two against one; what contradicts nothing is left alone."""
    ann, bob = wish("a", "ann", BRIEF), wish("b", "bob", LONG)
    cid, dan = wish("c", "cid", "Answer in one short sentence."), wish("d", "dan", "No lists!")
    all_of_them = [ann, bob, cid, dan]
    assert outvoted(ann, all_of_them) == outvoted(cid, all_of_them) == ""
    assert "more people wish the opposite" in outvoted(bob, all_of_them)
    assert outvoted(dan, all_of_them) == ""


def test_of_one_person_the_last_word_counts_until_they_swing() -> None:
    """A changed mind is followed; going to and fro is not."""
    short, long = wish("s", "ann", BRIEF), wish("l", "ann", LONG)
    said = ["s", "s", "l"]
    assert "wishes the opposite since" in overtaken(short, [short, long], said)
    assert overtaken(long, [short, long], said) == ""
    said += ["s", "l"]
    for one in (short, long):
        assert "in turn" in overtaken(one, [short, long], said)
    assert outvoted(short, [short, long]) == ""


def test_two_languages_contradict_each_other() -> None:
    """A reply is in one of them."""
    german, french = wish("g", "ann", "In German, please!"), wish("f", "bob", "Answer in French.")
    assert outvoted(german, [german, french])
