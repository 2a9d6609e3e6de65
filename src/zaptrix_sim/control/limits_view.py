"""The state of both platforms' rate limits, and how many calls each has let through.

Reads only.
"""

from collections.abc import Mapping
from typing import Any

from zaptrix_sim.world.limits import Bucket
from zaptrix_sim.world.world import World


def limits(world: World, query: Mapping[str, str], now: float) -> dict[str, Any]:
    """Filters: portal, phone_number_id. `at` is the moment for which levels and method times are told."""
    portals = [one for one in world.portals.values() if query.get("portal", one.key) == one.key]
    numbers = [one for one in world.numbers.values() if query.get("phone_number_id", one.id) == one.id]
    return {
        "at": now,
        "portals": [
            {
                "portal": portal.key,
                "requests": _bucket(portal.bucket, now),
                "operating": {method: round(time.used(now), 6) for method, time in portal.operating.items()},
            }
            for portal in portals
        ],
        "numbers": [{"phone_number_id": number.id, "sends": _bucket(number.pace, now)} for number in numbers],
        "pairs": [
            {"phone_number_id": number.id, "customer": phone.customer.key, "sends": _bucket(phone.pair, now)}
            for number in numbers
            for phone in number.phones.values()
        ],
        "refused": [
            {"side": one.side, "limit": one.limit, "scope": one.scope, "times": times}
            for one, times in world.ledger.limits.items()
        ],
    }


def _bucket(bucket: Bucket, now: float) -> dict[str, float]:
    return {"rate": bucket.rate, "size": bucket.size, "level": bucket.level_at(now), "taken": bucket.taken}
