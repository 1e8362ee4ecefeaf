"""The span of a change of a line: told by whichever process made it."""

from streams.records import Rollout
from streams.trace import places
from streams.trace.contract import Tracer


def tell_rollout(tracer: Tracer, made: Rollout, *, now_s: float) -> None:
    """Tell a change of a line, from its making until now."""
    if not tracer.on:
        return
    version = made.candidate or made.version
    tracer.span(
        "rollout",
        places.rollout(version, made.id),
        began_s=made.created_ms / 1000,
        ended_s=now_s,
        parent=places.generation(version),
        attributes={
            "line": made.line, "version": version, "seq": made.seq, "verb": made.verb,
            "state": made.state, "who": made.who, "reason": made.reason,
        },
    )  # fmt: skip
