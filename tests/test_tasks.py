"""Tasks beside others end when they are told to, also when an answer came in that very moment."""

import asyncio

import pytest

from zaptrix.tasks import ended

LIMIT_S = 20.0


async def _loses(cancellations: int, lost: list[int]) -> None:
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if len(lost) == cancellations:
                raise
            lost.append(1)


@pytest.mark.parametrize("cancellations", [0, 1, 3])
async def test_a_lost_cancellation_is_said_again(cancellations: int) -> None:
    lost: list[int] = []
    task = asyncio.create_task(_loses(cancellations, lost))
    await asyncio.sleep(0)
    async with asyncio.timeout(LIMIT_S):
        await ended([task], again_s=0.01)
    assert task.cancelled()
    assert len(lost) == cancellations


async def test_who_has_ended_already_is_no_matter() -> None:
    async def breaks() -> None:
        raise ValueError

    task = asyncio.create_task(breaks())
    await asyncio.wait([task])
    async with asyncio.timeout(LIMIT_S):
        await ended([task])
        await ended([])
    assert isinstance(task.exception(), ValueError)
