"""What a look remembers changes nothing of what it finds: the obvious way finds the same."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from heapq import nlargest
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session, col, select

from learner.judges.judge import VERIFYING, combine
from learner.judges.rows import judgements_of
from learner.rollout.evidence.observe import PAIRED, SAMPLES, SETTLE_MS, Observed, Observer
from learner.rollout.evidence.replies import Reply, measures, reply_of
from learner.rollout.evidence.voices import Remark
from learner.rollout.trials import _history
from streams.line.share import belongs
from streams.store.store import Store
from streams.store.tables import JudgementRow, RolloutRow, TurnRow
from tests.learner.rollout.shadowed import SHADOW
from tests.learner.rollout.stage import SETTINGS, Stage
from tests.learner.turns import said, turn

Readings = Mapping[str, Mapping[str, float]]
# state and reason; the last ones say nothing
STATES = (
    ("judged", None), ("open", None), ("closed", "nobody went on"), ("untrained", "cut"),
    ("untrained", "unseen"), ("untrained", "opted out"), ("forgotten", None),
)  # fmt: skip
VERSIONS = ("base", "base", "new", "new", "old")
TOOLS = [{"type": "function", "function": {"name": "look_up"}}]


class Plain:
    """The obvious way: all that is said is read and worked out anew at each look."""

    def __init__(self) -> None:
        """Know no reply yet; those are remembered when their turns have expired."""
        self._replies: dict[str, Reply] = {}

    def read(self, session: Session, history: Sequence[RolloutRow], readings: Readings) -> Observed:
        """Read what is known now."""
        self._readings = readings
        turns = self._turns(session, history[0])
        given = judgements_of(session, turns)
        found: Any = defaultdict(lambda: ([], []))
        worst: dict[str, list[tuple[float, int, str]]] = defaultdict(list)
        firsts: dict[str, bool] = {}
        touched, pairs, by_id = set(), [], {each.id: each for each in turns}
        for each in turns:
            reply, own = self._replies.get(each.id), each.version == "new"
            if reply is not None and reply.beside is not None:
                shown = by_id.get(reply.beside)
                if shown is not None and own and shown.version == "base":
                    pairs.append((shown, each))
                continue
            if own:
                touched.add(each.session)
            if reply is not None and reply.pinned:
                continue
            if each.taken_ms >= history[-1].created_ms + SETTLE_MS:
                firsts.setdefault(each.session, own)
            share = [row.share for row in history if row.created_ms <= each.taken_ms][-1]
            if belongs(each.session, "new", share) != own:
                continue
            for name, value, at_ms in self._said(each, given[each.id]):
                remark = Remark(each.principal, value, at_ms)
                found[name][own].append(remark)
                bad = -value if name in ("reward", "aboutness", "liked") else value
                if own and (bad > 0 or name in PAIRED):
                    worst[name].append((bad, at_ms, each.id))
                if name in PAIRED:
                    found[name][0][-1] = Remark(each.principal, 0.0, at_ms)
                    found[name][1].append(remark)
        if history[-1].share == 0:
            found = self._of_pairs(pairs, given)
        return Observed(
            dict(found),
            samples={
                name: [id for *_, id in nlargest(SAMPLES, all)] for name, all in worst.items()
            },
            sessions=len(firsts),
            candidate_sessions=sum(firsts.values()),
            touched=len(touched),
            unseen=len(pairs),
        )

    def _turns(self, session: Session, first: RolloutRow) -> list[TurnRow]:
        rows = select(TurnRow).where(TurnRow.line == first.line).order_by(col(TurnRow.sequence))
        turns = [
            row
            for row in session.exec(rows)
            if row.state != "forgotten"
            and row.version in ("base", "new")
            and row.taken_ms >= first.created_ms
            and (row.state != "untrained" or row.reason in ("cut", "unseen"))
        ]
        for row in turns:
            if row.record and row.id not in self._replies:
                self._replies[row.id] = reply_of(row.record)
        return turns

    def _said(self, row: TurnRow, given: Sequence[Any]) -> list[tuple[str, float, int]]:
        verdict, said = combine(given), []
        if verdict is not None and row.reason != "cut":
            at_ms = min(each.created_ms for each in given)
            said = [("reward", verdict.score * verdict.confidence, at_ms)]
            said.append(("complaints", float(verdict.score < 0), at_ms))
        return said + [(name, value, row.taken_ms) for name, value in self._of_one(row)]

    def _of_one(self, row: TurnRow) -> list[tuple[str, float]]:
        reply = self._replies.get(row.id)
        told = list(measures(reply)) if reply is not None else []
        return told + list(self._readings.get(row.id, {}).items())

    def _of_pairs(self, pairs: Sequence[tuple[TurnRow, TurnRow]], given: Mapping[str, Any]) -> Any:
        found: Any = defaultdict(lambda: ([], []))
        for shown, unseen in pairs:
            at_ms, whole = unseen.taken_ms, combine(given[unseen.id])
            both = [dict(self._of_one(each)) for each in (shown, unseen)]
            if whole is not None:
                at_ms = max(at_ms, min(each.created_ms for each in given[unseen.id]))
                beside = given[shown.id]
                by_programs = combine(each for each in beside if each.source in VERIFYING)
                for values, each in zip(both, (by_programs, whole), strict=True):
                    values["reward"] = each.score * each.confidence if each is not None else 0.0
            if "liked" in both[0]:
                both[0]["liked"], both[1]["liked"] = 0.0, both[0]["liked"]
            for name in both[0].keys() & both[1].keys():
                for which, values in enumerate(both):
                    found[name][which].append(Remark(shown.principal, values[name], at_ms))
        return found


class Town:
    """A line on trial in whose store anything happens that may."""

    def __init__(self, store: Store, random: Random, *, shadow: bool) -> None:
        """Begin the trial."""
        self.stage = Stage(store, rollout=SHADOW if shadow else SETTINGS)
        self.random, self.ids = random, list[str]()
        self.readings: dict[str, dict[str, float]] = {}
        self.versions: dict[str, str] = {}
        self.stage.start()

    def happen(self) -> None:
        """Let one thing happen."""
        self.stage.clock.now_s += self.random.choice((0, 1, 7))
        things = [self.ask, self.ask, self.ask, self.judge, self.judge, self.judge, self.read]
        with self.stage.store.transaction() as session:
            self.random.choice([*things, self.take_back, self.reword, self.change])(session)

    def ask(self, session: Session) -> None:
        """Let somebody ask, and anything answer."""
        random, number = self.random, len(self.ids)
        record = turn(
            said(f"{self.stage.name} {number}"), random.choice(("Yes.", "I can't help with that.")),
            id=f"{self.stage.name}-{number}", principal=random.choice("abc"), line=self.stage.name,
            session=random.choice((None, None, "s", "t")), created_ms=self.stage.now_ms,
            tokens=range(random.randint(0, 3)), version=random.choice(VERSIONS),
            finish_reason=random.choice(("stop", "stop", "cancelled")),
        ).model_copy(
            update={
                "pinned": random.random() < 0.1,
                "beside": random.choice(self.ids) if self.ids and random.random() < 0.25 else None,
                "gap_ms": random.choice((None, 20.0, 90.0)),
                "tools": random.choice((None, TOOLS)),
            }
        )  # fmt: skip
        state, reason = random.choice(STATES[:-1])
        named = {"id", "line", "version", "principal", "session", "key", "prefix_key", "created_ms"}
        row = TurnRow.model_validate(
            record.model_dump(include=named)
            | {"state": state, "reason": reason, "sequence": number, "taken_ms": self.stage.now_ms}
            | {"record": record.model_dump(mode="json")}
        )
        session.add(row)
        self.ids.append(row.id)
        self.versions[row.id] = row.version

    def judge(self, session: Session) -> None:
        """Let a judge say something of a turn, or something else than before."""
        if not self.ids:
            return
        random, id = self.random, self.random.choice(self.ids)
        source = random.choice(("explicit", "lexical", "verifier", "program"))
        session.merge(
            JudgementRow(
                id=f"{id}-{source}-{random.randint(0, 1)}", turn_id=id, principal="a",
                source=source, score=random.choice((-1, 0, 1)), evidence="said",
                confidence=random.choice((0.0, 0.4, 1.0)), hint=random.choice((None, "", "Short")),
                created_ms=self.stage.now_ms - random.choice((0, 5000)),
            )
        )  # fmt: skip

    def take_back(self, session: Session) -> None:
        """Let a judgement be taken back."""
        judged = select(JudgementRow).where(col(JudgementRow.turn_id).in_(self.ids))
        rows = session.exec(judged.order_by(JudgementRow.id)).all()
        if rows:
            session.delete(self.random.choice(rows))

    def reword(self, session: Session) -> None:
        """Let a turn become another, expired or forgotten."""
        if self.ids:
            row = session.get_one(TurnRow, self.random.choice(self.ids))
            row.state, row.reason = self.random.choice((*STATES, ("expired", None)))  # type: ignore[assignment]
            if row.state in ("expired", "forgotten"):
                row.record, row.session = {}, ""
            session.add(row)

    def read(self, _session: Session) -> None:
        """Let a model read a reply, perhaps again; what is liked is read of what serves alone."""
        if self.ids:
            id = self.random.choice(self.ids)
            self.readings[id] = {"aboutness": self.random.uniform(-1, 1)}
            if self.versions[id] == "base":
                self.readings[id]["liked"] = self.random.uniform(-1, 1)

    def change(self, session: Session) -> None:
        """Let the share be another, by a clock that may be behind."""
        row = session.exec(select(RolloutRow).where(RolloutRow.line == self.stage.name)).one()
        row.share = self.random.choice((0.0, 0.3, 0.6))
        session.add(row)


@pytest.mark.parametrize("shadow", [False, True])
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_what_is_remembered_changes_nothing(trials_store: Store, shadow: bool, seed: int) -> None:
    """Verdicts given, changed and taken back, turns that go, readings, shares, in any order."""
    town, plain = Town(trials_store, Random(seed), shadow=shadow), Plain()
    observer = None
    for _ in range(12):
        for _ in range(12):
            town.happen()
        with trials_store.reading() as session:
            history = _history(session, town.stage.line)
            observer = observer or Observer(history)
            found = observer.read(session, history, town.readings)
            assert found == plain.read(session, history, town.readings)
