"""How fast we may call, shared by all processes: leaky buckets and method time in Redis."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from zaptrix.core import limits
from zaptrix.core.errors import TooFast
from zaptrix.core.pace import Bucket, Operating, Spending
from zaptrix.queues.cluster import script_name
from zaptrix.queues.connection import AWAY, answering
from zaptrix.queues.keys import PACE, Keys
from zaptrix.queues.quiet import QuietLog
from zaptrix.telemetry import metrics
from zaptrix.telemetry.causes import PaceRefusal
from zaptrix.telemetry.metrics import PaceKind

US = 1_000_000
UNKNOWN_WAIT_S = 1.0
# A process that stood still would let all it had booked go at once, on top of what others have booked for that moment.
# A number's room is half a second's worth, so who comes later than half of that books anew, once.
LATE_S_MAX = 0.25
LOCAL_BUCKETS_MAX = 10_000
QUESTIONS_PER_CALL = 100


def _script(name: str) -> str:
    parts = (Path(__file__).with_name(each).read_text(encoding="utf-8") for each in ("operating.lua", name))
    return "\n".join(parts)


_SCRIPT, _SETTLE = _script("pace.lua"), _script("settle.lua")
_SHA, _SETTLE_SHA = script_name(_SCRIPT), script_name(_SETTLE)
_UNSURE = "?"
_log = QuietLog(__name__)


class Answer(NamedTuple):
    """What the buckets said. Booked: go after `wait_s`. Not booked: nothing was taken, ask again after `wait_s`."""

    booked: bool
    wait_s: float
    bucket: Bucket | None  # the one that asks for the wait; None: method time
    reserved: bool = False  # whether method time was reserved


class Buckets:
    """Leaky buckets in Redis, by Redis's own clock. `wait_s_max` is the longest wait that is worth booking."""

    def __init__(self, redis: Redis, *, wait_s_max: float) -> None:
        self._redis = redis
        self._keys = Keys(redis)
        self._birth = self._keys.of(PACE, "zx:pace-birth")
        self._born = ""  # the birth of Redis's memory, as it was last told
        self._seen: OrderedDict[str, str] = OrderedDict()  # when the buckets used last are empty
        self._questions: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None
        self._wait_us_max = round(wait_s_max * US)
        self._times: OrderedDict[str, str] = OrderedDict()  # method time, of methods that are near their limit

    async def ask(self, buckets: Sequence[Bucket], now_us: int | None = None, *, call: Call | None = None) -> Answer:
        """Book one token of each and the method time of a call, or nothing of all. Raises one of `AWAY`.

        `now_us` replaces Redis's clock.
        """
        return await self._ask(buckets, now_us, call=call)

    async def fill(self, buckets: Sequence[Bucket], now_us: int | None = None) -> None:
        """The platform has refused: whatever was counted here, the buckets are full. Raises one of `AWAY`."""
        await self._ask(buckets, now_us, full=True)

    async def settle(self, call: Call, told: Operating | None, *, refused: bool, now_us: int | None = None) -> None:
        """What was reserved is over, and what the portal counts is believed. Raises one of `AWAY`."""
        arguments: list[str | int | float] = [
            "" if now_us is None else now_us,
            call.name,
            max(1, call.spending.items),
            "" if told is None else told.used_s,
            "" if told is None else told.at,
            "" if told is None or not told.reset_at else math.floor(told.reset_at / 60) - 10,
            int(refused),
            limits.OPERATING_S_MAX,
            limits.OPERATING_S_WATCHED,
            self._times.get(call.key, ""),
        ]
        try:
            kept = await self._redis.evalsha(_SETTLE_SHA, 2, *self._of_call(call), *arguments)
        except NoScriptError:
            kept = await self._redis.eval(_SETTLE, 2, *self._of_call(call), *arguments)
        self._times.pop(call.key, None)
        if kept:
            self._times[call.key] = kept
            if len(self._times) > LOCAL_BUCKETS_MAX:
                self._times.popitem(last=False)

    async def _ask(
        self, buckets: Sequence[Bucket], now_us: int | None, *, call: Call | None = None, full: bool = False
    ) -> Answer:
        question = _Question(buckets, call, "" if now_us is None else now_us, full, _new_future())
        self._questions.append(question)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask_all())
        booked, wait_us, place, self._born, reserved, *empty_at = await question.answer
        for bucket, at in zip(buckets, empty_at, strict=True):
            self._see(bucket.key, at)
        return Answer(bool(booked), int(wait_us) / US, buckets[place - 1] if place else None, bool(reserved))

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
                pipe.set(self._birth, _UNSURE, xx=True)
                # By running it, of no bucket: before Redis 7 a SCRIPT LOAD outlives a restart in the append-only file.
                pipe.execute_command("EVAL", _SCRIPT, 1, self._birth, "0", "", self._born, "0", "0")
                await pipe.execute()
            return await self._run(questions)

    async def _run(self, questions: Sequence[_Question]) -> list[Any]:
        # A bare command, as a cluster's pipeline refuses `evalsha`; and the script by its name alone, as redis-py's own
        # asks before every pipeline whether Redis has it, a round trip more.
        async with self._redis.pipeline(transaction=False) as pipe:
            for question in questions:
                keys = [self._birth, *(self._keys.of(PACE, f"zx:pace:{each.key}") for each in question.buckets)]
                if question.call is not None:
                    keys += self._of_call(question.call)
                pipe.execute_command("EVALSHA", _SHA, len(keys), *keys, *self._arguments(question))
            return list(await pipe.execute(raise_on_error=False))

    def _of_call(self, call: Call) -> list[str]:
        return [self._keys.of(PACE, name) for name in call.keys]

    def _arguments(self, question: _Question) -> list[int | str | float]:
        arguments: list[int | str | float] = [self._wait_us_max, question.now_us, self._born, int(question.full)]
        arguments.append(len(question.buckets))
        for bucket in question.buckets:
            # Rounded up: we may be a millionth too slow, never too fast.
            interval_us = math.ceil(US / bucket.rate_per_s)
            arguments += [interval_us, bucket.burst, self._seen.get(bucket.key, "0"), int(bucket.full_when_lost)]
        if (call := question.call) is not None:
            arguments += [call.name, max(1, call.spending.items), limits.OPERATING_S_MAX, self._times.get(call.key, "")]
        return arguments


class Call(NamedTuple):
    """A call that spends method time; `name` tells it from all others."""

    name: str
    spending: Spending

    @property
    def key(self) -> str:
        return f"zx:operating:{self.spending.portal_id}:{self.spending.method}"

    @property
    def keys(self) -> tuple[str, str]:
        """The method's time, and the portal's limit, when it is lower than that of most."""
        return self.key, f"zx:operating-limit:{self.spending.portal_id}"


class _Question(NamedTuple):
    buckets: Sequence[Bucket]
    call: Call | None
    now_us: int | str
    full: bool
    answer: asyncio.Future[list[Any]]


def _new_future() -> asyncio.Future[list[Any]]:
    return asyncio.get_running_loop().create_future()


class RedisPace:
    """`core.ports.PortalPace`."""

    def __init__(self, redis: Redis) -> None:
        self._buckets = Buckets(redis, wait_s_max=limits.PACE_WAIT_S_MAX)
        self._process = secrets.token_hex(4)
        self._calls = 0

    async def take(self, *buckets: Bucket, spending: Spending | None = None) -> str:
        """Take one token of each bucket, waiting up to `limits.PACE_WAIT_S_MAX`, and reserve what is to be spent.

        Raises TooFast, and nothing is taken: "pace" when it would have to wait longer, which is one conversation's own
        affair when it is its pair that has no room; "operating" when the method's time is used up, "pace_unknown"
        without Redis.
        """
        if not buckets:
            return ""
        self._calls += 1
        call = None if spending is None else Call(f"{self._process}.{self._calls}", spending)
        answer, late = await self._wait(buckets, call)
        if late:
            answer, _ = await self._wait(buckets, call)
        return call.name if call is not None and answer.reserved else ""

    async def _wait(self, buckets: Sequence[Bucket], call: Call | None) -> tuple[Answer, bool]:
        """Book, and wait for what was booked; whether that took too long."""
        try:
            async with answering():
                answer = await self._buckets.ask(buckets, call=call)
        except AWAY as exc:
            _log.warning("pace_unknown", exc)
            raise TooFast("pace_unknown", "Redis is away", wait_s=UNKNOWN_WAIT_S) from exc
        if answer.bucket is None:
            raise TooFast("operating", "the method's time is used up", wait_s=answer.wait_s)
        kind = PaceKind(answer.bucket.key.partition(":")[0])
        metrics.pace_waited(kind, answer.wait_s)
        if not answer.booked:
            alone = kind is PaceKind.PAIR
            raise TooFast("pace", f"the {kind} has no room yet", wait_s=answer.wait_s, one_conversation=alone)
        if not answer.wait_s:
            return answer, False
        due = time.monotonic() + answer.wait_s
        await asyncio.sleep(answer.wait_s)
        return answer, time.monotonic() - due > LATE_S_MAX

    async def settle(self, spending: Spending, reserved: str, told: Operating | None, *, refused: bool) -> None:
        """The portal has answered. A method that is far from its limit, as most are, costs no call here."""
        if refused:
            metrics.pace_refused(PaceRefusal.METHOD)
        if not reserved and not refused and (told is None or told.used_s < limits.OPERATING_S_WATCHED):
            return
        try:
            async with answering():
                await self._buckets.settle(Call(reserved or "-", spending), told, refused=refused)
        except AWAY as exc:
            _log.warning("method_time_not_settled", exc)

    async def refused(self, *buckets: Bucket) -> None:
        """The platform has refused for its pace: all processes wait as for full buckets."""
        if not buckets:
            return
        for bucket in buckets:
            metrics.pace_refused(PaceRefusal(bucket.key.partition(":")[0]))
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
        self._refused: OrderedDict[str, float] = OrderedDict()  # until when, by this process's monotonic clock

    def refused_for(self, key: str) -> float | None:
        """Seconds for which `key` was told to stay away; None when it was not, as far as this process knows.

        For before the work is done: asking takes nothing and nobody's time.
        """
        wait_s = self._refused.get(key, 0.0) - time.monotonic()
        return wait_s if wait_s > 0 else None

    async def allow(self, key: str, per_minute: int) -> float | None:
        """None: let it in. Else: seconds after which to come back. Without Redis each process counts for itself."""
        wait_s = await self._allow(key, per_minute)
        if wait_s is not None:
            self._refused[key] = time.monotonic() + wait_s
            self._refused.move_to_end(key)
            if len(self._refused) > LOCAL_BUCKETS_MAX:
                self._refused.popitem(last=False)
        return wait_s

    async def _allow(self, key: str, per_minute: int) -> float | None:
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
