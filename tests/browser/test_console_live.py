"""The console stays fresh whenever something changes, and takes nothing from whoever is reading."""

import asyncio

import pytest
from playwright.async_api import Page, Route, expect

from agent.console import build_console
from streams.store.store import Store
from tests.agent.console.rows import FakeService
from tests.browser.conftest import Serve
from tests.browser.console import INTERVAL_S, a_day, card, open_console

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

FIRST, SECOND, THIRD = "b" * 16, "c" * 16, "d" * 16
TOLD = """
window.told = 0;
window.EventSource = class extends EventSource {
    constructor(url) { super(url); this.addEventListener("changed", () => { window.told += 1; }); }
};"""
# After the timer by which htmx lets the last swap settle, which was set before and is shorter.
RENEWED = """new Promise((done) => setTimeout(() => {
    document.body.addEventListener("htmx:afterRequest", done, { once: true });
    htmx.trigger(document.querySelector("[data-renewed-by]"), "renew");
}, 100)).then(() => null)"""
FOCUSED = "document.activeElement.getAttribute('href')"


async def test_what_changes_before_the_first_event_is_shown(page: Page, serve: Serve) -> None:
    """A page that was made, and does not listen yet, is told of it as soon as it does."""
    service = FakeService(version=FIRST)
    listens = asyncio.Event()

    async def hold(route: Route) -> None:
        await listens.wait()
        await route.continue_()

    await page.route("**/console/live.js", hold)
    address = await serve(build_console(service, None, interval_s=INTERVAL_S, wait_s=30))
    await page.goto(address, wait_until="commit")
    await expect(card(page, "Serves").locator(".figure")).to_have_text(FIRST)
    service.state |= {"version": SECOND, "decided": SECOND}
    listens.set()
    await expect(card(page, "Serves").locator(".figure")).to_have_text(SECOND)
    await expect(page.locator("#live")).to_have_text("live")


async def test_a_list_that_is_as_it_was_offers_nothing_newer(
    page: Page, serve: Serve, store: Store
) -> None:
    """The first event tells what the page knows, and so does that of a line that comes back."""
    await open_console(page, serve, a_day(store), store, "/conversations")
    await expect(page.locator("#newer")).to_be_hidden()


async def test_what_changes_while_a_part_is_on_its_way_is_shown(page: Page, serve: Serve) -> None:
    """The answer was made before the second change: it is asked for once more."""
    await page.add_init_script(TOLD)
    service = FakeService(version=FIRST)
    address = await open_console(page, serve, service, None)
    made, told = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        response = await route.fetch()
        made.set()
        await told.wait()
        await route.fulfill(response=response)

    await page.route(address + "/", hold)
    before = await page.evaluate("window.told")
    service.state |= {"version": SECOND, "decided": SECOND}
    await made.wait()
    service.state |= {"version": THIRD, "decided": THIRD}
    await page.wait_for_function("(before) => window.told >= before + 2", arg=before)
    told.set()
    await expect(card(page, "Serves").locator(".figure")).to_have_text(THIRD)


async def test_a_part_that_does_not_come_is_asked_for_again(page: Page, serve: Serve) -> None:
    """What it would have shown has been told, and will not be told a second time."""
    service = FakeService(version=FIRST)
    address = await open_console(page, serve, service, None)
    await page.clock.install()
    failed = asyncio.Event()

    async def fail(route: Route) -> None:
        await route.abort()
        failed.set()

    await page.route(address + "/", fail)
    service.state |= {"version": SECOND, "decided": SECOND}
    await failed.wait()
    await page.unroute(address + "/")
    await page.clock.run_for(6000)
    await expect(card(page, "Serves").locator(".figure")).to_have_text(SECOND)


async def test_a_renewal_takes_neither_focus_nor_selection(page: Page, serve: Serve) -> None:
    """What looks as it did stays; in what does not, the reader's link is found again."""
    service = FakeService(version=SECOND, previous=FIRST)
    await open_console(page, serve, service, None)
    link = f"/versions/{FIRST}"
    await page.locator(f"#serving a[href='{link}']").focus()
    service.state |= {"version": THIRD, "decided": THIRD}
    await expect(card(page, "Serves").locator(".figure")).to_have_text(THIRD)
    assert await page.evaluate(FOCUSED) == link
    await page.evaluate("document.getElementById('page').mine = true")
    await page.evaluate(RENEWED)
    assert await page.evaluate("document.getElementById('page').mine")
    assert await page.evaluate(FOCUSED) == link
