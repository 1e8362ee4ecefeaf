"""Of contradictory wishes a line learns that of more people, or neither; it never swings."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from learner.form.directions import Direction, directions_of, opposes
from learner.lessons.opposed import OPPOSITE, SAME_PERSON, SWINGS, Wish, Wishes


def wish(id: str, principal: str, words: str) -> Wish:
    return Wish(id, principal, directions_of(words))


def outvoted(wish: Wish, others: Sequence[Wish]) -> str:
    """Why the line does not learn a wish for what others wish."""
    return Wishes(others).outvoted(wish)


def overtaken(wish: Wish, others: Sequence[Wish], complained: Sequence[str]) -> str:
    """Why it does not for what its own person wishes."""
    return Wishes(others).overtaken(wish, complained)


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


# What is wished, of which some contradict each other, one itself, and one says nothing to rules.
WISHED = tuple(
    tuple(Direction(*each) for each in wished)
    for wished in (
        (), (("shorter",),), (("longer",),), (("shorter",), ("list",)), (("no list",),),
        (("most words", "9"), ("no list",)), (("language", "de"),), (("language", "fr"),),
        (("called", "Ada"),), (("called", "Bob"),), (("says not", "Ada"),), (("emoji",),),
        (("called", "Ada"), ("called", "Bob")), (("language", "de"), ("longer",)),
    )
)  # fmt: skip


def plain_against(wish: Wish, others: Sequence[Wish]) -> list[Wish]:
    """The obvious way."""
    return [each for each in others if each.id != wish.id and opposes(wish.wished, each.wished)]


def plain_outvoted(wish: Wish, others: Sequence[Wish]) -> str:
    """The obvious way, which compares everybody with everybody for each rival."""
    rivals = [each for each in plain_against(wish, others) if each.principal != wish.principal]
    if not rivals:
        return ""
    theirs = {each.principal for each in rivals}
    ours = {wish.principal} | {
        each.principal for each in others if any(opposes(each.wished, r.wished) for r in rivals)
    }
    ours -= theirs - {wish.principal}
    if len(ours) > len(theirs):
        return ""
    if len(ours) == len(theirs):
        return f"as many people wish {OPPOSITE}: neither is learned"
    return f"more people wish {OPPOSITE}: that is learned"


def plain_overtaken(wish: Wish, others: Sequence[Wish], complained: Sequence[str]) -> str:
    """The obvious way."""
    own = {each.id for each in plain_against(wish, others) if each.principal == wish.principal}
    said = [id for id in complained if id == wish.id or id in own]
    if not own.intersection(said):
        return ""
    swings = sum((one == wish.id) != (other == wish.id) for one, other in pairwise(said))
    if swings >= SWINGS:
        return f"{SAME_PERSON} wishes this and its opposite in turn: neither is learned"
    return "" if said[-1] == wish.id else f"{SAME_PERSON} wishes the opposite since"


@given(
    drawn=st.lists(st.tuples(st.sampled_from(WISHED), st.sampled_from("abcdefg")), max_size=20),
    complained=st.lists(st.integers(0, 19).map(str), max_size=12),
    known=st.integers(0, 20),
)
def test_comparing_each_two_wishes_once_changes_nothing(
    drawn: list[tuple[tuple[Direction, ...], str]], complained: list[str], known: int
) -> None:
    """Whoever wishes what, also where a wish is not among those that it is held against."""
    every = [Wish(str(place), person, wished) for place, (wished, person) in enumerate(drawn)]
    held = every[:known]
    fast = Wishes(held)
    for each in every:
        assert fast.against(each) == plain_against(each, held)
        assert fast.outvoted(each) == plain_outvoted(each, held)
        assert fast.overtaken(each, complained) == plain_overtaken(each, held, complained)


def test_a_thousand_people_are_held_against_each_other_at_once() -> None:
    """Half of them wish the opposite of the others; each is told so."""
    wishes = [wish(str(n), f"person-{n}", (BRIEF, LONG)[n % 2]) for n in range(1000)]
    held = Wishes(wishes)
    assert held.against(wishes[0]) == wishes[1::2]
    assert all("as many people" in held.outvoted(each) for each in wishes)
