"""What the hot path has to reach, and what the newest results say of it: the report's first table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from benchmarks.cost import BESIDE
from benchmarks.delivery import Delivery
from benchmarks.figures import REFUSALS, median_of
from benchmarks.parts.act import Plan
from benchmarks.parts.lone import WITHOUT_REST
from benchmarks.parts.pace import METHOD_TIME, NUMBER, PAIRS, REQUESTS, pairs_limit
from benchmarks.yardstick import Marking, Peer

Told = Mapping[str, Any]  # a `Measured`, as it stands in a file of results
Figure = Callable[[Told], float | None]  # None: this stretch tells no such thing

_USUAL = {name: value for name, value in msgspec.to_builtins(Plan()).items() if name not in {"seconds", "connections"}}

ALL = 0.99  # of an open loop's rate: its first and last messages stand at the edge of what is counted


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `goal` is for the figure or, with `ratio`, for how many times the yardstick's it is."""

    what: str
    act: str
    stretch: str
    figure: Figure
    goal: float
    at_least: bool = False
    ratio: bool = False
    digits: int = 0

    def is_reached(self, value: float) -> bool:
        return value >= self.goal if self.at_least else value <= self.goal

    @property
    def words(self) -> str:
        goal = f"{self.goal:,g} x" if self.ratio else f"{self.goal:,g}"
        return f"{'>=' if self.at_least else '<='} {goal}"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one target has come to. Ratios are of medians over interleaved runs of one command."""

    target: Target
    value: float
    yardstick: float | None
    marking: float | None  # the yardstick that marks messages as read, too
    is_good: bool  # nothing lost, doubled or disordered, no call refused for its pace
    result: Told  # the file's, out of which it was read

    @property
    def ratio(self) -> float | None:
        return self.value / self.yardstick if self.yardstick else None

    @property
    def verdict(self) -> str:
        if not self.is_good:
            return "NOT GOOD: see lost, doubled, disordered, or refusals"
        judged = self.ratio if self.target.ratio else self.value
        if judged is None:
            return "no yardstick"
        return "reached" if self.target.is_reached(judged) else "not reached"


def rows(results: Sequence[Told], targets: Sequence[Target]) -> Iterator[Row]:
    """A row for each target that a file of results can answer, out of the newest one that can."""
    newest = sorted(results, key=lambda result: str(result["at"]), reverse=True)
    for target in targets:
        for result in newest:
            value = _median(result, target, "zaptrix")
            if value is not None:
                yield Row(
                    target=target,
                    value=value,
                    yardstick=_median(result, target, Peer.name),
                    marking=_median(result, target, Marking.name),
                    is_good=all(map(_is_good, _stretches(result, target, "zaptrix"))),
                    result=result,
                )
                break


def _median(result: Told, target: Target, system: str) -> float | None:
    found = [target.figure(measured) for measured in _stretches(result, target, system)]
    values = [value for value in found if value is not None]
    return median_of(values) if values else None


def _stretches(result: Told, target: Target, system: str) -> list[Told]:
    return [
        measured
        for run in result["runs"]
        if run["part"] == target.act and run["system"] == system and _is_plain(run.get("settings", {}))
        for measured in run["measured"]
        if measured["what"] == target.stretch
    ]


def _is_good(measured: Told) -> bool:
    found = measured.get("delivery")
    return (not found or msgspec.convert(found, Delivery).is_good) and not measured.get("more", {}).get(REFUSALS)


def _is_plain(settings: Mapping[str, Any]) -> bool:
    """Whether nothing was asked for that a target does not speak of: more workers, a busy machine, other settings."""
    return all((settings.get(name, usual) or None) == (usual or None) for name, usual in _USUAL.items())


def _rate(measured: Told) -> float:
    return float(measured["rate_per_s"])


def _more(name: str, unit: float = 1.0) -> Figure:
    def read(measured: Told) -> float | None:
        value = measured.get("more", {}).get(name)
        return None if value is None else float(value) * unit

    return read


def _latency(name: str) -> Figure:
    def read(measured: Told) -> float | None:
        told = measured.get("latencies_ms")
        return float(told[name]) if told else None

    return read


def _cpu_ms(measured: Told) -> float | None:
    """Of everything that production needs, a message."""
    costs = measured.get("costs") or {}
    if not costs or not measured["messages"]:
        return None
    cpu_s = sum(float(cost["cpu_s"]) for name, cost in costs.items() if name not in BESIDE)
    return 1e3 * cpu_s / float(measured["messages"])


_STEADY = _more("steady rate/s")
_MANY, _FEW = "inbound, 1,000 portals", "inbound, 8 portals"
_LONE = "lone, to the chat"
_RECEIPTS, _PLAIN = "outbound, with receipts", "outbound, without receipts"


def _carried(what: str, act: str, stretch: str, rate: int, p99_ms: float) -> tuple[Target, Target]:
    """All of a rate, and none much later than it must be."""
    return (
        Target(what=f"{what}: carried/s", act=act, stretch=stretch, figure=_STEADY, goal=ALL * rate, at_least=True),
        Target(what=f"{what}: p99 ms", act=act, stretch=stretch, figure=_latency("p99"), goal=p99_ms),
    )


def _slow(side: str) -> tuple[Target, ...]:
    return tuple(
        target
        for ms in (200, 1_000)
        for target in _carried(
            f"{side}, far side {ms:,} ms, at 500/s",
            f"{side}, slow platforms",
            f"at 500/s, far side {ms:,} ms",
            500,
            ms + 300,
        )
    )


def _growth(what: str, name: str, goal: float) -> tuple[Target, ...]:
    return tuple(
        Target(
            what=f"growth to 1 million conversations, {side}: {what}",
            act="growth",
            stretch=f"{side}, 1,000,000 conversations",
            figure=_more(name),
            goal=goal,
            digits=1,
        )
        for side in ("inbound", "outbound")
    )


def _ratio(what: str, act: str, stretch: str, goal: float) -> Target:
    return Target(what=what, act=act, stretch=stretch, figure=_rate, goal=goal, at_least=True, ratio=True)


def _p99(what: str, act: str, stretch: str, goal: float) -> Target:
    return Target(what=what, act=act, stretch=stretch, figure=_latency("p99"), goal=goal, digits=1)


TARGETS: tuple[Target, ...] = (
    *_slow("inbound"),
    *_slow("outbound"),
    Target(
        what="CPU ms a message at 500/s, 1,000 portals",
        act=_MANY,
        stretch="at 500/s",
        figure=_cpu_ms,
        goal=1.2,
        digits=2,
    ),
    _p99("at 500/s, 1,000 portals: p99 ms", _MANY, "at 500/s", 60),
    _p99("at 500/s, 8 portals: p99 ms", _FEW, "at 500/s", 60),
    *_carried("one core busy, at 500/s", "inbound, busy machine", "at 500/s, one core busy", 500, 1_000),
    *_carried("one core busy, at 300/s", "inbound, busy machine", "at 300/s, one core busy", 300, 1_000),
    _ratio("sustained, 1,000 portals: messages/s", _MANY, "sustained, 1000 portals", 1.5),
    _ratio("outbound with receipts: messages/s", _RECEIPTS, "sustained", 1.3),
    _ratio("outbound without receipts: messages/s", _PLAIN, "sustained", 1.3),
    _p99("outbound with receipts at 300/s: p99 ms", _RECEIPTS, "at 300/s", 60),
    _p99("outbound without receipts at 300/s: p99 ms", _PLAIN, "at 300/s", 60),
    _ratio("accept: webhooks/s", "accept", "saturation", 1.5),
    _p99("accept at 3,300/s: p99 ms", "accept", "at 3300/s", 7),
    Target(
        what="lone message: p50 ms to the chat", act=_LONE, stretch="at 20/s", figure=_latency("p50"), goal=15, digits=1
    ),
    Target(
        what="lone message: CPU ms of the worker",
        act=_LONE,
        stretch="at 20/s",
        figure=_more(f"CPU us a message: worker{WITHOUT_REST}", 1e-3),
        goal=4,
        digits=1,
    ),
    Target(
        what="lone message: Redis commands",
        act=_LONE,
        stretch="at 20/s",
        figure=_more(f"Redis commands a message{WITHOUT_REST}"),
        goal=40,
    ),
    Target(
        what="idle hour, 1,000 portals: % of a core",
        act="idle, 1,000 portals",
        stretch="at rest",
        figure=_more("% of a core"),
        goal=1,
        digits=2,
    ),
    *_growth("% slower", "slower %", 5),
    *_growth("% more CPU", "more CPU %", 10),
    *(
        Target(
            what=f"pace, {limit}: % used, no refusal",
            act="pace, 4 workers",
            stretch=limit,
            figure=_more("% used"),
            goal=98,
            at_least=True,
            digits=1,
        )
        for limit in (REQUESTS, NUMBER, pairs_limit(PAIRS), METHOD_TIME)
    ),
)
