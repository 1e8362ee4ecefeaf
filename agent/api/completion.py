"""Shapes an answer as OpenAI's chat.completion, whole or in chunks.

`system_fingerprint` is the version that sampled the choice: two choices of one response may come
from two versions, when a swap lies between their starts.

Knows the API's JSON; nothing of sockets.
"""

import time
from collections.abc import Iterable, Iterator, Sequence

from agent.api.chat import ChatRequest
from agent.api.models import fingerprint
from agent.engine.contract import Token
from agent.engine.spelling import Spelling
from agent.errors import ApiError
from agent.http.sse import frame
from agent.turn.answer import Answer, Step
from agent.turn.reply import Began, Finished, PartBegun, PartEnded, Piece, Reply, ReplyEvent
from streams.records import Json


class Completion:
    """One answer to one request, in this API's shape (agent.api.send.Shape)."""

    def __init__(self, answer: Answer, request: ChatRequest) -> None:
        """Take the answer that is being made."""
        self._answer, self._created_s = answer, int(time.time())
        options = request.stream_options
        self._logprobs, self._usage = (
            bool(request.logprobs),
            bool(options and options.include_usage),
        )

    def whole(self) -> Json:
        """The whole response, when every choice has ended."""
        replies = self._answer.replies
        choices = [
            {
                "index": number,
                "message": _message(reply),
                "logprobs": _logprobs(reply.tokens) if self._logprobs else None,
                "finish_reason": reply.finish_reason,
            }
            for number, reply in enumerate(replies)
        ]
        common = self._common("chat.completion", replies[0])
        return {**common, "choices": choices, "usage": self._counted()}

    def step(self, step: Step) -> Iterator[bytes]:
        """The chunks of what became certain of one choice."""
        for delta, tokens, reason in _deltas(step.events):
            choice = {
                "index": step.choice,
                "delta": delta,
                "logprobs": _logprobs(tokens) if self._logprobs and tokens else None,
                "finish_reason": reason,
            }
            common = self._common("chat.completion.chunk", self._answer.replies[step.choice])
            yield frame({**common, "choices": [choice]} | ({"usage": None} if self._usage else {}))

    def end(self) -> Iterator[bytes]:
        """The usage, when it was asked for, and the mark of a stream that is whole."""
        if self._usage:
            common = self._common("chat.completion.chunk", self._answer.replies[0])
            yield frame({**common, "choices": [], "usage": self._counted()})
        yield frame("[DONE]")

    def failure(self, error: ApiError) -> bytes:
        """The event that tells a reader whose stream has begun that it ends too early."""
        return frame(error.body())

    def _common(self, kind: str, reply: Reply) -> Json:
        return {
            "id": self._answer.id,
            "object": kind,
            "created": self._created_s,
            "model": self._answer.ask.model,
            "system_fingerprint": fingerprint(reply.variant),
        }

    def _counted(self) -> Json:
        usage = self._answer.usage
        return {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.reply_tokens,
            "total_tokens": usage.prompt_tokens + usage.reply_tokens,
        }


def _deltas(events: Iterable[ReplyEvent]) -> Iterator[tuple[Json, Sequence[Token], str | None]]:
    """Yield each chunk's delta, the tokens that it carries, and why the choice ended, if it did.

    A call that begins and has arguments in one step is one chunk, as clients have always got it.
    """
    begun: Json | None = None
    for event in events:
        match event:
            case Began():
                yield {"role": "assistant", "content": ""}, (), None
            case PartBegun(part) if part.call:
                function = {"name": part.call.name, "arguments": ""}
                begun = {"index": part.call.number, "id": part.call.id, "type": "function"}
                begun["function"] = function
            case Piece(part, text, tokens) if part.call:
                call = begun or {"index": part.call.number, "function": {}}
                call["function"]["arguments"] = text
                begun = None
                yield {"tool_calls": [call]}, tokens, None
            case Piece(_, text, tokens):
                yield {"content": text}, tokens, None
            case Finished(reason, _, _, tokens):
                yield {}, tokens, reason
            case PartBegun() | PartEnded():
                pass
    if begun:
        yield {"tool_calls": [begun]}, (), None


def _message(reply: Reply) -> Json:
    message = reply.message()
    shaped: Json = {"role": "assistant", "content": message.content, "refusal": None}
    return shaped | ({"tool_calls": message.tool_calls} if message.tool_calls else {})


def _logprobs(tokens: Sequence[Token]) -> Json:
    """The log-probabilities, at temperature 1, of the tokens that are text, and of the likeliest.

    Each is named by its own text: what a stop string took of it, or what waits for the rest of a
    character, is named, too. The token that ends a reply is no part of it.
    """
    content = [
        _scored(token.spelling, token.logprob)
        | {"top_logprobs": [_scored(each.spelling, each.logprob) for each in token.top]}
        for token in tokens
        if token.spelling.bytes is not None
    ]
    return {"content": content, "refusal": None}


def _scored(spelling: Spelling, logprob: float) -> Json:
    written = None if spelling.bytes is None else list(spelling.bytes)
    return {"token": spelling.name, "logprob": logprob, "bytes": written}
