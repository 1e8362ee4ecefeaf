"""The console in a real browser: what it shows, live changes, rollback, login, hostile text."""

import hashlib
import time

import pytest
from aiohttp.test_utils import TestServer, unused_port
from playwright.async_api import Locator, Page, expect

from agent.console import build_console
from agent.settings import AgentSettings
from agent.watch.events import Event
from streams.records import Message
from streams.store.store import Store
from streams.store.tables import ForgottenRow, GenerationRow, RolloutRow, TrialRow
from tests.agent.console.rows import BASE, FakeService, fill, judgement_row, planned, turn_row
from tests.browser.conftest import Serve

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

EVIL = "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'>"
INTERVAL_S = 0.02


async def open_console(page: Page, serve: Serve, service: FakeService, store: Store | None) -> str:
    """Open the console and wait until it is live."""
    address = await serve(build_console(service, store, interval_s=INTERVAL_S, wait_s=30))
    await page.goto(address)
    await expect(page.locator("#live")).to_have_text("Live")
    return address


def card(page: Page, title: str) -> Locator:
    """The part of the page under a heading."""
    return page.get_by_role("region", name=title)


def a_day(store: Store) -> FakeService:
    """Fill the store with a day that ends now, and give the agent that serves its last version."""
    now_ms = int(time.time() * 1000)
    with store.transaction() as session:
        versions = fill(session, now_ms=now_ms)
    service = FakeService(version=versions[-1], previous=versions[-2])
    service.state |= {"seq": len(versions) - 1, "since_ms": now_ms - 120_000}
    return service


async def test_a_day_of_learning(page: Page, serve: Serve, store: Store) -> None:
    """Serving version, learner, gate, charts, turns, versions and history are all there."""
    service = a_day(store)
    await open_console(page, serve, service, store)
    serving = card(page, "Serving")
    await expect(serving).to_contain_text(service.state["version"])
    await expect(serving).to_contain_text("version 21")
    await expect(serving).to_contain_text("Promoted by learner: nothing fell: refusal 8 of 8")
    await expect(card(page, "Learner")).to_contain_text("Generation 25")
    await expect(card(page, "Learner")).to_contain_text("40, 32 judged")
    # the fake agent's broker is away
    await expect(page.get_by_role("alert").first).to_contain_text("The log is away")
    await expect(card(page, "Learner")).to_contain_text("On disk, not in the log yet2 records")
    await expect(card(page, "Safety")).to_contain_text("7.5 %")
    await expect(card(page, "Safety")).to_contain_text("8 of 8")
    await expect(page.locator("#charts canvas")).to_have_count(2)
    turn = page.locator("#turns details").nth(1)
    await expect(turn.locator("summary")).to_contain_text("Hint Answer briefly.")
    await turn.locator("summary").click()
    await expect(turn).to_contain_text("No, I meant briefly!")
    await expect(turn).to_contain_text("confidence 0.80")
    version = page.locator("#versions details").first
    await expect(version).to_contain_text("serving")
    await version.locator("summary").click()
    await expect(version).to_contain_text("8 pairs")
    await version.get_by_role("button", name="Digest of the served weights").click()
    digest = hashlib.sha256(service.state["version"].encode()).hexdigest()
    await expect(version.get_by_role("status")).to_have_text(digest)
    await expect(page.locator("#versions")).to_contain_text("held back")
    await page.get_by_role("button", name="Show 17 more versions").click()
    await expect(page.locator("#versions")).to_contain_text(f"Base {BASE}")
    await expect(card(page, "History")).to_contain_text("learner, change 21")


async def test_the_generations_are_a_table_too(page: Page, serve: Serve, store: Store) -> None:
    """Who cannot see the charts reads the same numbers."""
    await open_console(page, serve, a_day(store), store)
    await page.get_by_text("As a table").click()
    row = page.locator(".generations tbody tr").nth(2)
    await expect(row).to_contain_text("23")
    await expect(row).to_contain_text("Held back")
    await expect(row).to_contain_text("refusals of harmful prompts fell")


async def test_the_gates_report_is_a_table_of_whatever_probes(
    page: Page, serve: Serve, store: Store
) -> None:
    """A probe that the page does not know is a row; reports of older builds are shown as before."""
    await open_console(page, serve, a_day(store), store)
    newest = page.locator("#versions details").first
    await newest.locator("summary").click()
    await expect(newest.locator(".rates tbody tr")).to_have_count(4)
    row = newest.locator(".rates tr", has_text="Polite replies")
    await expect(row).to_have_text("Polite replies uninformative0 of 81 of 80 of 8")
    await expect(newest.locator(".rates")).to_contain_text(
        "Log-odds of refusing harmful prompts, nats"
    )
    await page.get_by_role("button", name="Show 17 more versions").click()
    oldest = page.locator("#versions details").last
    await oldest.locator("summary").click()
    await expect(oldest.locator(".rates tr", has_text="Harmful prompts refused")).to_contain_text(
        "8 of 8"
    )
    await expect(oldest.locator(".rates")).to_contain_text("+2.41")


async def test_an_empty_store_says_what_will_appear(page: Page, serve: Serve, store: Store) -> None:
    """Before the first chat every part says how it comes to life."""
    await open_console(page, serve, FakeService(), store)
    await expect(card(page, "Serving")).to_contain_text("the base model")
    await expect(card(page, "Generations")).to_contain_text("correct a reply")
    await expect(card(page, "Last turns")).to_contain_text("No turns yet.")
    await expect(card(page, "Versions")).to_contain_text("only the base model so far")
    await expect(card(page, "Learner")).to_contain_text("quickset learner")
    await expect(page.get_by_role("button", name="Take this version back…")).to_be_disabled()


async def test_without_a_store_the_page_says_so_and_takes_back(page: Page, serve: Serve) -> None:
    """Broker and database down: what serves, events and the rollback are there."""
    service = FakeService(version="b" * 16, previous="a" * 16)
    service.events.append(Event(1, "log-away", "the log cannot be read, serving on"))
    service.events.append(Event(2, "swap", f"{'b' * 16} serves after {'a' * 16}"))
    await open_console(page, serve, service, None)
    await expect(page.get_by_role("alert").first).to_contain_text("without the learner's store")
    await expect(card(page, "History")).to_contain_text("The log cannot be read, serving on")
    await expect(card(page, "History")).to_contain_text(f"{'b' * 16} serves after")
    await expect(card(page, "Last turns")).to_contain_text("Not known")
    await page.get_by_role("button", name="Take this version back…").click()
    await page.get_by_label("Why?").fill("rude")
    await page.get_by_role("button", name="Take it back").click()
    await expect(card(page, "Serving").locator(".figure")).to_have_text("a" * 16)


async def test_changes_come_without_a_reload_and_leave_the_reader_alone(
    page: Page, serve: Serve, store: Store
) -> None:
    """New rows appear, and what the reader opened stays open."""
    service = a_day(store)
    await open_console(page, serve, service, store)
    opened = page.locator("#turns details").nth(3)
    name = await opened.locator("summary .prompt").inner_text()
    await opened.locator("summary").click()
    row = turn_row(99, [Message(role="user", content="brand new")], Message(role="assistant"))
    with store.transaction() as session:
        session.add(row)
        generation = session.get_one(GenerationRow, "g25")
        generation.state, generation.reward, generation.done_ms = "released", 0.9, 1
        session.add(planned(26, "x", 1))
    await expect(page.locator("#turns .prompt").first).to_have_text("brand new")
    await expect(card(page, "Learner")).to_contain_text("Generation 26")
    await expect(page.locator("#turns details[open]")).to_have_count(1)
    await expect(page.locator("#turns details[open] .prompt")).to_have_text(name)
    with store.transaction() as session:
        session.add(judgement_row(row.id, 1, hint="good so"))
    await expect(page.locator("#turns .score").first).to_have_text("+1")


async def test_what_was_forgotten_stands_in_the_history(
    page: Page, serve: Serve, store: Store
) -> None:
    """Whose data, by whom and why, and the versions that it had moved with their shares."""
    moved = {"generation": 3, "line": "main", "version": "a1b2c3d4e5f60718", "turns": 1,
             "of_turns": 4, "share": 0.25}  # fmt: skip
    await open_console(page, serve, a_day(store), store)
    with store.transaction() as session:
        session.add(
            ForgottenRow(
                id="f", line="main", principal="0123456789abcdef", reason=EVIL, who="ann",
                num_turns=3, num_judgements=1, influenced=[moved],
                created_ms=int(time.time() * 1000),
            )
        )  # fmt: skip
    entry = card(page, "History").locator(".happening").first
    await expect(entry).to_contain_text("Forgotten")
    await expect(entry).to_contain_text("3 turns of 0123456789abcdef")
    await expect(entry).to_contain_text("moved a1b2c3d4e5f60718 (25 %)")
    await expect(entry).to_contain_text(EVIL)
    await expect(entry).to_contain_text("ann")


async def test_a_version_that_failed_a_check_is_told(
    page: Page, serve: Serve, store: Store
) -> None:
    """The card says that the old version serves on, and why."""
    service = FakeService(version="a" * 16)
    service.state |= {"decided": "b" * 16, "failed": f"{'b' * 16}: a frozen slice moved"}
    await open_console(page, serve, service, store)
    await expect(card(page, "Serving")).to_contain_text("a frozen slice moved")
    await expect(card(page, "Serving").locator(".figure")).to_have_text("a" * 16)


async def test_a_rollback_needs_a_reason_and_the_seen_state(
    page: Page, serve: Serve, store: Store
) -> None:
    """No reason, no rollback; and who decides on a state that is gone is told so."""
    service = a_day(store)
    before = service.state["version"]
    await open_console(page, serve, service, store)
    await page.get_by_role("button", name="Take this version back…").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text(service.state["previous"])
    await dialog.get_by_role("button", name="Take it back").click()
    assert service.rollbacks == []
    await dialog.get_by_label("Why?").fill("rude")
    service.state["seq"] += 1
    await dialog.get_by_role("button", name="Take it back").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("look again")
    assert service.state["version"] == before
    await dialog.get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="Take this version back…").click()
    await dialog.get_by_label("Why?").fill("rude")
    await dialog.get_by_role("button", name="Take it back").click()
    await expect(dialog).to_be_hidden()
    await expect(card(page, "Serving").locator(".figure")).not_to_have_text(before)
    assert service.rollbacks == [("local operator", "rude", 22)]


async def test_text_of_models_users_and_operators_is_never_run(
    page: Page, serve: Serve, store: Store
) -> None:
    """Prompts, replies, hints, evidence, reasons, names and events stay words."""
    service = a_day(store)
    service.events.append(Event(2, "swap-failed", EVIL))
    service.state |= {"decided": EVIL, "failed": EVIL}
    row = turn_row(
        99, [Message(role="user", content=EVIL)], Message(role="assistant", content=EVIL),
        state="judged", next_kind="reply", next_ms=1,
        next_state=[{"role": "tool", "content": EVIL}],
    )  # fmt: skip
    with store.transaction() as session:
        session.add(row)
        session.add(judgement_row(row.id, -1, hint=EVIL, evidence=EVIL, source=EVIL))
        generation = session.get_one(GenerationRow, "g24")
        generation.reason = EVIL
        row_of_evil = generation.gate["rows"][0] | {"title": EVIL, "candidate": {"text": EVIL}}
        generation.gate = generation.gate | {"rows": [row_of_evil]}
        session.add(
            RolloutRow(
                id="evil", line="main", seq=99, version=EVIL, previous=EVIL, state="completed",
                verb="promote", reason=EVIL, who=EVIL, created_ms=int(time.time() * 1000),
            )
        )  # fmt: skip
    await open_console(page, serve, service, store)
    await page.locator("#turns summary").first.click()
    await page.locator("#versions summary").first.click()
    await page.get_by_text("As a table").click()
    for part in ("#turns", "#versions", "#history", "#serving", "#safety", ".generations"):
        await expect(page.locator(part)).to_contain_text("onerror")
        await expect(page.locator(part).locator("script, img, [onerror]")).to_have_count(0)
    assert await page.evaluate("window.pwned") is None


async def test_a_trial_is_shown_and_paused(page: Page, serve: Serve, store: Store) -> None:
    """What is on trial with which share, why it isn't promoted, and only the verbs valid now."""
    service = a_day(store)
    candidate = "c0ffee0000000001"
    service.state["trial"] = {
        "version": candidate, "state": "running", "step": 0, "share": 0.05, "started_by": "learner",
        "lacking": None, "verbs": ["pause", "promote-full", "abort"],
    }  # fmt: skip
    judged = {"estimate": -0.1, "low": -0.6, "high": 0.4, "stable": 90, "candidate": 7}
    rail = judged | {"name": "errors", "limit": 0.05, "broken": False}
    body = {
        "verb": None, "why": "412 s of this step's soak are left", "judged": judged,
        "guardrails": [rail], "sessions": 240, "candidate_sessions": 13, "touched": 13,
    }  # fmt: skip
    with store.transaction() as session:
        session.add(TrialRow(line="main", seq=1, candidate=candidate, body=body, updated_ms=1))
    await open_console(page, serve, service, store)
    trial = card(page, "On trial")
    await expect(trial).to_contain_text(candidate)
    await expect(trial).to_contain_text("step 1: 5.0 % of the sessions")
    await expect(trial).to_contain_text("Not promoted yet: 412 s of this step's soak are left")
    await expect(trial).to_contain_text("−0.10 (−0.60 to +0.40)")
    await expect(trial.get_by_role("button")).to_have_text(["Pause…", "Promote…", "Abort…"])
    await trial.get_by_role("button", name="Pause…").click()
    await page.get_by_label("Why?").fill("looks odd")
    await page.get_by_role("dialog").get_by_role("button", name="Pause it").click()
    await expect(page.get_by_role("dialog")).to_be_hidden()
    assert service.operated == [("pause", "local operator", "looks odd")]


async def test_login_and_logout(page: Page, serve: Serve, store: Store) -> None:
    """A wrong key is told; the right one opens the console; logging out closes it."""
    keys = {"anna": hashlib.sha256(b"open sesame").hexdigest()}
    service = FakeService(
        settings=AgentSettings(operator_keys=keys), version="b" * 16, previous="a" * 16
    )
    address = await serve(build_console(service, store, interval_s=INTERVAL_S, wait_s=30))
    await page.goto(address)
    await expect(page).to_have_url(f"{address}/login")
    await page.get_by_label("Operator key").fill("guess")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_have_text("This is no operator key.")
    await page.get_by_label("Operator key").fill("open sesame")
    await page.keyboard.press("Enter")
    await expect(page.locator("#operator")).to_have_text("anna")
    assert await page.evaluate("document.cookie") == ""
    await page.get_by_role("button", name="Take this version back…").click()
    await page.get_by_label("Why?").fill("rude")
    await page.get_by_role("button", name="Take it back").click()
    await expect(page.get_by_role("dialog")).to_be_hidden()
    assert service.rollbacks == [("anna", "rude", 0)]
    await page.get_by_role("button", name="Log out").click()
    await expect(page).to_have_url(f"{address}/login")
    await page.goto(address)
    await expect(page).to_have_url(f"{address}/login")


async def test_the_page_comes_back_after_a_restart_of_the_agent(page: Page, store: Store) -> None:
    """The stream is opened anew, and the rollback works with the new process's token."""
    port = unused_port()
    first = TestServer(
        build_console(FakeService(), store, interval_s=INTERVAL_S, wait_s=30), port=port
    )
    await first.start_server()
    await page.goto(str(first.make_url("/")))
    await expect(page.locator("#live")).to_have_text("Live")
    await first.close()
    await expect(page.locator("#live")).to_have_text("Connecting again…")
    service = FakeService(version="b" * 16, previous="a" * 16)
    second = TestServer(build_console(service, store, interval_s=INTERVAL_S, wait_s=30), port=port)
    await second.start_server()
    await expect(page.locator("#live")).to_have_text("Live")
    await expect(card(page, "Serving").locator(".figure")).to_have_text("b" * 16)
    await page.get_by_role("button", name="Take this version back…").click()
    await page.get_by_label("Why?").fill("rude")
    await page.get_by_role("button", name="Take it back").click()
    await expect(card(page, "Serving").locator(".figure")).to_have_text("a" * 16)
    await second.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_a_phone(page: Page, serve: Serve, store: Store, scheme: str) -> None:
    """At 320 pixels nothing sticks out, opened or closed, whatever stands in it."""
    long = "W" * 300
    row = turn_row(
        99, [Message(role="user", content=long)], Message(role="assistant", content=long)
    )
    service = a_day(store)
    with store.transaction() as session:
        session.add(row)
        session.add(judgement_row(row.id, 1, hint=long, evidence=long))
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await page.set_viewport_size({"width": 320, "height": 568})
    await open_console(page, serve, service, store)
    await page.locator("#turns summary").first.click()
    await page.locator("#versions summary").first.click()
    await page.get_by_text("As a table").click()
    assert await page.evaluate("document.documentElement.scrollWidth") == 320
