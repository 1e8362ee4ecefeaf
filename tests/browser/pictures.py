"""Takes the documents' pictures of the pages from a running system.

python -m tests.browser.pictures CHAT CONSOLE FOLDER [QUESTION …]

Asks the questions on the chat page at CHAT, one after the other, the last one when what was wished
stands beside the list and another version serves than at the beginning (let some of them be
complaints, and the last one ask for code), and saves FOLDER/chat.png; asks one more of two versions
at once, for FOLDER/chat-compare.png; shows the conversation on a dark phone,
for FOLDER/chat-phone.png; and, of the console at CONSOLE, FOLDER/console.png. All have 256 colours,
which keeps them small.
"""

import asyncio
import io
import sys
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect

from tests.browser.conftest import ARGUMENTS, chromium_program
from tests.browser.saying import ready, say

REPLY_MS = 180_000.0  # the longest reply of a small model on a busy machine
LEARNED_MS = 300_000.0  # what is taught becomes a version in a minute or two; no longer than this
SETTLE_MS = 3500.0  # charts are drawn, and the chip that tells of a new version has calmed down
PHONE: ViewportSize = {"width": 390, "height": 780}


async def take(chat: str, console: str, folder: Path, questions: list[str]) -> None:
    """Take the pictures."""
    program = chromium_program()
    if program is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    expect.set_options(timeout=REPLY_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = await _open(browser, chat, width=1000, height=800)
        await ready(page)
        first = await page.locator("#serving").inner_text()
        for question in questions[:-1]:
            await _ask(page, question)
        await _learned(page, first)
        await _noted(page)
        for question in questions[-1:]:
            await _ask(page, question)
        await save(page, folder / "chat.png")
        await _compare(page, "Name a good book.")
        await save(page, folder / "chat-compare.png")
        await page.get_by_role("button", name="Both are good").click()
        await expect(page.locator(".pair")).to_have_count(0)
        await page.set_viewport_size(PHONE)
        await page.emulate_media(color_scheme="dark")
        await page.reload()
        await ready(page)
        await save(page, folder / "chat-phone.png")
        await save(await _open(browser, console, width=1400, height=1180), folder / "console.png")
        await browser.close()


async def _ask(page: Page, question: str) -> None:
    await say(page, question)
    await expect(page.get_by_role("button", name="Stop the reply")).to_be_visible()
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()


async def _learned(page: Page, first: str) -> None:
    """Wait until another version than the first one serves."""
    try:
        await expect(page.locator("#serving")).not_to_have_text(first, timeout=LEARNED_MS)
    except AssertionError:
        print(f"{first} still serves: the pictures show no other version")


async def _noted(page: Page) -> None:
    """Wait until the page shows what was noted of its reader."""
    try:
        await expect(page.locator(".note-text")).not_to_have_count(0, timeout=LEARNED_MS)
    except AssertionError:
        print("nothing was noted: the pictures show no note")


async def _compare(page: Page, question: str) -> None:
    """Ask the version that serves and another one: the one before, or else the base."""
    await page.get_by_role("button", name="Compare two versions").click()
    await expect(page.get_by_label("The other")).not_to_have_value("")
    await page.get_by_role("button", name="Compare", exact=True).click()
    await _ask(page, question)
    await expect(page.get_by_role("button", name="Both are good")).to_be_visible()


async def _open(browser: Browser, address: str, *, width: int, height: int) -> Page:
    page = await browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(REPLY_MS)
    await page.goto(address)
    return page


async def save(page: Page, path: Path) -> None:
    """Save what a page shows as a small picture, when it has settled."""
    await page.wait_for_timeout(SETTLE_MS)
    image = Image.open(io.BytesIO(await page.screenshot())).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    asyncio.run(take(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:]))
