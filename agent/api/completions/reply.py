"""An answer as OpenAI's text_completion, whole or in chunks.

Knows the API's JSON; nothing of sockets.
"""

import time
from collections.abc import Iterable, Iterator

from agent.api.completions.places import Places
from agent.api.completions.request import CompletionRequest
from agent.api.completions.schema import TextChoice, TextCompletion, TextLogprobs
from agent.api.models.models import fingerprint
from agent.api.openai import counted
from agent.engine.contract import Token
from agent.errors import ApiError
from agent.http.edge import openai_error
from agent.http.sse import frame
from agent.turn.making.merged import Step
from agent.turn.own.told import Told, ToldReply
from agent.turn.reply import Began, Finished, Piece


class TextReply:
    """One answer to one request, in this API's shape (agent.api.surface.Shape)."""

    def __init__(self, answer: Told, request: CompletionRequest) -> None:
        """Take the answer that is being made."""
        self._answer, self._request, self._created_s = answer, request, int(time.time())
        options = request.stream_options
        self._usage = bool(options and options.include_usage)
        self._places = [Places() for _ in answer.replies]

    def whole(self) -> TextCompletion:
        """The whole response, when every choice has ended."""
        choices: list[TextChoice] = []
        for number, reply in enumerate(self._answer.replies):
            text = self._echoed(number) + (reply.message().content or "")
            choices.append(
                {
                    "index": number,
                    "text": text,
                    "logprobs": self._logprobs(reply.tokens, self._places[number]),
                    "finish_reason": reply.finish_reason,
                }
            )
        body = self._body(self._answer.replies[0], choices)
        body["usage"] = counted(self._answer.usage)
        return body

    def step(self, step: Step) -> Iterator[bytes]:
        """The chunks of what became certain of one choice."""
        for event in step.events:
            match event:
                case Began() if self._request.echo:
                    yield self._chunk(step.choice, self._echoed(step.choice))
                case Piece(_, text, tokens):
                    yield self._chunk(step.choice, text, tokens)
                case Finished(reason, _, _, tokens):
                    yield self._chunk(step.choice, "", tokens, reason)

    def end(self) -> Iterator[bytes]:
        """The usage, when it was asked for, and the mark of a stream that is whole."""
        if self._usage:
            body = self._body(self._answer.replies[0], [])
            body["usage"] = counted(self._answer.usage)
            yield frame(body)
        yield frame("[DONE]")

    def failure(self, error: ApiError) -> Iterator[bytes]:
        """The event that tells a reader whose stream has begun that it ends too early."""
        yield frame(openai_error(error, ""))

    def _echoed(self, choice: int) -> str:
        prompt = self._request.prompt[choice // (self._request.n or 1)]
        return prompt if self._request.echo and isinstance(prompt, str) else ""

    def _chunk(
        self,
        choice: int,
        text: str,
        tokens: Iterable[Token] = (),
        reason: str | None = None,
    ) -> bytes:
        logprobs = self._logprobs(tokens, self._places[choice])
        shaped: TextChoice = {
            "index": choice,
            "text": text,
            "logprobs": logprobs,
            "finish_reason": self._answer.replies[choice].finish_reason if reason else None,
        }
        body = self._body(self._answer.replies[choice], [shaped])
        if self._usage:
            body["usage"] = None
        return frame(body)

    def _logprobs(self, tokens: Iterable[Token], places: Places) -> TextLogprobs | None:
        """The log-probabilities of the tokens that are text, of the likeliest, and the places."""
        wanted = self._request.logprobs
        if wanted is None:
            return None
        told: TextLogprobs = {
            "tokens": [],
            "token_logprobs": [],
            "top_logprobs": [] if wanted else None,
            "text_offset": [],
        }
        for token in tokens:
            if token.spelling.bytes is None:
                continue
            told["tokens"].append(token.spelling.name)
            told["token_logprobs"].append(token.logprob)
            told["text_offset"].append(places.take(token.spelling.bytes))
            if told["top_logprobs"] is not None:
                likeliest = [(each.spelling.name, each.logprob) for each in token.top]
                chosen = (token.spelling.name, token.logprob)
                told["top_logprobs"].append(dict([*likeliest, chosen]))
        return told

    def _body(self, reply: ToldReply, choices: list[TextChoice]) -> TextCompletion:
        return {
            "id": self._answer.id,
            "object": "text_completion",
            "created": self._created_s,
            "model": self._answer.ask.model,
            "system_fingerprint": fingerprint(reply.variant),
            "choices": choices,
        }
