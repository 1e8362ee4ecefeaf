"""An error as Anthropic's clients read it.

Knows nothing of sockets.
"""

from typing import Final, Literal, NotRequired

from typing_extensions import TypedDict

from agent.errors import ApiError

NO_THREADS: Final = "thread_unsupported_request"
ErrorType = Literal[
    "invalid_request_error", "authentication_error", "permission_error", "not_found_error",
    "request_too_large", "rate_limit_error", "api_error", "overloaded_error",
]  # fmt: skip
_TYPES: dict[int, ErrorType] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


class UnsupportedDetails(TypedDict):
    """By which a client knows that it may ask again without a thread."""

    error_code: str
    unsupported: list[str]


class MessagesErrorDetail(TypedDict):
    """What went wrong."""

    type: ErrorType
    message: str
    details: NotRequired[UnsupportedDetails]


class MessagesError(TypedDict):
    """The body of a response that failed, and the data of a stream's event `error`."""

    type: Literal["error"]
    error: MessagesErrorDetail
    request_id: str | None


def anthropic_error(error: ApiError, request_id: str) -> MessagesError:
    """Shape an error; the message names the parameter, as there is no place of its own for it.

    >>> from agent.errors import BusyError
    >>> anthropic_error(BusyError("try again"), "req_1")["error"]["type"]
    'rate_limit_error'
    """
    kind = _TYPES.get(error.status, "api_error")
    detail: MessagesErrorDetail = {"type": kind, "message": error.message}
    if error.code == NO_THREADS:
        detail["details"] = {"error_code": NO_THREADS, "unsupported": ["thread"]}
    return {"type": "error", "error": detail, "request_id": request_id or None}
