"""Assigns what answers a request: what serves its session, or the version that it names.

It is asked at the moment at which the request gets its place in the batch (agent.engine.contract),
so that no request begins on what has been taken back while it waited. The same ask and the same
line mean the same variant: a candidate on trial answers its share of the sessions, which goes by
the session's hash (streams.line.share), never by chance.

Knows nothing of weights; what it names may not be in memory, which is the engine's to say.
"""

from typing import Final

from agent.engine.contract import serving
from agent.turn.ask import Ask
from streams.line import share
from streams.line.line import Line
from streams.line.variant import Variant

# An ask that wants the version that serves, and never one on trial; no version has this name.
STABLE: Final = "stable"


def assign(ask: Ask, line: Line) -> Variant:
    """Return what answers an ask, given what serves its line on this agent now."""
    if ask.wanted not in ("", STABLE):
        return Variant(line.name, ask.wanted)
    trial = line.trial
    if trial and not ask.wanted and share.belongs(ask.session, trial.version, trial.share):
        return Variant(line.name, trial.version)
    return serving(line)
