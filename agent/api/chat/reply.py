"""An answer as OpenAI's chat.completion, whole or in chunks.

`system_fingerprint` is the version that sampled the choice: two choices of one response may come
from two versions, when a swap lies between their starts.

Knows the API's JSON; nothing of sockets.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from agent.api.chat.request import ChatRequest
from agent.api.chat.schema import (
    ChatChunk,
    ChatCompletion,
    ChunkChoice,
    Delta,
    Logprobs,
    ReplyMessage,
    ServerToolCall,
    ToolCall,
)
from agent.api.logprobs import logprobs_of
from agent.api.models.models import fingerprint
from agent.api.openai import counted
from agent.engine.contract import Token
from agent.errors import ApiError
from agent.http.edge import openai_error
from agent.http.sse import frame
from agent.tools.served import Made
from agent.turn.making.merged import Step
from agent.turn.own.told import Told, ToldReply
from agent.turn.reply import (
    Began,
    Finished,
    FinishReason,
    PartBegun,
    PartEnded,
    Piece,
    ReplyEvent,
)


class Completion:
    """One answer to one request, in this API's shape (agent.api.surface.Shape)."""

    def __init__(self, answer: Told, request: ChatRequest) -> None:
        """Take the answer that is being made."""
        self._answer, self._created_s = answer, int(time.time())
        options = request.stream_options
        self._logprobs = bool(request.logprobs)
        self._usage = bool(options and options.include_usage)
        self._served: Counter[int] = Counter()  # calls of our own that were told of each choice

    def whole(self) -> ChatCompletion:
        """The whole response, when every choice has ended."""
        replies = self._answer.replies
        return {
            "id": self._answer.id,
            "object": "chat.completion",
            "created": self._created_s,
            "model": self._answer.ask.model,
            "system_fingerprint": fingerprint(replies[0].variant),
            "choices": [
                {
                    "index": number,
                    "message": _message(reply),
                    "logprobs": _logprobs(_told(reply)) if self._logprobs else None,
                    "finish_reason": reply.finish_reason,
                }
                for number, reply in enumerate(replies)
            ],
            "usage": counted(self._answer.usage),
        }

    def step(self, step: Step) -> Iterator[bytes]:
        """The chunks of what became certain of one choice."""
        reply = self._answer.replies[step.choice]
        for delta, tokens, reason in _deltas(step.events):
            for call in delta.get("server_tool_calls", []):
                call["index"] = self._served[step.choice]
                self._served[step.choice] += 1
            choice: ChunkChoice = {
                "index": step.choice,
                "delta": delta,
                "logprobs": _logprobs(tokens) if self._logprobs and tokens else None,
                "finish_reason": reason,
            }
            chunk = self._chunk(reply, [choice])
            if self._usage:
                chunk["usage"] = None
            yield frame(chunk)

    def end(self) -> Iterator[bytes]:
        """The usage, when it was asked for, and the mark of a stream that is whole."""
        if self._usage:
            chunk = self._chunk(self._answer.replies[0], [])
            chunk["usage"] = counted(self._answer.usage)
            yield frame(chunk)
        yield frame("[DONE]")

    def failure(self, error: ApiError) -> Iterator[bytes]:
        """The event that tells a reader whose stream has begun that it ends too early."""
        yield frame(openai_error(error, ""))

    def _chunk(self, reply: ToldReply, choices: list[ChunkChoice]) -> ChatChunk:
        return {
            "id": self._answer.id,
            "object": "chat.completion.chunk",
            "created": self._created_s,
            "model": self._answer.ask.model,
            "system_fingerprint": fingerprint(reply.variant),
            "choices": choices,
        }


Chunked = tuple[Delta, Sequence[Token], FinishReason | None]


def _deltas(events: Iterable[ReplyEvent]) -> Iterator[Chunked]:
    """Yield each chunk's delta, the tokens that it carries, and why the choice ended, if it did.

    A call that begins and has arguments in one step is one chunk, as clients have always got it.
    """
    begun: ToolCall | None = None
    for event in events:
        match event:
            case Began():
                yield {"role": "assistant", "content": ""}, (), None
            case PartBegun(part) if part.call:
                begun = {
                    "index": part.call.number,
                    "id": part.call.id,
                    "type": "function",
                    "function": {"name": part.call.name, "arguments": ""},
                }
            case Piece(part, text, tokens) if part.call:
                call = begun or {"index": part.call.number, "function": {"arguments": ""}}
                call["function"]["arguments"] = text
                begun = None
                yield {"tool_calls": [call]}, tokens, None
            case Piece(_, text, tokens):
                yield {"content": text}, tokens, None
            case Finished(reason, _, _, tokens):
                yield {}, tokens, reason
            case PartEnded(part) if part.made:
                yield {"server_tool_calls": [server_call(part.made)]}, (), None
            case PartBegun() | PartEnded():
                pass
    if begun:
        yield {"tool_calls": [begun]}, (), None


def _message(reply: ToldReply) -> ReplyMessage:
    message = reply.message()
    shaped: ReplyMessage = {
        "role": "assistant",
        "content": message.content,
        "refusal": None,
        "annotations": [],
    }
    if message.tool_calls:
        shaped["tool_calls"] = [
            {"id": call["id"], "type": "function", "function": call["function"]}
            for call in message.tool_calls
        ]
    if ours := [server_call(part.made) for part, _ in reply.parts if part.made]:
        shaped["server_tool_calls"] = ours
    return shaped


def server_call(made: Made) -> ServerToolCall:
    """A call that the agent made of a tool of its own, and what came of it."""
    result = made.result
    return {
        "id": made.id,
        "server": made.server,
        "name": made.name,
        "arguments": made.arguments,
        "outcome": result.outcome if result else "left",
        "output": result.text if result else None,
    }


def _told(reply: ToldReply) -> Sequence[Token]:
    """The tokens of what is told: those that wrote a call of the agent's own are not."""
    if any(part.made for part, _ in reply.parts):
        return [token for piece in reply.pieces for token in piece.tokens]
    return reply.tokens


def _logprobs(tokens: Sequence[Token]) -> Logprobs:
    return {"content": logprobs_of(tokens), "refusal": None}
