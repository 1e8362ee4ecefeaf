"""Takes the README's pictures of the pages from a running system.

python -m tests.browser.pictures CHAT CONSOLE FOLDER [QUESTION …]

Asks the questions on the chat page at CHAT, one after the other, and saves FOLDER/chat.png and,
of the console at CONSOLE, FOLDER/console.png; both with 256 colours, which keeps them small.
"""

import asyncio
import io
import sys
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser.conftest import ARGUMENTS, chromium_program

REPLY_MS = 180_000.0  # the longest reply of a small model on a busy machine
SETTLE_MS = 3500.0  # charts are drawn, and the chip that tells of a new version has calmed down


async def take(chat: str, console: str, folder: Path, questions: list[str]) -> None:
    """Take both pictures."""
    program = chromium_program()
    if program is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = await _open(browser, chat, width=1000, height=800)
        for question in questions:
            await page.get_by_label("Message").fill(question)
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("button", name="Stop the reply")).to_be_visible()
            await expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=REPLY_MS)
        await _save(page, folder / "chat.png")
        await _save(await _open(browser, console, width=1400, height=1180), folder / "console.png")
        await browser.close()


async def _open(browser: Browser, address: str, *, width: int, height: int) -> Page:
    page = await browser.new_page(viewport={"width": width, "height": height})
    await page.goto(address)
    return page


async def _save(page: Page, path: Path) -> None:
    await page.wait_for_timeout(SETTLE_MS)
    image = Image.open(io.BytesIO(await page.screenshot())).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    asyncio.run(take(sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:]))
