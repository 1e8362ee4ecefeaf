"""The console in a real browser: it stays fresh, takes keys, runs no text, fits a phone."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer, unused_port
from playwright.async_api import Locator, Page, expect

from agent.console import build_console
from agent.settings import AgentSettings, OperatorKey
from agent.watch.events import Event
from streams.log import dead_letters
from streams.log.contract import Entry, Partition, outgoing
from streams.log.sqlite import SqliteLog
from streams.records import Message
from streams.store.store import Store
from streams.store.tables import GenerationRow, TrialRow
from tests.agent.console.rows import FakeService, fill, judgement_row, planned, turn_row
from tests.agent.console.trial_rows import CANDIDATE, begin_trial, look, teach
from tests.browser.conftest import Serve

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

EVIL = "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'>"
INTERVAL_S = 0.02
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
PATHS = (
    "/", "/rollout", "/versions", "/versions/{version}", "/generations", "/lessons",
    "/conversations", "/conversations/chatcmpl-000801", "/safety", "/streams", "/audit",
    "/settings",
)  # fmt: skip


async def open_console(
    page: Page, serve: Serve, service: FakeService, store: Store | None, path: str = "/"
) -> str:
    """Open a page of the console and wait until it is live."""
    address = await serve(build_console(service, store, interval_s=INTERVAL_S, wait_s=30))
    await page.goto(address + path)
    await expect(page.locator("#live")).to_have_text("live")
    return address


def card(page: Page, title: str) -> Locator:
    """The part of the page under a heading."""
    return page.get_by_role("region", name=title)


def a_day(store: Store, *, trial: bool = False) -> FakeService:
    """Fill the store with a day that ends now, and return the agent that serves it."""
    now_ms = int(time.time() * 1000)
    with store.transaction() as session:
        versions = fill(session, now_ms=now_ms)
        service = FakeService(version=versions[-1], previous=versions[-2])
        service.state |= {"seq": len(versions) - 1, "since_ms": now_ms - 120_000}
        teach(session, child=versions[-1])
        if trial:
            begin_trial(session, service, now_ms=now_ms)
    return service


async def faults(page: Page) -> list[str]:
    """What axe-core finds wrong with a page."""
    session = await page.context.new_cdp_session(page)
    # by the protocol: the page's own policy lets no test's script in
    await session.send("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8") + ";0"})
    found: list[str] = await page.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(({violations}) =>"
        " violations.map(({id, nodes}) => `${id}: ${nodes[0].html}`))"
    )
    return found


async def test_axe_is_the_published_one() -> None:
    """The hash in the vendor folder's README is the file's."""
    table = (AXE.parent / "README.md").read_text(encoding="utf-8")
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() in table


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
async def test_pages_are_for_everybody_and_every_screen(
    page: Page, serve: Serve, store: Store, scheme: str, width: int
) -> None:
    """axe-core finds nothing, and nothing sticks out, light and dark, on a desk and on a phone."""
    service = a_day(store, trial=True)
    long = "W" * 300
    with store.transaction() as session:
        asked = [Message(role="user", content=long)]
        row = turn_row(99, asked, Message(role="assistant", content=long))
        session.add(row)
        session.add(judgement_row(row.id, 1, hint=long, evidence=long))
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await page.set_viewport_size({"width": width, "height": 844})
    address = await open_console(page, serve, service, store)
    # each page once a screen; every other one on each, as axe-core takes its time
    for path in PATHS[:: 2 if width == 1280 else 1]:
        await page.goto(address + path.format(version=service.state["version"]))
        assert await page.evaluate("document.documentElement.scrollWidth") == width, path
        if PATHS.index(path) % 2 == (width == 390):
            assert await faults(page) == [], path


async def test_now_is_renewed_without_a_reload_and_what_is_open_stays_open(
    page: Page, serve: Serve, store: Store
) -> None:
    """A step, and what the learner found, appear; the reader's place is left alone."""
    service = a_day(store, trial=True)
    address = await open_console(page, serve, service, store)
    with store.transaction() as session:
        generation = session.get_one(GenerationRow, "g25")
        generation.state, generation.reward, generation.done_ms = "released", 0.9, 1
        session.add(planned(26, "x", 1))
    await expect(card(page, "Health")).to_contain_text("generation 26 is in work")
    await page.goto(address + "/rollout")
    samples = page.locator("#samples-complaints")
    await samples.locator("summary").click()
    with store.transaction() as session:
        trial = session.get_one(TrialRow, "main")
        trial.body = look(why="412 s of this step's soak are left")
    await expect(card(page, "On trial")).to_contain_text("412 s of this step's soak are left")
    await expect(samples).to_have_attribute("open", "")
    await expect(samples).to_contain_text("I'm sorry, but I cannot tell that.")


async def test_a_list_offers_what_is_new_and_does_not_move_by_itself(
    page: Page, serve: Serve, store: Store
) -> None:
    """Whoever reads a list is told of a newer entry, and shown it when they say so."""
    await open_console(page, serve, a_day(store), store, "/conversations")
    with store.transaction() as session:
        asked = [Message(role="user", content="brand new")]
        session.add(turn_row(9999, asked, Message(role="assistant")))
    await expect(page.locator("#newer")).to_be_visible()
    await expect(page.get_by_text("brand new")).to_have_count(0)
    await page.get_by_role("link", name="Something newer is there: show it").click()
    await expect(page.get_by_text("brand new")).to_have_count(1)


async def test_one_key_takes_back_with_a_reason_and_the_seen_state(
    page: Page, serve: Serve, store: Store
) -> None:
    """No reason, no rollback; whoever decides on a state that is gone is told so; then the time."""
    service = a_day(store)
    before = service.state["version"]
    await open_console(page, serve, service, store)
    await page.keyboard.press("b")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(service.state["previous"])
    await page.keyboard.press("Enter")
    assert service.rollbacks == []
    await dialog.get_by_label("Why?").fill("rude")
    service.state["seq"] += 1
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("alert")).to_contain_text("look again")
    assert service.state["version"] == before
    await page.keyboard.press("Escape")
    await expect(page.locator("#take-back")).to_have_attribute("data-seq", "22")
    await page.keyboard.press("b")
    await dialog.get_by_role("button", name="Answers got worse").click()
    await page.keyboard.press("Enter")
    await expect(page.locator("#done")).to_contain_text("ms after you confirmed")
    await expect(card(page, "Serves").locator(".figure")).not_to_have_text(before)
    assert service.rollbacks == [("local operator", "Answers got worse", 22)]


async def test_a_trial_is_paused_from_its_page(page: Page, serve: Serve, store: Store) -> None:
    """Only the verbs that are valid now, each with a confirmation."""
    service = a_day(store, trial=True)
    await open_console(page, serve, service, store, "/rollout")
    trial = card(page, "On trial")
    await expect(trial.get_by_role("button")).to_have_text(
        ["Pause…", "Take the next step…", "Promote to everybody…", "Abort…"]
    )
    await trial.get_by_role("button", name="Pause…").click()
    await expect(page.get_by_role("dialog")).to_contain_text(CANDIDATE)
    await page.get_by_label("Why?").fill("looks odd")
    await page.get_by_role("dialog").get_by_role("button", name="Pause it").click()
    await expect(page.locator("#done")).to_have_text("Done: pause.")
    assert service.operated == [("pause", "local operator", "looks odd")]


async def test_a_dead_letter_is_sent_again(
    page: Page, serve: Serve, store: Store, tmp_path: Path
) -> None:
    """After a confirmation; it is closed then, and no more on the page."""
    log = SqliteLog(tmp_path / "log.db")
    entry = Entry(Partition("turns", 0), 1, "k", "id 1", b"poison", 1)
    letter = dead_letters.of_entry(entry, "a test says so", max_bytes=99_999, now_ms=1)
    log.append([outgoing("dead-letters", letter.id, letter)])
    app = build_console(FakeService(), store, log=log, interval_s=INTERVAL_S, wait_s=30)
    await page.goto(await serve(app) + "/streams")
    await page.get_by_role("button", name="Send again…").click()
    await page.get_by_role("button", name="Send it").click()
    await expect(card(page, "Dead letters")).to_contain_text("None is open")
    found = dead_letters.find(log, letter.id)
    assert found.closed is not None
    assert (found.closed.verb, found.closed.who) == ("redrive", "local operator")
    log.close()


async def test_keys_lead_everywhere(page: Page, serve: Serve, store: Store) -> None:
    """A letter behind g opens a page, / searches, j and k go along a list, ? tells all that."""
    address = await open_console(page, serve, a_day(store), store)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_contain_text("take the serving version back")
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("c")
    await expect(page).to_have_url(f"{address}/conversations")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await expect(page.locator(".entry").nth(1).get_by_role("link").first).to_be_focused()
    await page.keyboard.press("/")
    await expect(page.locator("#search")).to_be_focused()
    await page.keyboard.type("rayleigh")
    await page.keyboard.press("Enter")
    await expect(page.locator(".entry.turn")).to_have_count(8)


async def test_generations_are_drawn_over_their_table(
    page: Page, serve: Serve, store: Store
) -> None:
    """A chart a figure; whoever cannot see them reads the same numbers."""
    await open_console(page, serve, a_day(store), store, "/generations")
    await expect(page.locator("#charts canvas")).to_have_count(4)
    await expect(page.locator("#generations tbody tr").nth(2)).to_contain_text(
        "refusals of harmful prompts fell", ignore_case=True
    )


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (200, {"answers": [{"prompt": EVIL, "a": {"text": EVIL, "tokens": 3, "finish": "stop"},
                            "b": {"text": "no", "tokens": 1, "finish": "stop"}}]}, "1 asked."),
        (404, {"error": {"message": "no such version"}}, "Not known here: no such version."),
        (409, {"error": {"message": "one is running"}}, "Not now: one is running."),
    ],
)  # fmt: skip
async def test_two_versions_answer_the_same_prompts(
    page: Page, serve: Serve, store: Store, status: int, answer: Any, says: str
) -> None:
    """Side by side, as text; what is refused is told."""
    service = a_day(store)
    asked: list[Any] = []

    async def reply(route: Any) -> None:
        asked.append(route.request.post_data_json)
        await route.fulfill(status=status, content_type="application/json", body=json.dumps(answer))

    await page.route("**/api/versions/compare", reply)
    version = service.state["version"]
    await open_console(page, serve, service, store, f"/versions/{version}")
    await page.get_by_label("Prompts, one a line").fill("one\n\ntwo\n")
    await page.get_by_role("button", name="Ask both").click()
    await expect(page.locator("#compare [role=status]")).to_have_text(says)
    assert (asked[0]["a"], asked[0]["prompts"]) == (version, ["one", "two"])
    assert asked[0]["b"] == service.state["previous"]
    if status == 200:
        await expect(page.locator("#answers")).to_contain_text("onerror")
        await expect(page.locator("#answers").locator("script, img")).to_have_count(0)


async def test_text_of_models_users_and_operators_is_never_run(
    page: Page, serve: Serve, store: Store
) -> None:
    """Nor when htmx puts a part of a page in anew."""
    service = a_day(store, trial=True)
    asked = [Message(role="user", content=EVIL)]
    row = turn_row(99, asked, Message(role="assistant", content=EVIL), state="judged")
    with store.transaction() as session:
        session.add(row)
        session.add(judgement_row(row.id, -1, hint=EVIL, evidence=EVIL, source=EVIL))
    address = await open_console(page, serve, service, store)
    service.events.append(Event(2, "swap-failed", EVIL))
    with store.transaction() as session:
        trial = session.get_one(TrialRow, "main")
        trial.body = look(why=EVIL, samples={"reward": [row.id]})
    await expect(card(page, "On trial")).to_contain_text("onerror")
    await expect(card(page, "Who did what")).to_contain_text("onerror")
    for path in ("/rollout", "/conversations", f"/conversations/{row.id}", "/lessons"):
        await page.goto(address + path)
        await expect(page.locator("main")).to_contain_text("onerror")
        await expect(page.locator("main").locator("script, img, [onerror]")).to_have_count(0)
        assert await page.evaluate("window.pwned") is None


async def test_without_a_store_the_page_says_so_and_takes_back(page: Page, serve: Serve) -> None:
    """Broker and database down: what serves, events and the rollback are there."""
    service = FakeService(version="b" * 16, previous="a" * 16)
    service.events.append(Event(1, "log-away", "the log cannot be read, serving on"))
    await open_console(page, serve, service, None)
    await expect(page.get_by_role("alert").first).to_contain_text("without the learner's store")
    await expect(card(page, "Who did what")).to_contain_text("The log cannot be read, serving on")
    await page.get_by_role("button", name="Take back").click()
    await page.get_by_label("Why?").fill("rude")
    await page.get_by_role("button", name="Take it back").click()
    await expect(card(page, "Serves").locator(".figure")).to_have_text("a" * 16)


async def test_login_step_up_and_logout(page: Page, serve: Serve, store: Store) -> None:
    """A wrong key is told; what is grave asks for the key again; logging out closes the console."""
    key = OperatorKey(hash=hashlib.sha256(b"open sesame").hexdigest(), role="operator")
    service = FakeService(
        settings=AgentSettings(operator_keys={"anna": key}), version="b" * 16, previous="a" * 16
    )
    with store.transaction() as session:
        begin_trial(session, service, now_ms=int(time.time() * 1000))
    address = await serve(build_console(service, store, interval_s=INTERVAL_S, wait_s=30))
    await page.goto(address + "/rollout")
    await expect(page).to_have_url(f"{address}/login")
    await page.get_by_label("Operator key").fill("guess")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("This is no operator key.")
    await page.get_by_label("Operator key").fill("open sesame")
    await page.keyboard.press("Enter")
    await expect(page.locator("#operator")).to_have_text("anna, operator")
    assert await page.evaluate("document.cookie") == ""
    await page.goto(address + "/rollout")
    await page.get_by_role("button", name="Promote to everybody…").click()
    await page.get_by_label("Why?").fill("good enough")
    await page.get_by_label("Your operator key, once more").fill("open sesame")
    await page.get_by_role("button", name="Promote it").click()
    await expect(page.get_by_role("dialog")).to_be_hidden()
    assert service.operated == [("promote-full", "anna", "good enough")]
    await page.get_by_role("button", name="Log out").click()
    await expect(page).to_have_url(f"{address}/login")
    await page.goto(address)
    await expect(page).to_have_url(f"{address}/login")


async def test_a_viewer_looks_and_changes_nothing(page: Page, serve: Serve, store: Store) -> None:
    """No button that would be refused."""
    key = OperatorKey(hash=hashlib.sha256(b"look").hexdigest(), role="viewer")
    service = FakeService(
        settings=AgentSettings(operator_keys={"vera": key}), version="b" * 16, previous="a" * 16
    )
    with store.transaction() as session:
        begin_trial(session, service, now_ms=int(time.time() * 1000))
    address = await serve(build_console(service, store, interval_s=INTERVAL_S, wait_s=30))
    await page.goto(f"{address}/login")
    await page.get_by_label("Operator key").fill("look")
    await page.keyboard.press("Enter")
    await expect(page.locator("#operator")).to_have_text("vera, viewer")
    await page.goto(f"{address}/rollout")
    await expect(page.locator("[data-verb]")).to_have_count(0)
    await expect(card(page, "On trial")).to_contain_text("You may look")


async def test_the_page_comes_back_after_a_restart_of_the_agent(page: Page, store: Store) -> None:
    """The stream is opened anew, and the rollback works with the new process's token."""
    port = unused_port()
    first = TestServer(
        build_console(FakeService(), store, interval_s=INTERVAL_S, wait_s=30), port=port
    )
    await first.start_server()
    await page.goto(str(first.make_url("/")))
    await expect(page.locator("#live")).to_have_text("live")
    await first.close()
    await expect(page.locator("#live")).to_have_text("connecting again…")
    service = FakeService(version="b" * 16, previous="a" * 16)
    second = TestServer(build_console(service, store, interval_s=INTERVAL_S, wait_s=30), port=port)
    await second.start_server()
    await expect(page.locator("#live")).to_have_text("live")
    await expect(card(page, "Serves").locator(".figure")).to_have_text("b" * 16)
    await page.keyboard.press("b")
    await page.get_by_label("Why?").fill("rude")
    await page.keyboard.press("Enter")
    await expect(card(page, "Serves").locator(".figure")).to_have_text("a" * 16)
    await second.close()
