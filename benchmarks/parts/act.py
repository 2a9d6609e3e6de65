"""An act: what is played on one stage. And its commonest scene: post messages, wait until all have arrived, judge."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import msgspec

from benchmarks.calls import counting
from benchmarks.cost import Meter
from benchmarks.delivery import check
from benchmarks.far_record import Arrivals, chat_id
from benchmarks.figures import Measured, latencies, longest_gap, percentile, steady_rate
from benchmarks.letters import Chat, Conversation
from benchmarks.load import Load, Request, Volley
from benchmarks.profiling import profiled
from benchmarks.stage import SETTLE_S_MAX, Shape, Stage

SILENCE_S_MAX = 30.0  # so long may nothing arrive before what is missing counts as lost


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asked for. `scale` makes everything smaller, for the tests."""

    seconds: float = 10.0
    scale: float = 1.0
    gateways: int = 1
    workers: int = 1
    connections: int = 128
    read_marks: bool = True
    receipts: bool = True
    far_latency_ms: float | None = None  # None: what an act brings, and else none
    rate_per_s: int = 0  # of the open loops; 0: an act's own
    busy: bool = False  # another process keeps one core busy
    profile: str = ""  # a folder, or empty
    environ: dict[str, str] = {}  # settings of the system under test

    def scaled(self, count: int) -> int:
        return max(1, round(count * self.scale))

    def least(self, seconds: float) -> float:
        """Of a stretch that tells nothing when it is shorter; in a world that is made smaller it may be."""
        return self.seconds if self.scale < 1 else max(self.seconds, seconds)

    def rate(self, per_s: int) -> int:
        """Of an open loop, for which an act would take `per_s`."""
        return self.rate_per_s or self.scaled(per_s)

    def shape(self, *, receipts: bool = False) -> Shape:
        return Shape(
            gateways=self.gateways,
            workers=self.workers,
            receipts=receipts,
            far_latency_ms=self.far_latency_ms or 0.0,
            environ=self.environ,
        )


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Something to play on a fresh stage, which was started without workers."""

    name: str
    play: Callable[[Stage, Plan], Awaitable[list[Measured]]]
    shape: Callable[[Plan], Shape]
    peer: bool = True  # whether the yardstick plays it too
    marks: bool = False  # whether it makes a difference that the yardstick marks messages as read
    once: bool = False  # one run of it tells all


class Show(msgspec.Struct, frozen=True, kw_only=True):
    """Something that brings its own stage, into a folder that it is given."""

    name: str
    play: Callable[[Path, Plan], Awaitable[list[Measured]]]


class Scene:
    """Messages of one cast of conversations, numbered on from scene to scene."""

    def __init__(self, stage: Stage, plan: Plan, talks: Sequence[Conversation], *, first: int = 0) -> None:
        self.stage = stage
        self.plan = plan
        self.talks = talks
        self.load: Load = stage.load(plan.connections)
        self.chats: list[Chat] = []
        self.opened = False  # from here on it counts
        self._number = first

    def numbers(self, count: int) -> range:
        """The next numbers; whole rounds of the conversations do not matter, their order does."""
        first, self._number = self._number, self._number + count
        return range(first, first + count)

    def line_of(self, number: int) -> int:
        return number % len(self.talks)

    def meet(self, arrivals: Arrivals) -> None:
        """Learn from the far side which chats the conversations have there."""
        threads = {self.line_of(number): t for number, t in zip(arrivals.numbers, arrivals.threads, strict=True)}
        places = [threads[place] for place in range(len(self.talks))]
        self.chats = [Chat(external_id=arrivals.names[place], id=chat_id(place)) for place in places]

    async def play(
        self,
        what: str,
        numbers: range,
        requests: Sequence[Request],
        *,
        rate_per_s: float | None = None,
        seconds: float = 600.0,
        window: int = 0,
    ) -> tuple[Measured, Arrivals]:
        """Post `requests`, wait until what was accepted has arrived, and judge."""
        stage = self.stage
        await stage.forget()
        servers = stage.servers
        async with (
            stage.one_core_busy() if self.plan.busy and self.opened else nullcontext(),
            counting(servers.postgres.url, servers.redis.url) as calls,
            profiled(self.plan.profile, what, stage.roots, seconds),
        ):
            meter = Meter(stage.roots)
            volley = await asyncio.to_thread(
                self.load.fire,
                requests,
                rate_per_s=rate_per_s,
                seconds=seconds,
                window=window,
                arrived=stage.count,
            )
            await stage.arrived(len(volley.accepted), SILENCE_S_MAX)
            # Receipts and read marks come after the arrivals: no part of the rate, but of what a message costs,
            # and none of them may be left for the next scene.
            await stage.settled(SETTLE_S_MAX)
            costs, called = meter.read(), await calls.read()
        arrivals = await stage.arrivals()
        measured = _measured(what, volley, numbers, arrivals, paced=rate_per_s is not None)
        delivery = check([numbers[place] for place in volley.accepted], arrivals, self.line_of)
        count = max(measured.messages, 1)
        more = measured.more | {f"{name} a message": round(n / count, 2) for name, n in called.items()}
        return msgspec.structs.replace(measured, costs=costs, delivery=delivery, more=more), arrivals


def _measured(what: str, volley: Volley, numbers: range, arrivals: Arrivals, *, paced: bool) -> Measured:
    at = dict(zip(reversed(arrivals.numbers), reversed(arrivals.times), strict=True))  # the first arrival of each
    through = [at[numbers[place]] - volley.due[place] for place in volley.accepted if numbers[place] in at]
    last = max(arrivals.times, default=volley.ended)
    took = last - volley.began
    more = {
        "accept p50 ms": told.p50 if (told := latencies(volley.latencies_s)) else 0.0,
        "accept p99 ms": told.p99 if told else 0.0,
        "steady rate/s": round(steady_rate(arrivals.times), 1),
        "longest gap s": round(longest_gap(arrivals.times), 3),
        "refused": float(len(volley.refused)),
    }
    if arrivals.late:
        more["calls that wait, most"] = float(arrivals.open_most)
        more["far side late ms, p99"] = round(percentile(sorted(arrivals.late), 0.99) * 1000, 1)
    more |= {f"calls a message: {name}": round(n / max(len(at), 1), 3) for name, n in arrivals.calls.items()}
    return Measured(
        what=what,
        messages=len(volley.accepted),
        seconds=round(took, 3),
        rate_per_s=round(len(at) / took, 1) if took > 0 else 0.0,
        # With a window full of messages a latency tells the window's size and nothing else.
        latencies_ms=latencies(through) if paced else None,
        load_us=round(volley.cost_us, 1),
        more=more,
    )
