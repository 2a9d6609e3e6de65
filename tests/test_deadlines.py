"""Deadlines: no request begins when too little is left of a claim, whatever it had to wait for since."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from zaptrix import deadlines
from zaptrix.core.delivery.errors import OutOfTime
from zaptrix.deadlines import Deadline, Stopping, TimelyConnector, new_worker_id
from zaptrix.elapsed import elapsed_s


class Stage:
    """A server that counts, and a clock to be moved."""

    def __init__(self) -> None:
        self.asked = 0
        self.url = ""
        self.slept_s = 0.0

    def elapsed(self) -> float:
        return elapsed_s() + self.slept_s

    async def answer(self, _request: web.Request) -> web.Response:
        self.asked += 1
        return web.Response()


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    stage = Stage()
    monkeypatch.setattr(deadlines, "elapsed_s", stage.elapsed)
    app = web.Application()
    app.router.add_post("/", stage.answer)
    async with TestServer(app) as server:
        stage.url = str(server.make_url("/"))
        yield stage


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=TimelyConnector()) as session:
        yield session


async def _post(session: aiohttp.ClientSession, url: str) -> None:
    async with session.post(url, data=b"{}"):
        pass


async def test_what_is_held_by_nobody_is_asked_whenever(stage: Stage, session: aiohttp.ClientSession) -> None:
    await _post(session, stage.url)
    assert stage.asked == 1


@pytest.mark.parametrize("warm", [True, False], ids=["connection at hand", "connection to be made"])
async def test_nothing_is_begun_after_a_standstill(stage: Stage, session: aiohttp.ClientSession, warm: bool) -> None:
    if warm:
        await _post(session, stage.url)
    before = stage.asked
    deadline = Deadline(stage.elapsed(), 60)
    async with deadline.kept():
        stage.slept_s = 50  # a host that slept: the loop's own clock knows nothing of it
        with pytest.raises(OutOfTime):
            await _post(session, stage.url)
    assert stage.asked == before


async def test_a_standstill_while_the_connection_is_made_counts(stage: Stage) -> None:
    class Slow(TimelyConnector):
        async def _create_connection(self, *args: object) -> object:  # type: ignore[override]
            stage.slept_s += 50
            return await super()._create_connection(*args)  # type: ignore[arg-type]

    async with aiohttp.ClientSession(connector=Slow()) as session, Deadline(stage.elapsed(), 60).kept():
        with pytest.raises(OutOfTime):
            await _post(session, stage.url)
    assert stage.asked == 0


async def test_tasks_that_are_started_inside_are_held_to_it(stage: Stage, session: aiohttp.ClientSession) -> None:
    async with Deadline(stage.elapsed() - 44, 60).kept():
        ends = await asyncio.gather(*(_post(session, stage.url) for _ in range(3)), return_exceptions=True)
    assert [type(end) for end in ends] == [OutOfTime] * 3
    await _post(session, stage.url)  # and who comes after it is not
    assert stage.asked == 1


async def test_what_is_renewed_goes_on(stage: Stage, session: aiohttp.ClientSession) -> None:
    deadline = Deadline(stage.elapsed(), 60)
    async with deadline.kept():
        stage.slept_s = 50
        deadline.renew(stage.elapsed(), 60)
        await _post(session, stage.url)
    assert stage.asked == 1


async def test_what_is_under_way_is_given_up_at_its_end() -> None:
    with pytest.raises(TimeoutError):
        async with Deadline(elapsed_s() - 59, 60).kept():
            await asyncio.Event().wait()


async def test_what_is_cut_begins_nothing_and_ends_soon(stage: Stage, session: aiohttp.ClientSession) -> None:
    deadline = Deadline(stage.elapsed(), 3600)
    async with deadline.kept():
        deadline.cut(60)
        with pytest.raises(OutOfTime):
            await _post(session, stage.url)

    async def cut_off() -> None:
        async with deadline.kept():
            deadline.cut(0.0)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await cut_off()


async def test_what_a_worker_claimed_under_an_id_that_was_ended_is_not_its_own() -> None:
    """Also when it was asked for again under the new one: a settlement that succeeds at last claims by old attempts."""
    stopping = Stopping()
    nobodys, began_s = stopping.worker.attempt(), elapsed_s()
    stopping.worker.registered(new_worker_id(), elapsed_s(), 60)
    before_s, old = elapsed_s(), stopping.worker.attempt()
    under_way = stopping.deadline(before_s, 60, [old])
    assert under_way.may_begin
    stopping.worker.lost()
    stopping.give_up()
    between = stopping.deadline(elapsed_s(), 60, [old])
    stopping.worker.registered(new_worker_id(), elapsed_s(), 60)
    now_s, new = elapsed_s(), stopping.worker.attempt()
    late = [under_way, between, stopping.deadline(now_s, 60, [new, old]), stopping.deadline(before_s, 60)]
    assert [each.may_begin for each in late] == [False] * 4
    assert stopping.deadline(now_s, 60, [new, nobodys]).may_begin
    assert not stopping.deadline(began_s, 60).may_begin
