"""What operators change from the console, in a real browser; who may, and who may not."""

import asyncio
import hashlib
import re
import time
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer, unused_port
from playwright.async_api import Page, Route, expect

from agent.console import build_console
from agent.settings import AgentSettings, OperatorKey
from agent.watch.events import Event
from streams.log import dead_letters
from streams.log.contract import Entry, Partition, outgoing
from streams.log.sqlite import SqliteLog
from streams.store.store import Store
from tests.agent.console.rows import FakeService
from tests.agent.console.trial_rows import CANDIDATE, begin_trial
from tests.browser.conftest import Serve
from tests.browser.console import INTERVAL_S, a_day, card, open_console

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


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
    await expect(dialog).to_be_hidden()
    await expect(page.locator("#take-back")).to_have_attribute("data-seq", "22")
    await page.keyboard.press("b")
    await dialog.get_by_role("button", name="Answers got worse").click()
    await page.keyboard.press("Enter")
    await expect(page.locator("#done")).to_contain_text(re.compile(r"\d m?s after you confirmed"))
    await expect(page.locator("#done")).to_contain_text("its first reply began within")
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
    await expect(page.locator("#done")).to_have_text("Paused.")
    assert service.operated == [("pause", "local operator", "looks odd")]


async def test_what_is_under_way_is_of_the_verb_that_was_confirmed(
    page: Page, serve: Serve, store: Store
) -> None:
    """It cannot be cancelled any more, and whatever is asked next, its own end is told."""
    service = a_day(store, trial=True)
    await open_console(page, serve, service, store, "/rollout")
    on_its_way = asyncio.Event()

    async def hold(route: Route) -> None:
        await on_its_way.wait()
        await route.continue_()

    await page.route("**/operator/session", hold)
    trial, dialog = card(page, "On trial"), page.get_by_role("dialog")
    await trial.get_by_role("button", name="Pause…").click()
    await page.get_by_label("Why?").fill("looks odd")
    await dialog.get_by_role("button", name="Pause it").click()
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_disabled()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_visible()
    await page.evaluate("document.getElementById('verb').close()")  # as a second Escape may
    await trial.get_by_role("button", name="Abort…").click()
    await page.get_by_label("Why?").fill("not this one")
    on_its_way.set()
    await expect(page.locator("#done")).to_have_text("Paused.")
    assert service.operated == [("pause", "local operator", "looks odd")]
    await expect(dialog).to_contain_text("Abort the trial?")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_enabled()


async def test_the_key_aborts_the_first_trial_of_a_line(
    page: Page, serve: Serve, store: Store
) -> None:
    """While nothing serves that could be taken back; afterwards it says that there is nothing."""
    service = a_day(store, trial=True)
    service.state["previous"] = None
    await open_console(page, serve, service, store)
    await page.keyboard.press("b")
    await expect(page.get_by_role("dialog")).to_contain_text(f"{CANDIDATE} will answer nobody")
    await page.get_by_label("Why?").fill("rude")
    await page.keyboard.press("Enter")
    told = page.locator("#done")
    await expect(told).to_contain_text(re.compile(r"answers no new session, [\d.]+ m?s after you"))
    assert service.operated == [("abort", "local operator", "rude")]
    await expect(page.locator("#take-back")).to_be_disabled()
    await page.keyboard.press("b")
    await expect(told).to_have_text("There is no earlier version to go back to.")
    assert service.rollbacks == []


async def test_a_dead_letter_is_sent_again(
    page: Page, serve: Serve, store: Store, tmp_path: Path
) -> None:
    """After a confirmation that asks no reason, as none is kept; then it is closed and gone."""
    log = SqliteLog(tmp_path / "log.db")
    entry = Entry(Partition("turns", 0), 1, "k", "id 1", b"poison", 1)
    letter = dead_letters.of_entry(entry, "a test says so", max_bytes=99_999, now_ms=1)
    log.append([outgoing("dead-letters", letter.id, letter)])
    app = build_console(FakeService(), store, log=log, interval_s=INTERVAL_S, wait_s=30)
    await page.goto(await serve(app) + "/streams")
    await page.get_by_role("button", name="Send again…").click()
    await expect(page.get_by_role("dialog")).to_contain_text("goes to its topic once more")
    await expect(page.locator("#verb-reason")).to_be_hidden()
    await expect(page.get_by_role("button", name="Drill")).to_be_hidden()
    await page.get_by_role("button", name="Send it").click()
    await expect(card(page, "Dead letters")).to_contain_text("None is open")
    found = dead_letters.find(log, letter.id)
    assert found.closed is not None
    assert (found.closed.verb, found.closed.who) == ("redrive", "local operator")
    log.close()


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
