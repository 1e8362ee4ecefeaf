"""An answer as Anthropic's message, whole or as the events by which it grows.

Knows the API's JSON; nothing of sockets.
"""

from collections.abc import Iterator

from agent.api.messages.errors import anthropic_error
from agent.api.messages.own import input_of, own_result, own_use, text_of
from agent.api.messages.schema import (
    BlockDelta,
    BlockStart,
    BlockStop,
    Content,
    JsonDelta,
    Message,
    MessageEvent,
    MessageUsage,
    StopReason,
    TextDelta,
)
from agent.api.parts import Parts, told_parts
from agent.errors import ApiError
from agent.http.sse import frame
from agent.tools.served import Made
from agent.turn.making.merged import Step
from agent.turn.own.told import Told
from agent.turn.reply import (
    Began,
    Finished,
    FinishReason,
    Part,
    PartBegun,
    PartEnded,
    Piece,
    ReplyEvent,
)

_REASONS: dict[FinishReason, StopReason] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
}


class MessageReply:
    """One answer to one request, in this API's shape (agent.api.surface.Shape)."""

    def __init__(self, answer: Told) -> None:
        """Take the answer that is being made; it has one choice."""
        self._answer, self._parts = answer, Parts()
        self._wrapped: bool | None = None  # whether a call's input is put into an object
        self._results = 0  # blocks beyond those of parts: a call of ours has one for its result

    def whole(self) -> Message:
        """The whole message, when the reply has ended."""
        (reply,) = self._answer.replies
        message = self._message()
        message["content"] = [
            block for part, text in told_parts(reply.parts) for block in _contents(part, text)
        ]
        reason, sequence = _why(reply.finish_reason, reply.stopped_by)
        message["stop_reason"], message["stop_sequence"] = reason, sequence
        return message

    def step(self, step: Step) -> Iterator[bytes]:
        """The events of what became certain."""
        for event in self._parts.told(step.events):
            for shaped in self._shaped(event):
                yield frame(shaped, shaped["type"])

    def end(self) -> Iterator[bytes]:
        """The mark of a stream that is whole."""
        yield frame({"type": "message_stop"}, "message_stop")

    def failure(self, error: ApiError) -> Iterator[bytes]:
        """The event that tells a reader whose stream has begun that it ends too early."""
        yield frame(anthropic_error(error, ""), "error")

    def _shaped(self, event: ReplyEvent) -> Iterator[MessageEvent]:
        match event:
            case Began():
                yield {"type": "message_start", "message": self._message()}
                yield {"type": "ping"}
            case PartBegun(part) if part.made:
                yield from self._own_use(part, part.made)
            case PartEnded(part) if part.made:
                self._results += 1
                yield self._begun(part, own_result(part.made))
                yield self._ended(part)
            case PartBegun(part):
                yield self._begun(part, _content(part, ""))
            case Piece(part, text, _) if part.call:
                yield self._arguments(part, self._as_object(text))
            case Piece(part, text, _):
                yield self._grown(part, {"type": "text_delta", "text": text})
            case PartEnded(part):
                if self._wrapped:
                    yield self._arguments(part, "}")
                self._wrapped = None
                yield self._ended(part)
            case Finished(reason, stopped_by, _, _):
                yield self._stopped(reason, stopped_by)

    def _own_use(self, part: Part, made: Made) -> Iterator[MessageEvent]:
        """A call of the agent's own tools, whole: its result is told as a block behind it."""
        # whole from the start: clients add up what grows of tool_use alone, or put it in its place
        yield self._begun(part, own_use(made))
        yield self._arguments(part, text_of(made.arguments))
        yield self._ended(part)

    def _as_object(self, text: str) -> str:
        """More of a call's arguments; what does not open as an object is wrapped into one."""
        if self._wrapped is None:
            self._wrapped = not text.lstrip().startswith("{")
            return f'{{"arguments": {text}' if self._wrapped else text
        return text

    def _stopped(self, reason: FinishReason, stopped_by: str | None) -> MessageEvent:
        stop_reason, stop_sequence = _why(reason, stopped_by)
        return {
            "type": "message_delta",
            "delta": {
                "stop_reason": stop_reason,
                "stop_sequence": stop_sequence,
                "stop_details": None,
                "container": None,
            },
            "usage": self._usage(),
        }

    def _begun(self, part: Part, block: Content) -> BlockStart:
        index = part.number + self._results
        return {"type": "content_block_start", "index": index, "content_block": block}

    def _grown(self, part: Part, delta: TextDelta | JsonDelta) -> BlockDelta:
        index = part.number + self._results
        return {"type": "content_block_delta", "index": index, "delta": delta}

    def _arguments(self, part: Part, text: str) -> BlockDelta:
        return self._grown(part, {"type": "input_json_delta", "partial_json": text})

    def _ended(self, part: Part) -> BlockStop:
        return {"type": "content_block_stop", "index": part.number + self._results}

    def _message(self) -> Message:
        return {
            "id": self._answer.id,
            "type": "message",
            "role": "assistant",
            "model": self._answer.ask.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "container": None,
            "usage": self._usage(),
        }

    def _usage(self) -> MessageUsage:
        usage = self._answer.usage
        return {
            "input_tokens": usage.prompt_tokens - usage.cached_tokens,
            "output_tokens": usage.reply_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": usage.cached_tokens,
            "cache_creation": None,
            "server_tool_use": None,
            "service_tier": "standard",
            "inference_geo": None,
            "output_tokens_details": None,
        }


def _contents(part: Part, text: str) -> list[Content]:
    """The blocks of a part."""
    if part.made is not None:
        return [own_use(part.made), own_result(part.made)]
    return [_content(part, text)]


def _content(part: Part, text: str) -> Content:
    """A block of the reply. text: of a call, its arguments; empty while it begins."""
    if part.call is None:
        return {"type": "text", "text": text, "citations": None}
    return {
        "type": "tool_use",
        "id": part.call.id,
        "name": part.call.name,
        "input": input_of(text) if text else {},
        "caller": {"type": "direct"},
    }


def _why(
    reason: FinishReason | None, stopped_by: str | None
) -> tuple[StopReason | None, str | None]:
    """Why a reply ended, and the sequence at which it did.

    Calls that are whole are to be made, whatever came behind them: clients make none otherwise.
    """
    if stopped_by is not None and reason != "tool_calls":
        return "stop_sequence", stopped_by
    return _REASONS.get(reason or "cancelled"), None
