"""The entrance: so many at once, and nobody waits behind who waits for a platform."""

import asyncio

from zaptrix.bridge.entrance import Entrance

LONG_S = 3_600.0


async def visits(entrance: Entrance, count: int, inside: set[int], go: asyncio.Event) -> list[asyncio.Task[None]]:
    async def visit(number: int) -> None:
        async with entrance.through():
            inside.add(number)
            await go.wait()
        inside.discard(number)

    tasks = [asyncio.create_task(visit(number)) for number in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_so_many_are_inside_at_once_and_the_first_to_come_is_the_first_to_go_in() -> None:
    entrance, inside, go = Entrance(2, LONG_S), set[int](), asyncio.Event()
    tasks = await visits(entrance, 5, inside, go)
    assert inside == {0, 1}
    assert entrance.is_full
    go.set()
    await asyncio.gather(*tasks)
    assert not entrance.is_full


async def test_who_stays_too_long_makes_room_for_the_next_one() -> None:
    entrance, inside, go = Entrance(1, 0.001), set[int](), asyncio.Event()
    tasks = await visits(entrance, 3, inside, go)
    async with asyncio.timeout(30):
        while inside != {0, 1, 2}:
            await asyncio.sleep(0.001)
    go.set()
    await asyncio.gather(*tasks)


async def test_a_place_is_given_back_once_whoever_gives_it() -> None:
    entrance, inside, go = Entrance(2, 0.001), set[int](), asyncio.Event()
    tasks = await visits(entrance, 4, inside, go)
    async with asyncio.timeout(30):
        while len(inside) < 4:
            await asyncio.sleep(0.001)
    go.set()
    await asyncio.gather(*tasks)
    async with entrance.through(), entrance.through():
        assert entrance.is_full
