"""What clients put around a person's words is taken off, and nothing else is."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.judges.judge import Judge
from learner.judges.lexical import LexicalJudge
from learner.judges.reading.wrapping import MOST_RULES_CHARS, unwrapped
from learner.link.conversation import Link
from streams.records import Message
from tests.learner.turns import said, turn

RULES = "\n\n# Rules\n\nEvery *block* must use this format:\n1. The file path alone on a line."
FOUND = (
    "### Task:\nRespond to the user query using the provided context, with citations.\n\n"
    "<context>\n<source id=\"1\">This is wrong. Thank you.</source>\n</context>\n\n"
)  # fmt: skip


def score(asked: str, words: str) -> int | None:
    """What the word lists hear."""
    judge: Judge = LexicalJudge()
    first = turn(said(asked), "Mix flour and water, and let it rise for a night.")
    link = Link(first.id, "reply", (Message(role="user", content=words),), 2_000)
    judged = judge.judge(first, link)
    return None if judged is None else judged.score


def test_rules_behind_every_message_are_the_clients() -> None:
    """aider repeats its rules; what stands in front of them is heard."""
    assert score(f"How do I bake bread?{RULES}", f"Too long. Shorter please.{RULES}") == -1
    assert score("How do I bake bread?", f"Too long. Shorter please.{RULES}") != 1


def test_a_question_behind_what_was_found_is_the_persons() -> None:
    """Open WebUI's retriever, with the question between tags or behind the context."""
    for wrapped in (f"{FOUND}<user_query>\nToo long.\n</user_query>\n", f"{FOUND}Too long."):
        assert score("How do I bake bread?", wrapped) == -1
        assert score(f"{FOUND}How?", wrapped) == -1
    assert score("How do I bake bread?", f"{FOUND}And with rye?") == 0


def test_quotes_around_both_are_the_command_lines() -> None:
    """opencode puts its arguments in quotation marks; somebody who quotes once quotes."""
    assert score('"How do I bake bread?"', '"Too long, please."') == -1
    assert score("How do I bake bread?", '"Too long, please."') == 0


FRAMES = [  # around the question, and around what came after the reply
    ("[3 minutes ago] {}", "[1 minute ago] {}"),
    ("[just now] {}", "[just now] {}"),
    ("[12:00] {}", "[12:01] {}"),
    ("[2026-03-01 12:00] {}", "[2026-03-01 12:01] {}"),
    ("2026-03-01T12:00:01Z {}", "2026-03-01T12:00:31Z {}"),
    ("Current time: 12:00\n{}", "Current time: 12:01\n{}"),
    ("req-9f3a1c: {}", "req-77be02: {}"),
    ("Location: lat 48.1\nBattery: 90%\n\n{}", "Location: lat 48.2\nBattery: 89%\n\n{}"),
    ("{}\n\n[tokens left: 8269]", "{}\n\n[tokens left: 731]"),
    ("{}\n(turn 2 of 10)", "{}\n(turn 3 of 10)"),
    ("[request id: 9f3a1c] {}", "[request id: 77be02] {}"),
    ("[2 new mails, battery 90%]\n{}", "[1 new mail, battery 9%]\n{}"),
    ("Local time: 12:00\nBattery: 90%\n\n{}", "Local time: 12:05\nBattery: 89%\n\n{}"),
]


@pytest.mark.parametrize(("before", "later"), FRAMES)
def test_what_moves_around_every_message_is_the_clients(before: str, later: str) -> None:
    """A clock, an id, where somebody is, what is left: what stands between is heard."""
    asked = before.format("How do I bake bread?")
    heard = [score(asked, later.format(x)) for x in ("Too long, please.", "Thanks!", "And rye?")]
    assert heard == [-1, 1, 0]


@pytest.mark.parametrize(
    "frame",
    [
        "[sensor {}] ", "[worker-{}] ", "[ERROR {}] ", "[Alert #{}] ", "Status: {}\nLoad: 3\n\n",
        "task-9f3a1{}: ", "From: Ann\nDate: {} March\n\n", "Host: x1\nLoad: {}\n\n",
    ],
)  # fmt: skip
def test_what_a_program_or_a_letter_begins_with_is_no_frame(frame: str) -> None:
    """Whatever follows it: nobody says it of the reply."""
    asked = f"{frame.format(3)}How do I bake bread?"
    assert score(asked, f"{frame.format(4)}That's wrong.") in (None, 0)
    log = "[2026-03-01 12:00] build started", "[2026-03-01 12:01] That's wrong."
    assert score(*log) is None


@pytest.mark.parametrize(
    "item",
    [
        "[Review {}] ", "[Comment {}] ", "[Row {}] ", "[Email {} of 5]\n", "[Customer 207{}] ",
        "[Speaker {}] ", "[User {}] ", "[Player {}] ", "[Sentence {}] ", "[pid 418{}] ",
        "[attempt {}] ", "[Mail {}] ", "[Message {}] ", "[Turn {}] ", "[Request {}] ",
        "[file{}.txt] ",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "words",
    ["Too long, and boring. Not what I wanted.", "Thanks!", "That did not work: error in line 3"],
)
def test_a_noun_and_a_number_name_what_is_handed_over(item: str, words: str) -> None:
    """Reviews, rows, mails and others' words, one a message, are no word about the reply."""
    assert score(f"{item.format(1)}Great lamp!", f"{item.format(2)}{words}") is None
    assert score(f"{item.format(1)}How do I bake bread?", f"{item.format(2)}{words}") is None


def test_what_a_sale_says_of_itself_is_no_clients_state() -> None:
    """Lines of what is what, with somebody's review behind them."""
    sale = "Product: Lamp\nStars: {}\n\n{}"
    assert not score(sale.format(5, "Great."), sale.format(1, "That's wrong, it does not work."))


@pytest.mark.parametrize("name", ["monitor", "sshd", "bob"])
def test_another_speaker_behind_a_moment_is_not_heard(name: str) -> None:
    """Names stand behind both moments: the time goes with the name, or not at all."""
    asked = "[12:00] ann: How do I bake bread?"
    assert score(asked, f"[12:01] {name}: That did not work.") is None


def test_a_frame_around_nothing_stays() -> None:
    """Something is always left of what was said, and of the question."""
    for both in (("[Photo 1]\nWhat?", "[Photo 2]"), ("[2 new mails] What?", "[1 new mail]")):
        assert unwrapped(*both) == both
        assert unwrapped(*both[::-1]) == both[::-1]


def test_the_same_message_again_keeps_what_stands_in_front() -> None:
    """Rules go from it as ever; of what is rules alone something is left."""
    whole = f"Fix it{RULES}"
    assert unwrapped(whole, whole) == ("Fix it", "Fix it")
    assert unwrapped(RULES, RULES) == (RULES, RULES)


@given(asked=st.text(), said_after=st.text(), tail=st.sampled_from(["", RULES]))
def test_what_is_left_stood_there(asked: str, said_after: str, tail: str) -> None:
    """Words are taken off and never made up, and something is always left of what was said."""
    asked, said_after = asked + tail, said_after + tail
    left = unwrapped(asked, said_after)
    assert left[0] in asked
    assert left[1] in said_after
    assert bool(left[1]) == bool(said_after)


def test_a_megabyte_costs_little() -> None:
    """What is compared is bounded."""
    long = "a\n\n" * 400_000
    assert 0 <= len(long) - len(unwrapped(long, long)[1]) <= MOST_RULES_CHARS + 2


TOLD = "# Open tabs\na.py: this is wrong. Thank you.\n<cwd>/home/ann</cwd>"
TAGS = (
    "system-reminder", "environment_details", "environment_context", "user_info", "attached_files",
    "additional_data", "workspace_info", "editorContext", "reminderInstructions", "context",
    "ide_opened_file", "ide_selection", "memory", "current_time", "cursor_rules", "git_status",
)  # fmt: skip
NAMED = ("user_query", "userRequest", "feedback", "task", "user_message")


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize(
    ("words", "verdict"),
    [("Too long. Shorter please.", -1), ("Great, thanks!", 1), ("And rye?", 0)],
)
def test_what_a_client_tells_beside_the_words_is_not_theirs(
    tag: str, words: str, verdict: int
) -> None:
    """Coding agents put what the editor shows around each message; the person is heard as ever."""
    block = f"<{tag}>\n{TOLD}\n</{tag}>"
    asked = "How do I bake bread?"
    shown = [f"{block}\n{words}", f"{words}\n\n{block}", f"{block}\n{words}\n{block}"]
    shown += [f"{block}\n<{name}>\n{words}\n</{name}>" for name in NAMED]
    for each in shown:
        assert score(asked, each) == score(f"{block}\n{asked}", each) == verdict
    assert not score(asked, block)


@pytest.mark.parametrize("tag", ["tool_response", "result", "observation", "error", "exit_status"])
def test_what_a_tool_says_stays_a_programs(tag: str) -> None:
    """Its tags are no client's, whatever stands beside them."""
    for text in (f"<{tag}>\n{TOLD}\n</{tag}>", f"<{tag}>{TOLD}</{tag}>\nToo long."):
        assert unwrapped("Fix it", text) == ("Fix it", text)
        assert not score("Fix it", text)


@pytest.mark.parametrize("hostile", ["<context>", "<context ", "<a_info>x</a_info>", "</context>"])
def test_hostile_tags_take_linear_time(hostile: str) -> None:
    """A megabyte of them."""
    text, begun = hostile * (2**20 // len(hostile)), time.process_time()
    unwrapped(text, f"{text}y")
    assert time.process_time() - begun < 5


BRIDGES = (
    "[12:0{} PM] {}: ", "[2026-11-27 12:0{}] {}: ", "[27/11/2026, 12:0{}:11] **{}**: ",
    "[Discord Guild #bread id:1 2026-11-27 12:0{} UTC] {}: ",
)  # fmt: skip


@pytest.mark.parametrize("bridge", [*BRIDGES, "@{1}:home{0}: "])
def test_time_and_name_in_front_of_both_are_the_bridges(bridge: str) -> None:
    """The same person before and after the reply; no other's words, and no program's reports."""
    ann = bridge.format(1, "ann")
    later = ann if bridge.startswith("@") else bridge.format(9, "ann")
    asked = f"{ann}How do I bake bread?"
    assert score(asked, f"{later}Too long. Shorter please.") == -1
    assert score(asked, f"{later}And with rye?") == 0
    assert not score(asked, f"{bridge.format(9, 'bob')}Too long. Shorter please.")
    assert not score("How do I bake bread?", f"{later}Too long. Shorter please.")
    if not bridge.startswith("@"):
        for name in ("cron", "error", "build", "monitor", "node 7"):
            front = bridge.format(1, name)
            assert not score(f"{front}disk is full", f"{front}That's wrong.")


@pytest.mark.parametrize("order", ["Translate", "Say it politely", "Rewrite this", "Read aloud"])
def test_an_order_in_front_of_both_is_no_name(order: str) -> None:
    """The text behind it is to be worked on."""
    assert not score(f"{order}: Good morning", f"{order}: That's wrong.")


REPLIED = "Mix flour and water, and let it rise for a night."


@pytest.mark.parametrize(("words", "verdict"), [("That's wrong.", -1), ("Thanks!", 1), ("Why?", 0)])
@pytest.mark.parametrize("quoted", [REPLIED, "let it rise for a night", "Mix flour\nand water"])
def test_a_quote_of_the_reply_says_what_is_meant(quoted: str, words: str, verdict: int) -> None:
    """Mails and messengers quote it before or behind; what else is quoted is pasted."""
    lines = "\n".join(f"> {line}" for line in quoted.split("\n"))
    wrote = "On Fri, Nov 27, 2026 Quickset <b@x.example> wrote:"
    for text in (f"{lines}\n{words}", f"{words}\n\n{lines}", f"{words}\n\n{wrote}\n{lines}"):
        assert score("How do I bake bread?", text) == verdict
    assert not score("How do I bake bread?", lines)
    if verdict < 0:
        assert not score("How do I bake bread?", f"> They told me to {quoted}\n{words}")


BODIES = (
    "<p>{}</p>", '<div dir="ltr">{}<br></div>', "<html><body><div>{}</div>\n</body></html>",
    '<p>{}</p><div class="gmail_quote">On Friday the bot wrote:<br><p>Thank you.</p></div>',
    "<div><div>{}</div><blockquote><p>That's wrong.</p><br></blockquote></div>",
    "<!DOCTYPE html><html><head><style>p {{}}</style></head><body><p>{}</p></body></html>",
)  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    ("words", "verdict"),
    [("That&#39;s <b>wrong</b>.", -1), ("Great, thanks!", 1), ("And&nbsp;rye?", 0)],
)
def test_an_office_chat_writes_markup(body: str, words: str, verdict: int) -> None:
    """Where both are bodies in HTML the person typed no tag; what they quote is not theirs."""
    asked = BODIES[0].format("How do I bake bread?")
    assert score(asked, body.format(words)) == verdict
    assert not score("How do I bake bread?", body.format(words))


@pytest.mark.parametrize("hostile", ["<p>", "<p ", "</p>", "<blockquote>", "&lt;", "<!--", "<p a="])
def test_hostile_markup_takes_linear_time(hostile: str) -> None:
    """A megabyte of it, and as much as is read."""
    for size in (2**20, 16_000):
        text, begun = f"<p>{hostile * (size // len(hostile))}</p>", time.process_time()
        unwrapped(text, f"{text}</p>")
        assert time.process_time() - begun < 5
