"""The console's HTTP: sections, digest, rollback, and what it does without a store."""

import asyncio
import gzip
import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from agent.console import build_console, live
from agent.console.access.admit import OPERATOR
from agent.console.app import Read
from agent.console.read.sections import BROKEN_ROW, NO_STORE, NO_TABLES
from agent.watch.events import Event
from streams.errors import LogUnavailableError, NotAllowedError, VerbRefusedError
from streams.keeping.leap import DAY_MS
from streams.log import dead_letters
from streams.log.contract import Entry, Partition, Topic, outgoing
from streams.log.sqlite import SqliteLog
from streams.records import Json, Message
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import ForgottenRow, RecipeRow, RolloutRow, SeenRow, TurnRow
from tests.agent.conftest import Served
from tests.agent.console.rows import BASE, FakeService, fill, judgement_row, turn_row

Client = TestClient[web.Request, web.Application]
NOW_MS = 1_790_000_000_000
PATIENT_S = 30.0  # a busy machine is no store that hangs
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>"


class Ends:
    """A log of which only the end offsets are known."""

    def __init__(self, ends: dict[Partition, int] | None) -> None:
        self._ends = ends

    def end_offsets(self, topic: Topic) -> dict[Partition, int]:
        """The ends of a topic, or fail as a log that is away."""
        if self._ends is None:
            raise LogUnavailableError("no broker")
        return {partition: end for partition, end in self._ends.items() if partition.topic == topic}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store of the newest schema."""
    store = open_store(StreamsSettings(home=tmp_path))
    yield store
    store.close()


@pytest.fixture
def service() -> FakeService:
    """An agent that serves its second version."""
    return FakeService(version="b" * 16, previous="a" * 16)


async def connect(service: FakeService, store: Store | None, log: Any = None) -> Client:
    """A started client; the fixture or test closes it."""
    app = build_console(service, store, log=log, interval_s=0, wait_s=PATIENT_S)
    client: Client = TestClient(Served(app))
    await client.start_server()
    return client


@pytest.fixture
async def client(service: FakeService, store: Store) -> AsyncIterator[Client]:
    """A console over the empty store."""
    client = await connect(service, store)
    yield client
    await client.close()


async def read(client: Client, path: str) -> Json:
    """Get a JSON document that must be there."""
    response = await client.get(path)
    assert response.status == 200, await response.text()
    document: Json = await response.json()
    return document


async def test_state_of_a_day_of_learning(
    client: Client, store: Store, service: FakeService
) -> None:
    """Everything that the learner derived is in the state, newest first."""
    with store.transaction() as session:
        versions = fill(session, now_ms=NOW_MS)
    state = await read(client, "/operator/state")
    assert state["store"] == {"ok": True, "message": ""}
    assert state["serving"] == {"main": service.state}
    assert [row["number"] for row in state["generations"]] == list(range(25, 0, -1))
    assert state["generations"][0]["state"] == "planned"
    released = [row["version"] for row in state["versions"] if row["outcome"] == "released"]
    assert released == versions[:0:-1]
    assert len(state["turns"]) == 40
    assert state["turns"][0]["id"] == "chatcmpl-000039"
    assert state["learner"]["in_work"][0]["number"] == 25
    assert state["learner"]["num_turns"] == {"judged": 32, "open": 8}
    assert state["learner"]["num_fresh"] == 2
    assert state["rollouts"][0]["version"] == versions[-1]


async def test_versions_carry_their_recipe_and_the_gates_report(
    client: Client, store: Store
) -> None:
    """A version shows what it is made of; a held candidate, outside the ledger, why it was held."""
    with store.transaction() as session:
        fill(session, now_ms=NOW_MS)
    versions = (await read(client, "/operator/versions"))["versions"]
    assert 300 < versions[0]["recipe_bytes"] < 1000
    assert len(versions[0]["digest"]) == 64
    assert [row["candidate"]["text"] for row in versions[0]["gate"]["rows"]][2] == "8 of 8"
    held = next(version for version in versions if version["outcome"] == "held")
    assert held["number"] is None
    assert held["gate"]["passed"] is False


async def test_a_turn_shows_what_followed_as_soon_as_it_is_linked(
    client: Client, store: Store
) -> None:
    """A turn that was read while open is read again when its next state and judgement arrive."""
    row = turn_row(1, [Message(role="user", content="hi")], Message(role="assistant", content="yo"))
    with store.transaction() as session:
        session.add(row)
    assert (await read(client, "/operator/turns"))["turns"][0]["next"] == []
    with store.transaction() as session:
        linked = session.get_one(TurnRow, row.id)
        linked.next_state = [{"role": "user", "content": "thanks"}]
        linked.next_kind, linked.next_ms, linked.state = "reply", 5, "judged"
        session.add(judgement_row(row.id, 1, hint="stay so", votes=[1, 1]))
    turn = (await read(client, "/operator/turns"))["turns"][0]
    assert turn["next"][0]["text"] == "thanks"
    assert (turn["state"], turn["judgements"][0]["hint"]) == ("judged", "stay so")


async def test_a_turn_shows_its_lesson_or_why_it_has_none(client: Client, store: Store) -> None:
    """What a hint made of it is shown as soon as the generation is committed."""
    row = turn_row(1, [Message(role="user", content="hi")], Message(role="assistant", content="yo"))
    with store.transaction() as session:
        session.add(row)
    assert (await read(client, "/operator/turns"))["turns"][0]["lesson"] is None
    proof = {"about": 0.1, "follows": 0.5, "to_the_point": -0.4, "likely": 0.0}
    targets: list[dict[str, Any]] = [
        {"token_ids": [], "text": None, "made": None, "reason": "it talks", "proof": None},
        {"token_ids": [5], "text": "Yo.", "made": "suffix", "reason": "", "proof": proof},
        {"token_ids": [5], "version": "of an older build"},
    ]
    for target in targets:
        with store.transaction() as session:
            session.get_one(TurnRow, row.id).target = target
        lesson = (await read(client, "/operator/turns"))["turns"][0]["lesson"]
        assert lesson["reason"] == target.get("reason")
        assert lesson["text"] == (target.get("text") or "")
        assert lesson["proof"] == target.get("proof")


async def test_text_is_passed_on_as_data(
    client: Client, store: Store, service: FakeService
) -> None:
    """Markup in a prompt, hint or reason stays text: the answer is JSON, never HTML."""
    row = turn_row(1, [Message(role="user", content=EVIL)], Message(role="assistant", content=EVIL))
    service.events.append(Event(1, "swap-failed", EVIL))
    with store.transaction() as session:
        session.add(row)
        session.add(judgement_row(row.id, -1, hint=EVIL, evidence=EVIL))
    response = await client.get("/operator/state")
    assert response.content_type == "application/json"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    state = await response.json()
    assert state["turns"][0]["reply"]["text"] == EVIL
    assert state["events"][0]["text"] == EVIL


async def test_long_texts_are_cut_and_say_so(client: Client, store: Store) -> None:
    """A reply of a million characters does not travel whole to every page."""
    long = Message(role="assistant", content="x" * 1_000_000)
    with store.transaction() as session:
        session.add(turn_row(1, [Message(role="user", content="hi")], long))
    reply = (await read(client, "/operator/turns"))["turns"][0]["reply"]
    assert reply["num_chars"] == 1_000_000
    assert len(reply["text"]) < 10_000


async def test_sections_are_cut_by_line_and_limit(client: Client, store: Store) -> None:
    """?line= and ?limit= choose; a line that is not served is empty."""
    with store.transaction() as session:
        fill(session, now_ms=NOW_MS)
    assert len((await read(client, "/operator/turns?limit=3"))["turns"]) == 3
    assert (await read(client, "/operator/generations?line=other"))["generations"] == []


@pytest.mark.parametrize("limit", ["-1", "0", "x", "1e3", "9" * 30, "²"])
async def test_a_limit_that_is_none_is_named(client: Client, limit: str) -> None:
    """A broken limit is a 400 that names the parameter."""
    response = await client.get("/operator/turns", params={"limit": limit})
    assert response.status == 400
    assert (await response.json())["error"]["param"] == "limit"


async def test_without_a_store_the_console_still_shows_and_takes_back(
    service: FakeService,
) -> None:
    """No store: serving version, events and rollback work, and the state says what is missing."""
    client = await connect(service, None)
    service.events.append(Event(5, "log-away", "no broker"))
    state = await read(client, "/operator/state")
    assert state["store"] == {"ok": False, "message": NO_STORE}
    assert state["serving"]["main"]["version"] == "b" * 16
    assert state["events"][0]["kind"] == "log-away"
    assert "turns" not in state
    response = await client.get("/operator/turns")
    assert response.status == 503
    response = await client.post("/operator/lines/main/rollback", json={"reason": "worse"})
    assert response.status == 200
    await client.close()


async def test_a_store_that_nobody_has_made_yet_is_explained(tmp_path: Path) -> None:
    """Before the learner's first start there is no table; that is said, not raised."""
    store = Store(f"sqlite:///{tmp_path / 'new.db'}")
    client = await connect(FakeService(), store)
    assert (await read(client, "/operator/state"))["store"]["message"] == NO_TABLES
    await client.close()
    store.close()


async def test_a_store_that_is_away_is_explained(tmp_path: Path) -> None:
    """A path that cannot be opened becomes a sentence in the section `store`."""
    store = Store(f"sqlite:///{tmp_path / 'missing' / 'store.db'}")
    client = await connect(FakeService(), store)
    state = (await read(client, "/operator/state"))["store"]
    assert state["ok"] is False
    assert "cannot be used now" in state["message"]
    await client.close()
    store.close()


async def test_a_row_of_another_build_does_not_hide_what_serves(
    client: Client, store: Store, service: FakeService
) -> None:
    """A recipe that cannot be read is told in the section `store`; the rest of the page lives."""
    with store.transaction() as session:
        versions = fill(session, now_ms=NOW_MS)
        session.get_one(RecipeRow, versions[-1]).record = {"strategy": "of the future"}
    state = await read(client, "/operator/state")
    assert state["store"] == {"ok": False, "message": BROKEN_ROW}
    assert state["serving"] == {"main": service.state}


async def test_lag_counts_what_the_learner_has_not_read(store: Store) -> None:
    """The lag of a topic is the log's end minus the learner's offset."""
    with store.transaction() as session:
        fill(session, now_ms=NOW_MS)
    log: Any = Ends({Partition("turns", 0): 41, Partition("feedback", 0): 7})
    client = await connect(FakeService(), store, log)
    lag = (await read(client, "/operator/state"))["learner"]["lag"]
    # Of feedback nothing was read ever, so all of it is left.
    assert lag == {"learner/main": {"turns": 3, "feedback": 7}}
    await client.close()


async def test_it_says_why_nothing_is_pruned(store: Store) -> None:
    """A machine's clock may have been ahead when it started: the page Now warns of it."""
    with store.transaction() as session:
        for days in (200, 0):
            moment_ms = NOW_MS - days * DAY_MS
            session.add(SeenRow(group="learner/main", id=str(days), time_ms=moment_ms))
    for keep_days, told in ((90, True), (365, False), (None, False)):
        app = build_console(FakeService(), store, interval_s=0, keep_days=keep_days)
        client: Client = TestClient(TestServer(app))
        await client.start_server()
        health = (await read(client, "/api/now"))["health"]
        warned = [part for part in health if part["name"] == "Retention"]
        assert bool(warned) == told
        assert all(part["state"] == "warn" and "90 days" in part["text"] for part in warned)
        await client.close()


async def test_open_dead_letters_and_the_spool_are_shown(store: Store, tmp_path: Path) -> None:
    """Letters are counted until somebody settles them; the spool is this agent's own."""
    with store.transaction() as session:
        fill(session, now_ms=NOW_MS)
    log = SqliteLog(tmp_path / "log.db")
    client = await connect(FakeService(), store, log)

    async def num_letters() -> Any:
        return (await read(client, "/operator/state"))["learner"]["dead_letters"]

    assert await num_letters() == 0
    for offset in (1, 2):
        entry = Entry(Partition("turns", 0), offset, "k", f"id {offset}", b"poison", NOW_MS)
        letter = dead_letters.of_entry(entry, "a test says so", max_bytes=99, now_ms=NOW_MS)
        log.append([outgoing("dead-letters", letter.id, letter)])
    assert await num_letters() == 2
    dead_letters.drop(log, letter.id, who="a test")
    assert await num_letters() == 1
    spool = (await read(client, "/operator/state"))["spool"]
    assert spool == {"records": 2, "bytes": 200, "dropped": 0, "log_away": "no broker"}
    await client.close()
    log.close()


async def test_a_log_that_is_away_costs_only_the_lag(store: Store) -> None:
    """Without the log's end the rest of the learner's state is shown."""
    with store.transaction() as session:
        fill(session, now_ms=NOW_MS)
    log: Any = Ends(None)
    client = await connect(FakeService(), store, log)
    learner = (await read(client, "/operator/state"))["learner"]
    assert learner["num_fresh"] == 2
    assert learner["lag"] == {"learner/main": {}}
    await client.close()


async def test_the_digest_of_the_served_weights(client: Client) -> None:
    """A resident version has a digest; another one is 404."""
    answer = await read(client, f"/operator/versions/{BASE}/digest")
    assert (answer["version"], len(answer["sha256"])) == (BASE, 64)
    assert (await client.get("/operator/versions/unknown/digest")).status == 404


async def test_a_rollback_names_who_and_why(client: Client, service: FakeService) -> None:
    """The operator, the trimmed reason and the seen seq reach the agent."""
    response = await client.post(
        "/operator/lines/main/rollback", json={"reason": " rude ", "expected_seq": 0}
    )
    assert response.status == 200
    assert (await response.json())["rollout"]["version"] == "a" * 16
    assert service.rollbacks == [("local operator", "rude", 0)]


async def test_two_operators_at_once(client: Client, service: FakeService) -> None:
    """The one who acts on what has changed meanwhile gets 409, and nothing happens."""
    body = {"reason": "rude", "expected_seq": 0}
    first = await client.post("/operator/lines/main/rollback", json=body)
    second = await client.post("/operator/lines/main/rollback", json=body)
    assert (first.status, second.status) == (200, 409)
    assert len(service.rollbacks) == 1


async def test_a_trial_is_steered_with_who_and_why(client: Client, service: FakeService) -> None:
    """Each verb has its address; of two operators who saw the same, the second gets 409."""
    body = {"reason": " looks odd ", "expected_seq": 0}
    first = await client.post("/operator/lines/main/trial/pause", json=body)
    assert first.status == 200
    assert (await first.json())["rollout"]["state"] == "paused"
    assert service.operated == [("pause", "local operator", "looks odd")]
    second = await client.post("/operator/lines/main/trial/abort", json=body)
    assert second.status == 409
    assert len(service.operated) == 1
    assert (await client.post("/operator/lines/main/trial/hold", json=body)).status in (404, 405)
    assert (await client.post("/operator/lines/other/trial/pause", json=body)).status == 404
    assert (await client.post("/operator/lines/main/trial/pause", json={})).status == 400


async def test_a_generation_is_ordered_with_who_and_why(
    client: Client, service: FakeService
) -> None:
    """An order has no state to have seen; without a log, or after a reset, it says why not."""
    path = "/operator/lines/main/generations"
    made = await client.post(path, json={"reason": " before the demo "})
    assert made.status == 200
    assert (await made.json())["order"]["who"] == "local operator"
    assert service.orders == [("local operator", "before the demo")]
    assert (await client.post(path, json={})).status == 400
    assert (
        await client.post("/operator/lines/other/generations", json={"reason": "x"})
    ).status == 404
    service.refusal = VerbRefusedError("learning was stopped by a reset", valid=["learn"])
    assert (await client.post(path, json={"reason": "x"})).status == 409
    service.refusal = LogUnavailableError("the broker is away")
    assert (await client.post(path, json={"reason": "x"})).status == 503


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (VerbRefusedError("cannot pause: it is held", valid=["abort"]), 409),
        (NotAllowedError("two persons are asked for"), 403),
        (LogUnavailableError("the broker is away"), 503),
    ],
)
async def test_a_verb_that_cannot_be_used_says_why(
    client: Client, service: FakeService, refusal: Exception, status: int
) -> None:
    """Not valid now, not allowed to this person, or the log is away: three answers."""
    service.refusal = refusal
    response = await client.post("/operator/lines/main/trial/pause", json={"reason": "x"})
    assert response.status == status
    assert str(refusal) in (await response.json())["error"]["message"]


async def test_nothing_to_take_back(client: Client, service: FakeService) -> None:
    """At the base a rollback is 409 with the reason."""
    service.state["previous"] = None
    response = await client.post("/operator/lines/main/rollback", json={"reason": "x"})
    assert response.status == 409
    assert "no earlier version" in (await response.json())["error"]["message"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "reason"),
        ({"reason": "  "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": 3}, "reason"),
        ({"reason": "x", "expected_seq": "1"}, "expected_seq"),
        ({"reason": "x", "expected_seq": -1}, "expected_seq"),
        ({"reason": "x", "other": 1}, "other"),
    ],
)
async def test_a_broken_rollback_names_the_parameter(
    client: Client, service: FakeService, body: Json, param: str
) -> None:
    """What is wrong in the body is named, and nothing is rolled back."""
    response = await client.post("/operator/lines/main/rollback", json=body)
    assert response.status == 400
    assert (await response.json())["error"]["param"] == param
    assert service.rollbacks == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"reason": NaN}', b"[" * 5000, b"\xff"])
async def test_a_body_that_is_no_json_is_refused(client: Client, body: bytes) -> None:
    """Broken bytes are a 400 in the usual shape."""
    response = await client.post(
        "/operator/lines/main/rollback", data=body, headers={"Content-Type": "application/json"}
    )
    assert response.status == 400
    assert "error" in await response.json()


async def test_an_oversized_body_is_refused(client: Client) -> None:
    """A body over the limit is 413, not read to its end."""
    response = await client.post("/operator/lines/main/rollback", json={"reason": "x" * 100_000})
    assert response.status == 413


async def test_a_body_is_not_larger_for_being_packed(client: Client) -> None:
    """What it says of its length is of what it is packed into."""
    packed = gzip.compress(json.dumps({"reason": "x", "y": "x" * 100_000}).encode())
    assert len(packed) < 1000
    response = await client.post(
        "/operator/lines/main/rollback",
        data=packed,
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    assert response.status == 413


async def test_a_line_that_is_not_served_is_404(client: Client) -> None:
    """Rolling back an unknown line names the parameter."""
    response = await client.post("/operator/lines/other/rollback", json={"reason": "x"})
    assert response.status == 404


async def test_an_unknown_path_is_json_too(client: Client) -> None:
    """Whatever fails has one shape."""
    response = await client.get("/operator/nothing")
    assert response.status == 404
    assert (await response.json())["error"]["message"] == "there is nothing at /operator/nothing"


async def next_sections(response: Any) -> Json:
    """Read the stream to its next event."""
    while True:
        line = (await response.content.readline()).decode()
        assert line, "the stream ended"
        if line.startswith("data: "):
            sections: Json = json.loads(line.removeprefix("data: "))
            return sections


async def test_a_forgotten_turn_shows_nothing_any_more(client: Client, store: Store) -> None:
    """What the console had read of a turn before is not shown from memory."""
    with store.transaction() as session:
        asked = [Message(role="user", content="a secret?")]
        session.add(turn_row(1, asked, Message(role="assistant", content="it is safe")))
    shown = (await read(client, "/operator/turns"))["turns"][0]
    assert shown["reply"]["text"]
    with store.transaction() as session:
        row = session.get_one(TurnRow, shown["id"])
        row.state, row.record, row.session = "forgotten", {}, ""
        session.add(row)
    shown = (await read(client, "/operator/turns"))["turns"][0]
    assert (shown["state"], shown["reply"]["text"], shown["prompt"]["text"]) == (
        "forgotten",
        "",
        "",
    )


async def test_what_was_forgotten_is_told_with_who_and_why(client: Client, store: Store) -> None:
    """The audit of forgetting is a section of its own, newest first."""
    moved = {"generation": 3, "line": "main", "version": "a" * 16, "turns": 1, "of_turns": 4,
             "share": 0.25}  # fmt: skip
    with store.transaction() as session:
        for number in (1, 2):
            session.add(
                ForgottenRow(
                    id=f"f{number}", line="main", principal="0123456789abcdef",
                    reason="by mail", who="ann", num_turns=number, num_judgements=0,
                    influenced=[moved], created_ms=number,
                )
            )  # fmt: skip
    answer = await read(client, "/operator/forgotten?line=main")
    assert [row["num_turns"] for row in answer["forgotten"]] == [2, 1]
    assert (answer["forgotten"][0]["who"], answer["forgotten"][0]["influenced"]) == ("ann", [moved])


async def test_the_stream_sends_all_first_and_then_what_changed(
    client: Client, store: Store, service: FakeService
) -> None:
    """A page gets every section at once, then only those that differ."""
    response = await client.get("/operator/events")
    assert response.content_type == "text/event-stream"
    first = await next_sections(response)
    assert {"serving", "events", "store", "turns", "versions"} <= set(first)
    service.events.append(Event(9, "swap", "b serves"))
    assert set(await next_sections(response)) == {"events"}
    with store.transaction() as session:
        session.add(
            RolloutRow(
                id="r1", line="main", seq=1, version="b" * 16, previous="a" * 16,
                state="completed", verb="promote", reason="", who="learner", created_ms=1,
            )
        )  # fmt: skip
    assert set(await next_sections(response)) == {"bases", "rollouts"}
    response.close()


async def test_the_stream_ends_when_the_server_closes(service: FakeService, store: Store) -> None:
    """An open page does not hold up the end of the agent."""
    client = await connect(service, store)
    response = await client.get("/operator/events")
    await next_sections(response)
    await asyncio.wait_for(client.server.close(), 60)
    await client.close()


async def test_too_many_pages_are_refused(client: Client) -> None:
    """The page after the last one allowed is told so, at once."""
    pages = [await client.get("/operator/events") for _ in range(32)]
    assert (await client.get("/operator/events")).status == 429
    for page in pages:
        page.close()


class Everybody:
    """Lets everybody look for ever."""

    def lasts(self, _: object) -> bool:
        return True


async def test_a_page_that_takes_nothing_gives_its_place_back() -> None:
    """Its connection is cut after a while, however often something changes."""
    number = 0
    anybody: Any = object()

    async def read() -> dict[str, str]:
        nonlocal number
        number += 1
        return {"turns": json.dumps("x" * 2**20 + str(number))}

    nobody: Any = None
    everybody: Any = Everybody()
    shared = live.Shared(read, interval_s=0.01)
    pages = Read(nobody, everybody, shared, clock=time.monotonic, stalled_s=0.3)

    async def events(request: web.Request) -> web.StreamResponse:
        request[OPERATOR] = anybody
        return await pages._events(live.event, request)

    app = web.Application()
    app.add_routes([web.get("/", events)])
    async with TestServer(app) as server:
        with socket.create_connection((server.host, server.port)) as stalled:
            stalled.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(20):
                while not pages._num_pages:
                    await asyncio.sleep(0.01)
                while pages._num_pages:
                    await asyncio.sleep(0.01)
