"""The console's pages: each is there for an empty store, a full one and none, and as JSON."""

import copy
import json
import re
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlmodel import func, select

from agent.console import build_console
from agent.console.ports import NoInsight
from agent.console.read.sections import NO_STORE
from agent.console.render import short
from agent.console.site import VIEWS, api_path
from agent.settings import AgentSettings
from agent.watch.events import Event
from streams.line import ledger
from streams.records import Json, Rollout
from streams.settings import RolloutSettings, StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import ArtefactRow, GenerationRow, RolloutRow
from tests.agent.console.rows import BASE, FakeService, fill
from tests.agent.console.trial_rows import CANDIDATE, begin_trial, teach
from tests.streams.line.test_ledger import recipe

Client = TestClient[web.Request, web.Application]
NOW_MS = 1_790_000_000_000


class FakeInsight(NoInsight):
    """A model of two layers, of which the tokens are named by their numbers."""

    def moved(self, version: str) -> list[Json]:
        """What any version but unknown ones changed."""
        if version.startswith("unknown"):
            return super().moved(version)
        tensor = {"layer": 1, "module": "up_proj", "rms": 0.25, "most": 1.0, "frozen": 7,
                  "frozen_most": 0.0}  # fmt: skip
        return [tensor]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An empty store of the newest schema."""
    store = open_store(StreamsSettings(home=tmp_path_factory.mktemp("empty")))
    yield store
    store.close()


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, FakeService]]:
    """A day of learning with a trial at its end, and the agent that serves it; only read."""
    store = open_store(StreamsSettings(home=tmp_path_factory.mktemp("day")))
    with store.transaction() as session:
        versions = fill(session, now_ms=NOW_MS)
        service = FakeService(version=versions[-1], previous=versions[-2])
        service.state |= {"seq": len(versions) - 1}
        begin_trial(session, service, now_ms=NOW_MS)
        teach(session, child=versions[-1])
    yield store, service
    store.close()


async def connect(service: FakeService, store: Store | None, *, interval_s: float = 0) -> Client:
    """A started client."""
    app = build_console(service, store, insight=FakeInsight(), interval_s=interval_s, wait_s=30)
    client: Client = TestClient(TestServer(app))
    await client.start_server()
    return client


@pytest.fixture
async def client(day: tuple[Store, FakeService]) -> AsyncIterator[Client]:
    """A console over the day."""
    client = await connect(day[1], day[0], interval_s=60)
    yield client
    await client.close()


async def page(client: Client, path: str, status: int = 200) -> str:
    """Read a page, without the space that its layout leaves."""
    response = await client.get(path)
    assert response.status == status, await response.text()
    assert response.content_type == "text/html"
    return re.sub(r"\s+", " ", await response.text())


async def data(client: Client, path: str) -> Any:
    """Read a document that must be there."""
    response = await client.get(path)
    assert response.status == 200, await response.text()
    return await response.json()


def place(path: str, service: FakeService) -> str:
    """Put names into an address."""
    return path.format(version=service.state["version"], turn="chatcmpl-000038")


async def test_every_page_of_an_empty_store_says_what_will_appear(empty: Store) -> None:
    """Before the first chat nothing is broken, and each page tells how it comes to life."""
    client = await connect(FakeService(), empty)
    said = {
        "/": "Nobody has changed this line", "/rollout": "Nothing is on trial",
        "/versions": "only the base model so far", f"/versions/{BASE}": "The base model",
        "/generations": "No generation is done yet", "/lessons": "No lesson yet",
        "/conversations": "No turns yet", "/safety": "No map yet",
        "/streams": "No reader has begun",
        "/audit": "Nobody has changed anything", "/settings": "once it has planned a generation",
    }  # fmt: skip
    for path, words in said.items():
        assert words in await page(client, path), path
    await page(client, "/conversations/chatcmpl-1", status=404)
    await client.close()


async def test_every_page_of_a_day_is_there_and_as_json_too(
    client: Client, day: tuple[Store, FakeService]
) -> None:
    """A page and the document below /api are of one reading; each page names its place."""
    for view in VIEWS:
        html = await page(client, place(view.path, day[1]))
        assert html.count('aria-current="page"') == 1, view.path
        assert "<h1" in html, view.path
        found = await data(client, place(api_path(view), day[1]))
        assert found["trouble"] == "", view.path


async def test_a_line_that_is_not_served_is_said_and_not_passed_over(client: Client) -> None:
    """Pages show another one and say so; programs get none."""
    said = {"?line=other": "serves no line", "?line=main&line=other": "several lines"}
    for query, words in said.items():
        html = await page(client, f"/versions{query}")
        assert words in html, query
        assert "What stands here is of the line <b>main</b>" in html
        refused = await client.get(f"/api/versions{query}")
        assert (refused.status, (await refused.json())["error"]["param"]) == (400, "line")
    for query in ("", "?line=", "?line=main", "?other=1"):
        assert "What stands here" not in await page(client, f"/versions{query}")
        assert (await data(client, f"/api/versions{query}"))["line"] == "main"
    twice = await client.get("/api/generations?limit=1&limit=2")
    assert (twice.status, (await twice.json())["error"]["param"]) == (400, "limit")


async def test_the_safety_page_draws_the_units(client: Client) -> None:
    """Frozen units, and each class of units with its share and how far the sets agree."""
    html = await page(client, "/safety")
    assert html.count('<svg class="units"') == 4
    found = (await data(client, "/api/safety"))["map"]
    assert found["in_force"]
    by_name = {each["name"]: each for each in found["classes"]}
    assert by_name["redundant"]["share"] == 0.1
    assert by_name["exclusive safety"]["layers"][0]["count"] == 1
    assert by_name["complex"]["layers"] == []


async def test_a_map_without_classes_is_drawn_without_them(tmp_path: Path) -> None:
    """One that was made before there were classes, on a line without a version."""
    store = open_store(StreamsSettings(home=tmp_path))
    body = {"mask": "m", "neurons": {"1": [[3, 9, 1]]}, "groups": {}, "frozen_share": 0.075}
    with store.transaction() as session:
        session.add(ArtefactRow(digest="a" * 64, kind="unit-map", body=body, created_ms=1))
    client = await connect(FakeService(), store)
    html = await page(client, "/safety")
    assert html.count('<svg class="units"') == 1
    assert "no version under this map" in html
    await client.close()
    store.close()


async def test_the_safety_page_tells_probes_by_version_and_what_the_monitors_say(
    client: Client,
) -> None:
    """Refusals beside the base, the geometry of each layer, and each probe's worst phrasing."""
    html = await page(client, "/safety")
    for words in ("95 %", "base's chance of refusing", "0.9987", ">2.3<", "+4.90"):
        assert words in html, words
    assert "Probes by version" in html
    told = (await data(client, "/api/safety"))["watch"]
    assert told["refusing"][0]["share"] == 0.95
    assert told["layers"]["rows"][0]["layer"] == 29
    assert {row["outcome"] for row in told["probes"]["refusal"]} == {"pass", "fail"}
    assert (told["stopped"], told["corrective"]) == (None, None)


async def test_what_no_version_is_asked_is_not_told_as_nothing_wrong(client: Client) -> None:
    """A probe that could show no fall on this base says so, beside one that can only ever fail."""
    html = await page(client, "/safety")
    for probe, told in (("calls", "not asked"), ("finite", "nothing wrong")):
        part = html.split(f'id="probe-{probe}"')[1].split("</details>")[0]
        assert told in part, probe
        assert ("Tells nothing of this model" in part) == (probe == "calls")
    report = html.split("What the gate said")[1]
    assert "Tells nothing of this model" in report


async def test_what_is_looked_at_is_counted(empty: Store) -> None:
    """Pages and documents apart, by view, for Prometheus."""
    service = FakeService()
    client = await connect(service, empty)
    await page(client, "/safety")
    await data(client, "/api/safety")
    text = (await service.metrics.text()).decode()
    for form in ("page", "json"):
        assert f'quickset_console_pages_total{{form="{form}",view="safety"}} 1.0' in text
    await client.close()


async def test_without_a_store_every_page_says_so_and_offers_the_way_back() -> None:
    """Broker and database down: what serves and the button are on every page."""
    service = FakeService(version="b" * 16, previous="a" * 16)
    service.events.append(Event(1, "log-away", "the log cannot be read, serving on"))
    client = await connect(service, None)
    for view in VIEWS:
        html = await page(client, place(view.path, service))
        assert NO_STORE.replace("'", "&#39;") in html, view.path
        assert 'data-verb="rollback"' in html, view.path
        assert "The log is away" in html, view.path
    assert "The log cannot be read, serving on" in await page(client, "/")
    await client.close()


async def test_an_event_leads_to_its_turn() -> None:
    """What was said stands there, and goes with whoever is forgotten."""
    service = FakeService(version="b" * 16, previous="a" * 16)
    service.events.append(Event(1, "broken-call", "turn resp_1: malformed", "resp_1"))
    service.events.append(Event(2, "swap", "b serves"))
    client = await connect(service, None)
    for view in ("/", "/audit"):
        html = await page(client, view)
        assert html.count('Turn resp_1: malformed <a href="/conversations/resp_1">') == 1
        assert html.count('href="/conversations/') == 1
    await client.close()


async def test_now_answers_what_an_operator_asks(client: Client) -> None:
    """What serves, what is on trial, why it is not promoted yet, who did what."""
    html = await page(client, "/")
    assert "version 21" in html
    assert "75 % of the sessions" in html
    assert CANDIDATE in html
    assert "Why it is not promoted yet:</b> judged +0.12" in html
    assert "learner, change 25" in html
    assert "anna, change 23" in html
    now = await data(client, "/api/now")
    health = {part["name"]: part["state"] for part in now["health"]}
    assert health == {"Swap": "good", "Learner": "good", "Log": "bad", "Spool": "warn",
                      "Store": "good"} | {"Learner": health["Learner"]}  # fmt: skip
    # the look was two seconds ago, and the step had lasted 188 s of its 600
    assert now["trial"]["soak_ms"] == NOW_MS - 2000 + (600 - 188) * 1000


async def test_now_says_why_nothing_is_on_trial(empty: Store) -> None:
    """With the policy, so that nobody waits for a trial that never comes."""
    client = await connect(FakeService(), empty)
    html = await page(client, "/")
    assert "no turn has been judged yet" in html
    assert "serves everybody at once (policy direct)" in html
    await client.close()


async def test_a_trial_has_a_tile_a_metric_and_the_turns_behind_it(client: Client) -> None:
    """Estimate, bounds, limit and standing; only the verbs that are valid now."""
    html = await page(client, "/rollout")
    metrics = {m["name"]: m for m in (await data(client, "/api/rollout"))["trial"]["metrics"]}
    assert {name: metric["standing"][0] for name, metric in metrics.items()} == {
        "reward": "open", "complaints": "good", "refusals": "warn", "errors": "good",
        "invalid calls": "none", "length": "good", "latency": "good", "aboutness": "good",
    }  # fmt: skip
    assert html.count('<article class="tile') == 8
    assert {name: metric["title"] for name, metric in metrics.items()}["aboutness"] == "Aboutness"
    assert "between −0.31 and +0.52" in html
    assert "I&#39;m sorry, but I cannot tell that." in html
    verbs = re.findall(r'data-verb="([\w-]+)"', html)
    assert verbs == ["rollback", "pause", "skip-step", "promote-full", "abort"]


async def test_a_trial_that_has_not_been_looked_at_says_so(empty: Store) -> None:
    """Pending, held and paused are told in words, with or without the learner's look."""
    service = FakeService()
    service.state["trial"] = {
        "version": CANDIDATE, "state": "pending", "step": 0, "share": 0.0, "started_by": "",
        "lacking": None, "verbs": ["start", "abort"],
    }  # fmt: skip
    client = await connect(service, empty)
    assert "waits for an operator to start it" in await page(client, "/rollout")
    service.state["trial"]["state"] = "running"
    assert "has not looked at it yet" in await page(client, "/rollout")
    service.state["trial"] |= {"state": "held", "lacking": "its recipe is missing"}
    assert "It answers nobody on this agent: its recipe is missing" in await page(client, "/")
    await client.close()


async def test_a_version_shows_what_and_who_moved_it(
    client: Client, day: tuple[Store, FakeService]
) -> None:
    """Lineage, recipe, settings in force, turns and principals with their share, probes."""
    version = day[1].state["version"]
    html = await page(client, f"/versions/{version[:10]}")
    found = await data(client, f"/api/versions/{version}")
    assert found["moved_by"]["principals"] == [
        {"principal": "aaaaaaaaaaaaaaaa", "share": 0.75},
        {"principal": "bbbbbbbbbbbbbbbb", "share": 0.25},
    ]
    assert found["generation"]["settings"] == {"strategy": "es", "kl_budget": 0.02}
    assert found["lineage"][0]["version"] == day[1].state["previous"]
    assert "layers 22–29" in html
    assert "Log-odds of refusing harmful prompts, nats" in html
    assert f'hx-get="/versions/{version}/change"' in html


async def test_a_version_is_meant_by_a_word_or_its_number(client: Client) -> None:
    """As commands take it; the base is told by its name, and is the one that has no recipe."""
    for given in ("base", "0"):
        assert (await data(client, f"/api/versions/{given}"))["version"] == BASE
    assert (await data(client, "/api/versions/0/change"))["version"] == BASE


async def test_a_number_is_never_how_a_name_begins_where_a_version_has_it(tmp_path: Path) -> None:
    """Also where it is not on the way to what serves, as after a rollback; of several none is."""
    store = open_store(StreamsSettings(home=tmp_path))
    first = recipe(BASE, 1)
    second, again = recipe(first.version, 2), recipe(first.version, 2, step=2)
    thirds = (recipe(second.version, 3, step=step) for step in count(1))
    third = next(each for each in thirds if each.version.startswith("2"))
    with store.transaction() as session:
        for each in (first, second, third):
            ledger.append(session, each)
    client = await connect(FakeService(), store)
    for each in (second, third):
        told = await data(client, f"/api/versions/{each.number}")
        assert told["version"] == each.version
    with store.transaction() as session:
        ledger.append(session, again)
    answer = await client.get("/api/versions/2")
    refusal = await answer.text()
    assert answer.status == 404
    assert second.version in refusal
    assert again.version in refusal
    await client.close()
    store.close()


async def test_the_change_of_a_version_says_that_frozen_units_are_zero(client: Client) -> None:
    """It comes by itself, when it has been worked out; what is unknown says so."""
    html = await page(client, f"/versions/{BASE}/change")
    assert "7 frozen rows and columns: every element of them was looked at" in html
    assert "exactly 0" in html
    assert "No recipe of version unknown" in await page(client, "/versions/unknown/change")
    assert (await client.get("/api/versions/unknown/change")).status == 404


async def test_an_unknown_version_is_a_page_that_says_so(client: Client) -> None:
    """With the status of what it says, for people and for programs."""
    assert "no version ffff of the line main is known" in (
        (await page(client, "/versions/ffff", status=404)).lower()
    )
    assert (await client.get("/api/versions/ffff")).status == 404


async def test_a_generation_tells_how_many_members_were_good(client: Client) -> None:
    """Those that the turns agree on, beside what coins in their place would give."""
    newest = (await data(client, "/api/generations"))["generations"]
    (taught,) = [row for row in newest if row["number"] == 24]
    assert (taught["density"], taught["chance"]) == (0.25, 0.25)
    assert taught["took_s"] == 9.0


async def test_a_lesson_tells_what_was_learned_and_whether_it_helped(client: Client) -> None:
    """The rewrite or why there is none, the versions that learned it, what came of the wish."""
    lessons = (await data(client, "/api/lessons?limit=100"))["lessons"]
    found = {lesson["turn"]["id"]: lesson for lesson in lessons}
    refused, learned = found["chatcmpl-000800"], found["chatcmpl-000801"]
    assert refused["why_none"] == "the rewrite is not about the question"
    assert (learned["instruction"], learned["rewrite"]) == ("Name the tea.", "Rooibos.")
    assert [(each["generation"], each["number"]) for each in learned["learned_by"]] == [(24, 21)]
    assert (learned["course"]["state"], learned["course"]["num_pleased"]) == ("satisfied", 3)
    assert refused["course"] is None
    html = await page(client, "/lessons?limit=100")
    assert "<b>satisfied</b>: 3 pleased verdicts on end" in html
    # two children of one parent have the same number
    assert f"version 21 ({short(learned['learned_by'][0]['version'])})" in html


@pytest.mark.parametrize(
    ("view", "key", "name"),
    [
        ("versions", "versions", "before"), ("generations", "generations", "before"),
        ("safety", "reports", "before"), ("audit", "entries", "after"),
        ("conversations", "turns", "after"), ("lessons", "lessons", "after"),
    ],
)  # fmt: skip
async def test_a_list_is_read_page_by_page_to_its_end(
    client: Client, view: str, key: str, name: str
) -> None:
    """Every entry once, in the order of one long page."""
    whole = (await data(client, f"/api/{view}?limit=500"))[key]
    read, cursor = [], ""
    while True:
        found = await data(client, f"/api/{view}?limit=7&{name}={cursor}")
        read += found[key]
        assert len(found[key]) <= 7
        cursor = found["next"]
        if cursor is None:
            break
    assert len(whole) > 14
    assert read == whole


async def test_entries_of_one_moment_are_not_lost_between_pages(tmp_path: Path) -> None:
    """The cursor is a moment and an id."""
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        for seq in range(1, 9):
            session.add(
                RolloutRow(
                    id=f"r{seq}", line="main", seq=seq, version="v", previous="p", reason="",
                    state="completed", verb="promote", who="ann", created_ms=5,
                )
            )  # fmt: skip
    client = await connect(FakeService(), store)
    read: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        found = await data(client, f"/api/audit?limit=3&who=ann&after={cursor}")
        read, cursor = read + [entry["id"] for entry in found["entries"]], found["next"]
    assert read == [f"r{seq}" for seq in range(8, 0, -1)]
    await client.close()
    store.close()


async def test_turns_are_found_by_what_was_said_and_by_verdict(client: Client) -> None:
    """Text of any message, principal, version and verdict, alone and together."""

    async def ids(query: str) -> list[str]:
        found = await data(client, f"/api/conversations?limit=200&{query}")
        return [turn["id"] for turn in found["turns"]]

    assert "chatcmpl-000800" in await ids("text=which tea, number")
    assert len(await ids("text=rayleigh")) == 8
    assert await ids("text=RAYLEIGH") == await ids("text=rayleigh")
    assert await ids("text=100%25 wrong") == []
    assert await ids("principal=bbbb&verdict=good") == ["chatcmpl-000830"]
    assert set(await ids("verdict=none")) <= set(await ids(""))
    assert len(await ids("verdict=any")) + len(await ids("verdict=none")) == len(await ids(""))
    assert await ids(f"version={CANDIDATE[:6]}") == ["chatcmpl-000902", "chatcmpl-000901"]
    response = await client.get("/api/conversations?verdict=odd")
    assert (response.status, (await response.json())["error"]["param"]) == (400, "verdict")
    assert "verdict must be one of" in (
        (await page(client, "/conversations?verdict=odd", status=400)).lower()
    )


async def test_a_turn_shows_its_tokens_and_where_it_was_used(client: Client) -> None:
    """Each token with its log-probability; the generations that it scored."""
    turn = await data(client, "/api/conversations/chatcmpl-000801")
    assert turn["tokens"][0] == {
        "id": 2, "text": "[2]", "logprob": -0.5, "probability": pytest.approx(0.6065, abs=1e-4),
        "forced": False,
    }  # fmt: skip
    assert [used["generation"] for used in turn["used_by"]] == [24]
    html = await page(client, "/conversations/chatcmpl-000801")
    assert "−0.50 nats" in html


async def test_settings_are_told_without_a_key_or_a_secret(client: Client) -> None:
    """Each with what it is; whose keys there are, and nothing to guess one by."""
    sections = (await data(client, "/api/settings"))["sections"]
    rows = {(section["name"], row["name"]): row for section in sections for row in section["rows"]}
    assert rows["rollout", "policy"]["value"] == "direct"
    assert "share of the sessions" in rows["rollout", "policy"]["description"]
    assert rows["agent", "response_secret"]["value"] in (None, "set")


async def test_what_the_model_decides_is_not_told_as_changed(tmp_path: Path) -> None:
    """Its context and sampling are in force where nobody set them; what was set is told as that."""
    service = FakeService(settings=AgentSettings(default_top_p=0.5, context_tokens=9_000))
    worked_out = {"context_tokens": 8_192, "default_temperature": 0.6}
    service.settings = service.as_set.model_copy(update=worked_out)
    store = open_store(StreamsSettings(home=tmp_path))
    client = await connect(service, store)
    agent, _ = (await data(client, "/api/settings"))["sections"]
    rows = {row["name"]: (row["value"], row["changed"], row["instead"]) for row in agent["rows"]}
    assert rows["default_temperature"] == (0.6, False, "the model's own")
    assert rows["default_top_p"] == (0.5, True, "")
    assert rows["context_tokens"] == (8_192, True, "the model's own")
    assert rows["port"] == (8_321, False, "")
    html = await page(client, "/settings")
    assert (html.count(">changed<"), html.count(">the model&#39;s own<")) == (2, 2)
    service.settings = service.as_set.model_copy(update={"context_tokens": 512, "kv_tokens": 512})
    agent, _ = (await data(client, "/api/settings"))["sections"]
    (row,) = [row for row in agent["rows"] if row["name"] == "context_tokens"]
    assert row["instead"] == "what kv_tokens allow"
    await client.close()
    store.close()


async def test_settings_are_told_without_passwords_in_urls(tmp_path: Path) -> None:
    """Neither the agent's, nor those with which the learner has planned, nor a tool's."""
    url = "https://bot:s3cret@chat.example.org/hooks"
    tool = {"url": url, "allow": ["search"]}
    service = FakeService(settings=AgentSettings.model_validate({"tools": {"wiki": tool}}))
    service.rollout = RolloutSettings(webhook=url, webhook_secret=tmp_path / "secret")
    store = open_store(StreamsSettings(home=tmp_path))
    with store.transaction() as session:
        session.add(
            GenerationRow(
                id="g", line="main", number=1, parent=BASE, key="0" * 16, state="void",
                turn_ids=[], planned_ms=1, settings={"judge_url": url, "judges": [url]},
            )
        )  # fmt: skip
    client = await connect(service, store)
    told = json.dumps(await data(client, "/api/settings")) + await page(client, "/settings")
    assert told.count("bot:***@chat.example.org") == 8
    assert "s3cret" not in told
    await client.close()
    store.close()


@pytest.mark.parametrize("query", ["limit=x", "before=-1", "limit=1e3", "limit=99999"])
async def test_a_query_that_makes_no_sense_is_named(client: Client, query: str) -> None:
    """A broken number is 400, on the page as in the document."""
    assert (await client.get(f"/api/versions?{query}")).status == 400
    assert (await client.get(f"/versions?{query}")).status == 400


@pytest.mark.parametrize(
    "view", ["versions", "generations", "safety", "audit", "conversations", "lessons", "rollout"]
)
async def test_a_page_of_no_entries_is_refused(client: Client, view: str) -> None:
    """It has no end to go on from; the store was said to hold a row that cannot be shown."""
    answer = await client.get(f"/api/{view}?limit=0")
    assert answer.status == 400
    assert "limit must be a whole number from 1 to" in (await answer.json())["error"]["message"]


async def test_a_number_of_a_query_may_begin_with_any_number_of_zeros(client: Client) -> None:
    """It is the number, however many digits that makes."""
    assert (await client.get(f"/api/versions?limit={'0' * 5_000}5")).status == 200
    assert (await client.get(f"/api/versions?limit={'0' * 5_000}99999")).status == 400


async def test_what_was_just_changed_is_told_before_the_learner_has_written_it_down(
    day: tuple[Store, FakeService],
) -> None:
    """On Now, in the audit (of one person, too), the timeline and the version; and only once."""
    store, service = day[0], copy.copy(day[1])
    with store.reading() as session:
        last = session.exec(select(func.max(RolloutRow.seq))).one() or 0
        stored = session.exec(select(RolloutRow).where(RolloutRow.seq == last)).one()
    made = Rollout(
        id="just-now", line="main", seq=last + 1, version=service.state["version"],
        previous=service.state["version"], candidate=CANDIDATE, state="aborted", share=0.0,
        verb="abort", reason="it is rude", who="ann", created_ms=NOW_MS + 1,
    )  # fmt: skip
    service.changes = (made, Rollout.model_validate(stored.model_dump()))
    client = await connect(service, store)
    told = (await data(client, "/api/now"))["changes"]
    assert [row["id"] for row in told[:2]] == ["just-now", stored.id]
    entries = (await data(client, "/api/audit?limit=3"))["entries"]
    assert entries[0]["id"] == "just-now"
    assert len({row["id"] for row in entries}) == 3
    (only,) = (await data(client, "/api/audit?who=ann"))["entries"]
    assert only["reason"] == "it is rude"
    first = await data(client, "/api/audit?limit=1")
    older = await data(client, f"/api/audit?limit=1&after={first['next']}")
    assert [*first["entries"], *older["entries"]] == entries[:2]
    ended = (await data(client, "/api/rollout"))["earlier"]
    assert ended[0]["id"] == "just-now"
    assert "Aborted" in await page(client, "/audit?who=ann")
    await client.close()


async def test_who_did_what_is_told_without_a_store(day: tuple[Store, FakeService]) -> None:
    """What this agent has followed itself stands on Now and in the audit."""
    service = copy.copy(day[1])
    service.changes = (
        Rollout(
            id="r", line="main", seq=2, version="a" * 16, previous="b" * 16, state="aborted",
            verb="rollback", reason="it is rude", who="ann", created_ms=1,
        ),
    )  # fmt: skip
    client = await connect(service, None)
    for path in ("/", "/audit"):
        html = await page(client, path)
        assert "Taken back" in html
        assert "It is rude" in html
    await client.close()
