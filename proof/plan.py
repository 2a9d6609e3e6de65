"""What a seed draws: who writes what and when, what the platforms do, and what is struck. Pure: a plan is a value."""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from proof.acts import Act, Draw, Person, other, others, texts

STRIKE_EVERY_S = 3.0
EPISODE_S = 6.0


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
    media_ready_s: float = 60.0  # how long a message waits for its file before a line takes its place


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
# Struck beside those: files are slow, and a worker dies while some of them are under way.
STRIKES_AT_FILES = ("kill_in_transfer",)
# Beside those, and drawn apart: who stands still, and what hangs. How often each is drawn, and for how many seconds:
# longer than a claim lasts (4) and what became of it was looked for.
STANDSTILLS: dict[str, tuple[int, float, float]] = {
    "freeze_worker": (3, 5.0, 12.0),
    "freeze_claiming": (5, 6.0, 14.0),
    "freeze_gateway": (2, 2.0, 8.0),
    "lose_power": (3, 0.3, 6.0),
    "stop_worker": (2, 0.0, 0.0),
    "step_clock": (3, 3.0, 8.0),
    "hang_postgres": (2, 1.0, 5.0),
    "lock_table": (2, 1.0, 5.0),
}
STANDSTILLS_A_WORLD = (1, 2, 2, 3)
OWN_STRIKES_A_WORLD = (1, 1, 2)  # where the topology has some (`proof/topologies.py`)
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
# Of the hosts of files alone; those above touch them, too. `times` keeps a file from being "not there" so often that it
# is taken for gone.
MEDIA_FAULTS: tuple[dict[str, Any], ...] = tuple(
    {"side": side, "where": "api", "match": {"method": method}} | fault
    for side, method in (("meta", "media_download"), ("bitrix24", "im.file.php"), ("meta", "media"))
    for fault in (
        {"kind": "delay", "delay_s": 1.5},
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 500},
        {"kind": "reset"},
    )
)
EXPIRED = {"side": "meta", "where": "api", "match": {"method": "media_download"}, "kind": "status", "status": 404}
EXPIRED_TIMES = 2
ALONE = 0.35  # how likely a fault of files is in an episode


def plan_of(
    seed: int, seconds: float, *, gateways: int = 0, workers: int = 0, strikes: Mapping[str, int] | None = None
) -> Plan:
    """The plan of a seed: the same for ever, while this file stays as it is.

    `gateways` and `workers`: so many instead of those that are drawn. `strikes`: more of them, with how often each is
    drawn, beside those that every world has.
    """
    draw = Draw(seed)
    channels = tuple(_channels(draw))
    people = tuple(_people(draw, channels))
    plan = Plan(
        seed=seed,
        seconds=seconds,
        gateways=draw.choice((1, 2, 2)),
        workers=draw.choice((2, 2, 3)),
        channels=channels,
        people=people,
        acts=tuple(texts(draw, seconds, people)),
        strikes=tuple(_strikes(draw, seconds)),
        episodes=tuple(_episodes(draw, seconds)),
        platforms_ahead_s=draw.choice((0.0, 0.0, 45.0, -45.0)),
        worker_ahead_s=draw.choice((0.0, 0.0, 0.0, 150.0, -150.0)),
    )
    plan = replace(plan, gateways=gateways or plan.gateways, workers=workers or plan.workers)
    plan = _stood_still(Draw(f"{seed} stands still"), _mixed(Draw(f"{seed} mixed"), plan))
    return _struck_beside(Draw(f"{seed} beside"), plan, strikes) if strikes else plan


def _struck_beside(draw: Draw, plan: Plan, strikes: Mapping[str, int]) -> Plan:
    """The same world, and what only its topology knows."""
    more = []
    for _ in range(draw.choice(OWN_STRIKES_A_WORLD)):
        name = draw.choices(list(strikes), list(strikes.values()))[0]
        at_s, lasts_s = draw.uniform(0.5, plan.seconds), draw.uniform(0.3, 3.0)
        more.append(Strike(at_s=at_s, name=name, pick=draw.random(), lasts_s=lasts_s))
    return replace(plan, strikes=tuple(sorted((*plan.strikes, *more), key=attrgetter("at_s"))))


def _stood_still(draw: Draw, plan: Plan) -> Plan:
    """The same world, in which somebody stands still as well."""
    names, weights = list(STANDSTILLS), [weight for weight, _, _ in STANDSTILLS.values()]
    still = []
    for _ in range(draw.choice(STANDSTILLS_A_WORLD)):
        name = draw.choices(names, weights)[0]
        _, least_s, most_s = STANDSTILLS[name]
        at_s, lasts_s = draw.uniform(0.5, plan.seconds), draw.uniform(least_s, most_s)
        still.append(Strike(at_s=at_s, name=name, pick=draw.random(), lasts_s=lasts_s))
    return replace(plan, strikes=tuple(sorted((*plan.strikes, *still), key=attrgetter("at_s"))))


def _mixed(draw: Draw, plan: Plan) -> Plan:
    """The same world, and in it everything that is not a text: drawn apart, so that the texts stay what they were."""
    people = tuple(_shut(draw, plan.people))
    silent = {who for who, person in enumerate(people) if person.shut}
    acts = [act for act in plan.acts if act.who not in silent or act.kind == "operator"]
    acts += others(draw, plan.seconds, people)
    strikes = list(plan.strikes)
    if draw.random() < 0.6:
        acts_there, at_files = _strike_at_files(draw, plan.seconds, people)
        acts += acts_there
        strikes.append(at_files)
    return replace(
        plan,
        people=people,
        acts=tuple(sorted(acts, key=attrgetter("at_s"))),
        strikes=tuple(sorted(strikes, key=attrgetter("at_s"))),
        episodes=tuple(_with_media_faults(draw, plan.episodes)),
        media_ready_s=draw.choice((60.0, 60.0, 2.0)),
    )


def _shut(draw: Draw, people: Sequence[Person]) -> Iterator[Person]:
    """In half of the worlds one customer's window is closed; never one of the busy channel."""
    able = [who for who, person in enumerate(people) if person.opened and person.channel != 0]
    chosen = draw.choice(able) if able and draw.random() < 0.5 else None
    for who, person in enumerate(people):
        yield replace(person, shut=True, hours_ago=0.0) if who == chosen else person


def _strike_at_files(draw: Draw, seconds: float, people: Sequence[Person]) -> tuple[list[Act], Strike]:
    """A file each way, and the worker that has it, or its neighbour, is killed."""
    at_s, first = draw.uniform(1.0, seconds), next(who for who, person in enumerate(people) if person.opened)
    acts = [
        replace(one, key=f"n{nth}z", files=(replace(one.files[0], seed=10**6 + nth),), text="")
        for nth, one in enumerate(other(draw, at_s, kind, first) for kind in ("sends", "attaches"))
    ]
    return acts, Strike(at_s=at_s, name=STRIKES_AT_FILES[0], pick=draw.random(), lasts_s=draw.uniform(0.8, 1.8))


def _with_media_faults(draw: Draw, episodes: Sequence[Episode]) -> Iterator[Episode]:
    expired_in = draw.randrange(2 * len(episodes))
    for nth, episode in enumerate(episodes):
        faults = list(episode.faults)
        if draw.random() < ALONE:
            faults.insert(0, draw.choice(MEDIA_FAULTS) | {"probability": round(draw.uniform(0.2, 0.6), 2)})
        if nth == expired_in:
            faults.insert(0, EXPIRED | {"probability": 0.5, "times": EXPIRED_TIMES})
        yield replace(episode, faults=tuple(faults))


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
