"""What happened to this agent lately, for the console and the process's log: a bounded list.

Kinds, so that pages and alerts can tell them apart:
    ahead, ahead-failed: a version that may be decided for next,
    swap, swap-failed, rollback, reset, rollback-unwritten (of either),
    log-away, log-back, unreadable, dropped, engine-failed, draining, limited,
    trial, learn: what operators did with a candidate, and generations that they ordered,
    broken-call: a reply's tool call that could not be read, or was of no tool on offer,
    locked-out: too many wrong keys for the console, from one address, of one key, or of one name,
    tools: an MCP server of agent.tools that can be called now, or not

Knows nothing of its readers; what must not be lost goes to the streams, not here.
"""

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "ahead", "ahead-failed",
    "swap", "swap-failed", "rollback", "reset", "rollback-unwritten", "trial", "trial-lacking",
    "learn", "log-away", "log-back", "unreadable", "dropped", "engine-failed", "draining",
    "limited", "broken-call", "tools", "locked-out",
]  # fmt: skip
KEPT = 200  # some days of a healthy agent, some minutes of a sick one
_WARNINGS = {
    "ahead-failed", "swap-failed", "rollback-unwritten", "trial-lacking", "log-away", "unreadable",
    "dropped", "locked-out",
}  # fmt: skip

# What a terminal obeys in place of showing it (C0 without tab and line feed, C1), what makes a line
# read backwards, and halves of characters, which no terminal's encoding has.
ORDERS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. turn: id of the turn that has more of it"""

    time_ms: int
    kind: Kind
    text: str
    turn: str | None = None


def on_one_line(text: str) -> str:
    r"""Return a text of somebody else's that only shows, and writes no line of its own into a log.

    >>> on_one_line("a\n\x1b[2J b").encode("ascii", "backslashreplace")
    b'a \\ufffd[2J b'
    """
    return ORDERS.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.splitlines()))


class Events:
    """The last events, oldest first. Any thread may add."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """Start empty. clock: Unix seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: deque[Event] = deque(maxlen=KEPT)

    def add(self, kind: Kind, text: str, *, turn: str | None = None) -> None:
        """Keep an event, and write it to the process's log: one line, whatever the text holds."""
        text = on_one_line(text)
        if kind == "engine-failed":
            level = logging.ERROR
        else:
            level = logging.WARNING if kind in _WARNINGS else logging.INFO
        _LOG.log(level, "%s: %s", kind, text)
        with self._lock:
            self._kept.append(Event(int(self._clock() * 1000), kind, text, turn))

    def __iter__(self) -> Iterator[Event]:
        """Yield the events as they stand now, oldest first."""
        with self._lock:
            return iter(list(self._kept))
