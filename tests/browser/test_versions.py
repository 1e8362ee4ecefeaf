"""Versions as people meet them: what changed, two compared, and what was noted of the reader."""

import asyncio

import pytest
from playwright.async_api import Page, expect

from tests.browser.fake_agent import FakeAgent, Script
from tests.browser.saying import reload, said, say

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

OLD, NEW = "a" * 16, "b" * 16
STEP = {"strategy": "es", "noise": "screened", "pairs": 64, "layers": [29], "modules": ["up_proj"]}
# Whether the browser keeps of two replies that a vote was given.
VOTED = """async () => {
    const { openDatabase } = await import("/chat/database.js");
    const messages = await (await openDatabase()).all("messages");
    return messages.filter((one) => one.voted).length === 2;
}"""


async def test_a_new_version_says_what_changed(chat_page: Page, agent: FakeAgent) -> None:
    """The mark in the conversation opens it: generations, the last step, and what was taught."""
    agent.about = {
        OLD: {"generation": 3, "parent": "c" * 16, "step": STEP},
        NEW: {"generation": 5, "parent": "d" * 16, "step": STEP},
    }
    agent.notes = [{"id": "note_1", "text": "Be kind.", "state": "active", "version": None}]
    agent.scripts += [
        Script(["one"], version=OLD), Script(["two"], version=NEW), Script(["three"], version=OLD),
    ]  # fmt: skip
    await said(chat_page, "Go", "one")
    await chat_page.keyboard.press("Alt+b")
    await chat_page.get_by_label("What should the reply have done?").fill("Be <b>brief</b>")
    await chat_page.keyboard.press("Control+Enter")
    await expect(chat_page.locator(".thanks")).to_contain_text("takes this up")
    await said(chat_page, "Again", "two")
    await chat_page.get_by_role("button", name="A new version answers").click()
    dialog = chat_page.get_by_role("dialog")
    await expect(dialog).to_contain_text(f"{NEW} has learned 2 generations more than {OLD}")
    await expect(dialog).to_contain_text("layer 29 (up_proj) along 64 directions of signs that")
    await expect(dialog.locator("li")).to_have_text(["Be <b>brief</b>", "Be kind."])
    await chat_page.keyboard.press("Escape")
    await chat_page.locator("#serving").click()
    await expect(dialog).to_contain_text("generation 5: 5 steps of learning from the base")
    await chat_page.keyboard.press("Escape")
    await said(chat_page, "Once more", "three")
    await expect(chat_page.locator(".change").last).to_contain_text("Another version answers")


async def test_two_versions_are_compared_by_a_vote(chat_page: Page, agent: FakeAgent) -> None:
    """Side by side, without names, with one seed; the vote is a verdict on both."""
    agent.others = ["quickset@stable", "quickset@candidate"]
    agent.scripts += [
        Script(["from stable"], version=OLD, model="quickset@stable"),
        Script(["from candidate"], version=NEW, model="quickset@candidate"),
        Script(["ok"], model="quickset"),
    ]
    await chat_page.keyboard.press("Alt+v")
    await expect(chat_page.get_by_label("The other")).to_have_value("quickset@candidate")
    await chat_page.get_by_role("button", name="Compare", exact=True).click()
    await expect(chat_page.locator("#comparing")).to_contain_text("both answer")
    await say(chat_page, "Go")
    replies = chat_page.locator(".pair .assistant .text")
    await expect(replies).to_have_count(2)
    left = chat_page.get_by_role("group", name="First reply")
    better = chat_page.get_by_role("button", name="The first is better")
    await expect(better).to_be_visible()
    await expect(chat_page.locator(".pair .version").first).to_be_hidden()
    chosen = await left.locator(".text").inner_text()
    assert len({request["seed"] for request in agent.requests}) == 1
    await reload(chat_page)
    await better.click()
    await expect(chat_page.locator(".assistant .text")).to_have_text([chosen])
    await expect(chat_page.locator(".branches").last).to_contain_text("/ 2")
    asked = [request["model"] for request in agent.requests]
    scores = {asked[int(id.rpartition("-")[2]) - 1]: said["score"] for id, said in agent.feedback}
    assert scores == {f"quickset@{name}": 1 if name in chosen else -1
                      for name in ("stable", "candidate")}  # fmt: skip
    await said(chat_page, "And?", "ok")
    assert agent.requests[2]["messages"][1]["content"] == chosen
    await chat_page.keyboard.press("Alt+v")
    await chat_page.get_by_role("button", name="Compare", exact=True).click()
    await chat_page.get_by_role("button", name="Compare no more").press("Enter")
    await expect(chat_page.get_by_label("Message", exact=True)).to_be_focused()


async def test_a_vote_that_is_answered_late_stays_in_its_conversation(
    chat_page: Page, agent: FakeAgent
) -> None:
    """Whatever is open by then goes on as it was, and the better reply is gone on with."""
    agent.others = ["quickset@stable", "quickset@candidate"]
    agent.scripts += [
        Script(["first"], model="quickset"),
        Script(["from stable"], version=OLD, model="quickset@stable"),
        Script(["from candidate"], version=NEW, model="quickset@candidate"),
        Script(["second"], model="quickset"),
    ]
    await said(chat_page, "Other", "first")
    await chat_page.get_by_role("button", name="New chat").click()
    await chat_page.keyboard.press("Alt+v")
    await expect(chat_page.get_by_label("The other")).to_have_value("quickset@candidate")
    await chat_page.get_by_role("button", name="Compare", exact=True).click()
    await say(chat_page, "Go")
    better = chat_page.get_by_role("button", name="The first is better")
    await expect(better).to_be_visible()
    left = chat_page.get_by_role("group", name="First reply").locator(".text")
    chosen = await left.inner_text()
    await chat_page.get_by_role("button", name="Compare no more").click()
    await expect(chat_page.locator(".conversation .open")).to_have_text(["Go", "Other"])
    agent.feedback_pause = asyncio.Event()
    await better.click()
    await chat_page.get_by_role("button", name="Other", exact=True).click()
    await expect(chat_page.locator(".assistant .text")).to_have_text(["first"])
    agent.feedback_pause.set()
    await chat_page.wait_for_function(VOTED)
    await said(chat_page, "And?", "second")
    sent = [each["content"] for each in agent.requests[-1]["messages"]]
    assert sent == ["Other", "first", "And?"]
    await chat_page.get_by_role("button", name="Go", exact=True).click()
    await expect(chat_page.locator(".assistant .text")).to_have_text([chosen])


async def test_a_version_is_not_compared_with_itself(chat_page: Page, agent: FakeAgent) -> None:
    """Under no two names: replies of one version are no ground for a vote."""
    agent.serving, agent.others = OLD, ["quickset@stable"]
    await chat_page.keyboard.press("Alt+v")
    dialog = chat_page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Only one version has served so far")
    await expect(chat_page.get_by_label("The other")).to_have_value("")
    await chat_page.get_by_label("The other").fill(OLD)
    await chat_page.get_by_role("button", name="Compare", exact=True).click()
    await expect(dialog).to_contain_text("These are one and the same")
    await expect(chat_page.locator("#comparing")).to_be_hidden()


async def test_notes_can_be_removed(chat_page: Page, agent: FakeAgent) -> None:
    """The panel shows what stands in prompts and what was learned; without notes there is none."""
    await expect(chat_page.locator("#notes")).to_be_hidden()
    note = {"object": "note", "created_at": 1, "version": None}
    agent.notes = [
        note | {"id": "note_1", "text": "Answer in <i>one</i> sentence.", "state": "active"},
        note | {"id": "note_2", "text": "Call me Ada.", "state": "retired", "version": 7},
        note | {"id": "note_3", "text": "Gone.", "state": "removed"},
    ]
    await reload(chat_page)
    await expect(chat_page.locator(".note-text")).to_have_text(
        ["Answer in <i>one</i> sentence.", "Call me Ada."]
    )
    await expect(chat_page.locator(".note-state").last).to_have_text("learned by the model (7)")
    await chat_page.get_by_role("button", name="Forget: Answer in").click()
    await expect(chat_page.locator(".note-text")).to_have_text(["Call me Ada."])
    assert [each["id"] for each in agent.notes] == ["note_2", "note_3"]
    agent.scripts.append(Script(["ok"]))
    await chat_page.keyboard.press("Alt+o")
    await chat_page.get_by_label("Use what it has learned of me").uncheck()
    await chat_page.get_by_role("button", name="Done").click()
    await said(chat_page, "Go", "ok")
    assert agent.requests[0]["notes"] is False


async def test_notes_of_another_key_are_not_shown(chat_page: Page, agent: FakeAgent) -> None:
    """They go with their key, whatever the next one is told; a fault takes none away."""
    agent.notes = [{"id": "note_1", "text": "Call me Ada.", "state": "active", "version": None}]
    agent.key = "ada"

    async def take(key: str) -> None:
        await chat_page.keyboard.press("Alt+o")
        await chat_page.get_by_label("API key").fill(key)
        async with chat_page.expect_response("**/v1/notes"):
            await chat_page.get_by_role("button", name="Done").click()

    await take("ada")
    await expect(chat_page.locator(".note-text")).to_have_text(["Call me Ada."])
    agent.notes_status = 503
    await take("ada")
    await expect(chat_page.locator("#notes")).to_be_visible()
    await take("eve")
    await expect(chat_page.locator("#notes")).to_be_hidden()
    await expect(chat_page.locator(".note-text")).to_have_count(0)
    agent.notes_status = 200
    await take("ada")
    await expect(chat_page.locator(".note-text")).to_have_text(["Call me Ada."])
    agent.key = "revoked"
    await take("ada")
    await expect(chat_page.locator("#notes")).to_be_hidden()


async def test_a_note_shows_when_it_comes(chat_page: Page, agent: FakeAgent) -> None:
    """Of what was taught a note comes a while later, and nobody has to ask again to see it."""
    await chat_page.clock.install()
    agent.notes = []
    await reload(chat_page)
    agent.scripts.append(Script(["one"]))
    await said(chat_page, "Go", "one")
    await expect(chat_page.locator("#no-notes")).to_be_visible()
    agent.notes = [{"id": "note_1", "text": "Be brief.", "state": "active", "version": None}]
    await chat_page.clock.run_for(21_000)
    await expect(chat_page.locator(".note-text")).to_have_text(["Be brief."])
