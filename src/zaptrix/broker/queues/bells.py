"""Bells: BullMQ jobs that say "drain this lane", and nothing more.

A lane has at most one bell waiting and one being answered; a bell rung meanwhile rings again when that one ends. A bell
that Redis does not take is counted and forgotten: the sweep finds what waits in PostgreSQL and rings again.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bullmq import Job
from bullmq import Queue as BullQueue
from bullmq.redis_connection import SCRIPT_DEFINITIONS, loadScript
from redis.asyncio import Redis

from zaptrix.broker.connection.connection import ANSWER_S_MAX, AWAY, answering
from zaptrix.broker.connection.keys import Keys
from zaptrix.broker.connection.quiet import RateLimitedLog
from zaptrix.core.delivery.lanes import Lane, Queue
from zaptrix.telemetry import metrics

DRAIN = "drain"
LATER = "later"

RING_S_MAX = ANSWER_S_MAX
BELLS_PER_CALL = 100  # Redis does nothing else meanwhile: about 2 ms when every lane needs one
# Bells rung by a webhook join for so long, or each commit would cost a call (about 100 us of this process).
GATHER_S = 0.02
SOON_MAX = 10_000
FAILED_KEPT = 100

# A delayed bell gives way to an earlier one only. KEYS: the later bell's deduplication key, the delayed set.
# ARGV: the new time in ms. BullMQ keeps the time in the score, times 4096 (the rest is a sequence number).
_IS_EARLIEST = """
local job = redis.call('GET', KEYS[1])
local score = job and redis.call('ZSCORE', KEYS[2], job)
if score and math.floor(score / 4096) <= tonumber(ARGV[1]) then return 0 end
return 1
"""

# BullMQ's own script adds the job, as a function of ours. Measured: a bell by BullMQ's addBulk costs a gateway 107 us
# and Redis 27 us; by this script about 2 and 4. Under load most lanes have a bell that waits, and need none.
_ADD = "addStandardJob"
_ADD_KEYS = ("wait", "paused", "meta", "id", "completed", "delayed", "active", "events", "marker")
_RING = "local function add(KEYS, ARGV)\n{add}\nend\n{ring}".format(
    add=loadScript(SCRIPT_DEFINITIONS[_ADD]), ring=Path(__file__).with_name("ring.lua").read_text(encoding="utf-8")
)

_log = RateLimitedLog(__name__)


class Bells:
    """Rings lanes. Never raises because Redis is away, and never waits for it longer than half a second."""

    def __init__(self, redis: Redis, now: Callable[[], datetime] | None = None) -> None:
        self._now = now or _wall_clock
        # The client stays its owner's: BullMQ's close() would close it.
        keys = Keys(redis)
        self._queues = {
            queue: BullQueue(queue.value, {"connection": redis, "prefix": keys.bull(queue)}) for queue in Queue
        }
        self._add = redis.register_script(_RING)
        self._add_keys = {queue: bull.scripts.getKeys(_ADD_KEYS) for queue, bull in self._queues.items()}
        self._example = {queue: _example(bull) for queue, bull in self._queues.items()}
        self._is_earliest = redis.register_script(_IS_EARLIEST)
        self._soon: set[Lane] = set()
        self._ringer: asyncio.Task[None] | None = None

    def queue(self, queue: Queue) -> Any:
        """BullMQ's own object, for who reads its counts."""
        return self._queues[queue]

    async def ring(self, lanes: Iterable[Lane]) -> None:
        """Ring every lane once, after the commit that gave it work."""
        names: defaultdict[Queue, list[str]] = defaultdict(list)
        for lane in dict.fromkeys(lanes):
            names[lane.queue].append(lane.name)
        await asyncio.gather(*(self._ring_queue(queue, those) for queue, those in names.items()))

    def ring_soon(self, lanes: Iterable[Lane]) -> None:
        """Ring from a path that may not wait, as a webhook's. Returns at once; lanes rung before then are joined."""
        for lane in lanes:
            if len(self._soon) < SOON_MAX:
                self._soon.add(lane)
            else:
                metrics.bells_unrung(lane.queue)
        if self._soon and (self._ringer is None or self._ringer.done()):
            self._ringer = asyncio.get_running_loop().create_task(self._ring_waiting())

    async def later(self, lane: Lane, at: datetime) -> None:
        """Ring a lane at `at`. Of several times for one lane the earliest counts."""
        delay_ms = math.ceil((at - self._now()).total_seconds() * 1000)
        if delay_ms <= 0:
            await self.ring([lane])
            return
        try:
            async with answering(RING_S_MAX):
                await self._add_later(lane, _now_ms(), delay_ms)
        except AWAY as exc:
            self._unrung(lane.queue, 1, exc)

    async def close(self) -> None:
        """Let what `ring_soon` was given ring out, for as long as one call may take."""
        if self._ringer is None or self._ringer.done():
            return
        await asyncio.wait({self._ringer}, timeout=2 * RING_S_MAX)
        self._ringer.cancel()
        await asyncio.wait({self._ringer})

    async def _ring_waiting(self) -> None:
        while self._soon:
            lanes, self._soon = self._soon, set()
            await self.ring(lanes)
            await asyncio.sleep(GATHER_S)

    async def _ring_queue(self, queue: Queue, names: list[str]) -> None:
        rung = 0
        try:
            for some in (names[at : at + BELLS_PER_CALL] for at in range(0, len(names), BELLS_PER_CALL)):
                async with answering(RING_S_MAX):
                    await self._add(keys=self._add_keys[queue], args=[_now_ms(), *self._example[queue], *some])
                rung += len(some)
        except AWAY as exc:
            self._unrung(queue, len(names) - rung, exc)

    async def _add_later(self, lane: Lane, now_ms: int, delay_ms: int) -> None:
        # Its own id: under the lane's, a delayed bell would swallow every immediate one until it is due.
        bell = f"{lane.name}@later"
        queue = self._queues[lane.queue]
        if not await self._is_earliest(
            keys=[queue.toKey(f"de:{bell}"), queue.toKey("delayed")], args=[now_ms + delay_ms]
        ):
            return
        options = _options(bell)
        options["deduplication"]["replace"] = True
        await queue.add(LATER, {"lane": lane.name}, {**options, "delay": delay_ms, "timestamp": now_ms})

    def _unrung(self, queue: Queue, count: int, error: BaseException) -> None:
        metrics.bells_unrung(queue, count)
        _log.warning("bells_unrung", error, queue=queue.value, count=count)


def _options(bell: str) -> dict[str, Any]:
    return {
        "deduplication": {"id": bell, "keepLastIfActive": True},
        "removeOnComplete": True,
        "removeOnFail": {"count": FAILED_KEPT},
    }


def _example(queue: BullQueue) -> list[Any]:
    """What BullMQ would give its script for a bell of no lane, and how much that is."""
    arguments = queue.scripts.addJobArgs(Job(queue, DRAIN, {"lane": ""}, _options("")))
    return [len(arguments), *arguments]


def _wall_clock() -> datetime:
    return datetime.now(UTC)


def _now_ms() -> int:
    return round(time.time() * 1000)
