"""A simulator for each test, and one Chromium that looks at their pages."""

import shutil
from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from proof.ports import free_port
from tests.page.looking import FAILED, looking_at, picture_of_failure
from tests.page.running_simulator import Simulator

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A microphone that beeps, and nobody who has to allow it.
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]


@pytest_asyncio.fixture(loop_scope="module")
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    running = Simulator(data_dir=tmp_path, port=free_port())
    await running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def chromium() -> str:
    found = next((path for path in map(shutil.which, CHROMIUMS) if path), None)
    if found is None:
        pytest.fail("no Chromium found on PATH: install it (for example: apt-get install chromium), then run again")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        try:
            yield running
        finally:
            await running.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(
    browser: Browser, simulator: Simulator, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Page]:
    async with looking_at(simulator.url, browser) as opened:
        yield opened
        await picture_of_failure(opened, request, tmp_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "call" and report.failed:
        item.stash[FAILED] = True
    return report
