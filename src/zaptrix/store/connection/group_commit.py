"""Group commit: all who wait share one transaction, so that an fsync is paid once a group and not once a caller."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupCommit(Generic[Item, Result]):
    """Hands the items of many callers to `flush` together and gives each caller its own results.

    While one group is being committed, the next gathers. With `gather_s` the first one of a quiet moment gathers for so
    long, too; 0 is for those who come in the same turn of the loop. With `pause_s` the first one of a quiet moment goes
    at once, but a group is not begun sooner than that after the last one ended, unless `enough` callers wait: at a rate
    at which each would have a commit of its own they share one. `flush` returns one result an item, in order; what it
    raises reaches every caller of that group.

    `everybodys` are errors that mean that the next group would fare no better: they reach those who wait behind it,
    too, instead of each group waiting its time out one after the other.
    """

    def __init__(
        self,
        flush: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        *,
        items_max: int,
        groups_at_once: int,
        gather_s: float | None = None,
        pause_s: float = 0.0,
        enough: int = 1,
        everybodys: tuple[type[BaseException], ...] = (),
    ) -> None:
        self._flush = flush
        self._items_max = items_max
        self._groups_at_once = groups_at_once
        self._gather_s = gather_s
        self._pause_s = pause_s
        self._enough = enough
        self._ended = -math.inf
        self._everybodys = everybodys
        self._gathering: asyncio.TimerHandle | None = None
        self._waiting: list[tuple[Sequence[Item], asyncio.Future[Sequence[Result]]]] = []
        self._groups: set[asyncio.Task[Sequence[Result]]] = set()

    async def add(self, items: Sequence[Item]) -> Sequence[Result]:
        """The results of `items`, after their group was committed."""
        if not items:
            return []
        future: asyncio.Future[Sequence[Result]] = asyncio.get_running_loop().create_future()
        self._waiting.append((items, future))
        if self._gather_s is None:
            self._begin()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(self._gather_s, self._start)
        return await future

    def _begin(self) -> None:
        """The next group, now or when its pause is over."""
        if not self._waiting or len(self._groups) >= self._groups_at_once:
            return
        loop = asyncio.get_running_loop()
        rest_s = self._ended + self._pause_s - loop.time()
        if rest_s <= 0 or len(self._waiting) >= self._enough:
            self._start()
        elif self._gathering is None:
            self._gathering = loop.call_later(rest_s, self._start)

    def _start(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        while self._waiting and len(self._groups) < self._groups_at_once:
            group = self._gather()
            task = asyncio.create_task(self._commit([item for items, _ in group for item in items]))  # noqa: RUF006  # kept below
            self._groups.add(task)
            task.add_done_callback(partial(self._settle, group))

    async def _commit(self, items: list[Item]) -> Sequence[Result]:
        return await self._flush(items)

    def _gather(self) -> list[tuple[Sequence[Item], asyncio.Future[Sequence[Result]]]]:
        count = taken = 0
        for items, _ in self._waiting:
            if taken and count + len(items) > self._items_max:
                break
            count += len(items)
            taken += 1
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group

    def _settle(
        self,
        group: list[tuple[Sequence[Item], asyncio.Future[Sequence[Result]]]],
        done: asyncio.Task[Sequence[Result]],
    ) -> None:
        self._groups.discard(done)
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if isinstance(error, self._everybodys):
            group, self._waiting = [*group, *self._waiting], []
        start = 0
        for items, future in group:
            if not future.done():
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(done.result()[start : start + len(items)])
            start += len(items)
        self._ended = asyncio.get_running_loop().time()
        self._begin()
