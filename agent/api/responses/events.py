"""An answer as a response, whole or as the events by which it grows; and what is kept of it.

Knows the API's JSON; nothing of sockets, nor of where responses are kept.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from agent.api.logprobs import logprobs_of
from agent.api.models.models import fingerprint
from agent.api.parts import Parts, told_pieces
from agent.api.responses import own, stored
from agent.api.responses.request import ResponsesRequest
from agent.api.responses.response import (
    STATUSES,
    made,
    output_text,
    whole_output,
)
from agent.api.responses.schema import ItemStatus, OutputItem, Response, ResponseEvent
from agent.engine.contract import Token
from agent.errors import ApiError
from agent.http.sse import frame
from agent.turn.making.merged import Step
from agent.turn.own.told import Told
from agent.turn.reply import Began, Finished, Part, PartBegun, PartEnded, Piece, ReplyEvent


class ResponseReply:
    """One answer to one request, in this API's shape (agent.api.surface.Shape)."""

    def __init__(self, answer: Told, call: ResponsesRequest) -> None:
        """Take the answer that is being made; it has one choice."""
        self._answer, self._call = answer, call
        self._made = made(answer, call, int(time.time()))
        self._parts, self._numbers = Parts(), itertools.count()
        self._output: list[OutputItem] = []
        self._tokens: list[Token] = []  # of the text that grows
        self._began = False
        if call.store is not False:
            answer.response = stored.kept(self._made, instructed=bool(call.instructions))

    def whole(self) -> Response:
        """The whole response, when the reply has ended."""
        (reply,) = self._answer.replies
        self._made = replace(self._made, version=fingerprint(reply.variant))
        self._output = whole_output(self._made, reply, logprobs=self._call.logprobs)
        return self._ended()

    def step(self, step: Step) -> Iterator[bytes]:
        """The events of what became certain."""
        for event in self._parts.told(step.events):
            for shaped in self._shaped(event):
                yield self._framed(shaped)

    def end(self) -> Iterator[bytes]:
        """The whole response, as the mark of a stream that is whole."""
        response = self.whole()
        yield self._framed(_event(f"response.{response['status']}", response=response))

    def failure(self, error: ApiError) -> Iterator[bytes]:
        """The events that tell a reader whose stream has begun that it ends too early."""
        if not self._began:
            for shaped in self._begun():
                yield self._framed(shaped)
        usage, why, pieces = self._answer.usage, error.message, self._told()
        if self._answer.response is not None:
            self._answer.response |= stored.kept_of_failure(pieces, usage, why)
        output = self._made.output(pieces, "failed", logprobs=self._call.logprobs)
        failed = self._made.response("failed", output, usage=usage, error=why)
        yield self._framed(_event("response.failed", response=failed))

    def _told(self) -> list[Piece]:
        """What was told so far, but for a call that still grows: it is none."""
        (reply,) = self._answer.replies
        pieces = told_pieces(reply.pieces)
        return [
            each
            for each in pieces
            if each.part.call is None or each.part.number < len(self._output)
        ]

    def _ended(self) -> Response:
        """The response at its end; what is kept of it is whole now, too."""
        (reply,) = self._answer.replies
        completed_s = int(time.time())
        if self._answer.response is not None:
            kept = stored.kept_at_end(reply, self._answer.usage, completed_s)
            self._answer.response |= kept
        return self._made.response(
            STATUSES[reply.finish_reason or "cancelled"],
            self._output,
            usage=self._answer.usage,
            completed_s=completed_s,
        )

    def _shaped(self, event: ReplyEvent) -> Iterator[ResponseEvent]:
        match event:
            case Began(variant):
                self._made = replace(self._made, version=fingerprint(variant))
                yield from self._begun()
            case PartBegun(part):
                yield from self._item_begun(part)
            case Piece(part, text, tokens):
                yield self._grown(part, text, tokens)
            case PartEnded(part, text):
                yield from self._item_ended(part, text)
            case Finished() if not self._output:  # one that says nothing is an empty message
                yield from self._item_begun(Part(0))
                yield from self._item_ended(Part(0), "")

    def _begun(self) -> Iterator[ResponseEvent]:
        self._began = True
        response = self._made.response("in_progress")
        yield _event("response.created", response=response)
        yield _event("response.in_progress", response=response)

    def _item_begun(self, part: Part) -> Iterator[ResponseEvent]:
        item = self._made.item(part, "", "in_progress")
        yield _event("response.output_item.added", output_index=part.number, item=item)
        if item["type"] == "mcp_call" or item["type"] == "mcp_approval_request":
            for kind, fields in own.begun(item):
                yield self._within(part, kind, **fields)
        elif part.call is None:
            self._tokens.clear()
            yield self._within(part, "response.content_part.added", part=output_text(""))

    def _grown(self, part: Part, text: str, tokens: tuple[Token, ...]) -> ResponseEvent:
        if part.call is not None:
            return self._within(part, "response.function_call_arguments.delta", delta=text)
        told = tokens if self._call.logprobs else ()
        self._tokens.extend(told)
        logprobs = logprobs_of(told)
        return self._within(part, "response.output_text.delta", delta=text, logprobs=logprobs)

    def _item_ended(self, part: Part, text: str) -> Iterator[ResponseEvent]:
        item = self._made.item(part, text, self._status(part), self._tokens)
        self._output.append(item)
        if item["type"] == "mcp_call" or item["type"] == "mcp_approval_request":
            for kind, fields in own.ended(item):
                yield self._within(part, kind, **fields)
        elif part.call is not None:
            yield self._within(
                part, "response.function_call_arguments.done", arguments=text, name=part.call.name
            )
        else:
            whole = output_text(text, self._tokens)
            logprobs = whole["logprobs"]
            yield self._within(part, "response.output_text.done", text=text, logprobs=logprobs)
            yield self._within(part, "response.content_part.done", part=whole)
        yield _event("response.output_item.done", output_index=part.number, item=item)

    def _status(self, part: Part) -> ItemStatus:
        """Of an item at its end: the limit cuts a call, or the text that is the last of all."""
        (reply,) = self._answer.replies
        if part.call is not None:
            is_cut = reply.cut is not None and reply.cut.call == part.call
        else:
            behind = told_pieces(reply.told)[part.number + 1 :]
            is_cut = reply.finish_reason == "length" and not behind
        return "incomplete" if is_cut else "completed"

    def _within(self, of: Part, kind: str, **fields: Any) -> ResponseEvent:
        """An event inside an item."""
        item_id = self._made.item(of, "", "in_progress")["id"]
        if of.is_text:
            fields["content_index"] = 0
        return _event(kind, item_id=item_id, output_index=of.number, **fields)

    def _framed(self, event: ResponseEvent) -> bytes:
        event["sequence_number"] = next(self._numbers)
        return frame(event, event["type"])


def _event(kind: str, **fields: Any) -> ResponseEvent:
    event: Any = {"type": kind, "sequence_number": 0, **fields}
    shaped: ResponseEvent = event
    return shaped
