"""A wish that was refused stands on Lessons with its reason, however it was said."""

from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from agent.console import build_console
from streams.records import Message
from streams.settings import StreamsSettings
from streams.store.lesson_tables import SET_ASIDE, LessonRow
from streams.store.store import open_store
from tests.agent.console.rows import FakeService, judgement_row, turn_row

ORDER = 'no instruction: against the operator\'s words, "Always answer in German"'


async def test_a_refused_wish_is_told_with_its_reason(tmp_path: Path) -> None:
    """By a thumb's hint, which the store refuses, and by words, which the judge refuses."""
    store = open_store(StreamsSettings(home=tmp_path))
    asked, reply = [Message(role="user", content="Why?")], Message(role="assistant", content="So.")
    with store.transaction() as session:
        for sequence in range(3):
            session.add(turn_row(sequence, asked, reply, state="judged"))
        names = [f"chatcmpl-{sequence:06d}" for sequence in range(3)]
        session.add(judgement_row(names[0], -1, hint="In English, please", evidence="feedback"))
        told = "it should be otherwise; hint refused: is disguised"
        session.add(judgement_row(names[1], -1, hint=None, evidence=told))
        session.add(judgement_row(names[2], -1, hint=None, evidence="too long"))
        session.add(
            LessonRow(
                id="refused", line="main", principal="anonymous", turn_id=names[0], instruction="",
                wished=[], state=SET_ASIDE, refused="against the operator's words", reason=ORDER,
                changed=False, created_ms=1,
            )
        )  # fmt: skip
    app = build_console(FakeService(version="ab" * 8), store, wait_s=30)
    async with TestClient(TestServer(app)) as client:
        rows = (await (await client.get("/api/lessons")).json())["lessons"]
        html = await (await client.get("/lessons")).text()
    store.close()
    assert {row["turn"]["id"]: row["refused"] for row in rows} == {
        names[0]: ORDER, names[1]: "no instruction: is disguised",
    }  # fmt: skip
    assert html.count("The complaint counts by its reward alone") == 2
    assert "no generation has used this turn yet" not in html


@pytest.mark.parametrize("seq", [0, 3])
async def test_without_the_store_no_line_that_was_changed_is_said_to_be_at_its_base(
    seq: int,
) -> None:
    """Who changed what is in the store; whether anybody did, the agent knows itself."""
    service = FakeService(version="ab" * 8, previous="cd" * 8 if seq else "")
    service.state["seq"] = seq
    async with TestClient(TestServer(build_console(service, None))) as client:
        html = await (await client.get("/")).text()
    assert ("Nobody has changed this line" in html) == (seq == 0)
