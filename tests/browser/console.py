"""The console over a day that is made up, for tests in a real browser."""

import time

from playwright.async_api import Locator, Page, expect

from agent.console import build_console
from streams.store.store import Store
from tests.agent.console.rows import FakeService, fill
from tests.agent.console.trial_rows import begin_trial, teach
from tests.browser.conftest import Serve

INTERVAL_S = 0.02


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
