"""Which reply a request follows: by every layer, and by none where two are as likely."""

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import select

from learner.link import rows
from learner.link.follow import followed
from learner.link.layers import CONFIDENCE
from streams.records import Message, Turn
from streams.store.tables import JudgementRow, TurnRow
from tests.learner.link.behaviours import clock, wrapped
from tests.learner.link.conftest import Taken
from tests.learner.link.script import BREAD, call, reply, result, user
from tests.learner.turns import said, turn

ASKED = user("How do I bake bread?")
TOO_LONG = user("Too long. Shorter please.")


def baked(*before: Message, at: int = 1_000, **options: Any) -> Turn:
    """The turn that most requests here follow."""
    return turn([*before, ASKED], BREAD, id=options.pop("id", "first"), created_ms=at, **options)


def after(*messages: Message, at: int = 30_000, **options: Any) -> Turn:
    """The next request."""
    return turn(messages, "Ok.", id=options.pop("id", "next"), created_ms=at, **options)


def scores(taken: Taken) -> list[tuple[str, int]]:
    with taken.store.reading() as session:
        return [(row.turn_id, row.score) for row in session.exec(select(JudgementRow))]


SHOUTED = user("[12:01] ann: Too long. Shorter please.")
LAYERS: dict[str, tuple[Turn, Turn]] = {
    "named": (baked(), after(TOO_LONG, follows="first")),
    "chain": (baked(), after(ASKED, reply(BREAD), TOO_LONG)),
    "talk": (baked(clock(1)), after(clock(2), ASKED, reply(BREAD), TOO_LONG)),
    "session": (
        baked(session="s"),
        after(user("(bread, earlier)"), reply(BREAD), SHOUTED, session="s"),
    ),
    "pair": (
        turn([user("Hi."), reply("Hi!"), ASKED], BREAD, id="first"),
        after(ASKED, reply(BREAD), TOO_LONG),
    ),
    "wrapped": (
        turn([wrapped("How do I bake bread?", "Bread.")], BREAD, id="first"),
        after(ASKED, reply(BREAD), TOO_LONG),
    ),
    "cut": (baked(finish_reason="cancelled"), after(ASKED, reply(BREAD[:9]), TOO_LONG)),
    "alone": (baked(), after(user("Wie backe ich Brot?"), reply(BREAD), TOO_LONG)),
    "normal": (
        turn([ASKED], f"<think>Bread.</think>{BREAD}", id="first"),
        after(ASKED, reply(BREAD), TOO_LONG),
    ),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_links_and_says_so(taken: Taken, layer: str) -> None:
    """The evidence and its confidence are kept with the turn, whichever came first."""
    for each in LAYERS[layer]:
        taken(each)
    for each in LAYERS[layer][::-1]:
        named = {"id": f"{each.id}-b", "follows": each.follows and f"{each.follows}-b"}
        taken(each.model_copy(update={"principal": "bob", **named}))
    for name in ("", "-b"):
        row = taken.row(f"first{name}")
        assert (row.next_turn, row.next_kind, row.next_layer) == (f"next{name}", "reply", layer)
        assert row.next_confidence == CONFIDENCE[layer]  # type: ignore[index]


PARIS = (Message(role="system", content="Be kind."), reply("Paris."), user("Too long, please."))


def short(id: str = "first", said: str = "Paris.", at: int = 1_000, **options: Any) -> Turn:
    """A turn with a short reply, in a conversation of its own."""
    return turn([user(f"What of {id}?")], said, id=id, created_ms=at, **options)


FEW_WORDS: dict[str, tuple[Sequence[Turn], tuple[str, str] | None]] = {
    "the newest": ([short("old", "Rome.", at=500), short()], ("next", "alone")),
    "beside a chore": (
        [short(), short("title", "Cities", 2_000, purpose="chore")], ("next", "alone"),
    ),
    "said in another chat since": ([short(), short("other", "Rome.", 2_000)], None),
    "said twice": ([short("other", at=500), short()], None),
    "said twice, the older later": ([short(), short("other", at=500)], None),
    "an hour ago": ([short(at=30_000 - 3_600_001)], None),
    "not arrived": ([short(delivered=False)], None),
    "of somebody else": ([short(principal="bob")], None),
    "what a client greets with": (
        [turn([reply("Paris."), user("Hi")], "Hi!", id="greeted", created_ms=100), short()], None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FEW_WORDS)
def test_a_short_reply_without_its_question_is_the_newest_or_none(taken: Taken, name: str) -> None:
    """The client that sends the last two messages: it can be no other's, or nothing is linked."""
    turns, wanted = FEW_WORDS[name]
    taken(*turns, after(*PARIS))
    row = taken.row("first")
    assert (row.next_turn, row.next_layer) == (wanted or (None, None))


@pytest.mark.parametrize("name", FEW_WORDS)
@pytest.mark.parametrize("order", range(6))
def test_a_link_by_few_words_depends_on_no_order(taken: Taken, name: str, order: int) -> None:
    """Whichever comes late: what was linked before is taken back, or stays."""
    turns, wanted = FEW_WORDS[name]
    orders = list(permutations([*turns, after(*PARIS)]))
    taken(*orders[order % len(orders)])
    row = taken.row("first")
    assert (row.next_turn, row.next_layer) == (wanted or (None, None))
    assert all(taken.row(each.id).next_turn is None for each in turns if each.id != "first")


def test_a_link_by_few_words_is_taken_back_when_another_said_them(taken: Taken) -> None:
    """It came in later than the request."""
    taken(short(), after(*PARIS))
    assert taken.link("first") == ("next", "reply", "alone")
    taken(short("other", at=500))
    assert taken.link("first") == taken.link("other") == (None, None, None)


ITEMS = [
    ("[File 1]\nSummarise the attached file", "[File 2]\nSummarise the attached file"),
    ("Write the summary of this chapter.\n(chapter 1)",
     "Write the summary of this chapter.\n(chapter 2)"),
    ("[Order 4711] Has the parcel arrived there", "[Order 4812] Has the parcel arrived there"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "other"), ITEMS)
@pytest.mark.parametrize("said", ["No.", "I cannot see any of it from here."])
def test_a_number_that_is_asked_about_makes_another_question(
    taken: Taken, asked: str, other: str, said: str
) -> None:
    """A noun and a number before or behind the same words: the reply was given to both."""
    taken(turn([user(asked)], said, id="first", created_ms=1_000))
    taken(after(user(other), reply(said), user("That's wrong.")))
    assert taken.link("first") == (None, None, None)


def test_a_short_reply_behind_another_question_is_not_linked(taken: Taken) -> None:
    """The question says which conversation it is, and it is none of ours."""
    taken(short(), after(user("What of Spain?"), *PARIS[1:]))
    assert taken.link("first") == (None, None, None)


def test_layers_are_as_sure_as_their_order_says() -> None:
    """A surer layer is never less confident; all are between none and certain."""
    given = list(CONFIDENCE.values())
    assert given == sorted(given, reverse=True)
    assert all(0 < each <= 1 for each in given)


def test_a_moving_clock_does_not_end_learning(taken: Taken) -> None:
    """FAULT 12: the system prompt moves, the complaint is heard."""
    taken(*LAYERS["talk"])
    assert scores(taken) == [("first", -1)]
    assert taken.row("first").state == "judged"


def test_of_the_same_words_twice_the_newest_reply_is_meant(taken: Taken) -> None:
    """Two turns that asked and said the same to the letter are one for a verdict."""
    taken(baked(id="old"), baked(id="new", at=2_000), after(ASKED, reply(BREAD), TOO_LONG))
    assert taken.link("new")[0] == "next"
    assert taken.link("old") == (None, None, None)


def test_a_named_session_tells_the_same_words_apart(taken: Taken) -> None:
    """The newest is not meant when the session is the other one's."""
    taken(baked(id="ours", session="s"), baked(id="theirs", session="t", at=2_000))
    taken(after(ASKED, reply(BREAD), TOO_LONG, session="s"))
    assert taken.link("ours")[0] == "next"
    assert taken.link("theirs") == (None, None, None)


def test_two_that_nothing_tells_apart_are_not_linked(taken: Taken) -> None:
    """Ambiguity links nothing, and is counted."""
    taken(baked(clock(1), id="one"), baked(clock(2), id="two", at=2_000))
    taken(after(clock(3), ASKED, reply(BREAD), TOO_LONG))
    assert taken.link("one") == taken.link("two") == (None, None, None)
    assert taken.row("next").unlinked == "ambiguous"
    assert scores(taken) == []


DAY_MS = 24 * 60 * 60 * 1000
LIGHT, DONE = user("Turn on the light."), "Done."


def lit(n: int, at: int, **options: Any) -> Turn:
    """A short order, given under a clock that moves."""
    return turn([clock(n), LIGHT], DONE, id=f"t{n}", created_ms=at, **options)


OUT: dict[str, list[Turn]] = {  # what is there beside t1, which is meant
    "old": [lit(0, 1_000)],
    "old, and it did not arrive": [lit(0, 1_000, delivered=False)],
    "it did not arrive": [lit(0, 2 * DAY_MS - 1_000, delivered=False)],
    "it was cut": [lit(0, 2 * DAY_MS - 1_000, finish_reason="cancelled")],
    "something else follows it": [
        lit(0, 2 * DAY_MS - 9_000),
        after(clock(0), LIGHT, reply(DONE), user("And the fan."), at=2 * DAY_MS - 5_000, id="o"),
    ],
    "old, and something else follows it": [
        lit(0, 1_000), after(clock(0), LIGHT, reply(DONE), user("And the fan."), at=5_000, id="o"),
    ],
    "more of them": [
        lit(0, 1_000),
        lit(2, 2 * DAY_MS - 9_000, delivered=False),
        lit(3, 2 * DAY_MS - 8_000),
        after(clock(3), LIGHT, reply(DONE), user("And the fan."), at=2 * DAY_MS - 5_000, id="o"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("out", OUT)
def test_of_equal_orders_one_that_is_out_of_the_question_blocks_no_other(
    taken: Taken, out: str
) -> None:
    """Short commands are given again and again: a complaint is about the fresh one."""
    taken(*OUT[out], lit(1, 2 * DAY_MS), after(clock(9), LIGHT, reply(DONE), TOO_LONG,
          at=2 * DAY_MS + 5_000))  # fmt: skip
    assert taken.link("t1") == ("next", "reply", "talk")
    assert ("t1", -1) in scores(taken)
    assert [score for id, score in scores(taken) if id != "t1" and score < 0] == []


@pytest.mark.parametrize("out", ["old", "followed", "lost"])
def test_of_orders_that_are_all_out_of_the_question_none_is_meant(taken: Taken, out: str) -> None:
    """What is as unlikely as the others is told apart by nothing."""
    lost = {"delivered": False} if out == "lost" else {}
    for n in (1, 2):
        taken(lit(n, 1_000 * n, **lost))
        if out == "followed":
            fan = user("And the fan.")
            taken(after(clock(n), LIGHT, reply(DONE), fan, at=1_000 * n + 500, id=f"after {n}"))
    linked = [taken.link(f"t{n}") for n in (1, 2)]
    at = 2 * DAY_MS if out == "old" else 30_000
    taken(after(clock(9), LIGHT, reply(DONE), TOO_LONG, at=at))
    assert [taken.link(f"t{n}") for n in (1, 2)] == linked
    assert taken.row("next").unlinked == "ambiguous"


STOPPED = [reply("[stopped]"), user("And the fan.")]
AGAIN: dict[str, list[Message]] = {  # what stands behind the order when the complaint is sent again
    "regenerated": [TOO_LONG],
    "regenerated, and stamped": [user("[12:09] Too long. Shorter please.")],
    "gone on with": [TOO_LONG, *STOPPED],
}


@pytest.mark.parametrize("again", AGAIN)
def test_a_complaint_that_is_sent_again_is_about_no_fresh_reply(taken: Taken, again: str) -> None:
    """Its own conversation goes on, though the same order was given anew in another meanwhile."""
    taken(lit(1, 1_000), after(clock(2), LIGHT, reply(DONE), TOO_LONG, at=9_000, id="told"))
    taken(lit(3, 20_000), after(clock(4), LIGHT, reply(DONE), *AGAIN[again]))
    assert taken.link("t1") == ("told", "reply", "talk")
    assert taken.link("t3") == (None, None, None)
    assert scores(taken) == [("t1", -1)]
    assert taken.row("next").unlinked == ("unknown" if STOPPED[0] in AGAIN[again] else "ambiguous")


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("at", [30_000, 2 * DAY_MS])
def test_an_old_complaint_in_a_history_is_about_no_fresh_reply(
    taken: Taken, known: bool, at: int
) -> None:
    """Somebody goes on with the conversation when the order was just given anew in another.

    known: the reply to the complaint comes back as it was given
    """
    said = [LIGHT, reply(DONE), TOO_LONG]
    taken(lit(1, 1_000), after(clock(2), *said, at=9_000, id="told"), lit(3, at - 5_000))
    goes_on = [reply("Ok."), user("And the fan.")] if known else STOPPED
    taken(after(clock(4), *said, *goes_on, at=at))
    assert taken.link("t1") == ("told", "reply", "talk")
    assert taken.link("t3") == (None, None, None)
    assert taken.link("told")[0] == ("next" if known else None)
    assert [score for _, score in scores(taken) if score < 0] == [-1]


def test_the_same_complaint_of_another_day_is_a_new_one(taken: Taken) -> None:
    """An order that fails again and again may be complained of in the same words."""
    taken(lit(1, 1_000), after(clock(2), LIGHT, reply(DONE), TOO_LONG, at=9_000, id="told"))
    at = 2 * DAY_MS
    taken(lit(3, at), after(clock(4), LIGHT, reply(DONE), TOO_LONG, at=at + 5_000))
    assert taken.link("t3") == ("next", "reply", "talk")


def test_a_reply_that_was_given_anew_in_the_same_words_stands_for_both(taken: Taken) -> None:
    """In the session that the client names; in another one nothing says which is meant."""
    for name, session in (("a", "s"), ("b", None)):
        turns = [lit(n, 1_000 * n, principal=name, session=session) for n in (1, 2)]
        taken(*(each.model_copy(update={"id": f"{name}{each.id}"}) for each in turns))
        request = [clock(3), LIGHT, reply(DONE), TOO_LONG]
        taken(after(*request, id=f"{name} next", principal=name, session=session))
    assert [taken.link(id)[0] for id in ("at1", "at2", "bt1", "bt2")] == [
        None,
        "a next",
        None,
        None,
    ]


def test_the_reply_before_tells_two_apart(taken: Taken) -> None:
    """The same thanks in two conversations: what was said before decides."""
    thanks, welcome = user("Thanks."), "You're welcome."
    for name, before in (("one", "Rome is large."), ("two", "Oslo is cold.")):
        taken(turn([user(f"{name}?"), reply(before), thanks], welcome, id=name))
    taken(after(reply("Oslo is cold."), thanks, reply(welcome), user("Now Bergen.")))
    assert taken.link("two")[0] == "next"
    assert taken.link("one") == (None, None, None)


def test_short_words_of_another_conversation_are_not_enough(taken: Taken) -> None:
    """The same short exchange after another reply is another one."""
    taken(turn([user("a"), reply("Rome is large."), user("Thanks.")], "Sure.", id="first"))
    taken(after(reply("Oslo is cold."), user("Thanks."), reply("Sure."), user("Now Bergen.")))
    assert taken.link("first") == (None, None, None)
    assert taken.row("next").unlinked == "ambiguous"


def test_words_are_evidence_for_a_day(taken: Taken) -> None:
    """What rests on words alone is forgotten after a day; the conversation itself is not."""
    day_ms = 24 * 60 * 60 * 1000
    taken(turn([user("Hi."), reply("Hi!"), ASKED], "Bake it.", id="pair"), baked(id="chain"))
    taken(after(ASKED, reply("Bake it."), TOO_LONG, at=day_ms + 2_000, id="n1"))
    taken(after(ASKED, reply(BREAD), TOO_LONG, at=day_ms + 2_000, id="n2"))
    assert taken.link("pair") == (None, None, None)
    assert taken.link("chain")[0] == "n2"


def test_a_stranger_says_nothing_about_a_turn(taken: Taken) -> None:
    """Another principal, or another line, links nothing, whatever it sends."""
    taken(baked(), after(ASKED, reply(BREAD), TOO_LONG, principal="mallory", follows="first"))
    assert taken.link("first") == (None, None, None)
    assert scores(taken) == []


@pytest.mark.parametrize("changes", [{"purpose": "chore"}, {"purpose": "side"}, {"learn": False}])
def test_what_must_not_be_learned_from_says_nothing(taken: Taken, changes: dict[str, Any]) -> None:
    """A client's chore or an opted-out request is no verdict on a turn, and no riddle either."""
    taken(baked(), after(ASKED, reply(BREAD), TOO_LONG, **changes))
    assert taken.link("first") == (None, None, None)
    assert taken.row("next").unlinked is None


def test_a_request_whose_own_reply_was_cut_still_speaks(taken: Taken) -> None:
    """The words are the user's, whatever became of the answer to them."""
    taken(baked(), after(ASKED, reply(BREAD), TOO_LONG, finish_reason="cancelled"))
    assert scores(taken) == [("first", -1)]


@pytest.mark.parametrize("arrived", [{"delivered": False}, {"finish_reason": "cancelled"}, {}])
def test_the_same_request_again_is_no_verdict(taken: Taken, arrived: dict[str, Any]) -> None:
    """FAULT 16: cut by the client, by its time-out or by us, or whole: nothing is said of it."""
    taken(baked(body="b", **arrived), baked(body="b", id="again", at=2_000))
    row = taken.row("first")
    assert scores(taken) == []
    assert row.next_kind == ("retry" if arrived else None)
    assert (row.state, row.reason) == {
        0: ("open", None),
        1: ("closed", "asked again") if "delivered" in arrived else ("untrained", "cut"),
    }[len(arrived)]


@pytest.mark.parametrize(
    "other",
    [{"session": "other"}, {"body": "other seed"}, {"principal": "bob"}, {"at": 10**7}],
    ids=lambda other: next(iter(other)),
)
def test_the_same_text_from_elsewhere_is_nothing(taken: Taken, other: dict[str, Any]) -> None:
    """Another session, body, person or hour: no retry even of a reply that did not arrive."""
    again: dict[str, Any] = {"body": "b", "session": "s", "id": "again", "at": 2_000}
    taken(baked(body="b", delivered=False, session="s"), baked(**again | other))
    assert taken.link("first") == (None, None, None)


def test_choices_of_one_request_are_no_retries(taken: Taken) -> None:
    """FAULT 15: n = 2, the client went away, and neither choice says anything of the other."""
    for name, at in (("chatcmpl-a1", 1_000), ("chatcmpl-a1-1", 1_001)):
        taken(turn([ASKED], BREAD[: at - 990], id=name, created_ms=at, delivered=False, body="b"))
    assert taken.link("chatcmpl-a1") == taken.link("chatcmpl-a1-1") == (None, None, None)
    assert scores(taken) == []


def test_of_two_choices_the_one_that_is_gone_on_with_is_judged(taken: Taken) -> None:
    """The other keeps no verdict."""
    taken(turn([ASKED], BREAD, id="c"), turn([ASKED], "Buy it.", id="c-1", created_ms=1_001))
    taken(after(ASKED, reply("Buy it."), TOO_LONG))
    assert scores(taken) == [("c-1", -1)]
    assert taken.link("c") == (None, None, None)


def test_a_cut_reply_that_is_gone_on_with_is_linked_and_not_judged(taken: Taken) -> None:
    """Somebody stopped it and complained: what follows is kept, and scores nothing."""
    taken(*LAYERS["cut"])
    row = taken.row("first")
    assert (row.state, row.reason, row.next_layer) == ("untrained", "cut", "cut")
    assert scores(taken) == []


def test_an_edited_question_is_a_branch_of_the_one_before(taken: Taken) -> None:
    """Going back and asking otherwise says instead, also with a moving clock, in any order."""
    one, two, three = (
        turn([clock(n), ASKED, reply(BREAD), user(words)], words, id=f"t{n}", created_ms=n * 1_000)
        for n, words in enumerate(("And with rye?", "And with spelt?", "And for cake?"), start=1)
    )
    for order in ([one, two, three], [three, two, one], [two, three, one]):
        mine = [each.model_copy(update={"principal": f"p{order[0].id}{order[1].id}",
                "id": f"{each.id}{order[0].id}{order[1].id}"}) for each in order]  # fmt: skip
        taken(*mine)
        first, second, last = sorted(mine, key=lambda each: each.created_ms)
        assert taken.link(first.id)[:2] == (second.id, "branch")
        assert taken.link(second.id)[:2] == (last.id, "branch")
        assert taken.link(last.id) == (None, None, None)


def test_a_shared_opening_is_no_branch(taken: Taken) -> None:
    """Two conversations that begin with the same question do not concern each other."""
    taken(turn([ASKED], BREAD, id="first"), turn([user("How do I bake cake?")], "x", id="next"))
    assert taken.link("first") == (None, None, None)


def test_a_better_match_that_comes_late_takes_the_link(taken: Taken) -> None:
    """A guess by words is taken back with its verdict when the turn itself arrives."""
    guess = turn([user("Hi."), reply("Hi!"), ASKED], BREAD, id="guess", created_ms=500)
    taken(guess, after(ASKED, reply(BREAD), TOO_LONG))
    assert taken.link("guess")[2] == "pair"
    taken(baked())
    assert taken.link("first") == ("next", "reply", "chain")
    assert taken.link("guess") == (None, None, None)
    assert (taken.row("guess").state, taken.row("guess").strength) == ("open", None)
    assert scores(taken) == [("first", -1)]


def test_a_reply_that_we_did_not_know_again_is_told(taken: Taken) -> None:
    """In a conversation of ours, any reply that is none of ours is counted; elsewhere it is not."""
    taken(baked(session="s"))
    taken(after(ASKED, reply("Backe es."), TOO_LONG, session="s", id="ours"))
    taken(after(user("Who are you?"), reply("A pirate."), user("Sing!"), id="foreign"))
    assert taken.row("ours").unlinked == "unknown"
    assert taken.row("foreign").unlinked is None
    assert taken.link("first") == (None, None, None)


def test_rows_of_older_builds_are_linked_by_their_chain_and_then_by_more(taken: Taken) -> None:
    """Without hashes the exact conversation links; they are filled in while nothing is to do."""
    taken(baked(clock(1)), turn(said("hi"), "hello", id="plain"))
    with taken.store.transaction() as session:
        for row in session.exec(select(TurnRow)):
            row.talk_key = row.reply_key = row.asked_key = row.before_key = row.echo_key = None
            session.add(row)
    taken(turn(said("hi", "hello", "wrong!"), "x", id="goes on", created_ms=9_000))
    assert taken.link("plain") == ("goes on", "reply", "chain")
    with taken.store.transaction() as session:
        assert rows.complete(session, "main") == 2
        assert rows.complete(session, "main") == 0
    taken(after(clock(2), ASKED, reply(BREAD), TOO_LONG))
    assert taken.link("first") == ("next", "reply", "talk")


def test_what_is_read_does_not_grow_with_the_history(taken: Taken) -> None:
    """Hundreds of branches and twins of one conversation cost a bounded number of rows."""
    history = [ASKED, reply(BREAD)]
    for n in range(60):
        asked = [*history, user(f"And with grain {n}?")]
        taken(turn(asked, f"Yes, {n}.", id=f"b{n}", created_ms=2_000 + n))
    linked = [taken.link(f"b{n}")[:2] for n in range(59)]
    assert linked == [(f"b{n + 1}", "branch") for n in range(59)]
    request = turn([*history, user("And?")], "x", id="last", created_ms=9_000)
    with taken.store.reading() as session:
        assert len(followed(session, request).links) == 1


def test_one_greeting_before_every_conversation_is_not_read_behind(taken: Taken) -> None:
    """Those of other sessions are no branches, and are not looked at for one."""
    read: list[str] = []
    event.listen(taken.store.engine, "before_cursor_execute", lambda *told: read.append(told[2]))
    history = [ASKED, reply(BREAD)]
    for n in range(6):
        asked = [*history, user(f"And with grain {n}?")]
        taken(turn(asked, f"Yes, {n}.", id=f"b{n}", session=f"s{n}", created_ms=2_000 + n))
    assert [taken.link(f"b{n}") for n in range(6)] == [(None, None, None)] * 6
    assert not [each for each in read if "before_key = " in each]
    again = [*history, user("And with grain?")]
    taken(turn(again, "Yes.", id="again", session="s0", created_ms=3_000))
    assert taken.link("b0")[:2] == ("again", "branch")


def test_a_stranger_who_opened_with_the_same_question_is_not_meant(taken: Taken) -> None:
    """What stands before it in the history is cut, or only a mark: a short reply is not theirs."""
    asked, yes = user("Is Lyon north of Marseille?"), reply("Yes.")
    river, told = user("Name a river."), "The Rhône, which flows through Lyon."
    for name, shown in (("cut", told[:9] + "…"), ("mark", "[omitted]")):
        taken(turn([asked], "Yes.", id=f"stranger {name}", created_ms=1_000, principal=name))
        theirs = [river, reply(told), asked]
        taken(turn(theirs, "Yes.", id=f"theirs {name}", created_ms=2_000, principal=name))
        taken(after(river, reply(shown), asked, yes, TOO_LONG, id=f"n {name}", principal=name))
        assert taken.link(f"stranger {name}") == (None, None, None)
    assert taken.link("theirs mark") == ("n mark", "reply", "pair")


def test_conversations_that_began_alike_are_no_branches_of_each_other(taken: Taken) -> None:
    """Two named chats with the same question and reply: each goes on for itself."""
    for name in ("a", "b"):
        taken(turn([ASKED], BREAD, id=name, session=name, created_ms=1_000))
    taken(after(ASKED, reply(BREAD), TOO_LONG, id="a2", session="a"))
    taken(after(ASKED, reply(BREAD), user("Thanks!"), id="b2", session="b", at=31_000))
    assert taken.link("a") == ("a2", "reply", "chain")
    assert taken.link("b") == ("b2", "reply", "chain")
    assert taken.link("a2") == (None, None, None)


def test_a_named_session_outweighs_the_same_words_at_the_same_minute(taken: Taken) -> None:
    """Another chat that opened alike when the clock showed the same is another conversation."""
    hi, hello = user("Hi"), "Hello! How can I help you today?"
    for n in range(4):
        taken(turn([clock(n), hi], hello, id=f"a{n}", session=f"s{n}", created_ms=1_000 + n))
    for n in range(4):
        moved = [clock((n + 1) % 4), hi, reply(hello), TOO_LONG]
        taken(turn(moved, "Hm.", id=f"b{n}", session=f"s{n}", created_ms=9_000 + n))
    assert [taken.link(f"a{n}")[:2] for n in range(4)] == [(f"b{n}", "reply") for n in range(4)]


ORDER = "Turn on the light."


@pytest.mark.parametrize(
    "asked", [wrapped(ORDER, "Lamps."), user(f"### Context\nLamps.\n\n### Question\n{ORDER}")]
)
@pytest.mark.parametrize("age_ms", [3_600_000, 30 * 24 * 3_600_000])
@pytest.mark.parametrize("minute", [0, 9])
@pytest.mark.parametrize("late", [False, True])
def test_the_same_words_in_another_session_are_not_meant_where_the_question_was_wrapped(
    taken: Taken, asked: Message, age_ms: int, minute: int, late: bool
) -> None:
    """The client shows the question alone later, as it was asked in another chat."""
    other = turn([clock(0), LIGHT], DONE, id="other", session="s0", created_ms=1_000)
    mine = turn([clock(5), asked], DONE, id="mine", session="s1", created_ms=age_ms)
    said = [clock(minute), LIGHT, reply(DONE), TOO_LONG]
    next = after(*said, session="s1", at=age_ms + 9_000)
    taken(other, *((next, mine) if late else (mine, next)))
    assert taken.link("mine") == ("next", "reply", "session")
    assert taken.link("other") == (None, None, None)
    assert scores(taken) == [("mine", -1)]


@pytest.mark.parametrize("late", [False, True])
def test_a_session_says_nothing_where_its_reply_was_to_another_question(
    taken: Taken, late: bool
) -> None:
    """A talk may go on under another name, and a question may come back as a client likes."""
    other = turn([clock(0), LIGHT], DONE, id="other", session="s0", created_ms=1_000)
    fan = turn([clock(5), user("And the fan.")], DONE, id="fan", session="s1", created_ms=2_000)
    next = after(clock(9), LIGHT, reply(DONE), TOO_LONG, session="s1")
    taken(other, *((next, fan) if late else (fan, next)))
    assert taken.link("other") == taken.link("fan") == (None, None, None)
    assert taken.row("next").unlinked == "ambiguous"
    assert scores(taken) == []


def test_a_cloned_chat_goes_on_from_the_one_that_it_was_cloned_from(taken: Taken) -> None:
    """What its own session does not hold is another's, by the whole conversation."""
    taken(baked(session="one"), after(ASKED, reply(BREAD), TOO_LONG, session="clone"))
    assert taken.link("first") == ("next", "reply", "chain")


@pytest.mark.parametrize("order", ["axc", "xac", "acx", "xca", "cax", "cxa"])
def test_what_nothing_tells_apart_is_not_linked_in_any_order(taken: Taken, order: str) -> None:
    """The first of two to arrive loses its link, and its verdict, when the other one comes."""
    thanks, welcome = user("Thanks."), "You're welcome."
    turns = {
        "a": turn([user("Rome?"), reply("R."), thanks], welcome, id="a", created_ms=1_000),
        "x": turn([user("Oslo?"), reply("O."), thanks], welcome, id="x", created_ms=2_000),
        "c": after(thanks, reply(welcome), TOO_LONG, id="c"),
    }
    taken(*(turns[name] for name in order))
    assert taken.link("a") == taken.link("x") == (None, None, None)
    assert scores(taken) == []


@pytest.mark.parametrize("tag", ["task", "user_query", "userRequest"])
def test_what_is_asked_in_tags_tells_questions_apart(taken: Taken, tag: str) -> None:
    """The same few words to two orders between the same tags: the one that was given is meant."""

    def told(order: str, minute: int) -> Message:
        about = f"<environment_details>\n12:{minute:02d}\n</environment_details>"
        return user(f"Do what is asked.\n<{tag}>\n{order}\n</{tag}>\n{about}")

    taken(turn([told("Run the tests", 0)], "Done.", id="runs"))
    taken(after(told("Mend it", 5), reply("Done."), TOO_LONG, id="of another model", at=9_000))
    assert taken.link("runs") == (None, None, None)
    taken(turn([told("Mend it", 5)], "Done.", id="mends", created_ms=20_000))
    taken(after(told("Mend it", 7), reply("Done."), TOO_LONG))
    assert taken.link("mends") == ("next", "reply", "wrapped")
    assert taken.link("runs") == (None, None, None)


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("equal", [False, True])
def test_an_old_reply_of_a_long_named_session_is_found(
    taken: Taken, moved: bool, equal: bool
) -> None:
    """Somebody goes back to it: the newest turns of the session gave the same words to others.

    moved: the client has rewritten what stands before the question
    equal: the newest was asked the same
    """
    history = list[Message]()
    for n in range(20):
        history.append(user("Water the plants." if n == 2 or (equal and n == 19) else f"Step {n}."))
        told = "Done." if n in (2, 19) else f"That was number {n}."
        at = 1_000 + n
        taken(turn([clock(n), *history], told, id=f"t{n}", session="s", created_ms=at))
        history.append(reply(told))
    shown = history[4:6] if moved else history[:6]
    taken(after(clock(40), *shown, TOO_LONG, session="s"))
    meant = "t19" if moved and equal else "t2"
    assert [id for id in ("t2", "t19") if taken.link(id)[0] == "next"] == [meant]
    assert (meant, -1) in scores(taken)


LOOK, RAIN = "I will look up what the weather is like.", "It rains in Rome, and will rain for days."
DETAILS = '<details type="tool_calls" name="weather">\n<summary>Tool Executed</summary>\n</details>'


@pytest.mark.parametrize(
    "shown", [f"{LOOK}\n{DETAILS}\n{RAIN}", f"{LOOK}\n\n{RAIN}", f"{LOOK}\n\n{LOOK} {RAIN}"]
)
@pytest.mark.parametrize("name", [None, "s"])
@pytest.mark.parametrize("silent", [False, True])
def test_words_before_a_call_of_a_tool_do_not_hide_the_answer(
    taken: Taken, shown: str, name: str | None, silent: bool
) -> None:
    """Clients that keep what was shown send them, the call and the answer back as one reply."""
    asked = user("What is the weather in Rome?")
    history, told = [asked], [call("weather", "{}", content=LOOK)]
    if silent:
        told.append(call("weather", '{"days": 2}', content=""))
    for n, step in enumerate(told):
        taken(turn(history, step, id=f"step {n}", session=name, created_ms=1_000 + n))
        history = [*history, step, result("rain")]
    taken(turn(history, RAIN, id="answer", session=name, created_ms=3_000))
    taken(after(asked, reply(shown), TOO_LONG, session=name))
    assert taken.link("answer") == ("next", "reply", "cut")
    assert taken.link("step 0")[1:] == ("reply", "chain")
    assert scores(taken) == [("answer", -1)]


@pytest.mark.parametrize("between", ["", " ", "\n\n"])
def test_short_words_before_a_call_are_part_of_what_was_shown(taken: Taken, between: str) -> None:
    """Also where a client joins them to a short answer; but not to another one."""
    asked, told = user("Rain in Rome?"), call("weather", "{}", content="Let me look.")
    taken(turn([asked], told, id="call"))
    taken(turn([asked, told, result("rain")], "Yes, all day.", id="answer", created_ms=2_000))
    for name, answer in (("other", "No."), ("next", "Yes, all day.")):
        taken(after(asked, reply(f"Let me look.{between}{answer}"), TOO_LONG, id=name))
    assert taken.link("answer") == ("next", "reply", "cut")
    assert taken.link("call")[0] == "answer"


def test_a_time_that_is_asked_for_is_no_stamp(taken: Taken) -> None:
    """Another alarm is another question, whoever set it; when it was asked is none."""
    taken(turn([user("Set the alarm at 7:00")], "Done.", id="first"))
    taken(after(user("Set the alarm at 18:30"), reply("Done."), TOO_LONG, at=3_600_000, id="n1"))
    assert taken.link("first") == (None, None, None)
    taken(
        turn([user("[12:00] Set the alarm at 8:15")], "Done.", id="stamped", created_ms=4_000_000)
    )
    moved = user("[12:07] Set the alarm at 8:15")
    taken(after(moved, reply("Done."), TOO_LONG, at=5_000_000))
    assert taken.link("stamped") == ("next", "reply", "wrapped")


PAGES = ("Wheat has gluten.", "An oven is hot. It burns.")
WRAPPINGS: dict[str, Callable[[str, str], str]] = {
    "pages in front": lambda asked, page: f"{page}\n\n{asked}",
    "pages behind": lambda asked, page: f"{asked}\n\n{page}",
    "tags": lambda asked, page: f"<context>{page}</context>\n{asked}",
    "a label": lambda asked, page: f"Context: {page}\nQuestion: {asked}",
}
RESHAPED: dict[str, Callable[[str], str]] = {
    "trimmed": lambda said: f"{said[:40]}…",
    "its end": lambda said: f"… {said[-40:]}",
    "rendered": lambda said: f"<p>{said.replace(', ', ',</p><p>')}</p>",
    "sources behind": lambda said: f"{said}\n\nSources: [1] bread.example",
    "stopped": lambda said: f"{said[:20]} [interrupted]",
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("reshaped", RESHAPED)
def test_question_and_reply_may_both_come_back_changed(
    taken: Taken, wrapping: str, reshaped: str
) -> None:
    """However a client wraps a question anew and whatever it keeps of the reply, they are known.

    But not where it asked something else, or said something else, though all of it looks alike.
    """
    wrap, change = WRAPPINGS[wrapping], RESHAPED[reshaped]
    asked, page, moved = "How do I bake bread in a pan?", *PAGES
    cut: dict[str, Any] = {"finish_reason": "cancelled"} if reshaped == "stopped" else {}
    taken(
        turn([user(wrap(asked, page))], BREAD, id="first", **cut),
        turn([user(wrap("How do I dry apples in a pan?", page))], "Slowly.", id="other"),
    )
    for name, (question, whole) in {
        "asks": ("How do I bake buns on a tray?", BREAD),
        "says": (asked, BREAD[::-1]),
    }.items():
        shown = reply(change(whole))
        taken(after(user(wrap(question, moved)), shown, TOO_LONG, id=name, at=2_000))
    assert taken.link("first") == taken.link("other") == (None, None, None)
    taken(after(user(wrap(asked, moved)), reply(change(BREAD)), TOO_LONG))
    assert taken.link("first") == ("next", "reply", "cut")
    assert taken.link("other") == (None, None, None)
    assert scores(taken) == ([] if cut else [("first", -1)])


def test_what_a_client_tells_of_an_edit_is_nobodys_words(taken: Taken) -> None:
    """aider tells of its commit, and shows its files again, before the person speaks."""
    files = [user("I have *added these files to the chat* so you can go ahead and edit them."),
             reply("Ok, any changes I propose will be to those files.")]  # fmt: skip
    told = [user("I committed the changes with git hash 12ab & commit msg: rye"), reply("Ok.")]
    taken(turn([*files, ASKED], BREAD, id="first"))
    taken(after(ASKED, reply(BREAD), *told, *files, TOO_LONG))
    assert taken.link("first") == ("next", "reply", "pair")
    assert taken.row("next").unlinked is None
    assert scores(taken) == [("first", -1)]
