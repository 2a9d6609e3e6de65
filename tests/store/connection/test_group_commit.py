"""Group commit: many callers, one commit, and each gets its own."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zaptrix.store.connection.group_commit import GroupCommit

Flush = Callable[[list[int]], Awaitable[Sequence[int]]]


class Flusher:
    """Takes groups only when it is let; remembers them."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.may_go = asyncio.Event()
        self.fails: Exception | None = None

    async def flush(self, items: list[int]) -> Sequence[int]:
        self.groups.append(items)
        await self.may_go.wait()
        if self.fails:
            raise self.fails
        return [item * 10 for item in items]


def a_group(flush: Flush, *, items_max: int = 100, groups_at_once: int = 1) -> GroupCommit[int, int]:
    return GroupCommit(flush, items_max=items_max, groups_at_once=groups_at_once)


async def start(*calls: Awaitable[Sequence[int]]) -> list[asyncio.Future[Sequence[int]]]:
    tasks: list[asyncio.Future[Sequence[int]]] = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_who_comes_while_a_group_is_committed_goes_into_the_next_one_together() -> None:
    flusher = Flusher()
    group = a_group(flusher.flush)
    tasks = await start(group.add([1]), group.add([2, 3]), group.add([4]))
    flusher.may_go.set()
    assert await asyncio.gather(*tasks) == [[10], [20, 30], [40]]
    assert flusher.groups == [[1], [2, 3, 4]]


async def test_who_comes_in_the_same_turn_of_the_loop_may_go_together_from_the_first() -> None:
    flusher = Flusher()
    flusher.may_go.set()
    group: GroupCommit[int, int] = GroupCommit(flusher.flush, items_max=100, groups_at_once=2, gather_s=0.0)
    assert list(await asyncio.gather(group.add([1]), group.add([2, 3]))) == [[10], [20, 30]]
    assert await group.add([4]) == [40]
    assert flusher.groups == [[1, 2, 3], [4]]


async def test_after_a_quiet_moment_at_once_and_after_a_group_those_who_come_in_its_pause_go_together() -> None:
    flusher = Flusher()
    flusher.may_go.set()
    group: GroupCommit[int, int] = GroupCommit(flusher.flush, items_max=100, groups_at_once=1, pause_s=0.2, enough=9)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await group.add([1]) == [10]
    assert loop.time() - began < 0.2  # nobody to wait for
    tasks = await start(*(group.add([number]) for number in (2, 3, 4)))
    assert await asyncio.gather(*tasks) == [[20], [30], [40]]
    assert flusher.groups == [[1], [2, 3, 4]]
    assert loop.time() - began >= 0.2


async def test_enough_callers_wait_for_nobody_else() -> None:
    flusher = Flusher()
    flusher.may_go.set()
    group: GroupCommit[int, int] = GroupCommit(flusher.flush, items_max=100, groups_at_once=1, pause_s=600, enough=3)
    async with asyncio.timeout(60):
        await group.add([1])
        assert len(await asyncio.gather(*(group.add([number]) for number in range(2, 8)))) == 6
    assert flusher.groups == [[1], [2, 3, 4], [5, 6, 7]]


async def test_who_came_while_a_group_was_committed_waits_out_the_pause_after_it() -> None:
    """Or those who are enough: whether they are is asked again when a group ends."""
    flusher = Flusher()
    group: GroupCommit[int, int] = GroupCommit(flusher.flush, items_max=100, groups_at_once=1, pause_s=0.1, enough=3)
    tasks = await start(*(group.add([number]) for number in range(4)))
    flusher.may_go.set()
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks)
        assert flusher.groups == [[0], [1, 2, 3]]
        loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        assert list(await asyncio.gather(group.add([5]), group.add([6]))) == [[50], [60]]
    assert loop.time() - began >= 0.05
    assert flusher.groups[2:] == [[5, 6]]


@given(st.lists(st.lists(st.integers(0, 99), max_size=7), max_size=30), st.integers(1, 10), st.integers(1, 3))
def test_every_caller_gets_its_own_results_in_its_own_order(
    calls: list[list[int]], items_max: int, groups_at_once: int
) -> None:
    async def act() -> list[Sequence[int]]:
        flusher = Flusher()
        flusher.may_go.set()
        group = a_group(flusher.flush, items_max=items_max, groups_at_once=groups_at_once)
        results = await asyncio.gather(*map(group.add, calls))
        for each in flusher.groups:
            assert len(each) <= max(items_max, *(len(call) for call in calls))
        return results

    assert [list(each) for each in asyncio.run(act())] == [[item * 10 for item in call] for call in calls]


async def test_a_failure_reaches_every_caller_of_its_group_and_nobody_else() -> None:
    flusher = Flusher()
    group = a_group(flusher.flush)
    tasks = await start(group.add([1]), group.add([2]), group.add([3]))
    flusher.fails = OSError("away")
    flusher.may_go.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [OSError] * 3
    flusher.fails = None
    assert await group.add([4]) == [40]


async def test_a_caller_that_gives_up_harms_nobody() -> None:
    flusher = Flusher()
    group = a_group(flusher.flush)
    first, gone, last = await start(group.add([1]), group.add([2]), group.add([3]))
    gone.cancel()
    flusher.may_go.set()
    assert await first == [10]
    assert await last == [30]
    with pytest.raises(asyncio.CancelledError):
        await gone
    # What it had handed in was committed with the others: the caller left, the promise to the rest did not.
    assert flusher.groups == [[1], [2, 3]]


async def test_a_caller_that_gives_up_while_its_group_is_committed_harms_nobody() -> None:
    flusher = Flusher()
    group = a_group(flusher.flush)
    gone, next_one = await start(group.add([1]), group.add([2]))
    gone.cancel()
    flusher.may_go.set()
    assert await next_one == [20]


async def test_nothing_to_add_commits_nothing() -> None:
    flusher = Flusher()
    assert await a_group(flusher.flush).add([]) == []
    assert flusher.groups == []


async def test_no_more_groups_than_allowed_are_under_way_at_once() -> None:
    flusher = Flusher()
    group = a_group(flusher.flush, items_max=1, groups_at_once=2)
    tasks = await start(*(group.add([number]) for number in range(5)))
    assert flusher.groups == [[0], [1]]
    flusher.may_go.set()
    await asyncio.gather(*tasks)
    assert flusher.groups == [[0], [1], [2], [3], [4]]
