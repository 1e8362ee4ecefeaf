"""Takes the README's pictures of the console, each with 256 colours, which keeps them small.

python -m tests.browser.console_pictures FOLDER

Serves the console over a day of learning that is made up (tests/agent/console), with a trial at its
end, and saves FOLDER/console.png and FOLDER/rollout.png.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from aiohttp.test_utils import TestServer
from playwright.async_api import Page, async_playwright

from agent.console import build_console
from streams.records import Json
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import GenerationRow, LeaseRow, PlannerRow
from tests.agent.console.rows import FakeService, fill
from tests.agent.console.trial_rows import begin_trial
from tests.browser.conftest import ARGUMENTS, chromium_program
from tests.browser.pictures import save

NUM_GENERATIONS = 24


async def take_console(page: Page, folder: Path) -> None:
    """Take the console's pictures, of rows that are made up."""
    with tempfile.TemporaryDirectory() as home:
        store = open_store(StreamsSettings(home=Path(home)))
        server = TestServer(build_console(_a_day(store), store))
        await server.start_server()
        for path, name, height in (("", "console", 860), ("rollout", "rollout", 1010)):
            await page.set_viewport_size({"width": 1280, "height": height})
            await page.goto(str(server.make_url("/")) + path)
            await save(page, folder / f"{name}.png")
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


async def _take(folder: Path) -> None:
    program = chromium_program()
    if program is None:
        raise SystemExit("needs Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        await take_console(await browser.new_page(), folder)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(_take(Path(sys.argv[1])))
