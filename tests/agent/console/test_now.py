"""What Now tells of the last candidate once nothing is on trial."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from agent.console import build_console
from agent.console.read.versions import VersionRows
from agent.console.read.view import View
from streams.records import State, Verb
from streams.settings import StreamsSettings
from streams.store.store import open_store
from streams.store.tables import GenerationRow, LeaseRow, PlannerRow, RolloutRow
from tests.agent.console.rows import FakeService, fill


@pytest.mark.parametrize(
    ("verb", "state", "word"),
    [
        ("abort", "aborted", "aborted"),
        ("step", "completed", "promoted"),
        ("rollback", "aborted", "taken back"),
    ],
)
async def test_what_became_of_the_last_candidate_is_told_and_not_that_the_gate_let_it_through(
    tmp_path: Path, verb: Verb, state: State, word: str
) -> None:
    """The reason of the end stands there, and who ended it."""
    store = open_store(StreamsSettings(home=tmp_path))
    back = verb == "rollback"
    with store.transaction() as session:
        versions = fill(session, now_ms=1_790_000_000_000, num_generations=3)
        service = FakeService(version=versions[-2], previous=versions[-3])
        session.delete(session.get_one(GenerationRow, "g4"))
        session.add(
            RolloutRow(
                id="end", line="main", seq=99, version=versions[-2],
                previous=versions[-1] if back else versions[-2],
                candidate=None if back else versions[-1], state=state, verb=verb, who="learner",
                reason="judged worse: −0.58; it had answered 40 sessions",
                created_ms=1_790_000_000_001,
            )
        )  # fmt: skip
    app = build_console(service, store, wait_s=30)
    async with TestClient(TestServer(app)) as client:
        told = (await (await client.get("/api/now")).json())["idle"]
        html = await (await client.get("/")).text()
    store.close()
    assert (told["last"]["child"], told["ended"]["who"]) == (versions[-1], "learner")
    assert "it had answered 40 sessions (learner)" in html
    assert f"</span> {word}</span>" in html


@pytest.mark.parametrize("verb", ["promote", "rollback"])
async def test_of_a_generation_without_a_version_no_other_ones_end_is_told(
    tmp_path: Path, verb: Verb
) -> None:
    """A promotion of the policy direct names no candidate, as a void generation has no child."""
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        versions = fill(session, now_ms=1_790_000_000_000, num_generations=3)
        service = FakeService(version=versions[-1], previous=versions[-2])
        void = session.get_one(GenerationRow, "g4")
        void.state, void.child, void.reason = "void", None, "no direction gained anything"
        session.add(
            RolloutRow(
                id="end", line="main", seq=99, version=versions[-1], previous=versions[-2],
                candidate=None, state="completed" if verb == "promote" else "aborted", verb=verb,
                who="learner", reason="the gate let it through", created_ms=1_790_000_000_001,
            )
        )  # fmt: skip
    app = build_console(service, store, wait_s=30)
    async with TestClient(TestServer(app)) as client:
        told = (await (await client.get("/api/now")).json())["idle"]
    store.close()
    assert (told["last"]["state"], told["ended"]) == ("void", None)


async def test_what_took_a_version_into_service_is_told_and_no_other_change(
    tmp_path: Path,
) -> None:
    """The reset that the base serves by, and not that learning was switched on again afterwards."""
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        versions = fill(session, now_ms=1_790_000_000_000, num_generations=3)
        service = FakeService(version=versions[0])
        for seq, verb, state, previous in (
            (98, "reset", "aborted", versions[-1]), (99, "learn", "completed", versions[0]),
        ):  # fmt: skip
            row: dict[str, Any] = {
                   "id": verb, "line": "main", "seq": seq, "version": versions[0], "who": "ann",
                   "previous": previous, "state": state, "verb": verb, "reason": f"to {verb}",
                   "created_ms": 1_790_000_000_000 + seq}  # fmt: skip
            session.add(RolloutRow(**row))
    app = build_console(service, store, wait_s=30)
    async with TestClient(TestServer(app)) as client:
        change = (await (await client.get("/api/now")).json())["change"]
        html = await (await client.get("/")).text()
        page = await (await client.get("/audit")).text()
    store.close()
    assert change["verb"] == "reset"
    assert "Reset by ann: to reset" in html
    assert "Learning switched on again" in page


async def test_a_learner_that_is_away_is_why_nothing_is_on_trial(tmp_path: Path) -> None:
    """Not what it said last that it waits for."""
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        fill(session, now_ms=1)
        session.get_one(LeaseRow, "learner/main").expires_ms = 1
        session.add(
            PlannerRow(line="main", waits_for="a fresh strong verdict", num_fresh=0, num_used=3,
                       num_weak=0, num_people=1, since_ms=1)
        )  # fmt: skip
    app = build_console(FakeService(), store, wait_s=30)
    async with TestClient(TestServer(app)) as client:
        told = await (await client.get("/api/now")).json()
    store.close()
    assert told["idle"]["why"] == "the learner is not running: start it with quickset learner"


def test_what_becomes_of_a_version_is_told_with_the_change_that_does_it(tmp_path: Path) -> None:
    """A reading that went before keeps nothing of it."""
    store, rows, view = open_store(StreamsSettings(home=tmp_path)), VersionRows(), View(["main"])

    def became(version: str) -> Any:
        with store.reading() as session:
            (row,) = (row for row in rows.read(session, view) if row["version"] == version)
        return row["became"] and row["became"]["became"]

    with store.transaction() as session:
        *_, before, version = fill(session, now_ms=1_790_000_000_000, num_generations=4)
    assert became(version) == became(version) == "promoted"
    with store.transaction() as session:
        row: dict[str, Any] = {
               "id": "c96", "line": "main", "seq": 96, "version": before, "previous": version,
               "who": "ann", "verb": "rollback", "state": "aborted", "reason": "so",
               "created_ms": 1_790_000_000_096}  # fmt: skip
        session.add(RolloutRow(**row))
    assert became(version) == "taken back"
    store.close()


async def test_versions_say_what_became_of_them(tmp_path: Path) -> None:
    """Not that the gate let each through: one serves, one was taken back, one was aborted."""
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        versions = fill(session, now_ms=1_790_000_000_000, num_generations=4)
        base, good, bad, worst = versions[0], *versions[-3:]
        for seq, verb, state, version, previous, candidate in (
            (96, "step", "completed", bad, good, bad),
            (97, "rollback", "aborted", good, bad, None),
            (98, "start", "running", good, good, worst),
            (99, "abort", "aborted", good, good, worst),
        ):  # fmt: skip
            row: dict[str, Any] = {
                   "id": f"c{seq}", "line": "main", "seq": seq, "version": version, "who": "ann",
                   "previous": previous, "candidate": candidate, "state": state, "verb": verb,
                   "reason": "so", "created_ms": 1_790_000_000_000 + seq}  # fmt: skip
            session.add(RolloutRow(**row))
    app = build_console(FakeService(version=good, previous=base), store, wait_s=30)
    async with TestClient(TestServer(app)) as client:
        rows = (await (await client.get("/api/versions")).json())["versions"]
        page = await (await client.get("/versions")).text()
        of_good = await (await client.get(f"/api/versions/{good}")).json()
        told = (await (await client.get("/operator/versions")).json())["versions"]
    store.close()
    became = {row["child"]: row["ended"] and row["ended"]["verb"] for row in rows}
    assert (became[bad], became[worst]) == ("rollback", "abort")
    assert became[good] == "promote"
    told_of = {row["version"]: row["became"] for row in told}
    assert told_of[bad] == {"became": "taken back", "reason": "so", "seq": 97}
    assert told_of[worst]["became"] == "aborted"
    assert told_of[good]["became"] == "promoted"
    assert "taken back" in page
    assert "aborted" in page
    assert "c99" not in {row["id"] for row in of_good["changes"]}  # another one's trial
