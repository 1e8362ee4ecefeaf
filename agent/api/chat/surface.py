"""Chat Completions as the server uses it: a checked body into an Ask, an answer into its JSON."""

from agent.api.caller import Caller
from agent.api.chat.reply import Completion
from agent.api.chat.request import ChatRequest, read_chat
from agent.api.fields import may_serve
from agent.api.sampling import samplings
from agent.turn.ask import Ask
from agent.turn.own.told import Told


class Chat:
    """POST /v1/chat/completions (agent.api.surface.Surface)."""

    id_prefix = "chatcmpl-"

    def read(self, body: bytes) -> ChatRequest:
        return read_chat(body)

    async def asks(self, call: ChatRequest, caller: Caller) -> tuple[Ask]:
        return (ask_of(call, caller),)

    def shape(self, answer: Told, call: ChatRequest) -> Completion:
        return Completion(answer, call)


def ask_of(call: ChatRequest, caller: Caller) -> Ask:
    """Turn a checked request into what every API asks; its prompt is not rendered yet.

    raises: InvalidError, NotFoundError, naming the parameter or header
    """
    tools, constraint = call.offered(), call.constraint()
    serves = may_serve(call.tool_choice)
    sampled = samplings(
        call,
        caller,
        choices=call.n or 1,
        max_tokens=call.reply_tokens(),
        stop=call.stop,
        free=caller.wants_text(tools, constraint, serves=serves),
    )
    return caller.ask(
        call.model,
        [message.record() for message in call.messages],
        sampled,
        learn=call.store is not False,
        metadata=call.metadata,
        serves=serves,
        tools=tools,
        parallel_calls=call.parallel_tool_calls is not False,
        constraint=constraint,
        top_logprobs=call.top_logprobs or 0,
        continues=bool(call.continue_final_message),
        truncation=call.truncation or caller.settings.truncation,
        wants_notes=call.notes is not False,
    )
