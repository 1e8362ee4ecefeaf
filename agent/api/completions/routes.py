"""The endpoint of Completions."""

from agent.api.completions.request import CompletionRequest
from agent.api.completions.schema import TextCompletion
from agent.api.completions.surface import Completions
from agent.api.openai import ErrorBody
from agent.api.operation import Operation
from agent.api.serve import replies_of

OPERATIONS = (
    Operation(
        "POST",
        "/completions",
        replies_of(Completions()),
        "Continue a text as it stands",
        "Completions",
        answer=TextCompletion,
        error=ErrorBody,
        body=CompletionRequest,
        events=TextCompletion | ErrorBody,
        ends_with="[DONE]",
        gives=("/feedback/{response_id}",),
    ),
)
