"""Operators of a running console, each in a browser of their own, logged in with their own key."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser.conftest import ARGUMENTS, chromium_program
from tests.flow.live import OPERATORS

DESK: Final = ViewportSize(width=1280, height=900)
PHONE: Final = ViewportSize(width=390, height=844)


@dataclass
class Operators:
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
        """Take a picture of what somebody sees; nothing may stand out of the page's width."""
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
def operators(console: str, folder: Path) -> Iterator[Operators]:
    """Open a browser for each operator."""
    expect.set_options(timeout=60_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_program(), args=ARGUMENTS)
        pages = {who: _logged_in(browser, console, who) for who in OPERATORS}
        yield Operators(pages, console, folder)
        browser.close()


def confirm(page: Page, button: str, reason: str, go: str, *, key: str = "") -> None:
    """Press a button and confirm what it asks."""
    page.get_by_role("button", name=button).first.click()
    page.get_by_label("Why?").fill(reason)
    if key:
        page.get_by_label("Your operator key, once more").fill(key)
    page.get_by_role("dialog").get_by_role("button", name=go).click()


def _logged_in(browser: Browser, console: str, who: str) -> Page:
    page = browser.new_context(viewport=DESK, reduced_motion="reduce").new_page()
    page.goto(f"{console}/login")
    page.get_by_label("Operator key").fill(who)
    page.keyboard.press("Enter")
    expect(page.locator("#operator")).to_contain_text(who)
    return page
