"""Where each span stands: trace and span id, worked out from the ids of what it is about.

    the turn's trace     request ─▶ log            a turn: the client's trace, or its own
                         └▶ judgement   └▶ lesson
    the version's trace  generation ─▶ gate, rollout ─▶ swap

A generation links to the turns that it learned from, a lesson to the generation. As every process
works out the same ids, no record has to carry one, and the spans of agent, learner and operators
meet in the backend; a span that is told twice, after a crash, is the same span.

Pure.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A span's place, W3C Trace Context's: 32 and 16 hex digits."""

    trace: str
    span: str


def turn(turn_id: str, trace: str | None) -> Place:
    """The request of a turn. trace: as its record has it.

    >>> turn("chatcmpl-1", "4bf92f3577b34da6a3ce929d0e0e4736").trace
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    return Place(trace or _id("turn", turn_id, 32), _id("request", turn_id, 16))


def log(of: Place, turn_id: str) -> Place:
    """A turn's way to the disk or the log. of: its request."""
    return Place(of.trace, _id("log", turn_id, 16))


def judgement(of: Place, judgement_id: str) -> Place:
    """A verdict on a turn. of: the turn's request."""
    return Place(of.trace, _id("judgement", judgement_id, 16))


def lesson(of: Place, turn_id: str, generation_id: str) -> Place:
    """What a turn teaches a generation. of: the turn's request."""
    return Place(of.trace, _id("lesson", f"{turn_id}\0{generation_id}", 16))


def generation(version: str) -> Place:
    """What made a version. version: its name; of a generation without a child, its id."""
    return Place(_id("version", version, 32), _id("generation", version, 16))


def gate(version: str) -> Place:
    """The gate that a version was held against."""
    return Place(_id("version", version, 32), _id("gate", version, 16))


def rollout(version: str, rollout_id: str) -> Place:
    """A change of a line. version: what it is about, the candidate or what serves then."""
    return Place(_id("version", version, 32), _id("rollout", rollout_id, 16))


def swap(version: str, rollout_id: str, agent: str) -> Place:
    """A version taken into service by an agent. agent: another for each process."""
    return Place(_id("version", version, 32), _id("swap", f"{rollout_id}\0{agent}", 16))


def _id(kind: str, name: str, digits: int) -> str:
    return hashlib.sha256(f"{kind}\0{name}".encode()).hexdigest()[:digits]
