"""The console says what the learner waits for, and what it did not hear."""

from collections.abc import AsyncIterator, Collection
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlmodel import Session

from agent.console import build_console
from agent.console.read.counted import KEEP_MS, Counted
from agent.console.read.learner import Learners
from agent.console.read.view import View
from agent.watch.heard import Heard
from agent.watch.metrics import Metrics
from streams.records import Json, Message
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store, reach_store
from streams.store.tables import ArtefactRow, ClientRow, LeaseRow, PlannerRow
from tests.agent.console.rows import FakeService, classes, turn_row

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store in which a reply was not recognised and a client opts out."""
    made = open_store(StreamsSettings(home=tmp_path))
    asked = [
        Message(role="user", content="hi"),
        Message(role="assistant", content="Hello <b>you</b>!"),
        Message(role="user", content="Shorter."),
    ]
    with made.transaction() as session:
        for number, why in enumerate(["unknown", "ambiguous", "unknown"]):
            reply = Message(role="assistant", content="x")
            session.add(turn_row(number, asked, reply, unlinked=why))
        session.add(
            turn_row(9, asked[:1], asked[1], state="judged", reason="used up", line="main", uses=8)
        )
        session.add(ClientRow(line="main", client="opencode/1.18", num_turns=7, num_opted_out=7))
        session.add(ClientRow(line="main", client="curl", num_turns=2))
        body = {"mask": "m"} | classes(2, 12, 2)
        session.add(ArtefactRow(digest="a", kind="unit-map", body=body, created_ms=1))
        session.add(LeaseRow(name="learner/main", holder="here", epoch=1, expires_ms=2**53))
        session.add(
            PlannerRow(
                line="main", waits_for="two strong verdicts of other people needed: cap 0.25",
                num_fresh=1, num_used=2, num_weak=3, num_people=2, num_alone=1,
                alone={"wish": [1.2, 3.0]}, num_measured=7, num_to_measure=16, since_ms=5,
            )
        )  # fmt: skip
    return made


@pytest.fixture
async def client(store: Store) -> AsyncIterator[Client]:
    """A console over that store."""
    made: Client = TestClient(
        TestServer(build_console(FakeService(), store, interval_s=0, wait_s=30))
    )
    await made.start_server()
    yield made
    await made.close()
    store.close()


async def test_what_is_waited_for_is_said_in_words(client: Client) -> None:
    """With the count of each kind of verdict."""
    heard = (await (await client.get("/operator/state")).json())["heard"]
    (planner,) = heard["planners"]
    assert planner["waits_for"] == "two strong verdicts of other people needed: cap 0.25"
    assert [planner[f"num_{kind}"] for kind in ("fresh", "used", "weak", "people")] == [1, 2, 3, 2]
    assert planner["measuring"] == "measuring the base: 7 of 16"
    assert heard["reasons"] == {"used up": 1}


async def test_what_was_not_recognised_is_counted_with_an_example(client: Client) -> None:
    """FAULT 12: the newest one, with its reply as data."""
    heard = (await (await client.get("/operator/state")).json())["heard"]
    assert heard["unlinked"] == {"ambiguous": 1, "unknown": 2}
    assert heard["example"]["turn"] == "chatcmpl-000002"
    assert heard["example"]["reply"] == "Hello <b>you</b>!"


async def test_a_client_that_opts_everything_out_is_named(client: Client) -> None:
    """FAULT 17: what teaches nothing, and whose it is."""
    heard = (await (await client.get("/operator/state")).json())["heard"]
    (row,) = heard["opted_out"]
    assert (row["client"], row["num_turns"], row["num_opted_out"]) == ("opencode/1.18", 7, 7)


async def test_the_page_shows_it(client: Client) -> None:
    """Now says it in sentences, with the reply as text."""
    page = await (await client.get("/")).text()
    assert "two strong verdicts of other people needed: cap 0.25" in page
    assert "opencode/1.18 opts out of learning (store: false or X-Learn: off) with all of" in page
    assert "Replies not recognised: 3, 1 of them ambiguous." in page
    assert "Hello &lt;b&gt;you&lt;/b&gt;!" in page


async def test_metrics_tell_it_too(store: Store) -> None:
    """Prometheus reads the counts from the store, at the scrape."""
    metrics, heard = Metrics(), Heard(store, "main")
    metrics.wait_for(heard.samples)
    text = (await metrics.text()).decode()
    for line in (
        "quickset_unlinked_unknown 2.0",
        "quickset_unlinked_ambiguous 1.0",
        "quickset_turns_opted_out 7.0",
        "quickset_verdicts_fresh 1.0",
        "quickset_verdicts_alone 1.0",
        "quickset_base_probes 16.0",
        "quickset_base_probes_measured 7.0",
        'quickset_unit_share{class="redundant"} 0.1',
    ):
        assert line in text, line
    heard.close()
    store.close()


async def test_metrics_do_without_a_store(tmp_path: Path) -> None:
    """An agent whose learner never ran, or whose store is away, is scraped all the same."""
    store = reach_store(StreamsSettings(home=tmp_path / "none"))
    metrics, heard = Metrics(), Heard(store, "main")
    metrics.wait_for(heard.samples)
    assert b"quickset_unlinked" not in await metrics.text()
    heard.close()
    store.close()


def test_turns_are_counted_once_a_minute_for_each_choice_of_lines(store: Store) -> None:
    """A page asks twice a second, and each count reads all turns."""
    asked: list[list[str]] = []

    def count(_: Session, lines: Collection[str]) -> Json:
        asked.append(list(lines))
        return {"number": len(asked)}

    counted = Counted(count)
    with store.reading() as session:
        views = [
            View(["main"], now_ms=1), View(["main"], now_ms=KEEP_MS), View(["other"], now_ms=500),
            View(["main"], now_ms=KEEP_MS + 1), View(["main"], now_ms=0),
        ]  # fmt: skip
        found = [counted.read(session, view)["number"] for view in views]
    assert found == [1, 1, 2, 3, 4]  # a clock that was set back is no reason to wait for it
    assert asked == [["main"], ["other"], ["main"], ["main"]]


def test_what_is_too_old_to_be_kept_is_not_counted(store: Store) -> None:
    """There is only ever more of it."""
    hi = Message(role="user", content="hi")
    with store.transaction() as session:
        session.add(turn_row(10, [hi], hi, state="expired", line="main"))
    with store.reading() as session:
        assert "expired" not in Learners().read(session, View(["main"]))["num_turns"]
