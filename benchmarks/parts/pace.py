"""Pace: how much of each platform's limit four workers use together under load, and that no call is refused.

Against the simulators, which hold the limits that the platforms publish, count what they let in and refuse the rest.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.figures import REFUSALS, Measured
from benchmarks.parts.act import Plan, Show
from proof.world import Tenant, World

WORKERS = 4
STRETCH_S = 200.0  # a bucket's last, incomplete call is then less than a hundredth of what it allows
# As in production, but for what an administrator's own script may ask for.
SETTINGS = {"LOG_LEVEL": "warning", "API_RATE_PER_MIN": "100000", "SIM_ITEM_OPERATING_S": "0.5"}
METHOD = "imconnector.send.messages"
OPERATING_LIMIT_S = 480.0
# Few customers with much to say: a call carries one text of each at most, so that two calls a second are never enough;
# and so few that the method's time, of which each text takes its half second, is not what they wait for.
TALKERS, TALKER_TEXTS = 2, 500
NUMBER_CHATS = 300  # a pair takes 45 and then one in 6 s: fewer of them could not take 80 a second for so long
NUMBER_AHEAD_S = 5.0  # so far the operators are ahead of the number's 80 a second
PAIRS = 10
PAIR_TEXTS = 90
# Half a second of method time an item: 1,200 texts want 600 s of it.
WRITERS, WRITER_TEXTS = 30, 40
FEED_S, FEED_TEXTS = 0.5, 5  # a call for each text would make the feeder the slowest of all
WRITTEN, ARRIVED = ("customers_wrote", "operators_wrote"), ("in_chats", "on_phones")


class Cast(msgspec.Struct, frozen=True):
    """A tenant for each limit, so that none is held up by another's."""

    requests: Tenant
    number: Tenant
    pairs: Tenant
    operating: Tenant


class Reading(msgspec.Struct, frozen=True):
    """The simulators' limits at one moment."""

    at: float
    requests: dict[str, dict[str, float]]  # by portal
    numbers: dict[str, dict[str, float]]
    pairs: dict[tuple[str, str], dict[str, float]]
    operating: dict[str, float]  # seconds of METHOD, by portal
    refused: Counter[str]  # by the platform's code


# The limits, as their figures are called.
REQUESTS = "a portal's requests, 2/s and 50 at once"
NUMBER = "a number, 80/s"
METHOD_TIME = "method time, s"


def pairs_limit(count: int) -> str:
    return f"{count} pairs, 1 in 6 s and 45 at once"


class Use(NamedTuple):
    """Of a limit, in calls or seconds."""

    used: float
    allowed: float


async def play(folder: Path, plan: Plan) -> list[Measured]:
    world = World(folder=folder, haste={}, extra=dict(SETTINGS))
    try:
        await world.start(workers=WORKERS)
        cast = await _cast(world)
        number_chats, pair_chats = await _opened(world, cast, plan)
        before = await _read(world)
        feeding = asyncio.create_task(_feed_number(world, cast.number, number_chats))
        try:
            await _pile_up(world, cast, pair_chats, plan)
            await asyncio.sleep(max(0.0, plan.scale * STRETCH_S))
            assert not feeding.done(), feeding.exception()
            after = await _read(world)
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        ledger = await world.ledger()
        found = [one for one in ledger["violations"] if one["kind"] not in {"not_drained", "limit_exceeded"}]
        assert found == []  # refusals are a figure
    finally:
        await world.stop()
    waiting = {"texts waiting": float(sum(ledger[name] for name in WRITTEN) - sum(ledger[name] for name in ARRIVED))}
    return [msgspec.structs.replace(one, more=one.more | waiting) for one in _judged(cast, before, after)]


# --- the load --------------------------------------------------------------------------------------------------------


async def _cast(world: World) -> Cast:
    standard = await world.tenant()
    others = []
    for key in ("p2", "p3", "p4"):  # as World names them; a larger plan, or their portals would be what they wait for
        await world.control("POST", "portals", {"portal": key, "plan": "enterprise"})
        tenant = await world.tenant()
        assert tenant.key == key
        await world.api("PUT", f"/api/portals/{tenant.portal_id}", {"enterprise": True})
        others.append(tenant)
    return Cast(standard, *others)


async def _opened(world: World, cast: Cast, plan: Plan) -> tuple[list[int], list[int]]:
    """The chats in which operators are going to write."""
    await _customers_write(world, cast.number, plan.scaled(NUMBER_CHATS), 1)
    await _customers_write(world, cast.pairs, plan.scaled(PAIRS), 1)
    await world.drained()
    await asyncio.sleep(1.0)  # what came in counts for the number as well: a second's worth
    chats = []
    for tenant in (cast.number, cast.pairs):
        state = await world.control("GET", f"state?portal={tenant.key}&messages=1")
        chats.append([chat["chat_id"] for chat in state["chats"]])
    return chats[0], chats[1]


async def _pile_up(world: World, cast: Cast, pair_chats: list[int], plan: Plan) -> None:
    """More than the stretch can carry off."""
    for chat in pair_chats:
        letter = {"portal": cast.pairs.key, "chat_id": chat, "text": f"pair {chat}", "operator": "Bia"}
        await world.control("POST", "operators/write", letter | {"count": PAIR_TEXTS})
    await _customers_write(world, cast.requests, TALKERS, plan.scaled(TALKER_TEXTS))
    await _customers_write(world, cast.operating, plan.scaled(WRITERS), WRITER_TEXTS)


async def _customers_write(world: World, tenant: Tenant, customers: int, texts: int) -> None:
    writes = [
        {"phone_number_id": tenant.number, "from": f"5511{970_000_000 + who}", "text": f"{tenant.key} {who} {turn}"}
        for turn in range(texts)
        for who in range(customers)
    ]
    await world.control("POST", "customers/write_many", {"writes": writes})


async def _feed_number(world: World, tenant: Tenant, chats: list[int]) -> None:
    """Operators write faster than the number may send, by so much that it is never without work."""
    began, written = time.monotonic(), 0
    while True:
        wanted = (time.monotonic() - began + NUMBER_AHEAD_S) * 80
        while written < wanted:
            chat = chats[written // FEED_TEXTS % len(chats)]
            letter = {"portal": tenant.key, "chat_id": chat, "text": f"number {written}", "operator": "Bia"}
            await world.control("POST", "operators/write", letter | {"count": FEED_TEXTS})
            written += FEED_TEXTS
        await asyncio.sleep(FEED_S)


# --- the figures -----------------------------------------------------------------------------------------------------


async def _read(world: World) -> Reading:
    told: dict[str, Any] = await world.control("GET", "limits")
    refused: Counter[str] = Counter()
    for one in told["refused"]:
        refused[one["limit"]] += one["times"]
    return Reading(
        at=told["at"],
        requests={one["portal"]: one["requests"] for one in told["portals"]},
        numbers={one["phone_number_id"]: one["sends"] for one in told["numbers"]},
        pairs={(one["phone_number_id"], one["customer"]): one["sends"] for one in told["pairs"]},
        operating={one["portal"]: one["operating"].get(METHOD, 0.0) for one in told["portals"]},
        refused=refused,
    )


def _judged(cast: Cast, before: Reading, after: Reading) -> list[Measured]:
    seconds = after.at - before.at
    key, number = cast.requests.key, cast.number.number
    pairs = [pair for pair in before.pairs if pair[0] == cast.pairs.number]
    used_s = after.operating[cast.operating.key] - before.operating[cast.operating.key]
    left_s = OPERATING_LIMIT_S - before.operating[cast.operating.key]
    requests = _tokens(before.requests[key], after.requests[key], seconds)
    sends = _tokens(before.numbers[number], after.numbers[number], seconds)
    to_pairs = _sum([_tokens(before.pairs[pair], after.pairs[pair], seconds) for pair in pairs])
    return [
        _measured(REQUESTS, requests, seconds, after.refused["QUERY_LIMIT_EXCEEDED"]),
        _measured(NUMBER, sends, seconds, after.refused["130429"]),
        _measured(pairs_limit(len(pairs)), to_pairs, seconds, after.refused["131056"]),
        _measured(METHOD_TIME, Use(used_s, left_s), seconds, after.refused["OPERATION_TIME_LIMIT"]),
    ]


def _tokens(before: dict[str, float], after: dict[str, float], seconds: float) -> Use:
    """Calls that were let in, and how many whole ones the bucket had room for."""
    allowed = math.floor(before["size"] - before["level"] + before["rate"] * seconds)
    return Use(after["taken"] - before["taken"], allowed)


def _sum(uses: list[Use]) -> Use:
    return Use(sum(each.used for each in uses), sum(each.allowed for each in uses))


def _measured(what: str, use: Use, seconds: float, refusals: int) -> Measured:
    return Measured(
        what=what,
        messages=round(use.used),
        seconds=round(seconds, 3),
        rate_per_s=round(use.used / seconds, 3),
        more={"allowed": use.allowed, "% used": round(100 * use.used / use.allowed, 2), REFUSALS: float(refusals)},
    )


SHOWS = (Show(name="pace, 4 workers", play=play),)
