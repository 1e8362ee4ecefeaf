"""A conversation is a tree: edited questions, further replies, replies that broke and went on."""

import asyncio

import pytest
from playwright.async_api import Page, expect

from tests.browser.fake_agent import FakeAgent, Script
from tests.browser.saying import reload, said, say

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_an_edited_question_is_a_branch(chat_page: Page, agent: FakeAgent) -> None:
    """The new question goes without what followed the old one, which is still there, also later."""
    agent.scripts += [Script(["one"]), Script(["two"]), Script(["three"])]
    await said(chat_page, "First", "one")
    await said(chat_page, "Second", "two")
    await chat_page.locator(".user .edit").first.click()
    field = chat_page.get_by_label("Your message, changed").first
    await expect(field).to_have_value("First")
    await field.fill("First, but shorter")
    await field.press("Enter")
    await expect(chat_page.locator(".assistant .text")).to_have_text(["three"])
    assert agent.requests[2]["messages"] == [{"role": "user", "content": "First, but shorter"}]
    await expect(chat_page.locator(".user .branches span").first).to_have_text("2 / 2")
    await chat_page.get_by_role("button", name="The one before").click()
    await expect(chat_page.locator(".assistant .text")).to_have_text(["one", "two"])
    await reload(chat_page)
    await expect(chat_page.locator(".assistant .text")).to_have_text(["one", "two"])
    await chat_page.get_by_role("button", name="The next one").click()
    await expect(chat_page.locator(".user .text")).to_have_text(["First, but shorter"])


async def test_another_reply_is_a_branch(chat_page: Page, agent: FakeAgent) -> None:
    """The same request again; the conversation goes on with the reply that is shown."""
    agent.scripts += [Script(["one"]), Script(["two"]), Script(["ok"])]
    await said(chat_page, "Go", "one")
    await chat_page.get_by_role("button", name="Another reply").click()
    await expect(chat_page.locator(".assistant .text")).to_have_text(["two"])
    await expect(chat_page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    assert agent.requests[1]["messages"] == agent.requests[0]["messages"]
    await chat_page.get_by_role("button", name="The reply before").click()
    await expect(chat_page.locator(".assistant .text")).to_have_text(["one"])
    await said(chat_page, "And?", "ok")
    assert agent.requests[2]["messages"][1] == {"role": "assistant", "content": "one"}


async def test_a_broken_reply_is_kept_and_tried_again_or_gone_on_with(
    chat_page: Page, agent: FakeAgent
) -> None:
    """What had come stays, over a reload, too; "Continue" adds to it, "Try again" begins anew."""
    shown = asyncio.Event()
    broken = Script(["Half a ", ""], cut=True, pause=shown)
    agent.scripts += [broken, Script(["sentence."]), Script(["Whole."])]
    await say(chat_page, "Go")
    await expect(chat_page.locator(".assistant .text")).to_have_text("Half a")
    shown.set()
    await expect(chat_page.get_by_role("alert")).to_contain_text("connection broke")
    await reload(chat_page)
    await expect(chat_page.get_by_role("alert")).to_contain_text("connection broke")
    await expect(chat_page.locator(".state")).to_have_text("broken off")
    await chat_page.get_by_role("button", name="Continue").click()
    await expect(chat_page.locator(".assistant .text")).to_have_text("Half a sentence.")
    await expect(chat_page.get_by_role("alert")).to_be_hidden()
    assert agent.requests[1]["continue_final_message"] is True
    assert agent.requests[1]["messages"][-1] == {"role": "assistant", "content": "Half a "}
    await chat_page.get_by_role("button", name="Another reply").click()
    await expect(chat_page.locator(".assistant .text")).to_have_text("Whole.")


async def test_a_reload_in_mid_reply_keeps_what_had_come(chat_page: Page, agent: FakeAgent) -> None:
    """The question and the words so far are there again, with a way to ask again."""
    agent.scripts += [Script(["Half", " more"], pause=asyncio.Event()), Script(["Whole."])]
    await say(chat_page, "Go")
    await expect(chat_page.locator(".assistant .text")).to_have_text("Half")
    await reload(chat_page)
    await expect(chat_page.locator(".user .text")).to_have_text("Go")
    await expect(chat_page.get_by_role("alert")).to_contain_text("left before the reply")
    await chat_page.get_by_role("button", name="Try again").click()
    await expect(chat_page.locator(".assistant .text")).to_have_text("Whole.")
    assert agent.requests[1]["messages"] == [{"role": "user", "content": "Go"}]


async def test_a_dead_line_is_noticed(chat_page: Page, agent: FakeAgent) -> None:
    """A network that is gone breaks no connection; silence for a minute is told as such."""
    await chat_page.clock.install()
    pause = asyncio.Event()
    agent.scripts.append(Script(["Half", " more"], pause=pause, silent=True))
    await say(chat_page, "Go")
    await expect(chat_page.locator(".assistant .text")).to_have_text("Half")
    await chat_page.clock.run_for(61_000)
    await expect(chat_page.get_by_role("alert")).to_contain_text("connection broke")
    await expect(chat_page.locator(".assistant .text")).to_have_text("Half")
    pause.set()


async def test_a_slow_first_word_is_explained(chat_page: Page, agent: FakeAgent) -> None:
    """After some seconds without a word the page says why that may be, until one comes."""
    await chat_page.clock.install()
    pause = asyncio.Event()
    agent.scripts.append(Script(["", "Now."], pause=pause))
    await say(chat_page, "Go")
    await expect(chat_page.locator(".streaming")).to_be_visible()
    waiting = chat_page.locator(".assistant .waiting")
    await expect(waiting).to_have_text("")
    await chat_page.clock.run_for(4500)
    await expect(waiting).to_contain_text("No word yet")
    pause.set()
    await expect(chat_page.locator(".assistant .text")).to_have_text("Now.")
    await expect(waiting).to_have_text("")


async def test_a_server_that_is_away_is_told(chat_page: Page) -> None:
    """Before anybody asks, and until it is back."""
    await chat_page.clock.install()
    await reload(chat_page)
    await chat_page.context.set_offline(True)
    await chat_page.clock.run_for(6000)
    await expect(chat_page.locator("#note")).to_contain_text("cannot be reached")
    await chat_page.context.set_offline(False)
    await chat_page.clock.run_for(6000)
    await expect(chat_page.locator("#note")).to_contain_text("Enter sends")


async def test_a_server_that_hangs_is_told_and_holds_up_nothing(
    chat_page: Page, agent: FakeAgent
) -> None:
    """One look at a time: a browser has six connections for all that is asked of a server."""
    await chat_page.clock.install()
    await reload(chat_page)
    agent.hang = asyncio.Event()
    for _ in range(9):
        await chat_page.clock.run_for(5000)
    await expect(chat_page.locator("#note")).to_contain_text("cannot be reached")
    agent.scripts.append(Script(["Yes."]))
    await said(chat_page, "Are you there?", "Yes.")
    agent.hang.set()
    await chat_page.clock.run_for(16_000)
    await expect(chat_page.locator("#note")).to_contain_text("Enter sends")


async def test_a_server_that_takes_no_messages_says_why(chat_page: Page, agent: FakeAgent) -> None:
    """Before anybody asks."""
    await chat_page.clock.install()
    await reload(chat_page)
    agent.reasons = ["stopping: running replies are being finished"]
    await chat_page.clock.run_for(6000)
    await expect(chat_page.locator("#note")).to_contain_text("takes no messages now (stopping")
    agent.reasons = []
    await chat_page.clock.run_for(6000)
    await expect(chat_page.locator("#note")).to_contain_text("Enter sends")


async def test_an_open_page_uses_up_no_requests(chat_page: Page, agent: FakeAgent) -> None:
    """A key's requests of a minute are its owner's: to look whether it is there costs none."""
    await chat_page.clock.install()
    await reload(chat_page)
    for _ in range(12):
        await chat_page.clock.run_for(5000)
        await asyncio.sleep(0.05)  # an answer takes time that the page does not see
    agent.scripts += [Script(["one"]), Script(["two"])]
    await said(chat_page, "Go", "one")
    await said(chat_page, "On", "two")
    assert agent.asked_for_models <= 2  # once a page


FULL = Script(
    status=400,
    error={"message": "the context is full", "code": "context_length_exceeded"},
)


async def test_a_full_context_is_a_choice(chat_page: Page, agent: FakeAgent) -> None:
    """The oldest go, for this conversation, or the message begins a new one; it is never lost."""
    used = {"total_tokens": 900}
    agent.scripts += [
        Script(["a"], usage=used), FULL, Script(["b"], dropped=2), Script(["c"]), FULL,
        Script(["d"]), FULL,
    ]  # fmt: skip
    await said(chat_page, "One", "a")
    await expect(chat_page.locator("#note")).to_contain_text("90 %")
    await say(chat_page, "Two")
    alert = chat_page.get_by_role("alert")
    await expect(alert).to_contain_text("This chat, with the reply, is longer than")
    await expect(alert).to_contain_text("(1,000 tokens)")
    await chat_page.get_by_role("button", name="Leave out the oldest").click()
    await expect(chat_page.locator(".assistant .text").last).to_have_text("b")
    await expect(chat_page.locator(".dropped").last).to_have_text("2 old messages left out")
    assert [request["truncation"] for request in agent.requests] == ["disabled"] * 2 + ["auto"]
    await said(chat_page, "Three", "c")
    assert agent.requests[3]["truncation"] == "auto"
    await say(chat_page, "Four is long")
    await expect(alert).to_contain_text("This message alone is longer than")
    await expect(alert.get_by_role("button")).to_have_text(["Shorten the message"])
    await chat_page.get_by_role("button", name="New chat").click()
    await said(chat_page, "Five", "d")
    await say(chat_page, "Six")
    await chat_page.get_by_role("button", name="Begin a new chat with this").click()
    await expect(chat_page.get_by_label("Message", exact=True)).to_have_value("Six")
    await expect(chat_page.locator("#messages > *")).to_have_count(0)


async def test_a_message_that_is_too_long_alone_can_only_be_shortened(
    chat_page: Page, agent: FakeAgent
) -> None:
    """Nothing older could be left out, and a new chat would be this one; over a reload, too."""
    agent.scripts += [FULL, Script(["Fine."])]
    await say(chat_page, "Too long")
    for again in (False, True):
        if again:
            await reload(chat_page)
        alert = chat_page.get_by_role("alert")
        await expect(alert).to_contain_text("This message alone is longer than")
        await expect(alert.get_by_role("button")).to_have_text(["Shorten the message"])
    await alert.get_by_role("button").click()
    await chat_page.get_by_label("Your message, changed").fill("Short")
    await chat_page.keyboard.press("Enter")
    await expect(chat_page.locator(".assistant .text")).to_have_text("Fine.")
    assert [request["truncation"] for request in agent.requests] == ["disabled"] * 2


async def test_what_is_typed_outlives_a_reload(chat_page: Page, agent: FakeAgent) -> None:
    """Drafts are kept a conversation, also while a reply streams and before the page is ready."""
    pause = asyncio.Event()
    agent.scripts.append(Script(["x", "y"], pause=pause))
    field = chat_page.get_by_label("Message", exact=True)
    await say(chat_page, "Go")
    await expect(chat_page.locator(".assistant .text")).to_have_text("x")
    await field.fill("typed meanwhile")
    await field.press("Enter")  # it cannot be sent now
    pause.set()
    await expect(chat_page.locator(".assistant .text")).to_have_text("xy")
    await reload(chat_page)
    await expect(field).to_have_value("typed meanwhile")
    await chat_page.get_by_role("button", name="New chat").click()
    await expect(field).to_have_value("")
    await chat_page.get_by_role("button", name="Go", exact=True).click()
    await expect(field).to_have_value("typed meanwhile")


async def test_tool_calls_are_folded_and_answered(chat_page: Page, agent: FakeAgent) -> None:
    """A call shows its arguments; its result, given by hand, goes back in the API's shape."""
    call = {"id": "call_1", "name": "weather", "arguments": '{"city":"<b>Oslo</b>"}'}
    agent.scripts += [Script(calls=[call]), Script(["It rains."])]
    await chat_page.get_by_role("button", name="Options").click()
    await chat_page.get_by_text("Tools").click()
    tools = chat_page.get_by_label("Functions that replies may call")
    await tools.fill("{")
    await chat_page.get_by_role("button", name="Done").click()
    await expect(chat_page.locator("#options .dialog-problem")).to_contain_text("not JSON")
    await tools.fill('[{"name": "weather", "parameters": {"type": "object"}}]')
    await chat_page.get_by_role("button", name="Done").click()
    await say(chat_page, "Weather?")
    await expect(chat_page.locator(".call summary")).to_contain_text("weather")
    await expect(chat_page.locator(".arguments")).to_contain_text('"city": "<b>Oslo</b>"')
    await chat_page.get_by_label("Result of the call").fill("rain")
    await chat_page.keyboard.press("Control+Enter")
    await expect(chat_page.locator(".assistant .text").last).to_have_text("It rains.")
    await expect(chat_page.locator(".call-state")).to_have_text("answered")
    assert agent.requests[0]["tools"][0]["function"]["name"] == "weather"
    function = {"name": "weather", "arguments": call["arguments"]}
    assert agent.requests[1]["messages"][1:] == [
        {"role": "assistant", "content": None,
         "tool_calls": [{"id": "call_1", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]  # fmt: skip
    await reload(chat_page)
    await expect(chat_page.locator(".call")).not_to_have_attribute("open", "")
    await chat_page.locator(".call summary").click()
    await expect(chat_page.locator(".call .result")).to_have_text("rain")


async def test_the_next_call_is_at_hand(chat_page: Page, agent: FakeAgent) -> None:
    """Of several, the keyboard goes from one result to the next, and then to the message."""
    calls = [{"id": f"call_{n}", "name": "weather", "arguments": "{}"} for n in range(2)]
    agent.scripts += [Script(calls=calls), Script(["It rains."])]
    await say(chat_page, "Weather?")
    await chat_page.locator("#result-call_1").fill("su")
    await chat_page.locator("#result-call_0").fill("rain")
    await chat_page.keyboard.press("Control+Enter")
    await expect(chat_page.locator("#result-call_1")).to_be_focused()
    await chat_page.keyboard.press("End")
    await chat_page.keyboard.type("n")  # what was typed there before is there
    await chat_page.keyboard.press("Control+Enter")
    await expect(chat_page.get_by_label("Message", exact=True)).to_be_focused()
    await expect(chat_page.locator(".assistant .text").last).to_have_text("It rains.")
    results = [each.get("content") for each in agent.requests[1]["messages"][2:]]
    assert results == ["rain", "sun"]


async def test_calls_of_the_agent_itself_are_shown(chat_page: Page, agent: FakeAgent) -> None:
    """Folded, with what came of them; they are no part of what is sent back."""
    call = {"id": "c1", "server": "files", "name": "read", "arguments": "{}"}
    agent.scripts += [
        Script(["Done."], served=[call | {"outcome": "ok", "output": "<b>text</b>"},
                                  call | {"outcome": "timeout", "output": None}]),
        Script(["ok"]),
    ]  # fmt: skip
    await said(chat_page, "Go", "Done.")
    states = chat_page.locator(".call-state")
    await expect(states).to_have_text(["answered by files", "files: timeout"])
    await chat_page.locator(".call summary").first.click()
    await expect(chat_page.locator(".call .result").first).to_have_text("<b>text</b>")
    await said(chat_page, "And?", "ok")
    assert agent.requests[1]["messages"][1] == {"role": "assistant", "content": "Done."}
