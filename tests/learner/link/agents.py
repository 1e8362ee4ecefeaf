"""What agents and their frameworks do: tools, names instead of histories, compaction."""

from streams.records import Message
from tests.learner.link.script import (
    BREAD,
    RYE,
    SHORT,
    Step,
    ask,
    call,
    plain,
    reply,
    result,
    user,
)  # fmt: skip

CALL = '{"city": "Rome", "days": 2, "units": ["c", "f"]}'
REFORMATTED = '{"units":["c","f"],"days":2.0,"city":"Rome"}'


def tools(
    *, id: str = "call_1", arguments: str = CALL, sent: bool = True, name: str = "weather"
) -> list[Step]:
    """The agent that sends a tool's result back.

    id, arguments, name: of the call as the client sends it back
    sent: the call's content is "", where it was none
    """
    asked = user("What is the weather in Rome?")
    told = call("weather", CALL)
    back = call(name, arguments, id, content="" if sent else None)
    answer = "Rain today, sun tomorrow: take an umbrella and leave it there."
    return [
        ask(asked, says=told),
        ask(asked, back, result("rain, then sun", id), says=answer, follows=0),
        ask(
            asked, back, result("rain, then sun", id), reply(answer), user("In Fahrenheit?"),
            says="Sixty, then seventy.", follows=1,
        ),
    ]  # fmt: skip


def parallel_tools() -> list[Step]:
    """Results of parallel calls come back in another order, under other ids."""
    calls = Message(
        role="assistant",
        tool_calls=[
            {"id": f"call_{c}", "type": "function", "function": {"name": "weather", "arguments": a}}
            for c, a in (("a", '{"city": "Rome"}'), ("b", '{"city": "Oslo"}'))
        ],
    )
    renamed = calls.model_copy(
        update={
            "tool_calls": [{**each, "id": f"x{n}"} for n, each in enumerate(calls.tool_calls or [])]
        }
    )
    asked = user("What is the weather in Rome and Oslo?")
    results = [result("snow", "x1"), result("sun", "x0")]
    answer = "Sun in Rome, snow in Oslo."
    return [
        ask(asked, says=calls),
        ask(asked, renamed, *results, says=answer, follows=0),
        ask(
            asked, renamed, *results[::-1], reply(answer), user("Thanks!"),
            says="Any time.", follows=1,
        ),
    ]  # fmt: skip


def split_reply() -> list[Step]:
    """A reply with words and a call becomes two messages (LangChain's agents)."""
    asked = user("What is the weather in Rome?")
    told = call("weather", CALL, content="I will look it up.")
    return [
        ask(asked, says=told),
        ask(
            asked, reply("I will look it up."), call("weather", CALL), result("rain"),
            says="Rain.", follows=0,
        ),
    ]  # fmt: skip


def continued_by_name() -> list[Step]:
    """The Responses API: the client names the reply and sends only what is new."""
    return [
        ask(user("How do I bake bread?"), says=BREAD, id="resp-1"),
        ask(user("Too long, please."), says=SHORT, follows=0, id="resp-2", **{"from": "resp-1"}),
        ask(user("And with rye?"), says=RYE, follows=1, id="resp-3", **{"from": "resp-2"}),
    ]


LONG = "Bake it hotter in the first ten minutes, with a bowl of water below it, then open the door."


def compacted(kept: str) -> list[Step]:
    """The client replaces the history by a summary, and keeps the last exchange (aider, Cline).

    kept: the reply of that exchange
    """
    one, two = plain()[:2]
    summary = user("I spoke to you previously about a number of things.\n- Bread.")
    shown = [summary, reply("Ok."), two.messages[-1], reply(kept), user("And with rye?")]
    return [one, Step(two.messages, reply(kept), two.follows), Step(shown, reply(RYE), 1)]
