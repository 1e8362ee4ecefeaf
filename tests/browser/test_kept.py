"""Conversations that the browser keeps: listed, found, renamed, saved as files, deleted."""

import asyncio
import json
from pathlib import Path

import pytest
from playwright.async_api import Download, Page, expect

from tests.browser.fake_agent import FakeAgent, Script
from tests.browser.saying import ready, reload, said, say

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


# What outlives this page: the messages that the browser has taken, and what it keeps as a draft.
KEPT_SOMEWHERE = """async () => {
    const { openDatabase } = await import("/chat/database.js");
    const messages = await (await openDatabase()).all("messages");
    return [...messages.map((one) => one.content), ...Object.values({ ...localStorage })];
}"""

# Whether a verdict stands beside a reply that the browser keeps.
SCORED = """async () => {
    const { openDatabase } = await import("/chat/database.js");
    const messages = await (await openDatabase()).all("messages");
    return messages.some((one) => one.score);
}"""


async def new_chat(page: Page) -> None:
    """Begin another conversation."""
    await page.get_by_role("button", name="New chat").click()
    await expect(page.locator("#messages > *")).to_have_count(0)


async def saved(page: Page, item: str) -> str:
    """Save the first conversation of the list; returns the file's text."""
    await page.locator(".menu summary").first.click()
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name=item).click()
    download: Download = await downloading.value
    return Path(await download.path()).read_text(encoding="utf-8")


async def test_conversations_are_listed_and_found(chat_page: Page, agent: FakeAgent) -> None:
    """Newest first; found by their titles and by what was said; opened as they were."""
    agent.scripts += [Script(["Rayleigh scattering."]), Script(["Whiskers, obviously."])]
    await said(chat_page, "Why is the sky blue?", "Rayleigh scattering.")
    await new_chat(chat_page)
    await said(chat_page, "Name a cat", "Whiskers, obviously.")
    rows = chat_page.locator(".conversation .open")
    await expect(rows).to_have_text(["Name a cat", "Why is the sky blue?"])
    await expect(rows.first).to_have_attribute("aria-current", "true")
    await chat_page.get_by_label("Search conversations").fill("rayleigh")
    await expect(rows).to_have_text(["Why is the sky blue?"])
    await rows.click()
    await expect(chat_page.locator(".assistant .text")).to_have_text("Rayleigh scattering.")
    await chat_page.get_by_label("Search conversations").fill("nowhere said")
    await expect(chat_page.locator("#no-conversation")).to_have_text("Nothing found.")
    await reload(chat_page)
    await expect(chat_page.locator(".assistant .text")).to_have_text("Rayleigh scattering.")
    await expect(rows).to_have_text(["Name a cat", "Why is the sky blue?"])


async def test_a_conversation_is_renamed_saved_and_deleted(
    chat_page: Page, agent: FakeAgent
) -> None:
    """Markdown holds what is shown, JSON every branch with its verdicts; deleting asks first."""
    agent.scripts += [Script(["one"]), Script(["two"]), Script(["three"])]
    await said(chat_page, "Go", "one")
    await chat_page.get_by_role("button", name="Another reply").click()
    await expect(chat_page.locator(".assistant .text")).to_have_text("two")
    await expect(chat_page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    await chat_page.get_by_role("button", name="Good reply").click()
    await expect(chat_page.locator(".thanks")).to_contain_text("good")
    await chat_page.locator(".menu summary").click()
    await chat_page.get_by_role("button", name="Rename…").click()
    await chat_page.get_by_label("Title").fill("A <b>title</b>")
    await chat_page.keyboard.press("Enter")
    await expect(chat_page.locator(".conversation .open")).to_have_text("A <b>title</b>")
    text = await saved(chat_page, "Save as Markdown")
    version = "a" * 16
    assert text == f"# A <b>title</b>\n\n## You\n\nGo\n\n## Quickset (version {version})\n\ntwo\n"
    kept = json.loads(await saved(chat_page, "Save as JSON"))
    said_then = [(each["role"], each["content"]) for each in kept["messages"]]
    assert said_then == [("user", "Go"), ("assistant", "one"), ("assistant", "two")]
    assert [each.get("score") for each in kept["messages"]] == [None, None, 1]
    await said(chat_page, "More", "three")
    await expect(chat_page.locator(".conversation .open")).to_have_text("A <b>title</b>")
    await chat_page.locator(".menu summary").click()
    await chat_page.get_by_role("button", name="Delete…").click()
    await chat_page.get_by_role("button", name="Keep").click()
    await expect(chat_page.locator(".conversation")).to_have_count(1)
    await chat_page.get_by_role("button", name="Delete all…").click()
    await chat_page.get_by_role("button", name="Delete", exact=True).click()
    await expect(chat_page.locator(".conversation")).to_have_count(0)
    await expect(chat_page.locator("#welcome")).to_be_visible()
    await reload(chat_page)
    await expect(chat_page.locator("#no-conversation")).to_be_visible()


async def test_a_verdict_that_is_answered_late_keeps_no_empty_chat(
    chat_page: Page, agent: FakeAgent
) -> None:
    """It belongs to the chat in which it was given, not to the one that is open by then."""
    agent.scripts.append(Script(["Yes."]))
    agent.feedback_pause = asyncio.Event()
    await said(chat_page, "And?", "Yes.")
    await chat_page.get_by_role("button", name="Good reply").click()
    await new_chat(chat_page)
    agent.feedback_pause.set()
    await chat_page.wait_for_function(SCORED)
    await chat_page.get_by_label("Message", exact=True).fill("typed on")
    await reload(chat_page)
    await expect(chat_page.locator(".conversation .open")).to_have_text(["And?"])


async def another_tab(chat_page: Page) -> Page:
    """Open what was begun with "Go" in a second tab."""
    other = await chat_page.context.new_page()
    await other.goto(chat_page.url)
    await ready(other)
    await other.get_by_role("button", name="Go", exact=True).click()
    await expect(other.locator(".assistant .text")).to_have_text("one")
    return other


async def test_two_tabs_share_a_conversation(chat_page: Page, agent: FakeAgent) -> None:
    """What one tab says shows in the other; said in both at once, none is lost."""
    agent.scripts += [Script(["one"]), Script(["two"])]
    await said(chat_page, "Go", "one")
    other = await another_tab(chat_page)
    await said(other, "From the other", "two")
    await expect(chat_page.locator(".conversation")).to_have_count(1)
    await expect(chat_page.locator(".assistant .text")).to_have_text(["one", "two"])
    pause = asyncio.Event()
    agent.scripts += [Script(["x", "y"], pause=pause), Script(["z"])]
    await say(chat_page, "At the same time")
    await expect(chat_page.locator(".assistant .text").last).to_have_text("x")
    await expect(other.locator(".assistant .waiting").last).to_have_text(
        "Being written in another tab."
    )
    await expect(other.locator(".problem:visible")).to_have_count(0)
    await said(other, "At once", "z")
    pause.set()
    await expect(chat_page.locator(".assistant .text")).to_have_text(["one", "two", "xy", "z"])
    await reload(chat_page)
    kept = await chat_page.evaluate(KEPT_SOMEWHERE)
    assert set(kept) >= {"At the same time", "xy", "At once", "z"}
    await other.close()


async def test_what_a_chat_teaches_is_chosen_once_for_all_tabs(
    chat_page: Page, agent: FakeAgent
) -> None:
    """Switched off it stays so when opened again; another chat is taught by as it was."""
    agent.scripts += [Script(["one"]), Script(["two"]), Script(["three"]), Script(["four"])]
    await said(chat_page, "Go", "one")
    other = await another_tab(chat_page)
    await chat_page.keyboard.press("Alt+o")
    await chat_page.get_by_label("Learn from this chat").uncheck()
    await chat_page.get_by_role("button", name="Done").click()
    await expect(other.locator("#note")).to_contain_text("Nothing of this chat is learned")
    await said(other, "Two", "two")
    await other.get_by_role("button", name="New chat").click()
    await expect(other.locator("#note")).to_contain_text("Enter sends")
    await said(other, "Elsewhere", "three")
    await other.close()
    later = await chat_page.context.new_page()
    await later.goto(chat_page.url)
    await ready(later)
    await later.get_by_role("button", name="Go", exact=True).click()
    await expect(later.locator("#note")).to_contain_text("Nothing of this chat is learned")
    await said(later, "Four", "four")
    assert [each.get("X-Learn") for each in agent.headers] == [None, "off", None, "off"]
    await later.close()


async def test_a_reply_that_teaches_nothing_says_so_where_it_is_corrected(
    chat_page: Page, agent: FakeAgent
) -> None:
    """Also when its chat teaches again by then; a chat begun with its words does not."""
    too_long = Script(status=400, error={"message": "m", "code": "context_length_exceeded"})
    agent.scripts += [Script(["one"]), too_long, Script(["two"])]

    async def choose(learn: bool) -> None:
        await chat_page.keyboard.press("Alt+o")
        await chat_page.get_by_label("Learn from this chat").set_checked(learn)
        await chat_page.get_by_role("button", name="Done").click()

    await choose(learn=False)
    await said(chat_page, "Go", "one")
    await choose(learn=True)
    await chat_page.locator(".bad").click()
    await expect(chat_page.locator(".correction:visible")).to_contain_text("Nothing is learned")
    await chat_page.get_by_label("What should the reply have done?").fill("Be brief")
    await chat_page.get_by_role("button", name="Send", exact=True).first.click()
    await expect(chat_page.locator(".thanks")).to_have_text(
        "Thank you. It is kept, and not learned."
    )
    await choose(learn=False)
    await say(chat_page, "Long")
    new = await chat_page.context.new_page()  # whose own chats are learned from
    await new.goto(chat_page.url)
    await ready(new)
    await new.get_by_role("button", name="Go", exact=True).click()
    await new.get_by_role("button", name="Begin a new chat with this message").click()
    await expect(new.get_by_label("Message", exact=True)).to_have_value("Long")
    await new.keyboard.press("Enter")
    await expect(new.locator(".assistant .text")).to_have_text("two")
    assert agent.headers[-1]["X-Learn"] == "off"
    await new.close()


async def test_a_duplicated_tab_leaves_a_reply_to_its_original(
    chat_page: Page, agent: FakeAgent
) -> None:
    """It remembers all that the original does, and is not taken for it: nobody has left."""
    pause = asyncio.Event()
    agent.scripts.append(Script(["x", "y"], pause=pause))
    await say(chat_page, "Go")
    await expect(chat_page.locator(".assistant .text")).to_have_text("x")
    kept = await chat_page.evaluate("JSON.stringify({ ...sessionStorage })")
    other = await chat_page.context.new_page()
    await other.add_init_script(f"Object.assign(sessionStorage, {kept})")
    await other.goto(chat_page.url)
    await ready(other)
    await expect(other.locator(".assistant .waiting")).to_have_text("Being written in another tab.")
    await expect(other.locator(".problem:visible")).to_have_count(0)
    pause.set()
    await expect(other.locator(".assistant .text")).to_have_text("xy")
    await other.close()


async def test_a_verdict_leaves_the_text_of_another_tab_alone(
    chat_page: Page, agent: FakeAgent
) -> None:
    """Given on the half that one tab knew, it stands beside the whole that the other one wrote."""
    pause = asyncio.Event()
    agent.scripts += [Script(["Half"], finish="length"), Script([" and", " whole."], pause=pause)]
    await said(chat_page, "Go", "Half")
    other = await chat_page.context.new_page()
    await other.goto(chat_page.url)
    await ready(other)
    await other.get_by_role("button", name="Go", exact=True).click()
    await other.get_by_role("button", name="Bad reply").click()
    await other.get_by_label("What should the reply have done?").fill("Be brief")  # holds its page
    await chat_page.get_by_role("button", name="Continue").click()
    await expect(chat_page.locator(".assistant .text")).to_have_text("Half and")
    third = await chat_page.context.new_page()
    await third.goto(chat_page.url)
    await ready(third)
    await third.get_by_role("button", name="Go", exact=True).click()
    await expect(third.locator(".assistant .waiting")).to_contain_text("another tab")
    await expect(third.get_by_role("button", name="Good reply")).to_be_hidden()
    pause.set()
    await expect(third.locator(".assistant .text")).to_have_text("Half and whole.")
    await expect(third.get_by_role("button", name="Good reply")).to_be_visible()
    await other.get_by_role("button", name="Teach").click()
    await expect(other.locator(".thanks")).to_contain_text("Thank you")
    await reload(chat_page)
    await expect(chat_page.locator(".assistant .text")).to_have_text("Half and whole.")
    await expect(chat_page.locator(".bad")).to_have_attribute("aria-pressed", "true")
    kept = json.loads(await saved(chat_page, "Save as JSON"))
    assert (kept["messages"][1]["finish"], kept["messages"][1]["hint"]) == ("stop", "Be brief")


async def test_what_another_tab_writes_takes_no_form_away(
    chat_page: Page, agent: FakeAgent
) -> None:
    """What is typed in one stays; once it is closed, what was missed meanwhile is shown."""
    await chat_page.clock.install()
    await reload(chat_page)
    pause = asyncio.Event()
    agent.scripts.append(Script(["Half", " and whole."], pause=pause))
    await say(chat_page, "Go")
    await expect(chat_page.locator(".assistant .text")).to_have_text("Half")
    other = await chat_page.context.new_page()
    await other.goto(chat_page.url)
    await ready(other)
    await other.get_by_role("button", name="Go", exact=True).click()
    waiting = other.locator(".assistant .waiting")
    await expect(waiting).to_have_text("Being written in another tab.")
    await other.locator(".user .edit").click()
    field = other.get_by_label("Your message, changed")
    await field.fill("Typed for a long time")
    for _ in range(6):  # the other tab says that it is alive, and this one looks
        await other.clock.run_for(2000)
        await chat_page.clock.run_for(2000)
    await expect(field).to_have_value("Typed for a long time")
    pause.set()
    await expect(chat_page.locator(".assistant .text")).to_have_text("Half and whole.")
    await field.press("Escape")
    await other.clock.run_for(11_000)
    await expect(other.locator(".assistant .text")).to_have_text("Half and whole.")
    await expect(other.locator(".problem:visible")).to_have_count(0)
    await other.close()


async def test_what_is_deleted_in_mid_reply_stays_deleted(
    chat_page: Page, agent: FakeAgent
) -> None:
    """Neither the reply that still came, nor another tab that is writing, brings it back."""
    pause = asyncio.Event()
    agent.scripts += [Script(["x", "y"], pause=pause), Script(["x", "y"], pause=pause)]
    for deletes in (chat_page, await chat_page.context.new_page()):
        if deletes is not chat_page:
            await deletes.goto(chat_page.url)
            await ready(deletes)
        await say(chat_page, "Soon gone")
        await expect(chat_page.locator(".assistant .text").last).to_have_text("x")
        await deletes.locator(".menu summary").click()
        await deletes.get_by_role("button", name="Delete…").click()
        await deletes.get_by_role("button", name="Delete", exact=True).click()
        await expect(deletes.locator(".conversation")).to_have_count(0)
        pause.set()
        await chat_page.get_by_role("button", name="Send", exact=True).wait_for()
        await reload(chat_page)
        await expect(chat_page.locator("#no-conversation")).to_be_visible()
        assert "Soon gone" not in await chat_page.evaluate(KEPT_SOMEWHERE)
        pause.clear()


async def test_a_chat_that_another_tab_deletes_makes_way_for_a_new_one(
    chat_page: Page, agent: FakeAgent
) -> None:
    """What is being typed goes along, the page says why, and what is said then is kept."""
    agent.scripts += [Script(["one"]), Script(["two"])]
    await said(chat_page, "Soon gone", "one")
    field = chat_page.get_by_label("Message", exact=True)
    await field.fill("Half typed")
    other = await chat_page.context.new_page()
    await other.goto(chat_page.url)
    await ready(other)
    await other.locator(".menu summary").click()
    await other.get_by_role("button", name="Delete…").click()
    await other.get_by_role("button", name="Delete", exact=True).click()
    await expect(chat_page.locator("#note")).to_contain_text("Another tab deleted this chat")
    await expect(chat_page.locator("#messages > *")).to_have_count(0)
    await expect(field).to_have_value("Half typed")
    await field.press("Enter")
    await expect(chat_page.locator(".assistant .text")).to_have_text("two")
    await expect(chat_page.locator("#note")).to_contain_text("Enter sends")
    assert agent.requests[-1]["messages"] == [{"role": "user", "content": "Half typed"}]
    await reload(chat_page)
    await expect(chat_page.locator(".user .text")).to_have_text("Half typed")
    await expect(chat_page.locator(".conversation .open")).to_have_text(["Half typed"])


async def test_to_choose_the_chat_that_is_open_cuts_no_reply(
    chat_page: Page, agent: FakeAgent
) -> None:
    """It is there already."""
    pause = asyncio.Event()
    agent.scripts.append(Script(["x", "y"], pause=pause))
    await say(chat_page, "Go on")
    await expect(chat_page.locator(".assistant .text")).to_have_text("x")
    await chat_page.locator(".conversation .open").click()
    pause.set()
    await expect(chat_page.locator(".assistant .text")).to_have_text("xy")
    await expect(chat_page.locator(".problem:visible")).to_have_count(0)


async def test_a_full_disk_is_told_and_loses_nothing_typed(
    chat_page: Page, agent: FakeAgent
) -> None:
    """The page goes on, says what is not kept, and keeps it once something is deleted."""
    agent.scripts += [Script(["x" * 3000]), Script(["ok"]), Script(["fine"])]
    await said(chat_page, "Old", "x" * 3000)
    await new_chat(chat_page)
    devtools = await chat_page.context.new_cdp_session(chat_page)
    origin = await chat_page.evaluate("location.origin")
    quota = {"origin": origin, "quotaSize": 1}
    await devtools.send("Storage.overrideQuotaForOrigin", quota)
    await say(chat_page, "New and precious")
    await expect(chat_page.locator(".assistant .text")).to_have_text("ok")
    await expect(chat_page.locator("#unkept")).to_contain_text("no more room")
    await expect(chat_page.locator(".conversation .open").first).to_have_text("New and precious")
    await chat_page.get_by_role("button", name="Old", exact=True).click()
    await chat_page.get_by_role("button", name="New and precious", exact=True).click()
    await expect(chat_page.locator(".assistant .text")).to_have_text("ok")
    assert "New and precious" in await chat_page.evaluate(KEPT_SOMEWHERE)
    await devtools.send("Storage.overrideQuotaForOrigin", quota | {"quotaSize": 10_000_000})
    await chat_page.locator(".menu summary").last.click()
    await chat_page.get_by_role("button", name="Delete…").click()
    await chat_page.get_by_role("button", name="Delete", exact=True).click()
    await expect(chat_page.locator("#unkept")).to_be_hidden()
    await reload(chat_page)
    await expect(chat_page.locator(".assistant .text")).to_have_text("ok")


async def test_without_storage_it_still_talks(chat_page: Page, agent: FakeAgent) -> None:
    """Where the browser keeps nothing, the page says so and works."""
    await chat_page.add_init_script("Object.defineProperty(window, 'indexedDB', {value: null})")
    await reload(chat_page)
    agent.scripts.append(Script(["Hi."]))
    await said(chat_page, "Hello", "Hi.")
    await expect(chat_page.locator("#unkept")).to_contain_text("keeps nothing")
    await expect(chat_page.locator(".conversation .open")).to_have_text("Hello")
