"""Looking at a simulator's page as a person does, and finding what each of its sides shows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, FilePayload, Locator, Page, expect

LOOK_MS_MAX = 30_000
FAILED = pytest.StashKey[bool]()

expect.set_options(timeout=LOOK_MS_MAX)  # Its own five seconds are short where three test processes share two cores.


@asynccontextmanager
async def looking_at(url: str, browser: Browser) -> AsyncIterator[Page]:
    """The page, opened and live. It must not complain and must ask nobody but its own simulator."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, locale="pt-BR")
    context.set_default_timeout(LOOK_MS_MAX)
    opened = await context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    opened.on("request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(url) else None)
    await opened.goto(url)
    await is_ready(opened)
    try:
        yield opened
        assert complaints == []
    finally:
        await context.close()


async def is_live(page: Page) -> None:
    """The page hears of every change from here on."""
    await page.locator("[data-testid=connection][data-state=live]").wait_for()


async def is_ready(page: Page) -> None:
    """Live, and it knows whose phone it shows: from here on somebody can write on it."""
    await is_live(page)
    await page.locator("section.phone-side:not([inert])").wait_for()


async def picture_of_failure(page: Page, request: pytest.FixtureRequest, folder: Path) -> None:
    """What the page showed when the test failed; nothing for one that passed."""
    if request.node.stash.get(FAILED, False):
        await page.screenshot(path=folder / "page.png", full_page=True)
        print(f"the page when the test failed: {folder / 'page.png'}")


def on_phone(page: Page) -> Locator:
    return page.get_by_test_id("phone-messages").locator(".bubble .text")


def on_line(page: Page) -> Locator:
    return page.get_by_test_id("line-messages").locator(".bubble .text")


def bubbles(page: Page, side: str) -> Locator:
    return page.get_by_test_id(f"{side}-messages").locator(".bubble")


async def pick(page: Page, button: Locator, entry: str) -> None:
    """An entry of the menu that a button opens."""
    await button.focus()
    await button.press("Enter")
    await page.get_by_test_id("menu").get_by_role("menuitem", name=entry).click()


async def pick_on(page: Page, bubble: Locator, entry: str) -> None:
    await pick(page, bubble.get_by_test_id("bubble-tools"), entry)


async def attach(page: Page, side: str, entry: str, *files: FilePayload) -> None:
    async with page.expect_file_chooser() as chooser:
        await pick(page, page.get_by_test_id(f"{side}-attach"), entry)
    await (await chooser.value).set_files(list(files))


async def is_drawn(picture: Locator) -> bool:
    return bool(await picture.evaluate("(img) => img.decode().then(() => img.naturalWidth > 0, () => false)"))


def last_tick(page: Page, side: str) -> Locator:
    return page.get_by_test_id(f"{side}-messages").get_by_test_id("tick").last
