"""A response as OpenAI has it, from an answer in the making or from its turn in the log.

The items of its output are named by the response and their place, so that a client's reference to
one is found without any table.

Knows the API's JSON; nothing of sockets or events.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.api.fields import told_format
from agent.api.logprobs import logprobs_of
from agent.api.models.models import fingerprint
from agent.api.parts import told_pieces
from agent.api.responses.own import item_of
from agent.api.responses.request import ResponsesRequest
from agent.api.responses.schema import (
    CallItem,
    Echo,
    ItemStatus,
    MessageItem,
    OutputItem,
    OutputText,
    Response,
    ResponseUsage,
    Status,
)
from agent.engine.contract import Token
from agent.turn.ask import Ask
from agent.turn.own.told import Told, ToldReply
from agent.turn.reply import FinishReason, Part, Piece, ToolCall, Usage
from streams.turn import Sampling

PREFIX = "resp_"
STATUSES: dict[FinishReason, Status] = {
    "stop": "completed",
    "tool_calls": "completed",
    "length": "incomplete",
    "cancelled": "cancelled",
}


@dataclass(frozen=True, slots=True)
class Made:
    """What holds of a response from its beginning to its end."""

    id: str
    created_s: int
    echo: Echo
    version: str | None = None  # what samples it, once that is known

    def response(
        self,
        status: Status,
        output: Sequence[OutputItem] = (),
        *,
        usage: Usage | None = None,
        completed_s: int | None = None,
        error: str | None = None,
    ) -> Response:
        """The response as it is now.

        completed_s: Unix time, of one that is complete
        error: why it failed, of one that did
        """
        reason: Any = {"reason": "max_output_tokens"} if status == "incomplete" else None
        return {
            **self.echo,
            "id": self.id,
            "object": "response",
            "created_at": self.created_s,
            "completed_at": completed_s if status == "completed" else None,
            "status": status,
            "error": {"code": "server_error", "message": error} if error else None,
            "incomplete_details": reason,
            "output": list(output),
            "usage": _usage(usage) if usage else None,
            "system_fingerprint": self.version,
        }

    def message(
        self, number: int, text: str, status: ItemStatus, tokens: Sequence[Token] = ()
    ) -> MessageItem:
        """A text of the output. number: its place there"""
        return {
            "type": "message",
            "id": f"msg_{self.id.removeprefix(PREFIX)}_{number}",
            "status": status,
            "role": "assistant",
            "content": [output_text(text, tokens)] if status != "in_progress" else [],
        }

    def item(
        self, part: Part, text: str, status: ItemStatus, tokens: Sequence[Token] = ()
    ) -> OutputItem:
        """A part of the reply as an item of the output."""
        if part.made is not None:
            return item_of(part.made, self.id.removeprefix(PREFIX), part.number)
        if part.call is None:
            return self.message(part.number, text, status, tokens)
        call: CallItem = {
            "type": "function_call",
            "id": f"fc_{self.id.removeprefix(PREFIX)}_{part.number}",
            "call_id": part.call.id,
            "name": part.call.name,
            "arguments": text,
            "status": status,
        }
        return call

    def output(
        self,
        pieces: Sequence[Piece],
        status: Status,
        *,
        cut: str | None = None,
        logprobs: bool = False,
    ) -> list[OutputItem]:
        """All items of a reply that has ended; one that says nothing is an empty message.

        One that failed has what was told of it, which may be nothing.

        pieces: one for each part that says something
        cut: the id of a call among them that the limit cut
        logprobs: whether those of each text's tokens are told
        """
        ended: ItemStatus = "completed" if status == "completed" else "incomplete"
        if not pieces and status == "failed":
            return []
        if not pieces:
            return [self.message(0, "", ended)]
        items = [
            self.item(each.part, each.text, "completed", each.tokens if logprobs else ())
            for each in pieces
        ]
        for item in items:
            if item["type"] == "mcp_call" and item["status"] == "in_progress":  # and never ended
                item["status"] = "incomplete"
            if item["type"] == "function_call" and item["call_id"] == cut:  # any other is whole
                item["status"] = "incomplete"
        last = items[-1]
        if last["type"] == "message":
            last["status"] = ended
        return items


def made(answer: Told, call: ResponsesRequest, created_s: int) -> Made:
    """What is known of a response when it is asked for."""
    (reply,) = answer.replies
    echo = echo_of(call, answer.ask, answer.ask.samplings[0])
    return Made(answer.id, created_s, echo, fingerprint(reply.variant))


def whole_output(made: Made, reply: ToldReply, *, logprobs: bool) -> list[OutputItem]:
    """The output of a reply that has ended."""
    status = STATUSES[reply.finish_reason or "cancelled"]
    pieces, call = told_of(reply)
    cut = None if call is None else call.id
    return made.output(told_pieces(pieces), status, cut=cut, logprobs=logprobs)


def told_of(reply: ToldReply) -> tuple[list[Piece], ToolCall | None]:
    """The pieces of a reply that has ended, and the call among them that the limit cut, if one was.

    It is told as incomplete, and is never made.
    """
    if reply.cut is None or reply.finish_reason != "length":
        return reply.pieces, None
    return reply.told, reply.cut.call


def output_text(text: str, tokens: Sequence[Token] = ()) -> OutputText:
    """A text, with the log-probabilities of its tokens when those are given."""
    told = logprobs_of(tokens)
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": told}


def echo_of(call: ResponsesRequest, ask: Ask, sampling: Sampling) -> Echo:
    """What a response says of its request; defaults as they are in force."""
    form = call.text.format if call.text else None
    return {
        "model": call.model,
        "previous_response_id": call.previous_response_id,
        "instructions": call.instructions,
        "tools": [tool.told() for tool in call.tools or []],
        "tool_choice": call.tool_choice.said if call.tool_choice else "auto",
        "truncation": ask.truncation,
        "parallel_tool_calls": ask.parallel_calls,
        "text": {"format": told_format(form), "verbosity": "medium"},
        "top_p": sampling.top_p,
        "temperature": sampling.temperature,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "top_logprobs": call.top_logprobs or 0,
        "reasoning": {"effort": None, "summary": None},
        "max_output_tokens": call.max_output_tokens,
        "max_tool_calls": call.max_tool_calls,
        "store": call.store is not False,
        "background": False,
        "service_tier": "default",
        "metadata": call.metadata or {},
        "user": call.user,
        "safety_identifier": call.safety_identifier,
        "prompt_cache_key": call.prompt_cache_key,
    }


def _usage(usage: Usage) -> ResponseUsage:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": 0,
            "truncated_tokens": usage.cut_tokens,
        },
        "output_tokens": usage.reply_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.reply_tokens,
    }
