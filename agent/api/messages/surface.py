"""Messages as the server uses it: a checked body into an Ask, an answer into its JSON."""

from agent.api.caller import Caller
from agent.api.fields import may_serve
from agent.api.messages.errors import NO_THREADS
from agent.api.messages.reply import MessageReply
from agent.api.messages.request import CountRequest, MessagesRequest, read_message
from agent.api.sampling import samplings
from agent.errors import InvalidError
from agent.turn.ask import Ask
from agent.turn.own.told import Told


class Messages:
    """POST /v1/messages (agent.api.surface.Surface)."""

    id_prefix = "msg_"

    def read(self, body: bytes) -> MessagesRequest:
        return read_message(body)

    async def asks(self, call: MessagesRequest, caller: Caller) -> tuple[Ask]:
        return (ask_of(call, caller),)

    def shape(self, answer: Told, _: MessagesRequest) -> MessageReply:
        return MessageReply(answer)


def ask_of(call: CountRequest, caller: Caller) -> Ask:
    """Turn a checked request into what every API asks; its prompt is not rendered yet.

    raises: NotFoundError; InvalidError naming the parameter or header
    """
    if call.thread is not None:  # in words from which Anthropic's client goes on without one
        raise InvalidError(
            "thread: no conversation is held here: send all of its messages",
            param="thread",
            code=NO_THREADS,
        )
    tools, constraint = call.offered(), call.constraint()
    serves = may_serve(call.choice)
    sampled = samplings(
        call,
        caller,
        max_tokens=call.max_tokens,
        stop=call.stop_sequences,
        free=caller.wants_text(tools, constraint, serves=serves),
    )
    one_call = call.tool_choice is not None and call.tool_choice.disable_parallel_tool_use
    return caller.ask(
        call.model,
        call.records(),
        sampled,
        metadata=call.metadata,
        wants_notes=call.notes is not False,
        serves=serves,
        tools=tools,
        parallel_calls=not one_call,
        continues=call.continues,
        constraint=constraint,
        truncation=call.truncation or caller.settings.truncation,
    )
