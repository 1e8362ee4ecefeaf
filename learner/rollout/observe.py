"""Reads what has been said of the two versions of a trial: one look at the store a decision.

A turn counts for the version that answered it, when its session was assigned that version: one for
which the client named a version, or that another one answered than was due, says nothing of either.
Chores, and turns that must not be learned from, don't count. Judgements count whenever they come.

What was read of a turn's text is remembered, as a few numbers, until the trial ends.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any, Final

from sqlmodel import Session, col, select

from learner.judges.judge import combine
from learner.rollout.voices import Remark
from learner.safety.replies import is_refusal
from streams.line import share
from streams.records import Judgement
from streams.store.states import EXPIRED, FORGOTTEN, UNTRAINED
from streams.store.tables import JudgementRow, RolloutRow, TurnRow

_AT_ONCE: Final = 500  # turns whose texts are read by one query; SQLite takes 32,766 values
# Turns that operators look at behind a metric: more than one, and not a list to read.
SAMPLES: Final = 5
# A replica takes this long at most to hear of a change, and a reply to end that began before it.
SETTLE_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Reply:
    """What a guardrail wants to know of a reply."""

    tokens: int
    broke_off: bool
    refuses: bool
    invalid_call: bool | None  # None: no tools were offered


@dataclass(frozen=True, slots=True)
class Observed:
    """What was said of the two versions, by metric: of the stable one, and of the candidate.

    samples: of each metric, the candidate's turns that say the worst of it, the worst first
    sessions, candidate_sessions: whose first turn since the last change of the line was answered
    touched: sessions that the candidate answered since the trial began
    """

    remarks: dict[str, tuple[list[Remark], list[Remark]]]
    samples: dict[str, list[str]]
    sessions: int
    candidate_sessions: int
    touched: int


class Observer:
    """Reads the turns of one trial; keep it as long as the trial runs."""

    def __init__(self, history: Sequence[RolloutRow]) -> None:
        """Read nothing yet.

        history: the changes of the line since the trial began, oldest first
        """
        self._replies: dict[str, Reply] = {}
        self._line, self._stable = history[0].line, history[0].version
        self._candidate = history[0].candidate or ""

    def read(self, session: Session, history: Sequence[RolloutRow]) -> Observed:
        """Read what is known now. history: as above, up to the last change."""
        turns = self._turns(session, history[0].created_ms)
        self._read_replies(session, [turn.id for turn in turns if turn.state != EXPIRED])
        verdicts = self._verdicts(session, history[0].created_ms)
        remarks: dict[str, tuple[list[Remark], list[Remark]]] = defaultdict(lambda: ([], []))
        worst: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
        firsts: dict[str, bool] = {}
        touched: set[str] = set()
        settled_ms = history[-1].created_ms + SETTLE_MS
        for turn in turns:
            is_candidate = turn.version == self._candidate
            if is_candidate:
                touched.add(turn.session)
            if turn.taken_ms >= settled_ms:
                firsts.setdefault(turn.session, is_candidate)
            due = share.belongs(turn.session, self._candidate, _share_at(history, turn.taken_ms))
            if due != is_candidate:
                continue
            for name, value, at_ms in _said(turn, verdicts.get(turn.id), self._replies):
                remarks[name][is_candidate].append(Remark(turn.principal, value, at_ms))
                bad = -value if name == "reward" else value
                if is_candidate and bad > 0:
                    worst[name].append((bad, at_ms, turn.id))
        return Observed(
            dict(remarks),
            samples={name: _first(said) for name, said in worst.items()},
            sessions=len(firsts),
            candidate_sessions=sum(firsts.values()),
            touched=len(touched),
        )

    def _turns(self, session: Session, since_ms: int) -> Sequence[Any]:
        columns = (
            TurnRow.id, TurnRow.version, TurnRow.principal, TurnRow.session, TurnRow.state,
            TurnRow.taken_ms,
        )  # fmt: skip
        query = (
            select(*columns)  # type: ignore[call-overload]
            .where(*self._ours(since_ms))
            .order_by(col(TurnRow.sequence))
        )
        rows: Sequence[Any] = session.exec(query).all()
        return rows

    def _ours(self, since_ms: int) -> tuple[Any, ...]:
        return (
            TurnRow.line == self._line,
            col(TurnRow.version).in_((self._stable, self._candidate)),
            col(TurnRow.member).is_(None),
            TurnRow.taken_ms >= since_ms,
            col(TurnRow.state).not_in((UNTRAINED, FORGOTTEN)),
        )

    def _read_replies(self, session: Session, ids: Sequence[str]) -> None:
        new = [id for id in ids if id not in self._replies]
        for start in range(0, len(new), _AT_ONCE):
            named = col(TurnRow.id).in_(new[start : start + _AT_ONCE])
            for id, record in session.exec(select(TurnRow.id, TurnRow.record).where(named)):
                if record:
                    self._replies[id] = reply_of(record)

    def _verdicts(self, session: Session, since_ms: int) -> dict[str, tuple[float, bool, int]]:
        """Return reward, whether it is a complaint, and when it was first judged, by turn."""
        query = (
            select(JudgementRow)
            .join(TurnRow, col(TurnRow.id) == col(JudgementRow.turn_id))
            .where(*self._ours(since_ms))
        )
        by_turn: dict[str, list[Judgement]] = defaultdict(list)
        for row in session.exec(query):
            body = row.model_dump() | {"line": self._line, "version": self._stable}
            by_turn[row.turn_id].append(Judgement.model_validate(body))
        found = {}
        for turn_id, judgements in by_turn.items():
            verdict = combine(judgements)
            if verdict is not None:
                at_ms = min(given.created_ms for given in judgements)
                reward = verdict.score * verdict.confidence
                found[turn_id] = (reward, verdict.score < 0, at_ms)
        return found


def _first(said: list[tuple[float, int, str]]) -> list[str]:
    """Name the turns that say the worst, of several alike the newest."""
    return [id for _, _, id in nlargest(SAMPLES, said)]


def reply_of(record: Mapping[str, Any]) -> Reply:
    """Read what the guardrails want of a turn's record (streams.turn.Turn)."""
    reply, tools = record["reply"], record.get("tools")
    return Reply(
        tokens=len(record["token_ids"]),
        broke_off=record["finish_reason"] == "cancelled",
        refuses=is_refusal(reply.get("content") or ""),
        invalid_call=None if not tools else _is_invalid(reply.get("tool_calls") or [], tools),
    )


def _is_invalid(calls: Iterable[dict[str, Any]], tools: Iterable[dict[str, Any]]) -> bool:
    """Return whether a call names no tool that was offered, or its arguments are no JSON object."""
    offered = {tool.get("function", {}).get("name") for tool in tools}
    for call in calls:
        function = call.get("function", {})
        try:
            arguments = json.loads(function.get("arguments") or "{}")
        except (ValueError, TypeError):
            return True
        if function.get("name") not in offered or not isinstance(arguments, dict):
            return True
    return False


def _said(
    turn: Any, verdict: tuple[float, bool, int] | None, replies: dict[str, Reply]
) -> Iterable[tuple[str, float, int]]:
    """Yield what one turn says: metric, value, and when."""
    if verdict is not None:
        reward, complains, at_ms = verdict
        yield "reward", reward, at_ms
        yield "complaints", float(complains), at_ms
    reply = replies.get(turn.id)
    if reply is not None:
        yield "length", float(reply.tokens), turn.taken_ms
        yield "errors", float(reply.broke_off), turn.taken_ms
        yield "refusals", float(reply.refuses), turn.taken_ms
        if reply.invalid_call is not None:
            yield "invalid calls", float(reply.invalid_call), turn.taken_ms


def _share_at(history: Sequence[RolloutRow], time_ms: int) -> float:
    """Return the candidate's share at a moment since the trial began."""
    now = history[0].share
    for change in history:
        if change.created_ms > time_ms:
            break
        now = change.share
    return now
