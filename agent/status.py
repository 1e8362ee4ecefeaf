"""Says how the agent is: to a load balancer, to Prometheus and to the console, from memory only.

Knows the parts by what they tell of themselves; changes nothing.
"""

from typing import Any

from agent.engine.contract import Counts
from agent.swap.follow import Following
from agent.watch.metrics import Sample
from streams.records import Json
from streams.spool import Depth


def readiness(
    following: Following, depth: Depth, *, engine_alive: bool, draining: bool
) -> tuple[bool, Json]:
    """Say whether requests are taken, why not, and what else is not as it should be."""
    reasons = []
    if draining:
        reasons.append("stopping: running replies are being finished")
    if not engine_alive:
        reasons.append("the engine is not running: its log has the reason")
    if not following.caught_up and following.away is None:
        reasons.append("the ledger is still being read")
    warnings: dict[str, str | None] = {
        "log": following.away or depth.log_away,
        "pending": following.pending and f"the recipe or mask of {following.pending} is missing",
        "failed_swap": following.failed,
        "dropped": f"{depth.dropped} records were lost: spool full" if depth.dropped else None,
    }
    return not reasons, {
        "status": "not ready" if reasons else "ready",
        "reasons": reasons,
        "warnings": {name: text for name, text in warnings.items() if text},
    }


def serving(following: Following, version: str) -> dict[str, Any]:
    """Say what serves a line, and how that was decided.

    version: what this agent really serves; it differs from `decided` while that one is pending, or
        after it failed a check
    """
    return {
        "version": version,
        "decided": following.line.version,
        "previous": following.line.previous,
        "seq": following.line.seq,
        "since_ms": following.line.since_ms,
        "pending": following.pending,
        "failed": following.failed,
    }


def spooled(depth: Depth) -> dict[str, Any]:
    """Say what is on this agent's disk and not in the log yet."""
    return {
        "records": depth.records,
        "bytes": depth.num_bytes,
        "dropped": depth.dropped,
        "log_away": depth.log_away,
    }


def gauges(following: Following, depth: Depth, *, queued: int, running: int) -> list[Sample]:
    """Give what goes up and down."""
    away = following.away is not None or depth.log_away is not None
    return [
        ("queue_depth", "Requests that wait for a place in the batch", queued),
        ("running_replies", "Replies that are being sampled", running),
        ("spool_records", "Records on disk that the log does not have yet", depth.records),
        ("spool_bytes", "Disk that the spool uses", depth.num_bytes),
        ("log_away", "1 while the log cannot be reached", float(away)),
        ("line_seq", "The rollout in force", following.line.seq),
        (
            "swap_pending",
            "1 while a decided version lacks a recipe",
            float(bool(following.pending)),
        ),
    ]


def counters(depth: Depth, counts: Counts) -> list[Sample]:
    """Give what spool and engine have counted."""
    return [
        ("prompt_tokens_computed", "Prompt tokens that the engine read", counts.read_tokens),
        ("prompt_tokens_reused", "Prompt tokens found in the cache", counts.reused_tokens),
        ("failed_replies", "Replies that a fault ended", counts.failed_replies),
        ("spool_dropped", "Records lost because the spool was full", depth.dropped),
        ("spool_drained", "Records that reached the log", depth.drained),
    ]
