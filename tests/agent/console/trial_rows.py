"""A store and an agent in the middle of a trial: evidence, a timeline, turns behind each metric."""

from typing import Any

from sqlmodel import Session

from streams.records import Json, Message, State, Verb
from streams.store.lesson_tables import LessonRow
from streams.store.tables import GenerationRow, RolloutRow, TrialRow, TurnRow
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
            metric("latency", 3.0, -20.0, 41.0, 100.0),
            metric("aboutness", 0.1, -0.4, 0.6, -0.5) | {"falls": True, "broken": False},
        ],
        "sessions": 55, "candidate_sessions": 13, "touched": 24, "seen_s": 188.0,
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
    states: dict[Verb, State] = {
        "start": "running", "pause": "paused", "resume": "running", "step": state,
    }  # fmt: skip
    for place, (verb, reason, share, who) in enumerate(verbs, start=1):
        session.add(
            RolloutRow(
                id=f"trial{place}", line="main", seq=seq + place, version=serving,
                previous=serving, candidate=CANDIDATE, state=states[verb],
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


def teach(session: Session, *, child: str, number: int = 24) -> list[str]:
    """Give a generation of the day a batch, its table of fitness, and lessons; return the turns."""
    ids = []
    for place, (principal, hint) in enumerate(
        [("aaaaaaaaaaaaaaaa", "Answer in one sentence."), ("bbbbbbbbbbbbbbbb", "Name the tea.")]
    ):
        row = turn_row(
            800 + place, [Message(role="user", content=f"Which tea, number {place}?")],
            Message(role="assistant", content="I am sorry. " * 9), state="judged", uses=1,
            created_ms=1_000 + place,
        )  # fmt: skip
        row.principal = principal
        row.target = {
            "hint": hint, "version": child, "token_ids": [5], "logprobs": [-0.1],
            "made": "suffix", "text": "Rooibos." if place else None,
            "reason": "" if place else "the rewrite is not about the question",
            "proof": {"about": 1.31, "follows": 0.52} if place else None,
        }  # fmt: skip
        session.add(row)
        session.add(judgement_row(row.id, -1, hint=hint, principal=principal))
        ids.append(row.id)
    after = turn_row(
        830, [Message(role="user", content="And now?")], Message(role="assistant", content="Mint."),
        state="judged", created_ms=9_999_999_999_999,
    )  # fmt: skip
    after.principal = "bbbbbbbbbbbbbbbb"
    session.add(after)
    session.add(judgement_row(after.id, 1, principal=after.principal))
    session.flush()
    learned = session.get_one(TurnRow, ids[1])
    learned.lesson = "tea"
    lesson = LessonRow(
        id="tea", line="main", principal=learned.principal, turn_id=learned.id, wished=[],
        instruction="Name the tea.", state="satisfied", reason="3 pleased verdicts on end",
        num_complaints=1, num_pleased=3, versions=[[child, 0]], created_ms=learned.created_ms,
    )  # fmt: skip
    session.add(lesson)
    generation = session.get_one(GenerationRow, f"g{number}")
    generation.turn_ids = generation.scored_ids = ids
    generation.batch = [
        {"turn_id": id, "weight": weight, "score": -1, "confidence": 0.8, "hint": "a wish"}
        for id, weight in zip(ids, (0.75, 0.25), strict=True)
    ]
    generation.fitness = [[1.0, -1.0, 0.2, -0.2], [0.5, -0.5, -0.1, 0.1]]
    generation.settings = {"strategy": "es", "kl_budget": 0.02, "unknown": 1}
    return ids
