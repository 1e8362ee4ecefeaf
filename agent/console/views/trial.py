"""The candidate that is on trial: its evidence, and in words why it does not serve everybody yet.

What the learner found is shown as it is; nothing is decided here.
"""

from collections.abc import Sequence
from typing import Any

from agent.console.views.view import Ask
from streams.records import Json

# metric → its name on the page, the unit of a difference, and what it is when it is bad
METRICS: dict[str, tuple[str, str, str]] = {
    "reward": ("Judged reward", "on a scale from −1 to 1", "judged worst"),
    "complaints": ("Complaints", "share of judged turns", "complaints"),
    "refusals": ("Refusals", "share of replies", "replies that open by declining"),
    "errors": ("Broken replies", "share of replies", "replies that broke off"),
    "invalid calls": ("Invalid tool calls", "share of replies", "invalid tool calls"),
    "length": ("Length", "tokens a reply", "the longest replies"),
    "latency": ("Latency", "ms from token to token", "the slowest replies"),
    "aboutness": ("Aboutness", "nats a token", "replies that are least about what was asked"),
    "liked": ("What people liked", "nats a token", "liked replies that it makes least likely"),
}


COUNTS = ("sessions", "candidate_sessions", "touched")


def trial_of(ask: Ask, serving: Json, rollouts: Sequence[Json]) -> Json:
    """Put together what is known of the trial of the line."""
    trial: Json = serving["trial"]
    rules = ask.service.rollout
    look = next(iter(ask.of_line("trials")), None)
    seen = look if look and look["candidate"] == trial["version"] else None
    change = next((row for row in rollouts if row["seq"] == serving["seq"]), None)
    body = seen["body"] if seen else {}
    return trial | {
        "why": _why(trial, body, change, stored=ask.section("store")["ok"]),
        "policy": rules.policy,
        "steps": list(rules.steps),
        "looked_ms": seen["updated_ms"] if seen else None,
        "soak_ms": _until(seen, rules.soak_s) if trial["state"] == "running" else None,
        "deadline_ms": _until(seen, rules.deadline_s) if trial["state"] == "running" else None,
        "sessions": {name: body.get(name) for name in COUNTS},
        "least": rules.min_principals,
        "metrics": metrics_of(body, margin=rules.margin),
        "began": _began(trial, rollouts),
    }


def metrics_of(body: Json, *, margin: float) -> list[Json]:
    """Return each metric of a look: estimate, bounds, limit, how it stands, turns behind it."""
    if not body:
        return []
    judged: Json = body["judged"] | {"name": "reward", "limit": -margin, "broken": False}
    return [_metric(row, body.get("samples") or {}) for row in (judged, *body["guardrails"])]


def _metric(row: Json, samples: dict[str, Any]) -> Json:
    name = row["name"]
    title, unit, worst = METRICS.get(name, (name, "", "the worst"))
    is_reward = name == "reward"
    ends = (-2.0, 2.0) if is_reward else _ends(row)
    return row | {
        "title": title,
        "unit": unit,
        "worst": worst,
        "ends": list(ends),
        "standing": _standing(row, is_reward=is_reward),
        "samples": samples.get(name, []),
    }


def _ends(row: Json) -> tuple[float, float]:
    """The scale of a tile: wide enough for estimate and limit, and no wider than that helps."""
    most = 4 * max(abs(row["limit"]), abs(row["estimate"]), 1e-9)
    return -most, most


def _standing(row: Json, *, is_reward: bool) -> tuple[str, str]:
    """How a metric stands: its mark, and in words."""
    if not row["candidate"] or not row["stable"]:
        return "none", "no data yet"
    if row["broken"] or (is_reward and row["high"] < 0):
        return "bad", "worse for certain"
    falls = is_reward or row.get("falls", False)  # what is good of it is more of it
    if row["low"] > row["limit"] if falls else row["high"] <= row["limit"]:
        return "good", "within its limit for certain"
    over = row["estimate"] < row["limit"] if falls else row["estimate"] > row["limit"]
    return ("warn", "past its limit so far") if over else ("open", "within its limit so far")


def _why(trial: Json, body: Json, change: Json | None, *, stored: bool) -> str:
    if trial["state"] in ("held", "paused"):
        told = f" by {change['who']}: {change['reason']}" if change else ""
        return f"{trial['state']}{told}"
    if body:
        return str(body["why"])
    if trial["state"] == "pending":
        return "waits for an operator to start it"
    return (
        "the learner has not looked at it yet"
        if stored
        else "not known: the learner's store was not read"
    )


def _until(seen: Json | None, whole_s: float) -> int | None:
    """When a time of a step is over, Unix milliseconds; None: how long it has lasted is unknown."""
    lasted_s = seen["body"].get("seen_s") if seen else None
    if seen is None or lasted_s is None:
        return None
    return int(seen["updated_ms"] + (whole_s - lasted_s) * 1000)


def _began(trial: Json, rollouts: Sequence[Json]) -> Json | None:
    """The change that gave the candidate its first sessions."""
    own = [row for row in rollouts if row["candidate"] == trial["version"]]
    return next((row for row in own if row["verb"] == "start" and row["share"] > 0), None)
