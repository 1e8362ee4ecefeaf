"""The console in a real browser: it stays fresh, takes keys, runs no text, fits a phone."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from agent.watch.events import Event
from streams.records import Message
from streams.store.store import Store
from streams.store.tables import GenerationRow, TrialRow
from tests.agent.console.rows import judgement_row, planned, turn_row
from tests.agent.console.trial_rows import look
from tests.browser.conftest import Serve
from tests.browser.console import a_day, card, open_console

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

EVIL = "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'>"
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
PATHS = (
    "/", "/rollout", "/versions", "/versions/{version}", "/generations", "/lessons",
    "/conversations", "/conversations/chatcmpl-000801", "/safety", "/streams", "/audit",
    "/settings",
)  # fmt: skip


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


async def test_a_page_that_nobody_sees_holds_no_connection(
    page: Page, serve: Serve, store: Store
) -> None:
    """A browser has six for all tabs; when somebody looks again the page catches up."""
    await page.add_init_script(
        """const open = new Set();
        window.EventSource = class extends EventSource {
            constructor(url) { super(url); open.add(this); }
            close() { super.close(); open.delete(this); }
        };
        window.sources = () => open.size;
        window.seen = (hidden) => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        };"""
    )
    service = a_day(store, trial=True)
    await open_console(page, serve, service, store)
    await expect(page.locator("#live")).to_have_text("live")
    await page.evaluate("seen(true)")
    assert await page.evaluate("sources()") == 0
    with store.transaction() as session:
        generation = session.get_one(GenerationRow, "g25")
        generation.state, generation.reward, generation.done_ms = "released", 0.9, 1
        session.add(planned(26, "x", 1))
    await page.evaluate("seen(false)")
    await expect(card(page, "Health")).to_contain_text("generation 26 is in work")
    assert await page.evaluate("sources()") == 1


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


async def test_keys_lead_everywhere(page: Page, serve: Serve, store: Store) -> None:
    """A letter behind g opens a page, / searches, j and k go along a list, ? tells all that."""
    address = await open_console(page, serve, a_day(store), store)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_contain_text("take the serving version back")
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("c")
    await expect(page).to_have_url(f"{address}/conversations")
    await expect(page.locator("#live")).to_have_text("live")  # its scripts have run
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
