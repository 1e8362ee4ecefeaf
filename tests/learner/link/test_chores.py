"""A chore is told by the conversation beside it, whatever its words; a person is not one."""

import json
from typing import Any, Literal

import pytest

from learner.link.chores import carries
from learner.link.layers import Texts
from streams.records import Feedback, Message, Turn
from tests.learner.link.behaviours import wrapped
from tests.learner.link.conftest import Taken
from tests.learner.link.script import reply, user
from tests.learner.turns import turn

QUESTION = "How do I bake bread without an oven?"
ANSWER = "Use a covered pan on a low flame.\nTurn the bread after twenty minutes."
SAID = Texts(reply=ANSWER, asked=QUESTION)

TRANSCRIPTS = {
    "labels, in another language": "Fasse in drei Worten zusammen.\n\n"
    f"Nutzer: {QUESTION}\nHelfer: {ANSWER}",
    "bold labels": "What should the sidebar say?\n\n"
    f"**User:** {QUESTION}\n\n**Assistant (v2):** {ANSWER}",
    "headings": f"# Conversation\n### USER\n{QUESTION}\n### ASSISTANT\n{ANSWER}\n\nOne emoji!",
    "tags": f"<turn>{QUESTION}</turn>\n<turn>{ANSWER}</turn>\nWhich words would you search for?",
    "fields": "Extract what to remember.\n"
    + json.dumps([{"role": r, "content": c} for r, c in (("user", QUESTION), ("ai", ANSWER))]),
    "a question alone, and JSON": f'USER: {QUESTION}\n\nOutput: {{"queries": []}}, only JSON.',
    "cut replies": f"Name this chat:\nHuman: {QUESTION}\nAI: {ANSWER[:35]}… (cut)",
}


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_a_transcript_of_the_conversation_is_a_chore(taken: Taken, name: str) -> None:
    """Whatever the client orders, in whatever words, before or after the turn itself arrives."""
    main = turn([user(QUESTION)], ANSWER, id="main", created_ms=5_000)
    chore = turn([user(TRANSCRIPTS[name])], "Bread", id="chore", created_ms=6_000)
    quicker = [
        each.model_copy(update={"principal": "bob", "id": f"{each.id}-b"}) for each in (chore, main)
    ]
    taken(main, chore, *quicker)
    for id in ("chore", "chore-b"):
        assert (taken.row(id).state, taken.row(id).reason) == ("untrained", "a client's chore")
    assert taken.row("main").state == taken.row("main-b").state == "open"


PEOPLE = {
    "asks for a title": "Please give my essay a title. It is about bread from a pan on a flame.",
    "asks for JSON": f"{QUESTION} Answer in JSON only, with the fields pan and minutes, please.",
    "asks again": f"{QUESTION} I asked this before, but I would like to know more about the flame.",
    "pastes a reply": f"Somebody told me this:\n\n{ANSWER}\n\nIs that right? I have no such pan.",
    "pastes another chat": "Who is right?\nUser: It rained all day.\nAssistant: It did not rain.",
    "is short": "Summarise it.",
}


@pytest.mark.parametrize("name", PEOPLE)
def test_a_person_beside_a_conversation_is_not_a_chore(taken: Taken, name: str) -> None:
    """Whoever asks for a title, tags or JSON in a new chat is learned from."""
    taken(turn([user(QUESTION)], ANSWER, id="main", created_ms=5_000))
    taken(turn([user(PEOPLE[name])], "Yes.", id="person", created_ms=6_000))
    assert (taken.row("person").state, taken.row("person").reason) == ("open", None)


TEMPLATES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "shows examples": (
        "Classify the sentiment of the last review.\nReview: I love it.\nSentiment: Positive\n"
        "Review: It broke.\nSentiment: Negative\nReview: {}\nSentiment:",
        [("Great bread", "Positive"), ("Stale bread", "Negative"), ("Nice crust", "Positive")],
    ),
    "shows what was said": (
        "The following is a friendly conversation between a human and an AI.\n\n"
        "Current conversation:\n{}\nAI:",
        [
            (f"Human: {QUESTION}", ANSWER),
            (f"Human: {QUESTION}\nAI: {ANSWER}\nHuman: Too long.", "A pan will do."),
            (f"Human: {QUESTION}\nAI: {ANSWER}\nHuman: Too long.\nAI: A pan will do.\n"
             "Human: And rye?", "Rye, too."),
        ],
    ),
    "shows its steps": (
        "Answer the following question. You have one tool, search.\n\n"
        "Question: How do I bake bread?\nThought:{}",
        [("", " I search.\nAction: search"),
         (" I search.\nAction: search\nObservation: flour\nThought:", "Final answer: flour")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_that_is_filled_anew_is_no_chore(taken: Taken, name: str) -> None:
    """Programs put examples, or all that was said, into one message: each request begins alike."""
    template, filled = TEMPLATES[name]
    asked = [
        turn([user(template.format(text))], said, id=f"t{place}", created_ms=5_000 + place)
        for place, (text, said) in enumerate(filled)
    ]
    taken(*asked)
    late = [each.model_copy(update={"principal": "bob", "id": f"{each.id}-b"}) for each in asked]
    taken(*reversed(late))
    for each in (*asked, *late):
        assert (taken.row(each.id).state, taken.row(each.id).reason) == ("open", None)


@pytest.mark.parametrize(
    "elsewhere",
    [{"principal": "bob"}, {"created_ms": 10**8}],
    ids=["another's", "another hour's"],
)
def test_a_transcript_of_no_conversation_of_theirs_is_none(
    taken: Taken, elsewhere: dict[str, Any]
) -> None:
    """What somebody else said, or what was said long ago, is not beside it."""
    taken(turn([user(QUESTION)], ANSWER, id="main", created_ms=5_000))
    options: dict[str, Any] = {"id": "later", "created_ms": 6_000} | elsewhere
    taken(turn([user(TRANSCRIPTS["bold labels"])], "Bread", **options))
    assert taken.row("later").state == "open"


def guessed() -> list[Turn]:
    """A person who pastes a chat into a new one, beside it."""
    pasted = user(TRANSCRIPTS["bold labels"])
    return [
        turn([user(QUESTION)], ANSWER, id="main", created_ms=5_000),
        turn([pasted], "It should say: bread.", id="guess", created_ms=6_000),
        turn(
            [pasted, reply("It should say: bread."), user("Too long, shorter please.")],
            "Bread.", id="next", created_ms=60_000,
        ),
    ]  # fmt: skip


def test_a_guess_is_undone_when_the_conversation_goes_on(taken: Taken) -> None:
    """Clients do not go on with their chores; what the person says then counts."""
    *before, goes_on = guessed()
    taken(*before)
    assert taken.row("guess").reason == "a client's chore"
    taken(goes_on)
    assert (taken.row("guess").state, taken.row("guess").reason) == ("judged", None)


SAID_IN_IT = "It should say: bread, from a pan."
WISH = user("Too long, shorter please.")
GONE_ON_WITH: dict[str, tuple[Message, str]] = {
    "the sources moved": (wrapped(TRANSCRIPTS["bold labels"], "Rye."), SAID_IN_IT),
    "the session is named": (user("(left out)"), SAID_IN_IT),
    "white space went": (user(TRANSCRIPTS["bold labels"]), SAID_IN_IT.replace(": ", ":\n")),
}


@pytest.mark.parametrize("name", GONE_ON_WITH)
def test_a_guess_is_undone_however_a_client_goes_on_with_it(taken: Taken, name: str) -> None:
    """What was asked, or said, may come back in another form than it was sent in."""
    asked, said = GONE_ON_WITH[name]
    of: dict[str, Any] = {"session": "s"}
    taken(guessed()[0])
    taken(turn([user(TRANSCRIPTS["bold labels"])], SAID_IN_IT, id="guess", created_ms=6_000, **of))
    assert taken.row("guess").reason == "a client's chore"
    taken(turn([asked, reply(said), WISH], "Bread.", id="next", created_ms=60_000, **of))
    assert (taken.row("guess").state, taken.row("guess").score) == ("judged", -1)


def test_a_summary_that_stands_for_a_conversation_stays_a_chore(taken: Taken) -> None:
    """The client has asked for it behind what was said; what follows is said of none of it."""
    order, summary = user("Sum all of this up."), "Bread can be baked in a pan on a low flame. " * 2
    said = [user(QUESTION), reply(ANSWER)]
    taken(turn([*said, order], summary, id="sum", purpose="chore"))
    later = [order, reply(summary), WISH]
    taken(turn(later, "Bread.", id="next", created_ms=60_000))
    assert (taken.row("sum").state, taken.row("sum").next_turn) == ("untrained", "next")


SUM_UP = (
    f"Sum this up for whoever goes on with it.\n\nUser: {QUESTION}\nAssistant: {ANSWER}\n"
    "User: And without a pan?\nAssistant: Use a flat stone."
)


@pytest.mark.parametrize("purpose", ["chore", "main"])
@pytest.mark.parametrize("before", [[], [user("What did we do so far?")]])
def test_a_summary_of_one_message_stays_a_chore(
    taken: Taken, purpose: Literal["chore", "main"], before: list[Message]
) -> None:
    """Nothing was asked where the client shows it, or something else; marked or guessed, it is."""
    summary = "They want to bake bread in a pan."
    of: dict[str, Any] = {"session": "s"}
    taken(turn([user(QUESTION)], ANSWER, id="main", created_ms=5_000, **of))
    taken(turn([user(SUM_UP)], summary, id="sum", purpose=purpose, created_ms=6_000, **of))
    taken(turn([*before, reply(summary), WISH], "Bread.", id="next", created_ms=60_000, **of))
    assert taken.link("sum") == ("next", "reply", "session")
    assert (taken.row("sum").reason, taken.row("sum").score) == ("a client's chore", None)


@pytest.mark.parametrize("named", [None, "s"])
def test_what_is_marked_as_a_chore_is_not_judged_on_weak_evidence(
    taken: Taken, named: str | None
) -> None:
    """A search that is decided on may say the same short word as the reply that is complained of.

    Only who goes on with the whole of it shows that it was none.
    """
    asked, order = user("Is bread baked in a pan?"), user(f"Search? yes or no.\n\n{SUM_UP}")
    about = wrapped("Is bread baked in a pan?", "Bread.")
    taken(turn([about], "Yes.", id="main", session=named, created_ms=5_000))
    chore: dict[str, Any] = {"purpose": "chore", "session": named}
    taken(turn([order], "Yes.", id="chore", created_ms=6_000, **chore))
    taken(turn([asked, reply("Yes."), WISH], "x", id="next", session=named, created_ms=9_000))
    moved = wrapped(order.content or "", "Rye.")
    taken(turn([moved, reply("Yes."), WISH], "x", id="moved", session=named, created_ms=19_000))
    assert (taken.row("chore").state, taken.row("chore").score) == ("untrained", None)
    taken(turn([order], "No.", id="other", created_ms=29_000, **chore))
    taken(turn([order, reply("No."), WISH], "x", id="whole", session=named, created_ms=39_000))
    assert (taken.row("other").state, taken.row("other").score) == ("judged", -1)


def test_a_chore_that_is_only_quoted_stays_one(taken: Taken) -> None:
    """Behind it stands another reply, of which the words are said."""
    *before, _ = guessed()
    taken(*before)
    quoted = [wrapped(TRANSCRIPTS["bold labels"], "Rye."), reply("It should say: bread.")]
    later = [*quoted, user("And rye?"), reply("Rye, too."), WISH]
    taken(turn(later, "Bread.", id="next", created_ms=60_000))
    assert taken.row("guess").reason == "a client's chore"


def rating(principal: str) -> Feedback:
    return Feedback(
        id=f"f-{principal}", turn_id="guess", line="main", principal=principal, session="s",
        score=-1, created_ms=9_000,
    )  # fmt: skip


def test_a_guess_is_undone_when_somebody_rates_the_reply(taken: Taken) -> None:
    """Its own principal has read it; a stranger's rating changes nothing."""
    taken(*guessed()[:2])
    taken(rating("mallory"), topic="feedback")
    assert taken.row("guess").reason == "a client's chore"
    taken(rating("alice"), topic="feedback")
    assert (taken.row("guess").state, taken.row("guess").strength) == ("judged", 1.0)


def test_what_the_client_says_is_no_guess(taken: Taken) -> None:
    """A side turn, or one that must not be learned from, stays so whatever follows."""
    marks: dict[str, dict[str, Any]] = {"side": {"purpose": "side"}, "out": {"learn": False}}
    for name, options in marks.items():
        asked = [user(f"{name}: {QUESTION}")]
        taken(turn(asked, "Yes.", id=name, **options))
        taken(
            turn([*asked, reply("Yes."), user("wrong")], "x", id=f"{name} next", created_ms=9_000)
        )
    assert (taken.row("side").state, taken.row("side").reason) == ("untrained", "side turn")
    assert (taken.row("out").state, taken.row("out").reason) == ("untrained", "opted out")


def test_short_words_are_no_transcript_by_chance() -> None:
    """A greeting is found at the beginning of many lines."""
    hello = Texts(reply="Hi!", asked="Hello")
    letter = "Hello there, please check this letter for me:\nHi! I hope that you are well.\nAnn"
    assert not carries(letter, hello)
    assert carries("Title, please, in at most three words:\nUser: Hello\nAssistant: Hi!", hello)


def test_what_is_read_is_bounded(taken: Taken) -> None:
    """A megabyte of lines beside a conversation is told apart like any other request."""
    taken(turn([user(QUESTION)], ANSWER, id="main", created_ms=5_000))
    long = "a: b\n" * 200_000
    taken(turn([Message(role="user", content=long)], "x", id="long", created_ms=6_000))
    assert taken.row("long").state == "open"
