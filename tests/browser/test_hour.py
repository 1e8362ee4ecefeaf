"""An hour of use, played quickly against a real agent on a tiny model.

A long conversation until the context is full, edits and further replies, reloads in mid-reply, a
line that breaks, a full disk, a second tab, nothing to compare: nothing typed is lost, and
every reply that was kept is in the log as a turn of one session.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from streams.log.sqlite import SqliteLog
from streams.model.open import BaseModel
from streams.records import Turn, decode
from tests.browser.saying import ready, reload, say
from tests.clients.live import Live, live

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.asyncio(loop_scope="session"),
]

EXCHANGES = 40
REPLY_MS = 60_000.0
KEPT = """async () => {
    const { openDatabase } = await import("/chat/database.js");
    return (await openDatabase()).all("messages");
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def agent_of_an_hour(tmp_path: Path, tiny_base: BaseModel) -> AsyncIterator[Live]:
    """A real agent, whose context is full after some twenty exchanges."""
    small: dict[str, Any] = {"default_max_tokens": 24, "prefill_chunk_tokens": 32}
    with live(tmp_path, base=tiny_base, **(small | {"context_tokens": 1024})) as running:
        yield running


async def whole(page: Page, number: int) -> None:
    """Wait until so many replies stand on the page, and none streams."""
    await expect(page.locator(".assistant")).to_have_count(number, timeout=REPLY_MS)
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible(
        timeout=REPLY_MS
    )


async def test_an_hour_of_use(page: Page, agent_of_an_hour: Live, tmp_path: Path) -> None:
    """See above; each step looks at the page, the end looks at what is kept."""
    await page.goto(agent_of_an_hour.address)
    await ready(page)
    await _talk(page)
    asked = await page.locator(".user .text").all_inner_texts()
    await _branch(page)
    await _break(page)
    await _compare(page)
    await _second_tab(page)
    await _full_disk(page)
    kept = await page.evaluate(KEPT)
    said = {message["content"] for message in kept if message["role"] == "user"}
    assert said >= {*asked, "Edited", "While the line is down", "From another tab"}
    _sessions_of(tmp_path, {each["response"] for each in kept if each.get("response")})


async def _talk(page: Page) -> None:
    """Until long after the context is full; the page asks once what shall become of it."""
    asked = 0
    for number in range(EXCHANGES):
        await say(page, f"Question {number}: what is the capital of France?")
        await whole(page, number + 1)
        drop = page.get_by_role("button", name="Leave out the oldest messages")
        told = page.locator(".assistant").nth(number).locator(".version")
        await expect(drop.or_(told).first).to_be_visible(timeout=REPLY_MS)
        if await drop.is_visible():
            asked += 1
            await drop.click()
            await expect(page.locator(".assistant .branches span").last).to_have_text("2 / 2")
            await whole(page, number + 1)
        if number % 10 == 9:
            await reload(page)
            await whole(page, number + 1)
    assert asked == 1
    await expect(page.locator(".dropped").last).to_be_visible()


async def _branch(page: Page) -> None:
    before = await page.locator(".assistant").count()
    await page.keyboard.press("Alt+r")
    await whole(page, before)
    await expect(page.locator(".assistant .branches span").last).to_have_text("2 / 2")
    await page.locator(".edit").last.click()
    await page.get_by_label("Your message, changed").last.fill("Edited")
    await page.keyboard.press("Enter")
    await whole(page, before)
    await expect(page.locator(".user .text").last).to_have_text("Edited")


async def _break(page: Page) -> None:
    """The network goes: the message stays, and goes out when it is back."""
    before = await page.locator(".assistant").count()
    await page.context.set_offline(True)
    await say(page, "While the line is down")
    await expect(page.get_by_role("alert").last).to_contain_text("cannot be reached")
    await page.context.set_offline(False)
    await reload(page)
    await page.get_by_role("button", name="Try again").last.click()
    await whole(page, before + 1)
    await expect(page.locator(".assistant .version").last).to_be_visible()


async def _compare(page: Page) -> None:
    """Nothing but the base has served: there is nothing to compare, and the page says so."""
    await page.keyboard.press("Alt+v")
    await expect(page.get_by_role("dialog")).to_contain_text("Only one version has served so far")
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()


async def _second_tab(page: Page) -> None:
    before = await page.locator(".assistant").count()
    other = await page.context.new_page()
    await other.goto(page.url)
    await ready(other)
    await other.locator(".conversation .open").first.click()
    await whole(other, before)
    await say(other, "From another tab")
    await whole(other, before + 1)
    await other.close()
    await expect(page.locator(".user .text").last).to_have_text("From another tab")
    await whole(page, before + 1)


async def _full_disk(page: Page) -> None:
    devtools = await page.context.new_cdp_session(page)
    origin = await page.evaluate("location.origin")
    quota = {"origin": origin, "quotaSize": 1}
    await devtools.send("Storage.overrideQuotaForOrigin", quota)
    before = await page.locator(".assistant").count()
    await say(page, "With a full disk")
    await whole(page, before + 1)
    await devtools.send("Storage.overrideQuotaForOrigin", {"origin": origin})
    await say(page, "With room again")
    await whole(page, before + 2)


def _sessions_of(home: Path, responses: set[str]) -> None:
    """Every reply that the page keeps with its id is a turn of the log, all of one session."""
    log = SqliteLog(home / "log.db")
    try:
        subscription = log.subscribe(("turns",), group=None, positions=lambda _: {})
        turns: list[Turn] = []
        while entries := subscription.poll(wait_s=1.0):
            turns += [record for entry in entries
                      if isinstance(record := decode(entry.value), Turn)]  # fmt: skip
        subscription.close()
    finally:
        log.close()
    assert responses <= {turn.id for turn in turns}
    assert len({turn.session for turn in turns}) == 1
