"""How a process writes its log lines: one line each on stderr, level first.

What a trace adds is indented: no text of a client, a server or a model passes for a line of ours,
or steers a terminal.
"""

import logging
from types import TracebackType

from agent.watch.events import on_one_line

_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class OneLine(logging.Formatter):
    """Writes a record in one line, and below it its trace."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line itself."""
        return on_one_line(super().formatMessage(record))

    def formatException(self, ei: _Raised) -> str:  # noqa: N802 - logging's name
        """Return the trace, indented."""
        trace = super().formatException(ei)
        return "\n".join(f"  {on_one_line(line)}" for line in trace.splitlines())


def begin_logging(level: int = logging.INFO) -> None:
    """Send this process's log to stderr; `up` adds the time's order and the process's name."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine("%(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    # Each request would be a line; the metrics count them.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
