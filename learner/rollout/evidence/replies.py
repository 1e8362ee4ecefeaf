"""Reads from a turn's record what a trial wants to know of its reply, in a few numbers.

Pure. Knows nothing of tables or of what is decided.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from learner.safety.readings.replies import is_refusal


@dataclass(frozen=True, slots=True)
class Reply:
    """What a trial wants to know of a reply.

    broke_off: it was cancelled, by whomever, or what answered failed
    gap_ms: median time from token to token; None: unknown
    pinned: the client had named what was to answer
    beside: the turn beside which it was made, unseen; None: it was shown
    """

    tokens: int
    broke_off: bool
    refuses: bool
    invalid_call: bool | None  # None: no tools were offered
    gap_ms: float | None = None
    pinned: bool = False
    beside: str | None = None


def reply_of(record: Mapping[str, Any]) -> Reply:
    """Read it from a turn's record (streams.turn.Turn), of any version."""
    reply, tools = record["reply"], record.get("tools")
    return Reply(
        tokens=len(record["token_ids"]),
        broke_off=record["finish_reason"] == "cancelled",
        refuses=is_refusal(reply.get("content") or ""),
        invalid_call=_calls_wrongly(record, tools) if tools else None,
        gap_ms=record.get("gap_ms"),
        pinned=record.get("pinned", False),
        beside=record.get("beside"),
    )


def measures(reply: Reply) -> Iterable[tuple[str, float]]:
    """Yield what a reply itself says: metric and value. One that broke off says nothing else."""
    yield "errors", float(reply.broke_off)
    if reply.broke_off:
        return
    yield "length", float(reply.tokens)
    yield "refusals", float(reply.refuses)
    if reply.invalid_call is not None:
        yield "invalid calls", float(reply.invalid_call)
    if reply.gap_ms is not None and reply.beside is None:
        yield "latency", reply.gap_ms


def _calls_wrongly(record: Mapping[str, Any], tools: Iterable[dict[str, Any]]) -> bool:
    """Return whether something was meant as a call and is none, or calls what is not on offer."""
    if record.get("broken_calls"):
        return True
    offered = {tool.get("function", {}).get("name") for tool in tools}
    for call in record["reply"].get("tool_calls") or []:
        function = call.get("function", {})
        try:
            arguments = json.loads(function.get("arguments") or "{}")
        except (ValueError, TypeError, RecursionError):
            return True
        if function.get("name") not in offered or not isinstance(arguments, dict):
            return True
    return False
