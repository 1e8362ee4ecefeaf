"""The pages for everybody: by keyboard, by ear (axe-core finds what a screen reader cannot use)."""

import asyncio
from importlib.resources import files
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.fake_agent import FakeAgent, Script
from tests.browser.saying import ready, reload, said, say

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

TEXT = "# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx = 1\n```\n\n- one\n\n> said"
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


async def faults(page: Page, within: str = "html") -> list[str]:
    """What axe-core finds on the page as it is now, best practices included.

    within: selector of the part that it reads; what is behind a dialog was read before
    """
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE)
    found: Any = await page.evaluate(
        "within => axe.run(within, {resultTypes: ['violations']})", within
    )
    return [
        f"{fault['id']}: {node['html'][:120]}"
        for fault in found["violations"]
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
async def test_axe_finds_nothing(
    chat_page: Page, agent: FakeAgent, scheme: str, width: int
) -> None:
    """Not on the empty page, in a conversation with all that may stand in it, or in a dialog."""
    await chat_page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await chat_page.set_viewport_size({"width": width, "height": 844})
    agent.notes = [{"id": "note_1", "text": "Be brief.", "state": "active", "version": None}]
    assert await faults(chat_page) == []
    call = {"id": "call_1", "name": "weather", "arguments": "{}"}
    agent.scripts += [
        Script([TEXT], version="b" * 16), Script([TEXT], version="c" * 16, dropped=2),
        Script(calls=[call]), Script(status=400, error={"message": "No."}),
    ]  # fmt: skip
    for number in range(4):
        await say(chat_page, "Go")
        await expect(chat_page.locator(".assistant")).to_have_count(number + 1)
        await expect(chat_page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    await chat_page.locator(".bad").first.click()
    await chat_page.locator(".edit").last.click()
    if await chat_page.locator("#sidebar").is_hidden():
        await chat_page.get_by_role("button", name="Conversations").click()
    assert await faults(chat_page) == []
    for dialog in ("options", "compare", "versions", "help", "rename", "delete"):
        await chat_page.evaluate(f"document.getElementById('{dialog}').showModal()")
        assert await faults(chat_page, f"#{dialog}") == [], dialog
        await chat_page.keyboard.press("Escape")
    assert await chat_page.evaluate("document.documentElement.scrollWidth") == width


async def test_two_replies_to_compare_are_as_clean(chat_page: Page, agent: FakeAgent) -> None:
    """Side by side, and beneath one another on a phone."""
    agent.others = ["quickset@stable", "quickset@previous"]
    agent.scripts += [Script([TEXT]), Script([TEXT])]
    await chat_page.keyboard.press("Alt+v")
    await chat_page.get_by_role("button", name="Compare", exact=True).click()
    await say(chat_page, "Go")
    await expect(chat_page.get_by_role("button", name="Both are good")).to_be_visible()
    assert await faults(chat_page) == []
    await chat_page.set_viewport_size({"width": 320, "height": 700})
    assert await chat_page.evaluate("document.documentElement.scrollWidth") == 320


async def test_connect_is_as_clean_and_copies(chat_page: Page) -> None:
    """The page names this browser's address, and its buttons copy what stands beside them."""
    await chat_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await chat_page.get_by_role("link", name="Connect").click()
    origin = await chat_page.evaluate("location.origin")
    assert await faults(chat_page) == []
    await chat_page.get_by_role("button", name="Copy for curl").click()
    await expect(chat_page.locator("#copied")).to_have_text("Copied for curl.")
    copied = await chat_page.evaluate("navigator.clipboard.readText()")
    assert copied == await chat_page.locator("#curl").inner_text()
    assert f"curl {origin}/v1/chat/completions" in copied
    await chat_page.set_viewport_size({"width": 320, "height": 700})
    assert await chat_page.evaluate("document.documentElement.scrollWidth") == 320


async def test_a_reply_is_heard_sentence_by_sentence(chat_page: Page, agent: FakeAgent) -> None:
    """A live region gets whole sentences while the reply streams, each once; the log is silent."""
    pause = asyncio.Event()
    agent.scripts.append(Script(["The sky is ", "blue. It sca", "tters."], pause=pause))
    await say(chat_page, "Why?")
    region = chat_page.locator("#speech")
    await expect(region.locator("p")).to_have_text(["The sky is blue."])
    assert await region.get_attribute("aria-live") == "polite"
    assert await chat_page.get_by_role("log").get_attribute("aria-live") == "off"
    pause.set()
    await expect(region.locator("p")).to_have_text(["The sky is blue.", "It scatters."])


async def test_everything_is_done_by_keyboard(chat_page: Page, agent: FakeAgent) -> None:
    """The keys that the help lists: help, edit the last message, again, list, new chat, write."""
    agent.scripts += [Script(["one"]), Script(["two"]), Script(["three"])]
    keys = chat_page.keyboard
    await said(chat_page, "Go", "one")
    await keys.press("Control+/")
    await expect(chat_page.locator("#shortcut-list")).to_contain_text("new chat")
    await keys.press("Escape")
    await keys.press("Alt+r")
    await expect(chat_page.locator(".assistant .text")).to_have_text("two")
    await expect(chat_page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    await chat_page.get_by_label("Message", exact=True).focus()
    await keys.press("ArrowUp")
    await expect(chat_page.get_by_label("Your message, changed")).to_be_focused()
    await keys.press("Escape")
    await expect(chat_page.get_by_role("button", name="Edit the message")).to_be_focused()
    await keys.press("/")
    await expect(chat_page.get_by_label("Message", exact=True)).to_be_focused()
    await keys.press("Alt+k")
    await keys.press("Alt+k")
    await expect(chat_page.get_by_label("Search conversations")).to_be_focused()
    await keys.press("Tab")
    await keys.press("Enter")
    await expect(chat_page.get_by_label("Message", exact=True)).to_be_focused()
    await keys.press("Alt+n")
    await expect(chat_page.locator("#messages > *")).to_have_count(0)


async def test_the_focus_is_never_lost(chat_page: Page, agent: FakeAgent) -> None:
    """What is pressed and goes leaves the focus in the message; the tab has the chat's name."""
    field = chat_page.get_by_label("Message", exact=True)
    agent.scripts += [Script(["one", "two"], pause=asyncio.Event()), Script(["three"])]
    await say(chat_page, "Go on")
    await expect(chat_page.locator(".assistant .text")).to_have_text("one")
    await chat_page.get_by_role("button", name="Stop the reply").press("Enter")
    await expect(field).to_be_focused()
    await chat_page.get_by_role("button", name="Another reply").press("Enter")
    await expect(chat_page.locator(".assistant .text")).to_have_text("three")
    await expect(field).to_be_focused()
    await expect(chat_page).to_have_title("Go on · Quickset")


async def test_a_key_may_be_forgotten_with_the_page(chat_page: Page, agent: FakeAgent) -> None:
    """401 asks for a key; unless its reader wants it kept, a reload asks again."""
    agent.key = "sk-secret"
    agent.scripts += [Script(["Hi"])]
    await say(chat_page, "Go")
    await expect(chat_page.locator("#key-wanted")).to_contain_text("asks for an API key")
    await expect(chat_page.get_by_label("API key")).to_be_focused()
    await chat_page.get_by_label("API key").fill("sk-secret")
    await chat_page.get_by_label("Keep the key in this tab").uncheck()
    await chat_page.get_by_role("button", name="Done").click()
    await chat_page.get_by_role("button", name="Try again").click()
    await expect(chat_page.locator(".assistant .text")).to_have_text("Hi")
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}])"
    assert "secret" not in await chat_page.evaluate(kept)
    await reload(chat_page)
    await say(chat_page, "More")
    await expect(chat_page.locator("#key-wanted")).to_contain_text("asks for an API key")


async def test_it_works_without_https(chat_page: Page, agent: FakeAgent) -> None:
    """By plain http from another machine, where browsers withhold much, code is copied, too."""
    await chat_page.goto(chat_page.url.replace("127.0.0.1", "quickset.test"))
    await ready(chat_page)
    assert not await chat_page.evaluate("window.isSecureContext")
    agent.scripts.append(Script(["```\nx = 1\n```"]))
    await say(chat_page, "Go")
    await chat_page.get_by_role("button", name="Copy the code").click()
    await expect(chat_page.get_by_role("button", name="Copy the code")).to_have_text("Copied")
    await reload(chat_page)
    await expect(chat_page.locator("pre")).to_have_text("x = 1")
