"""What a seed draws: who writes what and when, what the platforms do, and what is struck. Pure: a plan is a value."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

Draw = random.Random

# Sums up to what one conversation may get within the pair's burst of 45 and one portal within its own of 50.
BURST_TEXTS_MAX = 12
BUSY_SHARE = 0.5
STRIKE_EVERY_S = 3.0
EPISODE_S = 6.0


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A customer of one channel. `hours_ago`: how late her webhooks reach us, by Meta's own timestamps."""

    channel: int
    wa_id: str
    opened: bool  # has a chat before the fire begins, so that operators can answer her
    hours_ago: float


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody does something. `who` is the number of a person."""

    at_s: float
    kind: str  # "customer", "operator", "reads"
    who: int
    text: str = ""


class Strike(msgspec.Struct, frozen=True, kw_only=True):
    """Something is broken. `pick` in [0, 1) chooses the victim among those that are there."""

    at_s: float
    name: str
    pick: float
    lasts_s: float


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """From here on the platforms misbehave like this."""

    at_s: float
    faults: tuple[dict[str, Any], ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole world under fire."""

    seed: int
    seconds: float
    gateways: int
    workers: int
    channels: tuple[int, ...]  # each one's portal
    people: tuple[Person, ...]
    acts: tuple[Act, ...]
    strikes: tuple[Strike, ...]
    episodes: tuple[Episode, ...]
    platforms_ahead_s: float  # how far the platforms' clocks are ahead of ours
    worker_ahead_s: float  # and the first worker's clock


# How often each is drawn, against the others.
STRIKES: dict[str, int] = {
    "kill_worker": 5,
    "kill_gateway": 4,
    "all_gateways_away": 2,
    "kill_postgres_backend": 2,
    "crash_postgres": 1,
    "restart_postgres": 2,
    "cut_postgres": 3,
    "kill_redis": 2,
    "restart_redis": 2,
    "flush_redis": 3,
    "hang_redis": 3,
    "cut_redis": 3,
    "cut_http": 3,
    "expire_tokens": 2,
    "revoke_portal": 1,
    "revoke_number": 1,
}
SENDING = {"match": {"method": "imconnector.send.messages"}}
FAULTS: tuple[dict[str, Any], ...] = (
    {"side": "meta", "where": "api", "kind": "throttle"},
    {"side": "meta", "where": "api", "kind": "status", "status": 503},
    {"side": "meta", "where": "api", "kind": "status", "status": 500},
    {"side": "meta", "where": "api", "kind": "delay", "delay_s": 0.7},
    {"side": "meta", "where": "api", "kind": "accept_then_hang", "delay_s": 4.0},
    {"side": "meta", "where": "api", "kind": "accept_then_reset"},
    {"side": "meta", "where": "api", "kind": "reset"},
    {"side": "bitrix24", "where": "api", "kind": "throttle"},
    {"side": "bitrix24", "where": "api", "kind": "status", "status": 503},
    {"side": "bitrix24", "where": "api", "kind": "status", "status": 502},
    {"side": "bitrix24", "where": "api", "kind": "delay", "delay_s": 0.7},
    {"side": "bitrix24", "where": "api", "kind": "accept_then_hang", "delay_s": 4.0, **SENDING},
    {"side": "bitrix24", "where": "api", "kind": "accept_then_reset", **SENDING},
    {"side": "bitrix24", "where": "api", "kind": "reset"},
    {"side": "bitrix24", "where": "api", "kind": "expired_token"},
    {"side": "meta", "where": "webhook", "kind": "double", "copies": 3},
    {"side": "meta", "where": "webhook", "kind": "reorder", "delay_s": 1.0},
    {"side": "meta", "where": "webhook", "kind": "delay", "delay_s": 2.0},
    {"side": "meta", "where": "webhook", "kind": "drop"},
    {"side": "meta", "where": "webhook", "kind": "status_first"},
    {"side": "bitrix24", "where": "webhook", "kind": "double", "copies": 2},
    {"side": "bitrix24", "where": "webhook", "kind": "delay", "delay_s": 1.0},
    {"side": "bitrix24", "where": "webhook", "kind": "reorder", "delay_s": 1.0},
    {"side": "bitrix24", "where": "webhook", "kind": "drop"},
)


def plan_of(seed: int, seconds: float) -> Plan:
    """The plan of a seed: the same for ever, while this file stays as it is."""
    draw = Draw(seed)
    channels = tuple(_channels(draw))
    people = tuple(_people(draw, channels))
    return Plan(
        seed=seed,
        seconds=seconds,
        gateways=draw.choice((1, 2, 2)),
        workers=draw.choice((2, 2, 3)),
        channels=channels,
        people=people,
        acts=tuple(_acts(draw, seconds, people)),
        strikes=tuple(_strikes(draw, seconds)),
        episodes=tuple(_episodes(draw, seconds)),
        platforms_ahead_s=draw.choice((0.0, 0.0, 45.0, -45.0)),
        worker_ahead_s=draw.choice((0.0, 0.0, 0.0, 150.0, -150.0)),
    )


def _channels(draw: Draw) -> Iterator[int]:
    for portal in range(draw.randint(2, 4)):
        for _ in range(draw.choice((1, 1, 2))):
            yield portal


def _people(draw: Draw, channels: Sequence[int]) -> Iterator[Person]:
    for channel in range(len(channels)):
        for number in range(draw.randint(2, 4)):
            yield Person(
                channel=channel,
                wa_id=f"55119{60_000_000 + 1_000 * channel + number}",
                opened=number == 0 or draw.random() < 0.75,
                hours_ago=draw.choice((0.0, 0.0, 0.0, 0.0, draw.uniform(1, 20))),
            )


def _acts(draw: Draw, seconds: float, people: Sequence[Person]) -> Iterator[Act]:
    """Both sides write at the same time; those of the first channel write as much as all others together."""
    acts = [
        act
        for who, person in enumerate(people)
        for act in _acts_of(draw, seconds, who, person, busy=person.channel == 0)
    ]
    for nth, act in enumerate(sorted(acts, key=lambda one: one.at_s)):
        yield msgspec.structs.replace(act, text=f"{act.kind} {nth:05d}z") if act.kind != "reads" else act


def _acts_of(draw: Draw, seconds: float, who: int, person: Person, *, busy: bool) -> Iterator[Act]:
    turns = max(2, round(seconds / (2.0 if busy else 5.0)))
    for kind in ("customer", "operator", "reads") if person.opened else ("customer",):
        for _ in range(draw.randint(1, turns)):
            at_s = draw.uniform(0, seconds)
            yield Act(at_s=at_s, kind=kind, who=who)
            if kind != "reads" and draw.random() < 0.08:
                yield from (Act(at_s=at_s, kind=kind, who=who) for _ in range(draw.randint(3, BURST_TEXTS_MAX)))


def _strikes(draw: Draw, seconds: float) -> Iterator[Strike]:
    names, weights = list(STRIKES), list(STRIKES.values())
    for at_s in sorted(draw.uniform(0.5, seconds) for _ in range(max(2, round(seconds / STRIKE_EVERY_S)))):
        name = draw.choices(names, weights)[0]
        yield Strike(at_s=at_s, name=name, pick=draw.random(), lasts_s=draw.uniform(0.3, 3.0))


def _episodes(draw: Draw, seconds: float) -> Iterator[Episode]:
    for nth in range(max(1, round(seconds / EPISODE_S))):
        chosen = draw.sample(FAULTS, draw.randint(0, 4))
        faults = tuple(fault | {"probability": round(draw.uniform(0.03, 0.25), 2)} for fault in chosen)
        yield Episode(at_s=nth * EPISODE_S, faults=faults)
