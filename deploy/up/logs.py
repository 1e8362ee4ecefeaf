"""How a process writes its log lines: one line each on stderr, level first."""

import logging


def begin_logging(level: int = logging.INFO) -> None:
    """Send this process's log to stderr; `up` adds the time's order and the process's name."""
    logging.basicConfig(level=level, format="%(levelname)-7s %(name)s: %(message)s", force=True)
    logging.captureWarnings(True)
    # Each request would be a line; the metrics count them.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
