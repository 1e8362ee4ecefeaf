"""What every test of the chat page does: say something, and wait for the reply."""

import re

from playwright.async_api import Page, expect


async def say(page: Page, text: str) -> None:
    """Write a message and press Enter."""
    await page.get_by_label("Message", exact=True).fill(text)
    await page.keyboard.press("Enter")


async def said(page: Page, text: str, reply: str | re.Pattern[str]) -> None:
    """Say something, and wait until the last reply is this, whole, or has it."""
    await say(page, text)
    await expect(page.locator(".assistant .text").last).to_have_text(reply)
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_visible()


async def ready(page: Page) -> None:
    """Wait until the page's script has begun, and shows what it keeps."""
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_enabled()
    await expect(page.get_by_label("Message", exact=True)).to_be_focused()


async def reload(page: Page) -> None:
    """Load the page anew."""
    await page.reload()
    await ready(page)
