"""Takes the README's pictures of the pages, each with 256 colours, which keeps them small.

python -m tests.browser.pictures chat ADDRESS FOLDER [QUESTION …]

Asks the questions on the chat page at ADDRESS, of a running system, one after the other, and saves
FOLDER/chat.png.

python -m tests.browser.pictures console FOLDER

Serves the console over a day of learning that is made up (tests/agent/console), with a trial at its
end, and saves FOLDER/console.png and FOLDER/rollout.png.
"""

import asyncio
import io
import sys
import tempfile
import time
from pathlib import Path

from aiohttp.test_utils import TestServer
from PIL import Image
from playwright.async_api import Page, async_playwright, expect

from agent.console import build_console
from streams.records import Json
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import GenerationRow, LeaseRow, PlannerRow
from tests.agent.console.rows import FakeService, fill
from tests.agent.console.trial_rows import begin_trial
from tests.browser.conftest import ARGUMENTS, chromium_program

NUM_GENERATIONS = 24
REPLY_MS = 180_000.0  # the longest reply of a small model on a busy machine
SETTLE_MS = 3500.0  # charts are drawn, and the chip that tells of a new version has calmed down


async def take_chat(page: Page, address: str, folder: Path, questions: list[str]) -> None:
    """Take the chat page's picture."""
    await page.set_viewport_size({"width": 1000, "height": 800})
    await page.goto(address)
    for question in questions:
        await page.get_by_label("Message").fill(question)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="Stop the reply")).to_be_visible()
        await expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=REPLY_MS)
    await _save(page, folder / "chat.png")


async def take_console(page: Page, folder: Path) -> None:
    """Take the console's pictures, of rows that are made up."""
    with tempfile.TemporaryDirectory() as home:
        store = open_store(StreamsSettings(home=Path(home)))
        server = TestServer(build_console(_a_day(store), store))
        await server.start_server()
        for path, name, height in (("", "console", 860), ("rollout", "rollout", 1010)):
            await page.set_viewport_size({"width": 1280, "height": height})
            await page.goto(str(server.make_url("/")) + path)
            await _save(page, folder / f"{name}.png")
        await server.close()
        store.close()


class _Well(FakeService):
    """An agent whose log takes records."""

    def spooled(self) -> Json:
        """Nothing waits."""
        return {"records": 0, "bytes": 0, "dropped": 0, "log_away": None}


def _a_day(store: Store) -> FakeService:
    now_ms = int(time.time() * 1000)
    with store.transaction() as session:
        versions = fill(session, now_ms=now_ms - 40 * 60_000, num_generations=NUM_GENERATIONS)
        service = _Well(version=versions[-1], previous=versions[-2])
        service.state |= {"seq": len(versions) - 1, "since_ms": now_ms - 42 * 60_000}
        service.rollout = service.rollout.model_copy(update={"policy": "staged"})
        begin_trial(session, service, now_ms=now_ms)
        # no newer candidate is made meanwhile
        session.delete(session.get_one(GenerationRow, f"g{NUM_GENERATIONS + 1}"))
        session.add(
            PlannerRow(line="main", waits_for="the end of the trial that is on", num_fresh=4,
                       num_used=11, num_weak=2, num_people=9, since_ms=now_ms)
        )  # fmt: skip
        session.get_one(LeaseRow, "learner/main").expires_ms = now_ms + 60_000
    return service


async def _save(page: Page, path: Path) -> None:
    await page.wait_for_timeout(SETTLE_MS)
    image = Image.open(io.BytesIO(await page.screenshot())).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


async def _take(what: str, *arguments: str) -> None:
    program = chromium_program()
    if program is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = await browser.new_page()
        if what == "chat":
            await take_chat(page, arguments[0], Path(arguments[1]), list(arguments[2:]))
        else:
            await take_console(page, Path(arguments[0]))
        await browser.close()


if __name__ == "__main__":
    asyncio.run(_take(*sys.argv[1:]))
