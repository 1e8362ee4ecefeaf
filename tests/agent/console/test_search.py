"""Conversations are found by what was said in them, in any script, and by nothing else."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from agent.console import build_console
from streams.records import Message
from streams.settings import StreamsSettings
from streams.store.states import WAITING
from streams.store.store import Store, open_store
from tests.agent.console.rows import FakeService, judgement_row, turn_row

REPLY = Message(role="assistant", content="Yes.")


async def found_by(store: Store, text: str, **query: str) -> Any:
    """Search for a text."""
    async with TestClient(TestServer(build_console(FakeService(), store, wait_s=30))) as client:
        response = await client.get("/api/conversations", params={"text": text} | query)
        assert response.status == 200, await response.text()
        return await response.json()


@pytest.mark.parametrize(
    ("wanted", "num"),
    [
        ("user", 0), ("logprobs", 0), ("0.7", 0), ("null", 0),  # as records are written
        ("GRÜSSE aus köln", 1), ("grüße", 1), ("straße", 1), ("ПРИВЕТ", 1), ("日本", 1),
        ('say "ah"', 1), ("back\\slash", 1), ("two\nlines", 1), ("50%", 1), ("a_b", 1), ("axb", 0),
        ("OVEN", 1), ("strasse", 1), ('{"heat"', 1), ("said later", 1),
    ],
)  # fmt: skip
async def test_a_search_finds_what_was_said_and_nothing_else(
    tmp_path: Path, wanted: str, num: int
) -> None:
    """Words of every script, in any letter case; no key, id or number of the record."""
    store = open_store(StreamsSettings(home=tmp_path))
    said = 'Grüße aus KÖLN, Straße. Привет, 日本. say "ah" back\\slash two\nlines 50% a_b'
    call: Any = {"id": "c", "type": "function"}
    call["function"] = {"name": "oven", "arguments": '{"heat": 1}'}
    reply = Message(role="assistant", content="", tool_calls=[call])
    with store.transaction() as session:
        row = turn_row(1, [Message(role="user", content=said)], reply)
        row.next_state = [{"role": "user", "content": "Said later"}]
        session.add(row)
    assert len((await found_by(store, wanted))["turns"]) == num
    store.close()


async def test_a_search_goes_on_where_a_page_of_it_ended(tmp_path: Path) -> None:
    """Turns that only look alike fill no page, and none that holds the text is left out."""
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        for number in range(9):
            words = "the user" if number % 3 == 0 else "somebody"
            asked = [Message(role="user", content=words)]
            session.add(turn_row(number, asked, REPLY))
    read: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        found = await found_by(store, "user", limit="2", after=cursor)
        read, cursor = read + [turn["id"] for turn in found["turns"]], found["next"]
    assert read == [f"chatcmpl-00000{number}" for number in (6, 3, 0)]
    store.close()


async def test_what_waits_for_its_judge_has_no_verdict(tmp_path: Path) -> None:
    """Nobody has said anything of it yet; what was judged nothing of is another matter."""
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        for number, evidence in enumerate((WAITING, "says nothing")):
            row = turn_row(number, [Message(role="user", content="Why?")], REPLY)
            session.add_all([row, judgement_row(row.id, 0, source="model", evidence=evidence)])
    wanted = {"none": [0], "neither": [1], "any": [1], "": [0, 1]}
    for verdict, numbers in wanted.items():
        turns = (await found_by(store, "", verdict=verdict))["turns"]
        assert [turn["id"] for turn in turns] == [f"chatcmpl-00000{n}" for n in numbers[::-1]]
        assert [len(turn["judgements"]) for turn in turns] == numbers[::-1]
    store.close()
