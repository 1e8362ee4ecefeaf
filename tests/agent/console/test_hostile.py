"""Texts of models, users, clients and operators stay text on every page, whatever they hold."""

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlmodel import Session, select

from agent.console import build_console
from agent.console.site import VIEWS
from agent.watch.events import Event
from streams.log import dead_letters
from streams.log.contract import Entry, Partition, outgoing
from streams.log.sqlite import SqliteLog
from streams.records import Message
from streams.settings import StreamsSettings
from streams.store.store import open_store
from streams.store.tables import (
    ClientRow,
    ForgottenRow,
    GenerationRow,
    LeaseRow,
    OffsetRow,
    PlannerRow,
    RolloutRow,
    TrialRow,
    TurnRow,
)
from tests.agent.console.rows import FakeService, fill, judgement_row, turn_row
from tests.agent.console.trial_rows import CANDIDATE, begin_trial, teach

Client = TestClient[web.Request, web.Application]
NOW_MS = 1_790_000_000_000
EVIL = """"'><script>window.pwned=1</script><img src=x onerror="window.pwned=1"><!--{{7*7}}"""
ODD = "half a character: \ud83d, and a null: \x00"


class Tags(HTMLParser):
    """Every tag of a page, and every attribute's name."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep one."""
        self.tags.append((tag, dict(attrs)))


def poison(session: Session, service: FakeService) -> None:
    """Put the text into every place that somebody else writes."""
    said = Message(role="user", content=EVIL + ODD.replace("\x00", ""))
    call = {"id": EVIL, "type": "function", "function": {"name": EVIL, "arguments": EVIL}}
    row = turn_row(
        700, [Message(role="system", content=EVIL), said],
        Message(role="assistant", content=EVIL, tool_calls=[call]), state="judged", uses=1,
        next_kind="reply", next_ms=1, next_state=[{"role": "tool", "content": EVIL}],
        next_layer=EVIL, unlinked="unknown", created_ms=NOW_MS, version=EVIL,
    )  # fmt: skip
    row.principal = EVIL
    row.record = row.record | {
        "client": EVIL, "trace": "a" * 32, "broken_calls": [EVIL], "notes": [EVIL], "purpose": EVIL,
        "finish_reason": EVIL, "sampling": {"stop": [EVIL]},
    }  # fmt: skip
    row.target = {"hint": EVIL, "text": EVIL, "made": EVIL, "reason": EVIL, "proof": {EVIL: 1.0}}
    session.add(row)
    session.add(judgement_row(row.id, -1, hint=EVIL, evidence=EVIL, source=EVIL))
    for generation in session.exec(select(GenerationRow)):
        generation.reason = EVIL
        generation.settings = {"strategy": EVIL}
        if generation.number == 24:
            probe = generation.gate["rows"][0]
            text = {"text": EVIL, "value": 1.0}
            probe |= {"title": EVIL, "unit": EVIL, "outcome": EVIL, "base": text}
            generation.gate = generation.gate | {"rows": [probe | {"candidate": text}]}
            generation.batch = [{"turn_id": row.id, "weight": 1.0, "score": -1, "hint": EVIL}]
    for change in session.exec(select(RolloutRow)):
        change.reason = change.who = EVIL
    trial = session.get_one(TrialRow, "main")
    trial.body = trial.body | {"why": EVIL, "samples": {"reward": [row.id]}}
    session.add(ClientRow(line="main", client=EVIL, num_turns=2, num_opted_out=2))
    session.add(
        PlannerRow(line="main", waits_for=EVIL, num_fresh=0, num_used=0, num_weak=0, num_people=0,
                   since_ms=1)
    )  # fmt: skip
    session.add(
        ForgottenRow(id="f", line="main", principal=EVIL, reason=EVIL, who=EVIL, num_turns=1,
                     num_judgements=0, influenced=[{"version": EVIL, "share": 0.5}],
                     created_ms=NOW_MS)
    )  # fmt: skip
    session.add(LeaseRow(name=EVIL, holder=EVIL, epoch=1, expires_ms=1))
    session.add(OffsetRow(group=EVIL, topic=EVIL, partition=0, next_offset=1))
    service.events.append(Event(1, "swap-failed", EVIL))
    service.state |= {"decided": EVIL, "failed": EVIL}
    service.state["trial"] |= {"lacking": EVIL, "started_by": EVIL}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """A console over poisoned rows and a poisoned dead letter."""
    store, log = open_store(StreamsSettings(home=tmp_path)), SqliteLog(tmp_path / "log.db")
    with store.transaction() as session:
        versions = fill(session, now_ms=NOW_MS)
        service = FakeService(version=versions[-1], previous=versions[-2])
        service.state |= {"seq": len(versions) - 1}
        begin_trial(session, service, now_ms=NOW_MS)
        teach(session, child=versions[-1])
        poison(session, service)
    entry = Entry(Partition("turns", 0), 1, EVIL, EVIL, EVIL.encode(), NOW_MS)
    letter = dead_letters.of_entry(entry, EVIL, max_bytes=9999, now_ms=NOW_MS)
    log.append([outgoing("dead-letters", letter.id, letter)])
    app = build_console(service, store, log=log, interval_s=60, wait_s=30)
    client: Client = TestClient(TestServer(app))
    await client.start_server()
    yield client
    await client.close()
    store.close()
    log.close()


async def test_no_text_becomes_a_tag_or_an_attribute(client: Client) -> None:
    """On every page the text is there, and its tags are not."""
    versions = (await (await client.get("/api/versions")).json())["versions"]
    names = {"version": versions[0]["child"], "turn": "chatcmpl-000700"}
    for view in VIEWS:
        response = await client.get(view.path.format(**names))
        html = await response.text()
        assert response.status == 200, view.path
        found = Tags()
        found.feed(html)
        for tag, attributes in found.tags:
            assert tag != "script" or (attributes.get("src") or "").startswith("/"), view.path
            assert tag != "img" or attributes["src"] == "/static/favicon.svg", view.path
            assert not [name for name in attributes if name.startswith("on")], view.path
            assert not [name for name in attributes if not re.fullmatch(r"[\w:-]+", name)]
        assert "{{7*7}}" in html or view.name in ("settings",), view.path
        assert "<script>window" not in html, view.path


async def test_a_search_for_it_shows_it_as_text(client: Client) -> None:
    """What is asked for comes back in the field, and in the addresses of further pages."""
    for path in ("/conversations?text=", "/conversations?principal=", "/audit?who="):
        html = await (await client.get(path + EVIL.replace("&", "%26"))).text()
        assert "<script>window" not in html
        assert 'onerror="window' not in html


async def test_half_a_character_does_not_take_a_page_down(client: Client) -> None:
    """What is no text that can be sent is shown by a mark."""
    html = await (await client.get("/conversations/chatcmpl-000700")).text()
    assert "half a character: ?" in html


async def test_a_row_of_another_shape_leaves_the_page_standing(
    client: Client, tmp_path: Path
) -> None:
    """A trial's look, a report and a batch that this build does not know show gaps."""
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        trial = session.get_one(TrialRow, "main")
        trial.candidate, trial.body = CANDIDATE, {}
        for generation in session.exec(select(GenerationRow)):
            generation.gate = {"of": "the future"}
            generation.fitness = []
        session.get_one(TurnRow, "chatcmpl-000700").target = {"version": "of an older build"}
    store.close()
    for view in VIEWS:
        response = await client.get(view.path.format(version="x", turn="chatcmpl-000700"))
        assert response.status in (200, 404), view.path
