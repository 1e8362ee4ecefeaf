"""Reads what has been said of the two versions of a trial: one look at the store a decision.

A turn counts for the version that answered it, when its session was assigned that version: one for
which the client named a version, or that another one answered than was due, says nothing of either.
Chores, and turns that must not be learned from, don't count; of one that broke off that alone
does. Judgements count whenever they come.

While a candidate is unseen, pairs are read instead: its reply to a prompt, and the one that was
shown. What people say follows the shown one alone, and is no verdict on either of a pair; programs
that verify, and a model that compares the two, are.

What was read of a turn is remembered, as a few numbers, until the trial ends: a look reads each
text once, and of what is said whether it has changed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nlargest
from types import MappingProxyType
from typing import Any, Final

from sqlmodel import Session, col, or_, select

from learner.judges.judge import VERIFYING, Verdict, combine
from learner.rollout.evidence.replies import Reply, measures, reply_of
from learner.rollout.evidence.voices import Remark
from streams.line import share
from streams.store.states import CUT, EXPIRED, FORGOTTEN, UNSEEN, UNTRAINED
from streams.store.tables import JudgementRow, RolloutRow, TurnRow

_AT_ONCE: Final = 500  # turns whose texts are read by one query; SQLite takes 32,766 values
# A replica takes this long at most to hear of a change, and a reply to end that began before it.
SETTLE_MS: Final = 10_000
# Differences from the shown reply: that one stands at 0.
PAIRED: Final = ("liked",)

# Of these a low value is bad; of the others a high one.
_LOW_IS_BAD: Final = frozenset({"reward", "aboutness", "liked"})
# Turns that operators look at behind a metric: more than one, and not a list to read.
SAMPLES: Final = 5

Remarks = dict[str, tuple[list[Remark], list[Remark]]]
# What the learner's models have read of replies (evidence.reading): by turn, by metric.
Readings = Mapping[str, Mapping[str, float]]
_NOTHING: Final[Mapping[str, float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Observed:
    """What was said of the two versions, by metric: of the stable one, and of the candidate.

    samples: of each metric, the candidate's turns that say the worst of it, the worst first
    sessions, candidate_sessions: whose first turn since the last change of the line was answered
    touched: sessions that the candidate answered since the trial began
    unseen: replies of the candidate that nobody has seen
    """

    remarks: Remarks
    samples: dict[str, list[str]]
    sessions: int
    candidate_sessions: int
    touched: int
    unseen: int = 0


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is said of one turn: by all judges, by those that verify; when it was first judged."""

    reward: float
    complains: bool
    verified: float
    at_ms: int


@dataclass(slots=True)
class _Seen:
    """What is gathered in one look."""

    remarks: Remarks = field(default_factory=lambda: defaultdict(lambda: ([], [])))
    firsts: dict[str, bool] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    pairs: list[tuple[Any, Any]] = field(default_factory=list)  # shown, unseen
    worst: dict[str, list[tuple[float, int, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def hear(self, id: str, said: Iterable[tuple[str, Remark]], *, is_candidate: bool) -> None:
        """Take what is said of a turn, by metric."""
        for name, remark in said:
            self.remarks[name][is_candidate].append(remark)
            bad = -remark.value if name in _LOW_IS_BAD else remark.value
            if is_candidate and (bad > 0 or name in PAIRED):
                self.worst[name].append((bad, remark.at_ms, id))
            if name in PAIRED:  # what serves is compared with itself
                self.remarks[name][0][-1] = replace(remark, value=0.0)
                self.remarks[name][1].append(remark)


class Observer:
    """Reads the turns of one trial; keep it as long as the trial runs."""

    def __init__(self, history: Sequence[RolloutRow]) -> None:
        """Read nothing yet.

        history: the changes of the line since the trial began, oldest first
        """
        self._replies: dict[str, Reply] = {}
        # By turn, what came of it and of what: the verdict, and what that and the reply say.
        self._judged: dict[str, tuple[list[tuple[Any, ...]], _Verdict | None]] = {}
        self._heard: dict[str, tuple[tuple[Any, ...], Sequence[tuple[str, Remark]]]] = {}
        self._line, self._stable = history[0].line, history[0].version
        self._candidate = history[0].candidate or ""

    def read(
        self,
        session: Session,
        history: Sequence[RolloutRow],
        readings: Readings = MappingProxyType({}),
    ) -> Observed:
        """Read what is known now. history: as above, up to the last change."""
        turns = self._turns(session, history[0].created_ms)
        for id in self._heard.keys() - {turn.id for turn in turns}:
            del self._heard[id]  # forgotten, maybe
        self._read_replies(session, [turn.id for turn in turns if turn.state != EXPIRED])
        verdicts = self._verdicts(session, history[0].created_ms)
        seen = self._gather(turns, history, verdicts, readings)
        if history[-1].share == 0:
            seen.remarks = self._of_pairs(seen.pairs, verdicts, readings)
        return Observed(
            dict(seen.remarks),
            samples={name: _first(said) for name, said in seen.worst.items()},
            sessions=len(seen.firsts),
            candidate_sessions=sum(seen.firsts.values()),
            touched=len(seen.touched),
            unseen=len(seen.pairs),
        )

    def _gather(
        self,
        turns: Sequence[Any],
        history: Sequence[RolloutRow],
        verdicts: Mapping[str, _Verdict],
        readings: Readings,
    ) -> _Seen:
        seen, shown = _Seen(), {turn.id: turn for turn in turns}
        settled_ms = history[-1].created_ms + SETTLE_MS
        for turn in turns:
            reply, is_candidate = self._replies.get(turn.id), turn.version == self._candidate
            if reply is not None and reply.beside is not None:
                beside = shown.get(reply.beside)
                if beside is not None and is_candidate and beside.version == self._stable:
                    seen.pairs.append((beside, turn))
                continue
            if is_candidate:
                seen.touched.add(turn.session)
            if reply is not None and reply.pinned:
                continue
            if turn.taken_ms >= settled_ms:
                seen.firsts.setdefault(turn.session, is_candidate)
            due = share.belongs(turn.session, self._candidate, _share_at(history, turn.taken_ms))
            if due == is_candidate:
                read = readings.get(turn.id, _NOTHING)
                said = self._said_of(turn, verdicts.get(turn.id), reply, read)
                seen.hear(turn.id, said, is_candidate=is_candidate)
        return seen

    def _said_of(
        self, turn: Any, verdict: _Verdict | None, reply: Reply | None, read: Mapping[str, float]
    ) -> Sequence[tuple[str, Remark]]:
        """Return what one turn that was shown says, made anew where something of it changed."""
        made_of = turn.principal, turn.reason, turn.taken_ms, verdict, reply, (*read.items(),)
        known = self._heard.get(turn.id)
        if known is None or known[0] != made_of:
            said = _said(turn, verdict, reply, read)
            remarks = [(name, Remark(turn.principal, value, at_ms)) for name, value, at_ms in said]
            known = self._heard[turn.id] = made_of, remarks
        return known[1]

    def _of_pairs(
        self,
        pairs: Iterable[tuple[Any, Any]],
        verdicts: Mapping[str, _Verdict],
        readings: Readings,
    ) -> Remarks:
        """Return what pairs say: each of the same prompt, and at the same time."""
        remarks: Remarks = defaultdict(lambda: ([], []))
        for shown, unseen in pairs:
            at_ms, found = unseen.taken_ms, verdicts.get(unseen.id)
            both = [dict(self._of_one(each, readings)) for each in (shown, unseen)]
            if found is not None:
                at_ms = max(at_ms, found.at_ms)
                other = verdicts.get(shown.id)
                both[0]["reward"] = other.verified if other else 0.0
                both[1]["reward"] = found.reward
            if "liked" in both[0]:
                both[0]["liked"], both[1]["liked"] = 0.0, both[0]["liked"]
            for name in both[0].keys() & both[1].keys():
                for which, values in enumerate(both):
                    remarks[name][which].append(Remark(shown.principal, values[name], at_ms))
        return remarks

    def _of_one(self, turn: Any, readings: Readings) -> Iterable[tuple[str, float]]:
        reply = self._replies.get(turn.id)
        if reply is not None:
            yield from measures(reply)
        yield from readings.get(turn.id, {}).items()

    def _turns(self, session: Session, since_ms: int) -> Sequence[Any]:
        columns = (
            TurnRow.id, TurnRow.version, TurnRow.principal, TurnRow.session, TurnRow.state,
            TurnRow.reason, TurnRow.taken_ms,
        )  # fmt: skip
        query = (
            select(*columns)  # type: ignore[call-overload]
            .where(*self._ours(since_ms))
            # Adding nothing keeps SQLite from their order, in which it would read all of the line.
            .order_by(col(TurnRow.sequence) + 0)
        )
        rows: Sequence[Any] = session.exec(query).all()
        return rows

    def _ours(self, since_ms: int) -> tuple[Any, ...]:
        return (
            TurnRow.line == self._line,
            col(TurnRow.version).in_((self._stable, self._candidate)),
            col(TurnRow.member).is_(None),
            TurnRow.taken_ms >= since_ms,
            TurnRow.state != FORGOTTEN,
            or_(TurnRow.state != UNTRAINED, col(TurnRow.reason).in_((CUT, UNSEEN))),
        )

    def _read_replies(self, session: Session, ids: Sequence[str]) -> None:
        new = [id for id in ids if id not in self._replies]
        for start in range(0, len(new), _AT_ONCE):
            named = col(TurnRow.id).in_(new[start : start + _AT_ONCE])
            for id, record in session.exec(select(TurnRow.id, TurnRow.record).where(named)):
                if record:
                    self._replies[id] = reply_of(record)

    def _verdicts(self, session: Session, since_ms: int) -> dict[str, _Verdict]:
        """Return what is said of each turn that was judged."""
        columns = (
            JudgementRow.turn_id, JudgementRow.id, JudgementRow.source, JudgementRow.score,
            JudgementRow.confidence, JudgementRow.hint, JudgementRow.created_ms,
        )  # fmt: skip
        query = (
            select(*columns)  # type: ignore[call-overload]
            .join(TurnRow, col(TurnRow.id) == col(JudgementRow.turn_id))
            .where(*self._ours(since_ms))
        )
        by_turn: dict[str, list[Any]] = defaultdict(list)
        for row in session.exec(query):
            by_turn[row.turn_id].append(row)
        found = {}
        for turn_id, given in by_turn.items():
            verdict = self._verdict_of(turn_id, given)
            if verdict is not None:
                found[turn_id] = verdict
        return found

    def _verdict_of(self, turn_id: str, given: Sequence[Any]) -> _Verdict | None:
        """Return what judgements come to, worked out anew where they have changed."""
        # Whether there is a hint may decide what counts; its words are not remembered.
        made_of = [
            (row.id, row.source, row.score, row.confidence, bool(row.hint), row.created_ms)
            for row in given
        ]
        known = self._judged.get(turn_id)
        if known is None or known[0] != made_of:
            known = self._judged[turn_id] = made_of, _verdict(given)
        return known[1]


def _verdict(given: Sequence[Any]) -> _Verdict | None:
    whole = combine(given)
    if whole is None:
        return None
    verified = combine(each for each in given if each.source in VERIFYING)
    at_ms = min(each.created_ms for each in given)
    return _Verdict(_reward(whole), whole.score < 0, _reward(verified), at_ms)


def _first(said: list[tuple[float, int, str]]) -> list[str]:
    """Name the turns that say the worst, of several alike the newest."""
    return [id for _, _, id in nlargest(SAMPLES, said)]


def _reward(verdict: Verdict | None) -> float:
    return verdict.score * verdict.confidence if verdict is not None else 0.0


def _said(
    turn: Any, verdict: _Verdict | None, reply: Reply | None, read: Mapping[str, float]
) -> Iterable[tuple[str, float, int]]:
    """Yield what one turn that was shown says: metric, value, and when."""
    if verdict is not None and turn.reason != CUT:
        yield "reward", verdict.reward, verdict.at_ms
        yield "complaints", float(verdict.complains), verdict.at_ms
    if reply is not None:
        for name, value in measures(reply):
            yield name, value, turn.taken_ms
    for name, value in read.items():
        yield name, value, turn.taken_ms


def _share_at(history: Sequence[RolloutRow], time_ms: int) -> float:
    """Return the candidate's share at a moment since the trial began."""
    now = history[0].share
    for change in history:
        if change.created_ms > time_ms:
            break
        now = change.share
    return now
