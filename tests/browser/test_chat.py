"""The chat page in a real browser: streaming, versions, thumbs, errors, and hostile text."""

import asyncio

import pytest
from playwright.async_api import Page, expect

from tests.browser.fake_agent import FakeAgent, Script
from tests.browser.saying import reload, say

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

EVIL = (
    "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'>"
    "<svg/onload=window.pwned=1> [link](javascript:window.pwned=1) "
    "<a href='javascript:window.pwned=1'>x</a> `<b>` **<i>bold</i>** "
    '[q](https://e.example/"onclick=alert)'
)


async def test_tokens_appear_while_they_are_sampled(chat_page: Page, agent: FakeAgent) -> None:
    """The first words stand on the page before the last ones exist."""
    pause = asyncio.Event()
    agent.scripts.append(Script(["The sky ", "is blue — naïve ", "☀."], pause=pause))
    await say(chat_page, "Why?")
    reply = chat_page.locator(".assistant .text")
    await expect(reply).to_have_text("The sky is blue — naïve")
    await expect(chat_page.get_by_role("button", name="Stop the reply")).to_be_visible()
    assert await chat_page.locator(".assistant").get_attribute("aria-busy") == "true"
    pause.set()
    await expect(reply).to_have_text("The sky is blue — naïve ☀.")
    await expect(chat_page.get_by_role("button", name="Send")).to_be_visible()
    assert agent.requests[0]["stream"] is True
    assert agent.requests[0]["messages"] == [{"role": "user", "content": "Why?"}]


async def test_what_is_selected_stays_while_more_comes(chat_page: Page, agent: FakeAgent) -> None:
    """Paragraphs and code that are whole are left alone: one can copy them from a growing reply."""
    pause = asyncio.Event()
    agent.scripts.append(Script(["First.\n\n```py\nx = 1\n```\n\nTh", "ird."], pause=pause))
    await say(chat_page, "Go")
    await expect(chat_page.locator(".assistant .text p").last).to_have_text("Th")
    await expect(chat_page.locator(".code-bar")).to_contain_text("py")
    await chat_page.locator(".text pre").select_text()
    await chat_page.get_by_role("button", name="Copy the code").focus()
    pause.set()
    await expect(chat_page.locator(".assistant .text p").last).to_have_text("Third.")
    await expect(chat_page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    assert await chat_page.evaluate("getSelection().toString()") == "x = 1"
    await expect(chat_page.get_by_role("button", name="Copy the code")).to_be_focused()


async def test_each_reply_names_its_version_and_a_new_one_is_marked(
    chat_page: Page, agent: FakeAgent
) -> None:
    """When a new version begins to answer, the place is marked, once."""
    for version in ("a" * 16, "a" * 16, "b" * 16, "b" * 16):
        agent.scripts.append(Script(["Yes."], version=version))
        await say(chat_page, "And?")
        await expect(chat_page.locator(".assistant .version").last).to_have_text(version)
    await expect(chat_page.locator(".change")).to_have_count(1)
    await expect(chat_page.locator(".change")).to_contain_text("b" * 16)
    await expect(chat_page.locator("#serving")).to_have_text("b" * 16)
    order = await chat_page.locator("#messages > *").evaluate_all(
        "all => all.map(n => n.className)"
    )
    assert order.index("change") == 5


async def test_a_new_version_shows_before_it_answers(chat_page: Page, agent: FakeAgent) -> None:
    """The header names what serves, and looks again by itself."""
    await chat_page.clock.install()
    agent.serving = "a" * 16
    await reload(chat_page)
    await expect(chat_page.locator("#serving")).to_have_text("a" * 16)
    agent.serving = "b" * 16
    await chat_page.clock.run_for(6000)
    await expect(chat_page.locator("#serving")).to_have_text("b" * 16)


async def test_the_conversation_is_sent_back_exactly(chat_page: Page, agent: FakeAgent) -> None:
    """The next request carries the reply as it was sampled, so that the session is recognised."""
    reply = "Line one\n\n- *a*  \n- b\n```py\nx = 1\n```\n"
    agent.scripts += [Script([reply[:7], reply[7:]]), Script(["ok"])]
    await say(chat_page, "Go")
    await expect(chat_page.locator("pre")).to_have_text("x = 1")
    await say(chat_page, "Shorter, please")
    await expect(chat_page.locator(".assistant")).to_have_count(2)
    await expect(chat_page.locator(".assistant .text").last).to_have_text("ok")
    assert agent.requests[1]["messages"][1] == {"role": "assistant", "content": reply}


async def test_thumbs_go_to_the_feedback_api(chat_page: Page, agent: FakeAgent) -> None:
    """Up, and up again to take it back; the button tells its state."""
    agent.scripts.append(Script(["Yes."]))
    await say(chat_page, "And?")
    good = chat_page.get_by_role("button", name="Good reply")
    await good.click()
    await expect(good).to_have_attribute("aria-pressed", "true")
    await good.click()
    await expect(good).to_have_attribute("aria-pressed", "false")
    assert agent.feedback == [("chatcmpl-1", {"score": 1}), ("chatcmpl-1", {"score": 0})]


async def test_a_verdict_is_of_all_parts_of_a_reply(chat_page: Page, agent: FakeAgent) -> None:
    """What is taken back of a reply that went on is taken back of what it went on from, too."""
    agent.scripts += [Script(["Half a "], finish="length"), Script(["sentence."])]
    await say(chat_page, "Go")
    bad = chat_page.get_by_role("button", name="Bad reply")
    await bad.click()
    await expect(bad).to_have_attribute("aria-pressed", "true")
    await chat_page.get_by_role("button", name="Continue").click()
    await expect(chat_page.locator(".assistant .text")).to_have_text("Half a sentence.")
    await expect(chat_page.get_by_role("button", name="Send", exact=True)).to_be_visible()
    await bad.click()
    await expect(bad).to_have_attribute("aria-pressed", "false")
    await bad.click()
    await chat_page.get_by_label("What should the reply have done?").fill("Be whole")
    await chat_page.get_by_role("button", name="Teach").click()
    await expect(chat_page.locator(".thanks")).to_contain_text("Thank you")
    first, second = "chatcmpl-1", "chatcmpl-2"
    assert agent.feedback == [
        (first, {"score": -1}),
        (second, {"score": 0}), (first, {"score": 0}),
        (second, {"score": -1}), (first, {"score": -1}),
        (second, {"score": -1, "hint": "Be whole"}), (first, {"score": -1}),
    ]  # fmt: skip


async def test_a_part_that_is_gone_keeps_no_verdict_from_the_rest(
    chat_page: Page, agent: FakeAgent
) -> None:
    """It may be deleted, or another key's; what is said reaches the reply that there is."""
    agent.scripts += [Script(["Half a "], finish="length"), Script(["sentence."])]
    agent.unknown.add("chatcmpl-1")
    await say(chat_page, "Go")
    await chat_page.get_by_role("button", name="Continue").click()
    await expect(chat_page.locator(".assistant .text")).to_have_text("Half a sentence.")
    good = chat_page.get_by_role("button", name="Good reply")
    await good.click()
    await expect(good).to_have_attribute("aria-pressed", "true")
    assert agent.feedback == [("chatcmpl-2", {"score": 1})]


async def test_a_bad_reply_can_be_corrected(chat_page: Page, agent: FakeAgent) -> None:
    """The thumb counts at once; then the page asks what the reply should have done."""
    agent.scripts.append(Script(["Yes."]))
    await say(chat_page, "And?")
    await chat_page.get_by_role("button", name="Bad reply").click()
    wish = chat_page.get_by_label("What should the reply have done?")
    await expect(wish).to_be_focused()
    await wish.fill("Answer in one sentence")
    await chat_page.get_by_role("button", name="Teach").click()
    await expect(chat_page.locator(".thanks")).to_contain_text("Thank you")
    await chat_page.get_by_role("button", name="Good reply").click()
    remark = chat_page.get_by_label("A remark for people")
    await expect(chat_page.get_by_role("button", name="Send the remark")).to_be_visible()
    await remark.fill("never sent")
    await remark.press("Escape")
    await expect(remark).to_be_hidden()
    await chat_page.get_by_role("button", name="Bad reply").click()
    await remark.fill("On second thoughts")
    await remark.press("Control+Enter")
    await expect(chat_page.locator(".thanks")).to_contain_text("remark is kept")
    assert [said for _, said in agent.feedback] == [
        {"score": -1}, {"score": -1, "hint": "Answer in one sentence"}, {"score": 1}, {"score": -1},
        {"score": -1, "comment": "On second thoughts"},
    ]  # fmt: skip


async def test_feedback_that_fails_says_so(chat_page: Page, agent: FakeAgent) -> None:
    """A thumb that did not arrive is not shown as pressed."""
    agent.scripts.append(Script(["Yes."]))
    agent.feedback_status = 404
    await say(chat_page, "And?")
    good = chat_page.get_by_role("button", name="Good reply")
    await good.click()
    await expect(chat_page.locator(".thanks")).to_have_text("Gone")
    await expect(good).to_have_attribute("aria-pressed", "false")


async def test_stop_ends_the_reply_and_keeps_its_words(chat_page: Page, agent: FakeAgent) -> None:
    """The server loses its reader at once; what had come stays in the conversation."""
    agent.scripts += [Script(["Half a", " sentence"], pause=asyncio.Event()), Script(["ok"])]
    await say(chat_page, "Go")
    await expect(chat_page.locator(".assistant .text")).to_have_text("Half a")
    await chat_page.get_by_role("button", name="Stop the reply").click()
    await asyncio.wait_for(agent.gone.wait(), 60)
    await expect(chat_page.locator(".state")).to_have_text("stopped")
    await say(chat_page, "Again")
    await expect(chat_page.locator(".assistant .text").last).to_have_text("ok")
    assert agent.requests[1]["messages"][1] == {"role": "assistant", "content": "Half a"}


async def test_an_error_is_told_and_can_be_tried_again(chat_page: Page, agent: FakeAgent) -> None:
    """The server's message and parameter are shown; the question is not asked twice."""
    error = {"message": "4000 tokens are too many", "param": "messages"}
    agent.scripts += [Script(status=400, error=error), Script(["Fine."])]
    await say(chat_page, "Go")
    problem = chat_page.get_by_role("alert")
    await expect(problem).to_contain_text("4000 tokens are too many (messages)")
    await chat_page.get_by_role("button", name="Try again").click()
    await expect(chat_page.locator(".assistant .text")).to_have_text("Fine.")
    await expect(chat_page.locator(".user")).to_have_count(1)
    assert agent.requests[1]["messages"] == [{"role": "user", "content": "Go"}]


async def test_a_question_that_failed_does_not_spoil_the_next(
    chat_page: Page, agent: FakeAgent
) -> None:
    """An over-long message is not sent along again and again."""
    agent.scripts += [Script(status=400, error={"message": "too long"}), Script(["Fine."])]
    await say(chat_page, "too long")
    await expect(chat_page.get_by_role("alert")).to_be_visible()
    await say(chat_page, "short")
    await expect(chat_page.locator(".assistant .text").last).to_have_text("Fine.")
    assert agent.requests[1]["messages"] == [{"role": "user", "content": "short"}]


async def test_an_error_in_mid_stream_keeps_what_came(chat_page: Page, agent: FakeAgent) -> None:
    """A reply that the server gives up shows its words and the reason."""
    agent.scripts.append(Script(["Half"], error={"message": "the server stops: ask again"}))
    await say(chat_page, "Go")
    await expect(chat_page.get_by_role("alert")).to_contain_text("the server stops: ask again")
    await expect(chat_page.locator(".assistant .text")).to_have_text("Half")


async def test_a_broken_connection_is_told(chat_page: Page, agent: FakeAgent) -> None:
    """A stream that ends without its end is not taken for a reply."""
    agent.scripts.append(Script(["Half"], cut=True))
    await say(chat_page, "Go")
    await expect(chat_page.get_by_role("alert")).to_contain_text("connection broke")


async def test_a_key_is_asked_for_and_kept_in_the_tab(chat_page: Page, agent: FakeAgent) -> None:
    """401 opens the options; the key goes with the next request and stays out of localStorage."""
    agent.scripts += [Script(status=401, error={"message": "an API key is needed"}), Script(["Hi"])]
    await say(chat_page, "Go")
    await expect(chat_page.get_by_role("dialog")).to_be_visible()
    await chat_page.get_by_label("API key").fill("sk-secret")
    await chat_page.get_by_role("button", name="Done").click()
    await chat_page.get_by_role("button", name="Try again").click()
    await expect(chat_page.locator(".assistant .text")).to_have_text("Hi")
    assert agent.headers[1]["Authorization"] == "Bearer sk-secret"
    assert await chat_page.evaluate("localStorage.length") == 0
    assert await chat_page.evaluate("document.cookie") == ""


async def test_learning_can_be_switched_off(chat_page: Page, agent: FakeAgent) -> None:
    """The options' switch becomes the header that the agent honours, and the page says so."""
    agent.scripts += [Script(["a"]), Script(["b"])]
    await say(chat_page, "One")
    await expect(chat_page.locator(".assistant .text")).to_have_text("a")
    await chat_page.get_by_role("button", name="Options").click()
    await chat_page.get_by_label("Learn from this chat").uncheck()
    await chat_page.keyboard.press("Enter")
    await expect(chat_page.locator("#note")).to_contain_text("Nothing of this chat is learned")
    await say(chat_page, "Two")
    await expect(chat_page.locator(".assistant .text").last).to_have_text("b")
    assert "X-Learn" not in agent.headers[0]
    assert agent.headers[1]["X-Learn"] == "off"


async def test_text_of_the_model_and_the_user_is_never_run(
    chat_page: Page, agent: FakeAgent
) -> None:
    """Scripts, images, handlers and javascript: links stay words, from whoever they come."""
    agent.scripts += [
        Script([EVIL], version="<b>v</b>"),
        Script(status=400, error={"message": EVIL}),
    ]
    await say(chat_page, EVIL)
    await expect(chat_page.locator(".assistant .text")).to_contain_text("onerror")
    await say(chat_page, EVIL)
    await expect(chat_page.get_by_role("alert")).to_contain_text("onerror")
    messages = chat_page.locator("#messages")
    for made in ("script", "img:not([src='/static/favicon.svg'])", "svg[onload]", "[onclick]", "i"):
        await expect(messages.locator(made)).to_have_count(0)
    links = await messages.locator("a").evaluate_all("all => all.map(a => a.protocol)")
    assert set(links) <= {"http:", "https:"}
    await reload(chat_page)
    await expect(chat_page.locator(".assistant .text").first).to_contain_text("onerror")
    await expect(chat_page.get_by_role("alert")).to_contain_text("onerror")
    assert await chat_page.evaluate("window.pwned") is None


async def test_keys_of_the_composer(chat_page: Page, agent: FakeAgent) -> None:
    """Shift+Enter makes a line; Enter sends; an empty message is not sent."""
    agent.scripts.append(Script(["ok"]))
    await expect(chat_page.get_by_label("Message", exact=True)).to_be_focused()
    await chat_page.keyboard.press("Enter")
    await chat_page.keyboard.type("one")
    await chat_page.keyboard.press("Shift+Enter")
    await chat_page.keyboard.type("two")
    await chat_page.keyboard.press("Enter")
    await expect(chat_page.locator(".assistant .text")).to_have_text("ok")
    assert [r["messages"][0]["content"] for r in agent.requests] == ["one\ntwo"]


async def test_a_word_that_is_being_composed_keeps_its_keys(
    chat_page: Page, agent: FakeAgent
) -> None:
    """Enter takes the word, and Escape leaves it, as browsers tell it: Safari by the code alone."""
    agent.scripts.append(Script(["ok"]))
    press = """([of, key, told]) => document.querySelector(of).dispatchEvent(
        new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true, ...told}))"""
    await chat_page.get_by_label("Message", exact=True).fill("にほん")
    for told in ({"keyCode": 229}, {"isComposing": True}):
        await chat_page.evaluate(press, ["#prompt", "Enter", told])
    assert agent.requests == []
    await chat_page.keyboard.press("Enter")
    await expect(chat_page.locator(".assistant .text")).to_have_text("ok")
    await chat_page.get_by_role("button", name="Bad reply").click()
    hint = chat_page.locator("textarea.hint")
    await hint.fill("短く")
    leaves = {"isComposing": True, "keyCode": 229}
    await chat_page.evaluate(press, ["textarea.hint", "Escape", leaves])
    await expect(hint).to_have_value("短く")
    await expect(hint).to_be_visible()


async def test_a_reload_keeps_the_conversation_and_new_chat_ends_it(
    chat_page: Page, agent: FakeAgent
) -> None:
    """The tab remembers; the button forgets, also in mid-reply."""
    agent.scripts += [Script(["ok"]), Script(["x", "y"], pause=asyncio.Event()), Script(["new"])]
    await say(chat_page, "Go")
    await expect(chat_page.locator(".assistant .version")).to_be_visible()
    await reload(chat_page)
    await expect(chat_page.locator(".assistant .text")).to_have_text("ok")
    await say(chat_page, "More")
    await expect(chat_page.locator(".assistant .text").last).to_have_text("x")
    await chat_page.get_by_role("button", name="New chat").click()
    await expect(chat_page.locator("#messages > *")).to_have_count(0)
    await expect(chat_page.locator("#welcome")).to_be_visible()
    await say(chat_page, "Fresh")
    await expect(chat_page.locator(".assistant .text")).to_have_text("new")
    assert agent.requests[2]["messages"] == [{"role": "user", "content": "Fresh"}]


async def test_scrolling_up_is_respected(chat_page: Page, agent: FakeAgent) -> None:
    """Who reads above is left there, and can jump to the newest."""
    pause = asyncio.Event()
    lines = [f"line {number}\n\n" for number in range(80)]
    agent.scripts.append(Script([*lines, "the end"], pause=pause))
    await say(chat_page, "Go")
    await expect(chat_page.locator(".assistant .text")).to_contain_text("line 79")
    scroller = chat_page.locator("#scroller")
    await scroller.evaluate("node => { node.scrollTop = 0 }")
    await expect(chat_page.get_by_role("button", name="Newest")).to_be_visible()
    pause.set()
    await expect(chat_page.locator(".assistant .text")).to_contain_text("the end")
    assert await scroller.evaluate("node => node.scrollTop") == 0
    await chat_page.get_by_role("button", name="Newest").click()
    left = await scroller.evaluate("n => n.scrollHeight - n.scrollTop - n.clientHeight")
    assert left < 2


async def test_it_fits_a_phone(chat_page: Page, agent: FakeAgent) -> None:
    """At 320 pixels nothing sticks out, whatever the model writes."""
    await chat_page.set_viewport_size({"width": 320, "height": 568})
    wide = "W" * 400 + "\n```\n" + "x" * 400 + "\n```\n" + "https://e.example/" + "y" * 300
    agent.scripts.append(Script([wide]))
    await say(chat_page, "z" * 300)
    await expect(chat_page.locator(".assistant .version")).to_be_visible()
    assert await chat_page.evaluate("document.documentElement.scrollWidth") == 320
    assert await chat_page.locator("#scroller").evaluate("n => n.scrollWidth <= n.clientWidth")
