"""Tools of the agent's own in an ask: offered to the model, and called where somebody allowed it.

Knows nothing of HTTP, or of where the tools are.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from agent.errors import InvalidError
from agent.tools.served import Made, Result, Served, Toolbox
from agent.turn.ask import Approval, Ask, Chosen
from agent.turn.own.allowed import Allowed
from streams.records import Json, Message

DENIED: Final = "{name} was not called: whoever was asked did not allow it"
NO_ROOM: Final = "the result is left out: it does not fit into the context, or cannot be read"
SPENT: Final = "{name} was not called: the time for calls of tools is used up"


def offer(ask: Ask, tools: dict[str, Served]) -> Ask:
    """Return the ask with these tools beside the client's; of one name the client's counts.

    Those of a server are offered as the request has chosen: fewer, or more of them with approval.
    None are offered where the reply is held to a form, goes on with a message or is one of several.
    """
    alone = len(ask.samplings) <= 1 and ask.raw is None and not ask.continues
    if not ask.serves or ask.constraint is not None or not alone:
        return ask
    theirs = {tool["function"]["name"] for tool in ask.tools or []}
    ours = {name: each for name, each in _chosen(ask, tools) if name not in theirs}
    if not ours:
        return ask
    shown = [each.tool for each in ours.values()]
    return replace(ask, tools=[*(ask.tools or []), *shown], served=ours)


def _chosen(ask: Ask, tools: dict[str, Served]) -> Iterator[tuple[str, Served]]:
    for name, each in tools.items():
        chosen = ask.chosen.get(each.server, Chosen())
        if chosen.only is None or name in chosen.only:
            demanded = chosen.approval is None or name in chosen.approval
            yield name, replace(each, approval=each.approval or demanded)


def unread(ask: Ask) -> Ask:
    """Return the ask as `settle` does, without a call, as if no result could be read.

    What cannot be answered so cannot be answered at all: nothing needs to be called for it.
    raises: as `settle`
    """
    place, calls = _asked(ask)
    said = [Message(role="tool", content=NO_ROOM, tool_call_id=call["id"]) for call in calls]
    return _settled(ask, place, said, ())


async def settle(
    ask: Ask,
    toolbox: Toolbox,
    allowed: Allowed,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Ask:
    """Return the ask with the results of the calls that somebody allowed, or did not.

    allowed: what came of calls before, or comes now; none that it knows is made again
    raises: InvalidError where a call was asked for and nothing is said of it
    """
    place, calls = _asked(ask)
    ends_s = clock() + toolbox.seconds
    results, made = await _results(ask, calls, toolbox, allowed, lambda: ends_s - clock())
    return replace(_settled(ask, place, results, made), left_s=ends_s - clock())


def shortened(ask: Ask) -> Ask:
    """Return a settled ask with a word in the place of each result that was called for."""
    ids = {each.id for each in ask.made}
    messages = [
        each.model_copy(update={"content": NO_ROOM}) if each.tool_call_id in ids else each
        for each in ask.messages
    ]
    return replace(ask, messages=messages)


def _asked(ask: Ask) -> tuple[int, list[Json]]:
    """The calls that wait for somebody's approval, and the place of the message that has them."""
    place = max((n for n, each in enumerate(ask.messages) if each.tool_calls), default=-1)
    calls = (ask.messages[place].tool_calls or []) if place >= 0 else []
    said = {each.call_id for each in ask.approvals}
    if place < 0 or {call["id"] for call in calls} != said:
        raise InvalidError(
            "input: each call that was asked for needs one mcp_approval_response, right after the "
            "response that asked",
            param="input",
            code="invalid_value",
        )
    return place, calls


def _settled(ask: Ask, place: int, results: Sequence[Message], made: Sequence[Made]) -> Ask:
    messages = [*ask.messages[: place + 1], *results, *ask.messages[place + 1 :]]
    inner = (*ask.inner, *range(place, place + 1 + len(results)))
    return replace(ask, messages=messages, inner=inner, made=tuple(made), approvals=())


async def _results(
    ask: Ask,
    calls: Sequence[Json],
    toolbox: Toolbox,
    allowed: Allowed,
    left_s: Callable[[], float],
) -> tuple[list[Message], list[Made]]:
    """Make the calls that are allowed, one after another, in the order in which they were made."""
    tools = toolbox.offered()
    said: dict[str, Approval] = {each.call_id: each for each in ask.approvals}
    messages: list[Message] = []
    told: list[Made] = []
    for call in calls:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        approval = said[call["id"]]
        if approval.approve:

            async def make(name: str = name, arguments: str = arguments) -> Result:
                if (within_s := left_s()) <= 0:
                    return Result(SPENT.format(name=name), "left")
                return await toolbox.call(name, arguments, within_s=within_s)

            result = await allowed.once(ask.principal, call["id"], make)
            server = tools[name].server if name in tools else ""
            told.append(Made(call["id"], server, name, arguments, result))
        else:
            why = f": {approval.reason}" if approval.reason else ""
            result = Result(DENIED.format(name=name) + why, "unapproved")
        messages.append(Message(role="tool", content=result.text, tool_call_id=call["id"]))
    return messages, told
