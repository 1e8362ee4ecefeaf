"""What can go wrong in the agent, and what a client is told of it.

AgentError
├── ApiError            answered to the client with its status; never a trace
│   ├── InvalidError        400, names the parameter
│   ├── KeyRefusedError     401, a missing or unknown API key
│   ├── ForbiddenError      403, a key or a page that may not do this
│   ├── NotFoundError       404, an unknown route, model or response
│   ├── NotNowError         409, what is asked for cannot be now
│   ├── TooLargeError       413, a body over the limit
│   ├── BusyError           429, the queue is full; says when to try again
│   ├── UnavailableError    503, draining, or the engine has stopped; says so, too
│   └── BrokenError         500, our fault
├── QueueFullError      the engine's queue has no room for another request
├── EngineStoppedError  the engine's thread is not running
├── ReplyFailedError    this reply could not be made; the others go on
│   ├── BrokenLogitsError     the model's scores of its next token are not finite
│   └── LostMaskError         what it is held to cannot be followed
├── GrammarError        what a reply shall be held to cannot be compiled
├── SwapError           a version could not be taken into service; the old one serves on
│   ├── UnknownVersionError   its chain of recipes is not known (yet)
│   └── NoPreviousError       there is no earlier version to go back to
├── DamagedError        a file that is made from the log cannot be read; it is made anew
└── StartError          the agent cannot start; the message says what to do
        └── BindError           an address cannot be served: in use, not ours, not safe to open
"""


class AgentError(Exception):
    """Root of the errors that this package raises on purpose."""


class QueueFullError(AgentError):
    """The engine's queue has no room for another request."""


class EngineStoppedError(AgentError):
    """The engine's thread is not running, so no token will come."""


class ReplyFailedError(AgentError):
    """This reply could not be made; the others go on."""


class BrokenLogitsError(ReplyFailedError):
    """The model's scores of the next token are not finite."""


class LostMaskError(ReplyFailedError):
    """What the reply is held to cannot be followed any further."""


class GrammarError(AgentError):
    """What a reply shall be held to cannot be compiled; the message says what is wrong with it."""


class SwapError(AgentError):
    """A version could not be taken into service; the one that served before serves on."""


class UnknownVersionError(SwapError):
    """A recipe or mask of the version's chain is not known (yet)."""


class NoPreviousError(SwapError):
    """There is no earlier version to go back to."""


class DamagedError(AgentError):
    """A file that is made from the log alone cannot be read; it is made anew."""


class StartError(AgentError):
    """The agent cannot start; the message says what to do."""


class BindError(StartError):
    """An address cannot be served: in use, not ours, or not safe to open."""


class ApiError(AgentError):
    """An error that the client is told, in the shape of the API that it asked."""

    status = 500
    type = "server_error"
    code: str | None = None
    retry_s: int | None = None  # when to try again, where the error does not say; None: not said

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Say what happened and what to do.

        param: the parameter at fault, as the client spells it ("messages[0].content")
        code: OpenAI's code for programs; none: the class's own
        headers: further response headers; Retry-After is the class's own where it is not given
        """
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or type(self).code
        told = {} if self.retry_s is None else {"Retry-After": str(self.retry_s)}
        self.headers = told | (headers or {})


class InvalidError(ApiError):
    """The request cannot be understood, or asks for what this server cannot do."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_value"


class KeyRefusedError(ApiError):
    """The API key is missing or unknown."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class ForbiddenError(ApiError):
    """The caller is known, or is a web page, and may not do this."""

    status = 403
    type = "permission_error"


class NotFoundError(ApiError):
    """There is no such route, model or response."""

    status = 404
    type = "invalid_request_error"


class NotNowError(ApiError):
    """What is asked for cannot be now; the message says what is in the way."""

    status = 409
    type = "conflict_error"


class TooLargeError(ApiError):
    """The body is over the limit of the settings."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class BusyError(ApiError):
    """More requests wait than the settings allow."""

    status = 429
    type = "rate_limit_error"
    code = "queue_full"
    retry_s = 1  # a place in the queue comes free with every reply that ends


class UnavailableError(ApiError):
    """This process takes no requests now."""

    status = 503
    type = "server_error"
    code = "unavailable"
    retry_s = 5  # a log that is away is tried again as often; a restart takes longer


class BrokenError(ApiError):
    """Something failed here that should not have; the log has the trace."""

    code = "internal_error"
