"""A simulator for each test, and one Chromium that looks at their pages."""

import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.page.running_simulator import Simulator

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOOK_MS_MAX = 10_000


@pytest_asyncio.fixture(loop_scope="module")
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    running = Simulator(data_dir=tmp_path, port=_free_port())
    await running.start()
    try:
        yield running
    finally:
        running.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next((path for path in map(shutil.which, CHROMIUMS) if path), None)
    if found is None:
        pytest.fail("no Chromium found on PATH: install it (for example: apt-get install chromium), then run again")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            yield running
        finally:
            await running.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, simulator: Simulator) -> AsyncIterator[Page]:
    """The page, opened and live. It must not complain and must ask nobody but its own simulator."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, locale="pt-BR")
    context.set_default_timeout(LOOK_MS_MAX)
    opened = await context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text) if "Content Security Policy" in said.text else None)
    opened.on(
        "request", lambda asked: complaints.append(asked.url) if not asked.url.startswith(simulator.url) else None
    )
    await opened.goto(simulator.url)
    await opened.locator("[data-testid=connection][data-state=live]").wait_for()
    try:
        yield opened
        assert complaints == []
    finally:
        await context.close()
