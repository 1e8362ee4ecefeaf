"""What clients do to the shape of replies and questions: render, mark, shorten, surround."""

from collections.abc import Callable

from streams.records import Message
from tests.learner.link.agents import CALL
from tests.learner.link.script import (
    BREAD,
    RYE,
    SHORT,
    Step,
    ask,
    call,
    changed,
    plain,
    replies_changed,
    reply,
    result,
    user,
)  # fmt: skip

ASKED = user("How do I bake bread?")
# What chat programs put behind a reply that somebody has stopped.
STOPPED = ("[interrupted]", "*[Response interrupted by user]*", "(stopped)", "⏹", "【已停止】")


def rendered() -> list[Step]:
    """The client keeps what it shows: bold, bullets and links are gone (Slack, Telegram)."""

    def given(text: str) -> str:
        return f"**{text}**\n\n- [more](https://bread.example/a?b)"

    def back(text: str) -> str:
        return f"• {text.partition('**')[2].partition('**')[0]}\n\n• more"

    return replies_changed(back, given=given)


def middle_left_out() -> list[Step]:
    """The client keeps beginning and end of each long reply."""
    return replies_changed(lambda t: f"{t[:20]}\n[...]\n{t[-20:]}" if len(t) > 40 else t)


def front_left_out() -> list[Step]:
    """The client keeps the end of each long reply."""
    return replies_changed(lambda t: f"…{t[-30:]}" if len(t) > 40 else t)


def stopped_and_marked(mark: str) -> list[Step]:
    """Somebody stops a reply, and the client says so behind what was shown."""
    shown = reply(f"{BREAD[:12]}\n\n{mark}")
    return [
        ask(ASKED, says=BREAD, finish_reason="cancelled", delivered=False),
        ask(ASKED, shown, user("Shorter, please."), says=SHORT, follows=0),
    ]


def note_behind() -> list[Step]:
    """The client says something of its own after each reply."""
    two = [ASKED, reply(SHORT), reply("(3 pages read)"), user("Too short.")]
    return [ask(ASKED, says=SHORT), ask(*two, says=BREAD, follows=0)]


def names_in_front() -> list[Step]:
    """A chat room's bot has its own name before what it said (Discord, IRC)."""
    return replies_changed(lambda text: f"Baker: {text}")


def old_replies_dropped(mark: str = "[omitted]") -> list[Step]:
    """The client keeps the newest reply alone, and a mark for the others."""
    one, two, _ = plain()
    asked = [ASKED, reply(mark), user("Too long, please."), reply(SHORT), user("And with rye?")]
    return [one, two, ask(*asked, says=RYE, follows=1)]


def moving_examples() -> list[Step]:
    """The client shows other examples before each request, found for its words."""
    one, two = ([user(f"Example {n}?"), reply(f"Answer {n}.")] for n in (1, 2))
    return [
        ask(*one, ASKED, says=BREAD),
        ask(*two, ASKED, reply(BREAD), user("Too long."), says=SHORT, follows=0),
    ]


def moving_details() -> list[Step]:
    """The client puts what is open now into every question, old ones too (Cline)."""

    def told(minute: int) -> Callable[[Message], Message]:
        def tell(message: Message) -> Message:
            if message.role != "user":
                return message
            about = f"<environment_details>\n12:{minute:02d}\n</environment_details>"
            return message.model_copy(update={"content": f"{message.content}\n{about}"})

        return tell

    return [
        Step([*map(told(place), step.messages)], step.reply, step.follows)
        for place, step in enumerate(plain())
    ]


def trimmed_questions() -> list[Step]:
    """The client keeps the first 14 characters of each old question."""

    def trim(message: Message) -> Message:
        if message.role != "user":
            return message
        text = message.content or ""
        return user(text[:14] + "…" if len(text) > 14 else text)

    return changed(trim)


def signs_dropped() -> list[Step]:
    """A database drops what chooses between a sign and its picture, and marks of direction."""
    return replies_changed(
        lambda text: text.replace("\ufe0f", "").replace("\u200e", ""), given="☀️ \u200e{}".format
    )


def calls_reshaped() -> list[Step]:
    """The words beside a call are lost, and empty arguments are sent as nothing."""
    told = call("weather", "{}", content="I will look it up.")
    back = call("weather", "", content="")
    return [ask(ASKED, says=told), ask(ASKED, back, result("rain"), says="Rain.", follows=0)]


def calls_one_by_one() -> list[Step]:
    """Parallel calls come back as if they had been made one after the other."""
    one, other = call("weather", CALL, "a"), call("clock", "{}", "b")
    both = Message(
        role="assistant", tool_calls=[*(one.tool_calls or []), *(other.tool_calls or [])]
    )
    back = [one, result("rain", "a"), other, result("noon", "b")]
    return [ask(ASKED, says=both), ask(ASKED, *back, says="Rain at noon.", follows=0)]
