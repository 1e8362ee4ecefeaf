"""Assigns what answers a request: the version that serves its line.

It is asked at the moment at which the request gets its place in the batch (agent.engine.contract),
so that no request begins on what has been taken back while it waited. The same ask and the same
line mean the same variant: shares of sessions go by the session's hash, never by chance.

Knows nothing of weights; what it names may not be in memory, which is the engine's to say.
"""

from agent.engine.contract import serving
from agent.turn.ask import Ask
from streams.line.line import Line
from streams.line.variant import Variant


def assign(ask: Ask, line: Line) -> Variant:  # noqa: ARG001  # shares will go by the session
    """Return what answers an ask, given what serves its line on this agent now."""
    return serving(line)
