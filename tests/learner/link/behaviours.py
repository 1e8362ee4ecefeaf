"""What clients do with a conversation between two requests, and how much of it is linked.

    python -m tests.learner.link.played    # each behaviour: replies to link, linked, wrong

Shapes are those of the clients named, written down from their sources; what people say is made up.
"""

import html
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from streams.records import Message
from tests.learner.link.agents import (
    LONG,
    REFORMATTED,
    compacted,
    continued_by_name,
    parallel_tools,
    split_reply,
    tools,
)  # fmt: skip
from tests.learner.link.reshaped import (
    STOPPED,
    calls_one_by_one,
    calls_reshaped,
    front_left_out,
    middle_left_out,
    moving_details,
    moving_examples,
    names_in_front,
    note_behind,
    old_replies_dropped,
    rendered,
    signs_dropped,
    stopped_and_marked,
    trimmed_questions,
)  # fmt: skip
from tests.learner.link.script import (
    BREAD,
    RYE,
    SHORT,
    Behaviour,
    Step,
    ask,
    plain,
    replies_changed,
    reply,
    system,
    user,
)  # fmt: skip


def clock(minute: int) -> Message:
    return system(f"You are a helpful assistant.\nCurrent time: 2026-03-01 12:{minute:02d}")


def moving_system() -> list[Step]:
    return [
        Step([clock(place), *step.messages], step.reply, step.follows)
        for place, step in enumerate(plain())
    ]


def memories() -> list[Step]:
    notes = ["", "\n- The user bakes.", "\n- The user bakes.\n- The user likes short answers."]
    return [
        Step(
            [system(f"# Memories{note}"), *step.messages],
            step.reply,
            step.follows,
        )
        for note, step in zip(notes, plain(), strict=True)
    ]


def developer_notes() -> list[Step]:
    """A note of the developer's comes and goes in the middle."""
    one, two, three = plain()
    note = Message(role="developer", content="The user has opened bread.md.")
    return [
        one,
        Step([*two.messages[:-1], note, two.messages[-1]], two.reply, two.follows),
        Step([*three.messages[:1], note, *three.messages[1:]], three.reply, three.follows),
    ]


def wrapped(question: str, page: str) -> Message:
    return user(
        "### Task:\nRespond to the user query using the provided context.\n"
        f'<context>\n<source id="1">{page}</source>\n</context>\n\n'
        f"<user_query>\n{question}\n</user_query>"
    )


def retriever() -> list[Step]:
    """Open WebUI puts what it found around the last message, and keeps the question alone."""
    one, two = "How do I bake bread?", "Too long, please."
    return [
        ask(wrapped(one, "Bread needs flour."), says=BREAD),
        ask(user(one), reply(BREAD), wrapped(two, "Rye is a grain."), says=SHORT, follows=0),
        ask(
            user(one), reply(BREAD), user(two), reply(SHORT), wrapped("And with rye?", "Rye."),
            says=RYE, follows=1,
        ),
    ]  # fmt: skip


def retriever_unwraps_later() -> list[Step]:
    """The question comes first, and what was found behind it."""

    def with_pages(question: str) -> Message:
        return user(f"{question}\n\nUse these pages:\n1. Bread needs flour.\n2. Rye is a grain.")

    one, two = "How do I bake bread?", "Too long, please."
    return [
        ask(with_pages(one), says=BREAD),
        ask(user(one), reply(BREAD), with_pages(two), says=SHORT, follows=0),
        ask(user(one), reply(BREAD), user(two), reply(SHORT), user("Good."), says=RYE, follows=1),
    ]


ANSWERS = (BREAD, SHORT, RYE, "As with wheat, but with less water.", "The one that you like.")


def window(size: int, answers: Sequence[str] = ANSWERS) -> list[Step]:
    """The client that sends the last messages only, with a system prompt."""
    questions = ["How do I bake bread?", "Too long, please.", "And with rye?", "And with spelt?",
                 "Which is the best?"]  # fmt: skip
    steps, history = [], list[Message]()
    for place, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        history.append(user(question))
        steps.append(
            ask(
                system("Be kind."), *history[-size:],
                says=answer, follows=place - 1 if place else None,
            )
        )  # fmt: skip
        history.append(reply(answer))
    return steps


# Replies of nobody else's: two messages of a window are the beginning of another.
BRIEF = ("Mix, wait, bake.", "Do bake it.", "Mix in a third.", "Mix in less water.", "Yours.")


def window_and_clock() -> list[Step]:
    return [
        Step([clock(place), *step.messages[1:]], step.reply, step.follows)
        for place, step in enumerate(window(4))
    ]


def thinking(place: int = 0) -> list[Step]:
    """The client drops what the model thought."""
    marks = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]"))
    begin, end = marks[place]

    def given(text: str) -> str:
        return f"{begin}They want {len(text)} letters.{end}\n\n{text}"

    def back(text: str) -> str:
        return text.partition(end)[2].strip()

    return replies_changed(back, given=given)


def thinking_in_details() -> list[Step]:
    """Open WebUI keeps a thought as a <details> block and sends the block back."""

    def given(text: str) -> str:
        return f"<think>A thought.</think>\n{text}"

    def back(text: str) -> str:
        said = text.partition("</think>")[2]
        summary = "<summary>Thought for 1 second</summary>\n&gt; A thought."
        return f'<details type="reasoning" done="true" duration="1">\n{summary}\n</details>\n{said}'

    return replies_changed(back, given=given)


def merged_users() -> list[Step]:
    """Two messages in a row become one in the next request (llama.cpp, Anthropic's form)."""
    asked = [user("I have flour."), user("How do I bake bread?")]
    both = user("I have flour.\n\nHow do I bake bread?")
    return [
        ask(*asked, says=BREAD),
        ask(both, reply(BREAD), user("Too long, please."), says=SHORT, follows=0),
    ]


def split_users() -> list[Step]:
    """One message becomes two in the next request."""
    both = user("I have flour.\nHow do I bake bread?")
    parts = [user("I have flour."), user("How do I bake bread?")]
    return [
        ask(both, says=BREAD),
        ask(*parts, reply(BREAD), user("Too long, please."), says=SHORT, follows=0),
    ]


def trimmed() -> list[Step]:
    """The client keeps the first 40 characters of each reply."""
    return replies_changed(lambda text: text[:40] + "…" if len(text) > 40 else text)


def footnotes() -> list[Step]:
    """The client puts its sources behind each reply."""
    return replies_changed(lambda text: f"{text}\n\nSources: [1] bread.example")


def stopped() -> list[Step]:
    """Somebody stops a reply, and goes on with what was shown."""
    asked = user("How do I bake bread?")
    return [
        ask(asked, says=BREAD, finish_reason="cancelled", delivered=False),
        ask(asked, reply(BREAD[:12]), user("Shorter, please."), says=SHORT, follows=0),
        ask(
            asked, reply(BREAD[:12]), user("Shorter, please."), reply(SHORT), user("Good."),
            says="Fine.", follows=1,
        ),
    ]  # fmt: skip


def named_session(**other: Any) -> list[Step]:
    """A named session whose client rewrites the questions in its history."""
    name = {"session": "chat-7"} | other
    return [
        ask(user("[12:00] ann: How do I bake bread?"), says=BREAD, **name),
        ask(
            user("(earlier) the user asks for bread"), reply(BREAD), user("[12:01] ann: Too long."),
            says=SHORT, follows=0, **name,
        ),
        ask(
            user("(earlier) bread, too long"), reply(SHORT), user("[12:02] ann: Good."),
            says="Fine.", follows=1, **name,
        ),
    ]  # fmt: skip


def edited() -> list[Step]:
    """Somebody goes back, and asks otherwise; both go on from the first reply."""
    one = [user("How do I bake bread?"), reply(BREAD)]
    return [
        ask(one[0], says=BREAD),
        ask(*one, user("Too long, please."), says=SHORT, follows=0),
        ask(*one, user("With rye, please."), says=RYE, follows=1),
    ]


def asked_twice() -> list[Step]:
    """The same question in two chats, with two replies; the second chat goes on."""
    asked = user("How do I bake bread?")
    return [
        ask(asked, says=BREAD),
        ask(asked, says=SHORT),
        ask(asked, reply(SHORT), user("Good."), says="Fine.", follows=1),
    ]


def dated_questions() -> list[Step]:
    """The client puts the time before the newest message only."""
    one, two, three = plain()
    steps = []
    for place, step in enumerate((one, two, three)):
        *before, last = step.messages
        stamped = user(f"[2026-03-01 12:{place:02d}] {last.content}")
        steps.append(Step([*before, stamped], step.reply, step.follows))
    return steps


def stamped_anew() -> list[Step]:
    """The client puts the time of now before every question, old ones too; replies are short."""
    said = {BREAD: "Knead it.", SHORT: "Bake it.", RYE: "Take less."}

    def stamp(minute: int, message: Message) -> Message:
        text = message.content or ""
        if message.role != "user":
            return reply(said[text])
        return user(f"(2026-03-01 12:{minute:02d}) {text}")

    return [
        Step([stamp(place, m) for m in step.messages], stamp(place, step.reply), step.follows)
        for place, step in enumerate(plain())
    ]


# What clients put around every message, old ones too, each time with what it is now.
FRAMES = {
    "how long ago": ("[{0} minutes ago] ", ""),
    "the hour in words": ("(it is {1} o'clock) ", ""),
    "the week": ("2026-W1{0}-3 ", ""),
    "the request's id": ("req-9f3a1{0}: ", ""),
    "where the speaker is": ("Location: lat 48.{0}\nBattery: 9{0}%\n\n", ""),
    "what is left": ("", "\n\n[tokens left: 82{0}9]"),
    "a count of turns": ("", "\n(turn {0} of 10)"),
}


def framed(name: str) -> list[Step]:
    """The client puts a head or a foot that moves around every message; replies are short."""
    said = {BREAD: SHORT, SHORT: "Bake it for a shorter time.", RYE: RYE}

    def frame(place: int, message: Message) -> Message:
        text = message.content or ""
        if message.role != "user":
            return reply(said[text])
        moved = place + 1, ("nine", "ten", "eleven")[place]
        head, foot = (part.format(*moved) for part in FRAMES[name])
        return user(f"{head}{text}{foot}")

    return [
        Step([frame(place, m) for m in step.messages], frame(place, step.reply), step.follows)
        for place, step in enumerate(plain())
    ]


def surrounded(before: bool) -> list[Step]:
    """The client puts other pages around each question every time, old ones too, without a label.

    before: the pages come first
    """
    said = {BREAD: "Knead it.", SHORT: "Bake it.", RYE: "Take less."}
    pages = ["Wheat has gluten.", "An oven is hot.", "Rye is a grain. It is dark."]

    def put(place: int, message: Message) -> Message:
        text, page = message.content or "", pages[place]
        if message.role != "user":
            return reply(said[text])
        return user(f"{page}\n\n{text}" if before else f"{text}\n\n{page}")

    return [
        Step([put(place, m) for m in step.messages], put(place, step.reply), step.follows)
        for place, step in enumerate(asking())
    ]


def asking() -> list[Step]:
    """The client that changes nothing, and always asks."""
    one = [user("How do I bake bread in a pan?")]
    two = [*one, reply(BREAD), user("Could you say that in a shorter way?")]
    three = [*two, reply(SHORT), user("And how is that with rye?")]
    return [
        ask(*one, says=BREAD),
        ask(*two, says=SHORT, follows=0),
        ask(*three, says=RYE, follows=1),
    ]


def in_paragraphs(text: str) -> str:
    """A reply as HTML."""
    return "".join(f"<p>{line}</p>" for line in text.split("\n"))


def every() -> list[Behaviour]:
    """All behaviours."""

    def nfd(text: str) -> str:
        return unicodedata.normalize("NFD", text)

    def twice(text: str) -> str:
        return html.escape(html.escape(text))

    def crlf(text: str) -> str:
        return text.replace("\n", "\r\n")

    made: Iterable[tuple[str, list[Step]]] = (
        ("sends everything back as it was (openai, chat page)", plain()),
        ("has a clock in the system prompt (Open WebUI, LibreChat)", moving_system()),
        ("has memories in the system prompt (mem0, Open WebUI)", memories()),
        ("has developer's notes that come and go (opencode, Cline)", developer_notes()),
        ("wraps the last question in what it found (Open WebUI)", retriever()),
        ("puts what it found behind the question (Continue)", retriever_unwraps_later()),
        ("stamps the time on the newest question", dated_questions()),
        ("stamps the time of now on every question", stamped_anew()),
        *((f"puts {name} around every message, anew", framed(name)) for name in FRAMES),
        ("sends the last four messages only", window(4)),
        ("sends the last three messages only", window(3)),
        ("sends the last two messages only", window(2, BRIEF)),
        ("sends the last four messages, with a clock", window_and_clock()),
        ("drops what was thought in <think>", thinking(0)),
        ("drops what was thought in <thinking>", thinking(1)),
        ("drops what was thought in [THINK]", thinking(2)),
        ("keeps thoughts as <details> (Open WebUI)", thinking_in_details()),
        ("trims white space (LangChain)", replies_changed(str.strip, given=" {}\n\n".format)),
        ("writes CRLF", replies_changed(crlf, given=lambda t: t.replace(", ", ",\n"))),
        ("sends NFD for NFC (macOS)", replies_changed(nfd, given="Crème brûlée: {}".format)),
        ("escapes for HTML", replies_changed(html.escape, given="Salt & <flour>: {}".format)),
        ("sends a tool's result back (Agents SDK)", tools()),
        ("puts other pages before every question, without a label", surrounded(True)),
        ("puts other pages behind every question, without a label", surrounded(False)),
        ("sends HTML lines", replies_changed(in_paragraphs, given="```py\nx()\n```\n{}".format)),
        ("puts where a tool is before its name", tools(name="mcp__sky__weather")),
        ("renames tool call ids (LangChain, LiteLLM)", tools(id="chatcmpl-tool-9")),
        ("re-formats tool arguments (AI SDK)", tools(arguments=REFORMATTED)),
        ("re-orders parallel results under other ids", parallel_tools()),
        ("merges adjacent user messages", merged_users()),
        ("splits a user message", split_users()),
        ("splits words and call of a reply (LangChain)", split_reply()),
        ("trims replies to 40 characters", trimmed()),
        ("puts footnotes behind replies (Open WebUI)", footnotes()),
        ("keeps what was shown of a stopped reply", stopped()),
        ("names the session, and rewrites history (X-Session-Id)", named_session()),
        ("names the reply it goes on from (Responses API)", continued_by_name()),
        ("edits a question (Open WebUI, LibreChat)", edited()),
        ("asks the same in two chats", asked_twice()),
        ("replaces the history by a summary (aider, Cline)", compacted(LONG)),
        ("replaces the history by a summary, the last reply short", compacted(SHORT)),
        ("keeps what it shows of Markdown (Slack, Telegram)", rendered()),
        ("leaves the middle of replies out", middle_left_out()),
        ("leaves the front of replies out", front_left_out()),
        *((f"marks what was stopped: {mark}", stopped_and_marked(mark)) for mark in STOPPED),
        ("puts words of its own behind replies", note_behind()),
        ("puts its name in front of replies (Discord)", names_in_front()),
        ("replaces old replies by a mark", old_replies_dropped()),
        ("shows other examples before each question", moving_examples()),
        ("rewrites the details in old questions (Cline)", moving_details()),
        ("trims questions to 14 characters", trimmed_questions()),
        ("drops what chooses a sign's picture", signs_dropped()),
        ("escapes for HTML twice", replies_changed(twice, given="Salt & <flour>: {}".format)),
        ("loses words beside a call, and its empty arguments", calls_reshaped()),
        ("tells parallel calls one by one", calls_one_by_one()),
    )  # fmt: skip
    return [Behaviour(name, steps) for name, steps in made]
