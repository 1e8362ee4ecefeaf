"""A store and an agent in the middle of a trial: evidence, a timeline, turns behind each metric."""

from typing import Any

from sqlmodel import Session

from streams.records import Json, Message, State, Verb
from streams.store.tables import RolloutRow, TrialRow
from tests.agent.console.rows import MINUTE_MS, FakeService, judgement_row, turn_row

CANDIDATE = "c0ffee0000000001"


def metric(name: str, estimate: float, low: float, high: float, limit: float) -> Json:
    """Return one guardrail as the learner stores it."""
    return {
        "name": name, "limit": limit, "broken": low > limit, "estimate": estimate, "low": low,
        "high": high, "stable": 41, "candidate": 7,
    }  # fmt: skip


def look(**values: Any) -> Json:
    """Return what the learner last made of a trial."""
    body: Json = {
        "verb": None,
        "why": "judged +0.12 (−0.31 to +0.52), and it must be above −0.20 for certain",
        "judged": {"estimate": 0.12, "low": -0.31, "high": 0.52, "stable": 41, "candidate": 7},
        "guardrails": [
            metric("complaints", 0.02, -0.11, 0.14, 0.15),
            metric("refusals", 0.11, -0.02, 0.3, 0.1),
            metric("errors", 0.0, -0.02, 0.03, 0.05),
            metric("invalid calls", 0.0, -1.0, 1.0, 0.05) | {"candidate": 0},
            metric("length", -21.0, -48.0, 9.0, 128.0),
        ],
        "sessions": 240, "candidate_sessions": 13, "touched": 13, "seen_s": 188.0,
        "samples": {"reward": ["chatcmpl-000901"], "complaints": ["chatcmpl-000901"],
                    "length": ["chatcmpl-000902"]},
    }  # fmt: skip
    return body | values


def begin_trial(
    session: Session, service: FakeService, *, now_ms: int, state: State = "running", **values: Any
) -> None:
    """Put a candidate on trial, a few minutes ago."""
    seq, serving = int(service.state["seq"]), service.state["version"]
    verbs: list[tuple[Verb, str, float, str]] = [
        ("start", "passed the gate: nothing fell", 0.05, "learner"),
        ("pause", "looks odd, have a look", 0.05, "anna"),
        ("resume", "false alarm", 0.05, "ben"),
        ("step", "judged +0.05 (−0.40 to +0.50)", 0.25, "learner"),
    ]
    for place, (verb, reason, share, who) in enumerate(verbs, start=1):
        session.add(
            RolloutRow(
                id=f"trial{place}", line="main", seq=seq + place, version=serving,
                previous=serving, candidate=CANDIDATE, state=state if place == 4 else "running",
                step=int(place == 4), share=share, verb=verb, reason=reason, who=who,
                created_ms=now_ms - (5 - place) * 6 * MINUTE_MS,
            )
        )  # fmt: skip
    service.state["seq"] = seq + 4
    service.state["trial"] = {
        "version": CANDIDATE, "state": state, "step": 1, "share": 0.25, "started_by": "learner",
        "lacking": None, "verbs": ["pause", "skip-step", "promote-full", "abort"],
    }  # fmt: skip
    session.add(
        TrialRow(line="main", seq=seq + 4, candidate=CANDIDATE, body=look(**values),
                 updated_ms=now_ms - 2000)
    )  # fmt: skip
    for sequence, text in ((901, "I'm sorry, but I cannot tell that."), (902, "Well. " * 60)):
        row = turn_row(
            sequence, [Message(role="user", content="Which tea has no caffeine?")],
            Message(role="assistant", content=text), version=CANDIDATE, state="judged",
            created_ms=now_ms - 4 * MINUTE_MS,
        )  # fmt: skip
        session.add(row)
        session.add(judgement_row(row.id, -1, hint="Answer it.", evidence="“what?” asks again"))
