"""The six panels' queries, asked of a real Prometheus, return the numbers of a known load.

A stage of the benchmarks is loaded at a steady rate, and scraped on the shipped configuration, as often as that says.
PostgreSQL waits a tenth of a second before each commit, as on a slow disk, so that latencies are long beside what
the generator itself adds. The far side refuses half of what operators write, so that there is something to see.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from benchmarks.figures import percentile
from benchmarks.letters import conversations, customers_write, operators_write
from benchmarks.load import Request, Volley
from benchmarks.parts.act import Plan, Scene
from benchmarks.stage import SETTLE_S_MAX, Shape, Zaptrix
from benchmarks.tenants import Terms
from observe.dashboard import THE_SIX
from observe.local import Targets
from observe.servers import LOCAL, answers, prometheus
from proof.ports import free_port

BACKLOG = 400
RATE_PER_S = 40.0
SECONDS = 200
WINDOW_S = 120
SCRAPES_S = 35.0  # two of them, and a moment
REFUSE_EVERY = 5
QUANTILES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One series of a panel: what the load did, and what the panel's query says."""

    panel: str
    series: str
    load: float
    told: float

    @property
    def off(self) -> float:
        """By which part it is wrong."""
        return abs(self.told - self.load) / self.load if self.load else abs(self.told)


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A panel's series over the time of the load: points of seconds and values."""

    title: str
    unit: str
    series: dict[str, list[tuple[float, float]]]


async def check() -> tuple[list[Compared], list[Picture]]:
    """Play the load, and ask. Takes five minutes."""
    with tempfile.TemporaryDirectory(prefix="zaptrix-observe-") as name:
        folder = Path(name)
        stage = Zaptrix(folder / "stage", Shape(refuse_every=REFUSE_EVERY))
        port = free_port()
        try:
            await stage.start()
            await _slow_commits(stage)
            targets = Targets(gateways=(f"{LOCAL}:{stage.port}",), prometheus=f"{LOCAL}:{port}")
            scraper = prometheus(folder, targets, port)
            scraper.start()
            try:
                return await _played(stage, Asked(port))
            finally:
                await asyncio.to_thread(scraper.stop)
        finally:
            await stage.stop()


async def _slow_commits(stage: Zaptrix) -> None:
    connection = await stage.database()
    try:
        await connection.execute("ALTER SYSTEM SET commit_delay = 100000")
        await connection.execute("ALTER SYSTEM SET commit_siblings = 0")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


class Asked:
    """The panels' queries, as Grafana asks them."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def ready(self) -> None:
        while not await asyncio.to_thread(answers, self._port, "/-/ready"):
            await asyncio.sleep(0.1)

    async def now(self, panel: int, at: float) -> dict[str, float]:
        """Each series of a panel by its legend, over the window that ends then."""
        found: dict[str, float] = {}
        for query in THE_SIX[panel].queries:
            told = await self._get("query", query=_filled_in(query.expr, f"{WINDOW_S}s"), time=at)
            found |= {_legend(query.legend, each["metric"]): float(each["value"][1]) for each in told}
        return found

    async def over(self, panel: int, begin: float, end: float) -> Picture:
        """The panel as it is drawn."""
        series: dict[str, list[tuple[float, float]]] = {}
        for query in THE_SIX[panel].queries:
            expr = _filled_in(query.expr, "60s")
            for each in await self._get("query_range", query=expr, start=begin, end=end, step=5):
                points = [(at - begin, float(value)) for at, value in each["values"] if value != "NaN"]
                series[_legend(query.legend, each["metric"])] = points
        return Picture(title=THE_SIX[panel].title, unit=THE_SIX[panel].unit, series=series)

    async def _get(self, what: str, **query: object) -> list[dict[str, Any]]:
        asked = urllib.parse.urlencode({name: str(value) for name, value in query.items()})
        address = f"http://{LOCAL}:{self._port}/api/v1/{what}?{asked}"
        async with aiohttp.ClientSession() as session, session.get(address) as answer:
            told = json.loads(await answer.read())
        assert told["status"] == "success", told
        found: list[dict[str, Any]] = told["data"]["result"]
        return found


def _filled_in(expr: str, window: str) -> str:
    return expr.replace("$__rate_interval", window).replace("$route", "/webhooks/.+")


def _legend(template: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        template = template.replace(f"{{{{{name}}}}}", value)
    return template


async def _played(stage: Zaptrix, asked: Asked) -> tuple[list[Compared], list[Picture]]:
    await asked.ready()
    them = await stage.settle_in(Terms(portals=8, portal_rate_per_s=10_000, number_rate_per_s=1_000, read_marks=False))
    scene = Scene(stage, Plan(connections=32), conversations(them, 50))
    began = time.time()
    # Nobody works yet: what is posted stands in the queue.
    backlog = scene.numbers(BACKLOG)
    await asyncio.to_thread(scene.load.fire, customers_write(scene.talks, backlog), rate_per_s=200.0)
    await asyncio.sleep(SCRAPES_S)
    queued = (await asked.now(2, time.time()))["incoming-messages"]
    stage.start_workers()
    await stage.arrived(BACKLOG, SETTLE_S_MAX)
    scene.meet(await stage.arrivals())
    await stage.settled(SETTLE_S_MAX)
    requests, sources = _mixed(scene, round(RATE_PER_S * SECONDS))
    fired = time.time()
    volley = await asyncio.to_thread(scene.load.fire, requests, rate_per_s=RATE_PER_S)
    # A scrape that came while the last ones were under way: the window lies inside of the load.
    at = fired + SECONDS
    told = [await asked.now(panel, at) for panel in range(len(THE_SIX))]
    pictures = [await asked.over(panel, began, at) for panel in range(len(THE_SIX))]
    assert len(volley.accepted) == len(requests), volley.statuses
    waits = await _delivery_waits(stage, at)
    compared = [Compared(panel=THE_SIX[2].title, series="incoming-messages", load=BACKLOG, told=queued)]
    return compared + _compared(told, sources, _latencies(volley), waits), pictures


def _mixed(scene: Scene, count: int) -> tuple[list[Request], dict[str, float]]:
    """Three of customers to two of operators; and how many of each come in a second."""
    numbers = scene.numbers(count)
    from_customers = [number for number in numbers if number % 5 in {0, 2, 4}]
    from_operators = [number for number in numbers if number % 5 in {1, 3}]
    made = dict(zip(from_customers, customers_write(scene.talks, from_customers), strict=True))
    made |= dict(zip(from_operators, operators_write(scene.talks, scene.chats, from_operators), strict=True))
    refused = sum(number % REFUSE_EVERY == 1 for number in from_operators)
    seconds = count / RATE_PER_S
    return [made[number] for number in numbers], {
        "meta": len(from_customers) / seconds,
        "bitrix24": len(from_operators) / seconds,
        "refused": refused / seconds,
    }


def _latencies(volley: Volley) -> list[float]:
    """Of the window that was asked for."""
    after = volley.began + SECONDS - WINDOW_S
    return [volley.answered[place] - volley.due[place] for place in volley.accepted if volley.due[place] >= after]


_WRITTEN = """
SELECT substring(content::text FROM '"text": "([0-9]+) ')::bigint AS number,
    extract(epoch FROM created_at)::float8 AS at
FROM message WHERE content::text ~ '"text": "[0-9]+ '
"""


async def _delivery_waits(stage: Zaptrix, ends: float) -> list[float]:
    """From each message's entry in the ledger until the far side had it, of those that it got in the window."""
    arrivals, wall = await stage.arrivals(), time.time() - time.monotonic()
    there = {number: wall + at for number, at in zip(arrivals.numbers, arrivals.times, strict=True)}
    connection = await stage.database()
    try:
        written = {row["number"]: row["at"] for row in await connection.fetch(_WRITTEN)}
    finally:
        await connection.close()
    return [at - written[number] for number, at in there.items() if number in written and ends - WINDOW_S <= at <= ends]


def _compared(
    told: Sequence[dict[str, float]], load: dict[str, float], http: list[float], waits: list[float]
) -> list[Compared]:
    # Each refusal is told to its operator, in a message of the gateway's own.
    inbound, outbound = load["meta"] + load["refused"], load["bitrix24"] - load["refused"]
    expected: tuple[dict[str, float], ...] = (
        {"inbound": inbound, "outbound": outbound},
        {f"HTTP {name}": percentile(sorted(http), share) for share, name in QUANTILES}
        | {f"entrega {name}": percentile(sorted(waits), share) for share, name in QUANTILES},
        {},
        {"meta": load["meta"], "bitrix24": load["bitrix24"]},
        {"success": inbound + outbound, "failure": load["refused"]},
        {
            "incoming-messages": load["meta"],
            "outbound-messages": load["bitrix24"],
            "bitrix24-messages": inbound,
            "meta-messages": load["bitrix24"],
        },
    )
    return [
        Compared(panel=panel.title, series=series, load=value, told=told[place].get(series, 0.0))
        for place, panel in enumerate(THE_SIX)
        for series, value in expected[place].items()
    ]
