"""How the agent is, told to a load balancer, to Prometheus and to the console; from memory only.

Knows the parts by what they tell of themselves; changes nothing.
"""

import dataclasses
from dataclasses import dataclass, field

from agent.engine.contract import Engine
from agent.swap.follow import Following
from agent.watch.metrics import Sample
from streams.line.offer import operable
from streams.records import Json, Rollout
from streams.spool.spool import Depth


@dataclass(frozen=True, slots=True)
class Status:
    """What the parts of an agent tell at one moment."""

    version: str  # what serves here: not `decided` while that one is pending, or after it failed
    base: str
    following: Following
    depth: Depth  # of the spool
    engine: Engine
    engine_alive: bool
    draining: bool
    tools: Json = field(default_factory=dict)  # each MCP server of agent.tools: how it is
    steps: int = 1  # of a trial, by the policy
    changes: tuple[Rollout, ...] = ()  # the last of the line, newest first
    replies_ms: int | None = None  # when the first reply of `version` began; None: none has

    def info(self) -> dict[str, str]:
        """The line that this agent serves, the version that serves it, and the base of both."""
        return {"line": self.following.line.name, "version": self.version, "base": self.base}

    def readiness(self) -> tuple[bool, Json]:
        """Whether requests are taken, why not, and what else is not as it should be."""
        following, depth, reasons = self.following, self.depth, []
        if self.draining:
            reasons.append("stopping: running replies are being finished")
        if not self.engine_alive:
            reasons.append("the engine is not running: its log has the reason")
        if not following.caught_up and following.away is None:
            reasons.append("the ledger is still being read")
        missing = f"the recipe or mask of {following.pending} is missing"
        warnings: dict[str, str | None] = {
            "log": following.away or depth.log_away,
            "pending": missing if following.pending else None,
            "failed_swap": following.failed,
            "candidate": following.lacking,
            "tools": "; ".join(
                f"{name}: {each['why'] or each['state']}"
                for name, each in self.tools.items()
                if each["state"] != "up" or each["why"]
            ),
            "dropped": (
                f"{depth.dropped} records were lost: the spool, or its disk, was full"
                if depth.dropped
                else None
            ),
        }
        return not reasons, {
            "status": "not ready" if reasons else "ready",
            "reasons": reasons,
            "warnings": {name: text for name, text in warnings.items() if text},
            "tools": self.tools,
            **self.info(),
        }

    def serving(self) -> Json:
        """Line → what serves it, and how that was decided."""
        line = self.following.line
        state = {
            "version": self.version,
            "decided": line.version,
            "previous": line.previous,
            "seq": line.seq,
            "since_ms": line.since_ms,
            "replies_ms": self.replies_ms,
            "pending": self.following.pending,
            "failed": self.following.failed,
            "learning": line.learning,
            "trial": self._trial(),
        }
        return {line.name: state}

    def _trial(self) -> Json | None:
        """The candidate on trial, and what an operator may do with it; None: there is none."""
        trial = self.following.line.trial
        if trial is None:
            return None
        verbs = list(operable(self.following.line))
        told = {"lacking": self.following.lacking, "verbs": verbs, "steps": self.steps}
        return dataclasses.asdict(trial) | told

    def spooled(self) -> Json:
        """What is on this agent's disk and not in the log yet."""
        depth = self.depth
        return {
            "records": depth.records,
            "bytes": depth.num_bytes,
            "dropped": depth.dropped,
            "log_away": depth.log_away,
        }

    def gauges(self) -> list[Sample]:
        """What goes up and down."""
        following, depth, engine = self.following, self.depth, self.engine
        away = following.away is not None or depth.log_away is not None
        pending = float(following.pending is not None)
        trial = following.line.trial
        return [
            ("queue_depth", "Requests that wait for a place in the batch", engine.queued),
            ("running_replies", "Replies that are being sampled", engine.running),
            ("spool_records", "Records on disk that the log does not have yet", depth.records),
            ("spool_bytes", "Disk that the spool uses", depth.num_bytes),
            ("log_away", "1 while the log cannot be reached", float(away)),
            ("line_seq", "The rollout in force", following.line.seq),
            ("trial_share", "Share of the sessions of a candidate", trial.share if trial else 0.0),
            (
                "trial_step",
                "Its place in the steps, from 1; 0: no trial",
                trial.step + 1 if trial else 0,
            ),
            ("trial_held", "1 while a trial is held", float(bool(trial and trial.state == "held"))),
            (
                "trial_lacking",
                "1 while it answers nobody here",
                float(following.lacking is not None),
            ),
            (
                "learning",
                "0 from a reset until learning is resumed",
                float(following.line.learning),
            ),
            ("swap_pending", "1 while a decided version lacks a recipe", pending),
        ]

    def counters(self) -> list[Sample]:
        """What spool and engine have counted."""
        depth, counts = self.depth, self.engine.counts
        return [
            ("prompt_tokens_computed", "Prompt tokens that the engine read", counts.read_tokens),
            ("prompt_tokens_reused", "Prompt tokens found in the cache", counts.reused_tokens),
            ("failed_replies", "Replies that a fault ended", counts.failed_replies),
            (
                "preempted_replies",
                "Unseen replies of a candidate that were given up for others",
                counts.preempted_replies,
            ),
            ("spool_dropped", "Records lost because the spool was full", depth.dropped),
            ("spool_drained", "Records that reached the log", depth.drained),
        ]
