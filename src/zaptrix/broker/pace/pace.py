"""How fast we may call, shared by all processes: leaky buckets and method time in Redis."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from zaptrix.broker.connection.cluster import script_name
from zaptrix.broker.connection.connection import AWAY, answering
from zaptrix.broker.connection.keys import PACE, Keys
from zaptrix.broker.connection.quiet import RateLimitedLog
from zaptrix.broker.pace.pace_leases import COUNTED_S, Leases
from zaptrix.core import limits
from zaptrix.core.delivery.errors import TooFast
from zaptrix.core.delivery.pace import Bucket, Operating, Spending
from zaptrix.elapsed import elapsed_s
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


async def forget_pace(redis: Redis) -> None:
    """To a Redis that knows of no call, though there were some: it takes all buckets for full. Raises RedisError."""
    await redis.set(Keys(redis).of(PACE, _BIRTH), _UNSURE)


def _script(name: str) -> str:
    parts = (Path(__file__).with_name(each).read_text(encoding="utf-8") for each in ("operating.lua", name))
    return "\n".join(parts)


_SCRIPT, _SETTLE = _script("pace.lua"), _script("settle.lua")
_SHA, _SETTLE_SHA = script_name(_SCRIPT), script_name(_SETTLE)
_COUNTED_US = round(COUNTED_S * US)
_BIRTH = "zx:pace-birth"
_UNSURE = "?"
_log = RateLimitedLog(__name__)


class PaceVerdict(NamedTuple):
    """What the buckets said. Booked: go after `wait_s`. Not booked: nothing was taken, ask again after `wait_s`."""

    booked: bool
    wait_s: float
    bucket: Bucket | None  # the one that asks for the wait; None: method time
    reserved: bool = False  # whether method time was reserved


class Buckets:
    """Leaky buckets in Redis, by Redis's own clock. `wait_s_max` is the longest wait that is worth booking.

    `clock` is this process's own, for what it has leased.
    """

    def __init__(self, redis: Redis, *, wait_s_max: float, clock: Callable[[], float] = elapsed_s) -> None:
        self._redis = redis
        self._keys = Keys(redis)
        self._birth = self._keys.of(PACE, _BIRTH)
        self._leases = Leases(clock)
        self._seen: OrderedDict[str, _Seen] = OrderedDict()  # the buckets used last
        self._questions: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None
        self._wait_us_max = round(wait_s_max * US)
        self._times: OrderedDict[str, str] = OrderedDict()  # method time, of methods that are near their limit

    async def book(
        self, buckets: Sequence[Bucket], now_us: int | None = None, *, call: Call | None = None
    ) -> PaceVerdict:
        """As `ask`, but Redis is asked only for what no lease covers, and for leases."""
        held = self._leases.spend(buckets, call.key if call else None)
        call = call if held.method else None
        if not held.spent:
            return await self._ask(buckets, now_us, call=call, leases=True)
        if not held.asked and call is None:
            return PaceVerdict(booked=True, wait_s=0.0, bucket=buckets[0])
        try:
            # What is leased is for now: of a call that has to wait, all is booked together for the moment when it goes.
            answer = await self._ask(held.asked, now_us, call=call, leases=True, patience_us=0)
        except BaseException:
            held.give_back()
            raise
        if answer.booked:
            return answer if answer.bucket else answer._replace(bucket=buckets[0])
        held.give_back()
        waits = answer.bucket is not None and answer.wait_s * US <= self._wait_us_max
        return await self.ask(buckets, now_us, call=call) if waits else answer

    async def ask(
        self, buckets: Sequence[Bucket], now_us: int | None = None, *, call: Call | None = None
    ) -> PaceVerdict:
        """Book one token of each and the method time of a call, or nothing of all. Raises one of `AWAY`.

        `now_us` replaces Redis's clock.
        """
        return await self._ask(buckets, now_us, call=call)

    async def fill(self, buckets: Sequence[Bucket], now_us: int | None = None) -> None:
        """The platform has refused: whatever was counted here, the buckets are full. Raises one of `AWAY`."""
        await self._ask(buckets, now_us, full=True)

    async def settle(self, call: Call, told: Operating | None, *, refused: bool, now_us: int | None = None) -> None:
        """What was reserved is over, and what the portal counts is believed. Raises one of `AWAY`."""
        if refused:
            self._leases.drop()
        self._leases.comes_near(call.key)
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
        self,
        buckets: Sequence[Bucket],
        now_us: int | None,
        *,
        call: Call | None = None,
        full: bool = False,
        leases: bool = False,
        patience_us: int | None = None,
    ) -> PaceVerdict:
        question = _Question(
            buckets,
            call,
            "" if now_us is None else now_us,
            full,
            [self._leases.wished(bucket) if leases else 0 for bucket in buckets],
            self._wait_us_max if patience_us is None else patience_us,
            [self._leases.returned(bucket.key) for bucket in buckets],
            _new_future(),
        )
        if full:
            self._leases.drop()
        self._questions.append(question)
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask_all())
        booked, wait_us, place, _, reserved, *_ = await question.answer
        asked = buckets[place - 1] if place and buckets else None
        return PaceVerdict(bool(booked), int(wait_us) / US, asked, bool(reserved))

    def _learn(self, question: _Question, answer: list[Any], asked_at: float) -> None:
        """What an answer tells for later, whether or not anybody waits for it still."""
        booked, _, _, birth, reserved, counted_until, *of_each = answer
        self._leases.heard(birth, asked_at)
        for bucket, empty_at, leased in zip(question.buckets, of_each[::2], of_each[1::2], strict=True):
            # By Redis's clock: what is asked for next finds room once all but the last token of a burst is free again.
            room_us = int(empty_at) - _interval_us(bucket) * (bucket.burst - 1) - (int(counted_until) - _COUNTED_US)
            self._see(bucket.key, _Seen(empty_at, asked_at + room_us / US))
            if leased:
                self._leases.add(bucket.key, leased, asked_at, counted_until)
        if question.call and booked and not reserved:
            self._leases.is_far(question.call.key, asked_at)

    def wait_s(self, key: str) -> float:
        """How many seconds whoever asks for this bucket now would wait, as far as this process knows."""
        return max(0.0, self._seen.get(key, _UNSEEN).room_at - self._leases.clock())

    def _see(self, key: str, seen: _Seen) -> None:
        """Remembered here, so that a Redis that has forgotten is told again."""
        self._seen[key] = seen
        self._seen.move_to_end(key)
        if len(self._seen) > LOCAL_BUCKETS_MAX:
            self._seen.popitem(last=False)

    async def _ask_all(self) -> None:
        """Put the questions that came together to Redis together: one call of it costs as much as ten questions."""
        while self._questions:
            # Whoever has gone meanwhile takes nothing.
            self._questions = [each for each in self._questions if each.full or not each.answer.done()]
            those, self._questions = self._questions[:QUESTIONS_PER_CALL], self._questions[QUESTIONS_PER_CALL:]
            asked_at = self._leases.clock()
            try:
                answers = await self._put(those)
            except AWAY as exc:
                answers = [exc] * len(those)
            for question, answer in zip(those, answers, strict=True):
                if not isinstance(answer, Exception):
                    self._learn(question, answer, asked_at)
                if question.answer.done():
                    continue  # whoever asked has gone
                if isinstance(answer, Exception):
                    question.answer.set_exception(answer)
                else:
                    question.answer.set_result(answer)

    async def _put(self, questions: Sequence[_Question]) -> list[Any]:
        commands = self._commands(questions)
        async with answering():
            answers = await self._run(commands)
            if not any(isinstance(answer, NoScriptError) for answer in answers):
                return answers
            # A Redis that has started anew has no scripts, and may have lost its last second (appendfsync everysec).
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.set(self._birth, _UNSURE, xx=True)
                # By running it, of no bucket: before Redis 7 a SCRIPT LOAD outlives a restart in the append-only file.
                pipe.execute_command("EVAL", _SCRIPT, 1, self._birth, "0", "", self._leases.birth, "0", "0", "0", "0")
                await pipe.execute()
            return await self._run(commands)

    def _commands(self, questions: Sequence[_Question]) -> list[list[str | int | float]]:
        """The script's arguments. Of the questions about one bucket, one is for a lease."""
        commands: list[list[str | int | float]] = []
        led: set[str] = set()
        for question in questions:
            names = [bucket.key for bucket in question.buckets]
            keys = [self._birth, *self._of_pace("zx:pace:", names), *self._of_pace("zx:lease:", names)]
            if question.call is not None:
                keys += self._of_call(question.call)
            wishes = [0 if name in led else wish for name, wish in zip(names, question.wishes, strict=True)]
            led.update(names)
            commands.append([len(keys), *keys, *self._arguments(question, wishes)])
        return commands

    async def _run(self, commands: Sequence[Sequence[str | int | float]]) -> list[Any]:
        # A bare command, as a cluster's pipeline refuses `evalsha`; and the script by its name alone, as redis-py's own
        # asks before every pipeline whether Redis has it, a round trip more.
        async with self._redis.pipeline(transaction=False) as pipe:
            for command in commands:
                pipe.execute_command("EVALSHA", _SHA, *command)
            return list(await pipe.execute(raise_on_error=False))

    def _of_pace(self, prefix: str, names: Sequence[str]) -> list[str]:
        return [self._keys.of(PACE, f"{prefix}{name}") for name in names]

    def _of_call(self, call: Call) -> list[str]:
        return [self._keys.of(PACE, name) for name in call.keys]

    def _arguments(self, question: _Question, wishes: Sequence[int]) -> list[str | int | float]:
        arguments: list[str | int | float] = [self._wait_us_max, question.now_us, self._leases.birth]
        arguments += [int(question.full), question.patience_us, _COUNTED_US, len(question.buckets)]
        for bucket, wish, returned in zip(question.buckets, wishes, question.returned, strict=True):
            seen = self._seen.get(bucket.key, _UNSEEN).empty_at
            arguments += [_interval_us(bucket), bucket.burst, seen, int(bucket.full_when_lost)]
            arguments += [wish, returned]
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
    wishes: Sequence[int]
    patience_us: int
    returned: Sequence[str]
    answer: asyncio.Future[list[Any]]


class _Seen(NamedTuple):
    """Of a bucket, when it is empty by Redis's clock, and when it has room by this process's."""

    empty_at: str
    room_at: float


_UNSEEN = _Seen("0", -math.inf)


def _interval_us(bucket: Bucket) -> int:
    """Rounded up: we may be a millionth too slow, never too fast."""
    return math.ceil(US / bucket.rate_per_s)


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

    async def _wait(self, buckets: Sequence[Bucket], call: Call | None) -> tuple[PaceVerdict, bool]:
        """Book, and wait for what was booked; whether that took too long."""
        try:
            async with answering():
                answer = await self._buckets.book(buckets, call=call)
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
        due = elapsed_s() + answer.wait_s
        await asyncio.sleep(answer.wait_s)
        return answer, elapsed_s() - due > LATE_S_MAX

    def wait_s(self, key: str) -> float:
        """How many seconds whoever asks for this bucket now would wait, as far as this process knows."""
        return self._buckets.wait_s(key)

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
