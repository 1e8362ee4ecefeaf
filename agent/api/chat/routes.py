"""The endpoint of Chat Completions."""

from agent.api.chat.request import ChatRequest
from agent.api.chat.schema import ChatChunk, ChatCompletion
from agent.api.chat.surface import Chat
from agent.api.openai import ErrorBody
from agent.api.operation import Operation
from agent.api.serve import replies_of

OPERATIONS = (
    Operation(
        "POST",
        "/chat/completions",
        replies_of(Chat()),
        "Answer a conversation",
        "Chat Completions",
        answer=ChatCompletion,
        error=ErrorBody,
        body=ChatRequest,
        events=ChatChunk | ErrorBody,
        ends_with="[DONE]",
        gives=("/feedback/{response_id}",),
    ),
)
