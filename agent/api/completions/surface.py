"""Completions as the server uses it: a checked body into asks, an answer into its JSON."""

from agent.api.caller import Caller
from agent.api.completions.reply import TextReply
from agent.api.completions.request import DEFAULT_MAX_TOKENS, CompletionRequest, read_completion
from agent.api.sampling import samplings
from agent.turn.ask import Ask
from agent.turn.own.told import Told
from streams.records import Message


class Completions:
    """POST /v1/completions (agent.api.surface.Surface)."""

    id_prefix = "cmpl-"

    def read(self, body: bytes) -> CompletionRequest:
        return read_completion(body)

    async def asks(self, call: CompletionRequest, caller: Caller) -> list[Ask]:
        return asks_of(call, caller)

    def shape(self, answer: Told, call: CompletionRequest) -> TextReply:
        return TextReply(answer, call)


def asks_of(call: CompletionRequest, caller: Caller) -> list[Ask]:
    """Turn a checked request into what every API asks, one ask a prompt.

    A text that is continued is no conversation: its turns are marked so that nothing is learned
    from what comes after it. All have the session of the first, because they are one response.

    raises: NotFoundError; InvalidError naming the header
    """
    constraint = call.constraint()
    sampled = samplings(
        call,
        caller,
        choices=call.n or 1,
        max_tokens=call.max_tokens or DEFAULT_MAX_TOKENS,
        stop=call.stop,
        free=caller.wants_text(None, constraint, serves=False),
    )
    asks: list[Ask] = []
    for prompt in call.prompt:
        text = prompt if isinstance(prompt, str) else ""
        ask = caller.ask(
            call.model,
            [Message(role="user", content=text)],
            sampled,
            session=asks[0].session if asks else None,
            purpose="side",
            named="prompt",
            raw=prompt,
            constraint=constraint,
            top_logprobs=call.logprobs or 0,
        )
        asks.append(ask)
    return asks
