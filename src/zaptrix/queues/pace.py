"""How fast we may call, shared by all processes: leaky buckets and method time in Redis."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from zaptrix.core import limits
from zaptrix.core.errors import TooFast
from zaptrix.core.ids import PortalId
from zaptrix.core.pace import Bucket, Operating
from zaptrix.queues.connection import AWAY, answering
from zaptrix.queues.quiet import QuietLog
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import PaceKind

US = 1_000_000
UNKNOWN_WAIT_S = 1.0
# A process that stood still would let all it had booked go at once, on top of what others have booked for that moment.
# A number's room is half a second's worth, so who comes later than half of that books anew, once.
LATE_S_MAX = 0.25
# The window of Bitrix24's method time is ten minutes; what is older says nothing.
OPERATING_KEPT_S = 660
LOCAL_BUCKETS_MAX = 10_000
QUESTIONS_PER_CALL = 100

_SCRIPT = Path(__file__).with_name("pace.lua").read_text(encoding="utf-8")
_SHA = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()  # how Redis names a script
_BIRTH = "zx:pace-birth"
_UNSURE = "?"
_log = QuietLog(__name__)


class Answer(NamedTuple):
    """What the buckets said. Booked: go after `wait_s`. Not booked: nothing was taken, ask again after `wait_s`."""

    booked: bool
    wait_s: float
    bucket: Bucket  # the one that asks for the wait


class Buckets:
    """Leaky buckets in Redis, by Redis's own clock. `wait_s_max` is the longest wait that is worth booking."""

    def __init__(self, redis: Redis, *, wait_s_max: float) -> None:
        self._redis = redis
        self._born = ""  # the birth of Redis's memory, as it was last told
        self._seen: OrderedDict[str, str] = OrderedDict()  # when the buckets used last are empty
        self._questions: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None
        self._wait_us_max = round(wait_s_max * US)

    async def ask(self, buckets: Sequence[Bucket], now_us: int | None = None) -> Answer:
        """Book one token of each, or none. Raises one of `AWAY`. `now_us` replaces Redis's clock."""
        return await self._ask(buckets, now_us, full=False)

    async def fill(self, buckets: Sequence[Bucket], now_us: int | None = None) -> None:
        """The platform has refused: whatever was counted here, the buckets are full. Raises one of `AWAY`."""
        await self._ask(buckets, now_us, full=True)

    async def _ask(self, buckets: Sequence[Bucket], now_us: int | None, *, full: bool) -> Answer:
        question = _Question(buckets, "" if now_us is None else now_us, full, _new_future())
        self._questions.append(question)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask_all())
        booked, wait_us, place, self._born, *empty_at = await question.answer
        for bucket, at in zip(buckets, empty_at, strict=True):
            self._see(bucket.key, at)
        return Answer(bool(booked), int(wait_us) / US, buckets[place - 1])

    def _see(self, key: str, empty_at: str) -> None:
        """Remembered here, so that a Redis that has forgotten is told again."""
        self._seen[key] = empty_at
        self._seen.move_to_end(key)
        if len(self._seen) > LOCAL_BUCKETS_MAX:
            self._seen.popitem(last=False)

    async def _ask_all(self) -> None:
        """Put the questions that came together to Redis together: one call of it costs as much as ten questions."""
        while self._questions:
            those, self._questions = self._questions[:QUESTIONS_PER_CALL], self._questions[QUESTIONS_PER_CALL:]
            try:
                answers = await self._put(those)
            except AWAY as exc:
                answers = [exc] * len(those)
            for question, answer in zip(those, answers, strict=True):
                if question.answer.done():
                    continue  # whoever asked has gone
                if isinstance(answer, Exception):
                    question.answer.set_exception(answer)
                else:
                    question.answer.set_result(answer)

    async def _put(self, questions: Sequence[_Question]) -> list[Any]:
        async with answering():
            answers = await self._run(questions)
            if not any(isinstance(answer, NoScriptError) for answer in answers):
                return answers
            # A Redis that has started anew has no scripts, and may have lost its last second (appendfsync everysec).
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.set(_BIRTH, _UNSURE, xx=True)
                # By running it, of no bucket: before Redis 7 a SCRIPT LOAD outlives a restart in the append-only file.
                pipe.eval(_SCRIPT, 1, _BIRTH, "0", "", self._born, "0")
                await pipe.execute()
            return await self._run(questions)

    async def _run(self, questions: Sequence[_Question]) -> list[Any]:
        # By its name alone: redis-py's own Script asks before every pipeline whether Redis has it, a round trip more.
        async with self._redis.pipeline(transaction=False) as pipe:
            for question in questions:
                keys = [_BIRTH, *(f"zx:pace:{each.key}" for each in question.buckets)]
                pipe.evalsha(_SHA, len(keys), *keys, *self._arguments(question))
            return list(await pipe.execute(raise_on_error=False))

    def _arguments(self, question: _Question) -> list[int | str]:
        arguments: list[int | str] = [self._wait_us_max, question.now_us, self._born, int(question.full)]
        for bucket in question.buckets:
            # Rounded up: we may be a millionth too slow, never too fast.
            interval_us = math.ceil(US / bucket.rate_per_s)
            arguments += [interval_us, bucket.burst, self._seen.get(bucket.key, "0"), int(bucket.full_when_lost)]
        return arguments


class _Question(NamedTuple):
    buckets: Sequence[Bucket]
    now_us: int | str
    full: bool
    answer: asyncio.Future[list[Any]]


def _new_future() -> asyncio.Future[list[Any]]:
    return asyncio.get_running_loop().create_future()


class RedisPace:
    """`core.ports.Pace`."""

    def __init__(self, redis: Redis) -> None:
        self._buckets = Buckets(redis, wait_s_max=limits.PACE_WAIT_S_MAX)

    async def take(self, *buckets: Bucket) -> None:
        """Take one token of each bucket, waiting up to `limits.PACE_WAIT_S_MAX`.

        Raises TooFast, and nothing is taken: "pace" when it would have to wait longer, "pace_unknown" without Redis.
        """
        if not buckets:
            return
        if await self._late(buckets):
            await self._late(buckets)

    async def _late(self, buckets: Sequence[Bucket]) -> bool:
        """Book, and wait for what was booked; whether that took too long."""
        try:
            async with answering():
                answer = await self._buckets.ask(buckets)
        except AWAY as exc:
            _log.warning("pace_unknown", exc)
            raise TooFast("pace_unknown", "Redis is away", wait_s=UNKNOWN_WAIT_S) from exc
        kind = PaceKind(answer.bucket.key.partition(":")[0])
        metrics.pace_waited(kind, answer.wait_s)
        if not answer.booked:
            raise TooFast("pace", f"the {kind} has no room yet", wait_s=answer.wait_s)
        if not answer.wait_s:
            return False
        due = time.monotonic() + answer.wait_s
        await asyncio.sleep(answer.wait_s)
        return time.monotonic() - due > LATE_S_MAX

    async def refused(self, *buckets: Bucket) -> None:
        """The platform has refused for its pace: all processes wait as for full buckets."""
        if not buckets:
            return
        try:
            async with answering():
                await self._buckets.fill(buckets)
        except AWAY as exc:
            _log.warning("refusal_not_told", exc)


class Throttle:
    """Limits a minute for who calls us: all at once or spread, whatever each minute's budget allows."""

    def __init__(self, redis: Redis) -> None:
        self._buckets = Buckets(redis, wait_s_max=0)
        self._local = LocalBuckets()

    async def allow(self, key: str, per_minute: int) -> float | None:
        """None: let it in. Else: seconds after which to come back. Without Redis each process counts for itself."""
        bucket = Bucket(key=f"calls:{key}", rate_per_s=per_minute / 60, burst=per_minute, full_when_lost=False)
        try:
            async with answering():
                answer = await self._buckets.ask((bucket,))
        except AWAY as exc:
            _log.warning("throttle_local", exc)
            return self._local.take(bucket, time.monotonic())
        return None if answer.booked else answer.wait_s


class LocalBuckets:
    """The same arithmetic in this process alone. Holds the buckets used last."""

    def __init__(self) -> None:
        self._empty_at: OrderedDict[str, float] = OrderedDict()

    def take(self, bucket: Bucket, now: float) -> float | None:
        """None: taken. Else: seconds after which there is room."""
        interval_s = 1 / bucket.rate_per_s
        empty_at = max(now, self._empty_at.pop(bucket.key, now))
        wait_s = empty_at - interval_s * (bucket.burst - 1) - now
        self._empty_at[bucket.key] = empty_at if wait_s > 0 else empty_at + interval_s
        if len(self._empty_at) > LOCAL_BUCKETS_MAX:
            self._empty_at.popitem(last=False)
        return wait_s if wait_s > 0 else None


class RedisMethodTime:
    """`core.ports.MethodTime`. Without Redis nothing is known, and the platform's own limit speaks."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def learn(self, portal_id: PortalId, method: str, operating: Operating) -> None:
        try:
            async with answering():
                await self._redis.set(_operating_key(portal_id, method), _encode(operating), ex=OPERATING_KEPT_S)
        except AWAY as exc:
            _log.warning("method_time_not_learned", exc)

    async def known(self, portal_id: PortalId, method: str) -> Operating | None:
        try:
            async with answering():
                kept = await self._redis.get(_operating_key(portal_id, method))
        except AWAY as exc:
            _log.warning("method_time_unknown", exc)
            return None
        return None if kept is None else msgspec.json.decode(kept, type=Operating)


def _operating_key(portal_id: PortalId, method: str) -> str:
    return f"zx:operating:{portal_id}:{method}"


def _encode(operating: Operating) -> str:
    return msgspec.json.encode(operating).decode()
