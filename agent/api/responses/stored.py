"""What is kept of a response beside its turn, and the response that both make again.

A turn has the messages, the tools and the reply; kept with it is what only this API knows: the rest
of the request, and how the reply was cut into items. So what is asked for again is what was
answered.

Knows nothing of where turns are kept.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, Literal

from agent.api.parts import told_parts, told_pieces
from agent.api.responses import own
from agent.api.responses.response import PREFIX, STATUSES, Made, told_of
from agent.api.responses.schema import (
    CallItem,
    CallOutputItem,
    ItemField,
    MessageItem,
    Response,
    Status,
)
from agent.errors import NotFoundError
from agent.turn.own.told import ToldReply
from agent.turn.reply import FinishReason, Part, Piece, ToolCall, Usage
from streams.records import Json, Message, Turn

# An item's id: of the output by its place there, of the input by an i before it.
_ITEM: Final = re.compile(r"(?:msg|fc|fco|mcp|mcpr)_([0-9a-f]{64}(?:[0-9a-f]{2})?)_(i?[0-9]{1,6})")


def kept(made: Made, *, instructed: bool) -> Json:
    """What is kept from the beginning.

    instructed: whether the first of the turn's messages are the instructions of this response,
        which go for it alone
    """
    return {"created_s": made.created_s, "echo": made.echo, "instructed": instructed}


def kept_at_end(reply: ToldReply, usage: Usage, completed_s: int) -> Json:
    """What is kept when the reply has ended: how long each of its texts is, None for a call.

    A call that was cut is kept itself: it is no call of the turn's reply.

    Where the agent called tools of its own, the turn is of the last step alone; then the parts are
    kept themselves, the tokens of all steps, and why the response ended, which may be for want of
    room for another step.

    completed_s: Unix time, as the client was told
    """
    kept: Json = {"cached_tokens": usage.cached_tokens, "completed_s": completed_s}
    pieces, cut = told_of(reply)
    if not any(piece.part.made for piece in pieces):
        return kept | {"parts": [_kept_length(piece, cut) for piece in pieces]}
    return kept | {
        "parts": [_kept_part(piece, cut) for piece in told_pieces(pieces)],
        "tokens": [usage.prompt_tokens, usage.reply_tokens],
        "finish_reason": reply.finish_reason or "cancelled",
    }


def kept_of_failure(pieces: Sequence[Piece], usage: Usage, why: str) -> Json:
    """What is kept of a response whose reader was told that it failed, though its turn broke off.

    pieces: what was told, one for each part; kept where the turn is of the last step alone
    why: as it was told
    """
    kept: Json = {"cached_tokens": usage.cached_tokens, "error": why}
    if not any(piece.part.made for piece in pieces):
        return kept
    return kept | {
        "parts": [_kept_part(piece) for piece in pieces],
        "tokens": [usage.prompt_tokens, usage.reply_tokens],
    }


def response_of(turn: Turn) -> Response:
    """The response that a turn was."""
    body, made = _kept(turn), _made(turn)
    error = body.get("error")
    reason: FinishReason = body.get("finish_reason", turn.finish_reason)
    status: Status = STATUSES[reason] if error is None else "failed"
    cached, cut = body.get("cached_tokens", 0), turn.cut_tokens
    read, sampled = body.get("tokens") or (len(turn.prompt_token_ids), len(turn.token_ids))
    usage = Usage(read, sampled, cached, cut)
    pieces = [Piece(part, text, ()) for part, text in _parts(turn)]
    output = made.output(pieces, status, cut=_cut(body))
    # of one that was kept before it was: when its turn was recorded, a moment later
    completed_s = body.get("completed_s", turn.created_ms // 1000)
    return made.response(status, output, usage=usage, completed_s=completed_s, error=error)


def context_of(turn: Turn) -> list[Message]:
    """The conversation up to and including the reply, without the instructions of that response.

    Calls and results of the agent's own tools are in it, and calls that it asks for; one that
    stands in the reply itself is not, whatever came of it: its result is in no message.
    """
    calls = _calls(turn) or None
    return [*_input(turn), turn.reply.model_copy(update={"tool_calls": calls})]


def asked_of(turn: Turn) -> dict[str, str]:
    """The calls that a response asks to make: id of the item → id of the call."""
    return own.asked(_kept(turn).get("parts") or [], turn.id.removeprefix(PREFIX))


def input_items(turn: Turn) -> list[ItemField]:
    """What the response was made from, oldest first, without its instructions."""
    token = turn.id.removeprefix(PREFIX)
    items: list[ItemField] = []
    first = len(turn.messages) - len(_input(turn))
    for place, message in enumerate(_input(turn), first):
        if place in turn.inner:
            continue
        if message.role == "tool":
            items.append(_result(message, f"fco_{token}_i{len(items)}"))
            continue
        if message.content is not None:
            items.append(_message(message.role, message.content, f"msg_{token}_i{len(items)}"))
        for call in message.tool_calls or []:
            items.append(_call(call, f"fc_{token}_i{len(items)}"))
    return items


def _result(message: Message, id: str) -> CallOutputItem:
    return {
        "type": "function_call_output",
        "id": id,
        "call_id": message.tool_call_id or "",
        "output": message.content or "",
        "status": "completed",
    }


def _message(
    role: Literal["user", "assistant", "system", "developer"], said: str, id: str
) -> MessageItem:
    text: Any = {"type": "input_text", "text": said}
    if role == "assistant":
        text = {"type": "output_text", "text": said, "annotations": [], "logprobs": []}
    return {
        "type": "message",
        "id": id,
        "status": "completed",
        "role": role,
        "content": [text],
    }


def _call(call: Json, id: str) -> CallItem:
    return {
        "type": "function_call",
        "id": id,
        "call_id": call["id"],
        "name": call["function"]["name"],
        "arguments": call["function"]["arguments"],
        "status": "completed",
    }


def response_of_item(item_id: str) -> str | None:
    """The id of the response that an item belongs to; None when it is no id of ours.

    >>> response_of_item("msg_" + "0" * 64 + "_1") == "resp_" + "0" * 64
    True
    """
    parts = _ITEM.fullmatch(item_id)
    return None if parts is None else f"{PREFIX}{parts[1]}"


def item_of(turn: Turn, item_id: str) -> ItemField:
    """An item of a response by its id. Raises: NotFoundError."""
    items: Sequence[ItemField] = [*input_items(turn), *response_of(turn)["output"]]
    for item in items:
        if item["id"] == item_id:
            return item
    raise NotFoundError(f"there is no item {item_id[:100]!r}", param="input", code="item_not_found")


def _kept(turn: Turn) -> Json:
    if turn.response is None:
        raise NotFoundError(
            f"the response {turn.id} was not stored", param="response_id", code="response_not_found"
        )
    return turn.response


def _made(turn: Turn) -> Made:
    body = _kept(turn)
    version = turn.version + ("" if turn.member is None else f"#{turn.member}")
    return Made(turn.id, body["created_s"], body["echo"], version)


def _input(turn: Turn) -> list[Message]:
    return turn.messages[1 if _kept(turn)["instructed"] else 0 :]


def _calls(turn: Turn) -> list[Json]:
    """The calls of the reply that wait for its reader: of the client's tools, and those asked for.

    A tool of the agent's own has never the name of one that the client offered; and of a reply that
    was broken off, which calls were the agent's is not kept.
    """
    offered, asked = _kept(turn)["echo"].get("tools", []), set(asked_of(turn).values())
    theirs = {tool["name"] for tool in offered if tool["type"] == "function"}
    return [
        call
        for call in turn.reply.tool_calls or []
        if call["function"]["name"] in theirs or call["id"] in asked
    ]


def _parts(turn: Turn) -> list[tuple[Part, str]]:
    """The parts of the reply that say something, as they were told."""
    text, calls = turn.reply.content or "", _calls(turn)
    # of a reply that was broken off it is not kept: its text, then its calls
    lengths = _kept(turn).get("parts") or [len(text), *(None for _ in calls)]
    parts: list[tuple[Part, str]] = []
    for length in lengths:
        if isinstance(length, dict):
            parts.append(_part_again(length, len(parts), turn))
        elif length is None:
            call = calls.pop(0)
            name = ToolCall(len(parts), call["id"], call["function"]["name"])
            parts.append((Part(len(parts), name), call["function"]["arguments"]))
        else:
            parts.append((Part(len(parts)), text[:length]))
            text = text[length:]
    return told_parts(parts)


def _cut(kept: Json) -> str | None:
    """The id of the call that was cut, if one was."""
    parts = [each for each in kept.get("parts") or [] if isinstance(each, dict)]
    return next((each["cut"]["id"] for each in parts if "cut" in each), None)


def _kept_length(piece: Piece, cut: ToolCall | None) -> int | Json | None:
    if piece.part.call is None:
        return len(piece.text)
    return _kept_part(piece, cut) if piece.part.call == cut else None


def _kept_part(piece: Piece, cut: ToolCall | None = None) -> Json:
    call = piece.part.call
    if piece.part.made is not None:
        return {"made": own.kept(piece.part.made)}
    if call is None:
        return {"text": piece.text}
    if call == cut:
        return {"cut": {"id": call.id, "name": call.name, "arguments": piece.text}}
    return {"call": call.id}


def _part_again(kept: Json, number: int, turn: Turn) -> tuple[Part, str]:
    if "made" in kept:
        return Part(number, made=own.made_again(kept["made"])), ""
    if "text" in kept:
        return Part(number), kept["text"]
    if "cut" in kept:
        call = kept["cut"]
        return Part(number, ToolCall(number, call["id"], call["name"])), call["arguments"]
    (call,) = (each for each in turn.reply.tool_calls or [] if each["id"] == kept["call"])
    function = call["function"]
    return Part(number, ToolCall(number, call["id"], function["name"])), function["arguments"]
