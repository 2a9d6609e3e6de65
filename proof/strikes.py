"""What can be broken, and how. Each strike returns when it is over; whatever was taken away is there again."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import asyncpg
import redis.asyncio
import redis.exceptions

from proof.arena import Arena
from proof.plan import STANDSTILLS, STRIKES, STRIKES_AT_FILES, Strike
from proof.skewed import step
from proof.topologies import Server
from proof.world import START_S_MAX, STOP_S_MAX, eventually
from zaptrix.cli.local.children import Child

REFRESHED_S_MAX = 5.0
REFRESHES_BEGIN_S = 0.5
CLAIM_S_MAX = 5.0
LOCK_S_MAX = 5
LOCKED = ("message", "event", "portal_config", "channel", "conversation_mapping", "file", "lease")


async def strike(arena: Arena, what: Strike) -> None:
    """Do it, as the topology means it."""
    if (own := arena.servers.strikes.get(what.name)) is not None:
        await own(what)
    else:
        await _BY_NAME[what.name](arena, what)


async def _out_of_refreshes(arena: Arena) -> None:
    """A portal's tokens are given once: who is killed between their answer and its first record has cut the chain.

    No gateway can help that, so nobody is killed in this moment.
    """
    with suppress(AssertionError):  # some world has no such moment
        await eventually(lambda: _is_out_of_refreshes(arena), REFRESHED_S_MAX, "a moment without a refresh")


async def _is_out_of_refreshes(arena: Arena) -> bool:
    return not (await arena.control("GET", "health"))["refreshing"]


async def _kill_worker(arena: Arena, what: Strike) -> None:
    await _out_of_refreshes(arena)
    arena.kill_worker(int(what.pick * len(arena.workers)))
    await asyncio.sleep(what.lasts_s)
    await arena.add_worker()


async def _kill_in_transfer(arena: Arena, what: Strike) -> None:
    """Files take their time; while one is on its way, a worker dies, and another one takes its place."""
    before = (await arena.control("GET", "options"))["file_latency_s"]
    await arena.control("PUT", "options", {"file_latency_s": what.lasts_s})
    with suppress(AssertionError):  # nobody fetches: then it dies all the same
        await eventually(lambda: _is_transferring(arena), 2 * what.lasts_s, "a file under way")
    await _out_of_refreshes(arena)
    arena.kill_worker(int(what.pick * len(arena.workers)))
    await arena.control("PUT", "options", {"file_latency_s": before})
    await arena.add_worker()


async def _is_transferring(arena: Arena) -> bool:
    return bool((await arena.control("GET", "health"))["files_underway"])


async def _kill_gateway(arena: Arena, what: Strike) -> None:
    port = list(arena.gateways)[int(what.pick * len(arena.gateways))]
    await _out_of_refreshes(arena)
    _kill_at(arena, port)
    await asyncio.sleep(what.lasts_s)
    arena.start_gateway()


async def _all_gateways_away(arena: Arena, what: Strike) -> None:
    await _out_of_refreshes(arena)
    for port in arena.gateways:
        _kill_at(arena, port)
    await asyncio.sleep(what.lasts_s)
    arena.start_gateway()
    await arena.gateway_is_up()


def _kill_at(arena: Arena, port: int) -> None:
    gateway = arena.gateways[port]
    if gateway is not None:
        gateway.kill()
        arena.gateways[port] = None


async def _kill_postgres_backend(arena: Arena, what: Strike) -> None:
    """kill -9 of one session: PostgreSQL ends all of them and recovers."""
    if pids := await _sessions(arena):
        _signal(pids[int(what.pick * len(pids))], signal.SIGKILL)


async def _crash_postgres(arena: Arena, what: Strike) -> None:
    assert arena.servers.postgres.pid is not None
    os.kill(arena.servers.postgres.pid, signal.SIGQUIT)  # "immediate": no goodbye, no checkpoint
    await _until_ended(arena.servers.postgres.exit_code)
    await asyncio.sleep(what.lasts_s)
    await asyncio.to_thread(arena.servers.postgres.stop)
    await asyncio.to_thread(arena.servers.postgres.start)


async def _restart_postgres(arena: Arena, what: Strike) -> None:
    await asyncio.to_thread(arena.servers.postgres.stop)
    await asyncio.sleep(what.lasts_s)
    await asyncio.to_thread(arena.servers.postgres.start)


async def _cut_postgres(arena: Arena, _what: Strike) -> None:
    for pid in await _sessions(arena):
        _signal(pid, signal.SIGTERM)


def _redis(arena: Arena) -> Sequence[Server]:
    """The servers that are the world's Redis."""
    return arena.servers.redis_nodes or [arena.servers.redis]


def _redis_of(arena: Arena, what: Strike) -> Server:
    nodes = _redis(arena)
    return nodes[int(what.pick * len(nodes))]


async def _kill_redis(arena: Arena, what: Strike) -> None:
    node = _redis_of(arena, what)
    await asyncio.to_thread(node.kill)
    await asyncio.sleep(what.lasts_s)
    await asyncio.to_thread(node.start)


async def _restart_redis(arena: Arena, what: Strike) -> None:
    node = _redis_of(arena, what)
    await asyncio.to_thread(node.stop)
    await asyncio.sleep(what.lasts_s)
    await asyncio.to_thread(node.start)


async def _flush_redis(arena: Arena, _what: Strike) -> None:
    for node in _redis(arena):
        with suppress(redis.exceptions.ReadOnlyError):  # a replica forgets with its master
            async with redis.asyncio.from_url(node.url) as client:
                await client.flushall()


async def _hang_redis(arena: Arena, what: Strike) -> None:
    pid = _redis_of(arena, what).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(what.lasts_s)
    finally:
        os.kill(pid, signal.SIGCONT)


async def _cut_redis(arena: Arena, _what: Strike) -> None:
    for node in _redis(arena):
        async with redis.asyncio.from_url(node.url) as client:
            await client.client_kill_filter(_type="normal", skipme=True)


async def _cut_http(arena: Arena, _what: Strike) -> None:
    arena.balancer.cut()


async def _expire_tokens(arena: Arena, _what: Strike) -> None:
    for key in {tenant.key for tenant in arena.tenants}:
        await arena.control("POST", f"portals/{key}/expire")
    await asyncio.sleep(REFRESHES_BEGIN_S)


async def _revoke_portal(arena: Arena, what: Strike) -> None:
    """The refresh token is dead, and with it the portal; after a while its admin authorises again."""
    tenant = arena.tenants[int(what.pick * len(arena.tenants))]
    await arena.control("POST", f"portals/{tenant.key}/revoke", {"what": "refresh_token"})
    await arena.control("POST", f"portals/{tenant.key}/expire")
    await asyncio.sleep(what.lasts_s)
    await arena.repair_portal(tenant)


async def _revoke_number(arena: Arena, what: Strike) -> None:
    tenant = arena.tenants[int(what.pick * len(arena.tenants))]
    await arena.control("POST", f"numbers/{tenant.number}/revoke")
    await asyncio.sleep(what.lasts_s)
    await arena.repair_number(tenant)


# --- standing still ---------------------------------------------------------------------------------------------------


async def _freeze_worker(arena: Arena, what: Strike) -> None:
    """A host that is paused or migrated, at any moment."""
    await _out_of_refreshes(arena)
    await _stand_still([_worker(arena, what).pid], what.lasts_s)


async def _freeze_claiming(arena: Arena, what: Strike) -> None:
    """The same in the moment in which the worker claims: what it has not sent yet, others will have sent by then."""
    worker, caught = _worker(arena, what), asyncio.Event()
    tap = arena.rigs[worker.pid].tap

    async def freeze() -> None:
        await _out_of_refreshes(arena)
        _signal(worker.pid, signal.SIGSTOP)
        caught.set()

    tap.on_claim(freeze)
    try:
        await asyncio.wait_for(caught.wait(), CLAIM_S_MAX)
        await asyncio.sleep(what.lasts_s)
    except TimeoutError:  # nothing came its way
        return
    finally:
        tap.on_claim(None)
        _signal(worker.pid, signal.SIGCONT)


async def _freeze_gateway(arena: Arena, what: Strike) -> None:
    gateways = [gateway for gateway in arena.gateways.values() if gateway is not None]
    if gateways:
        await _out_of_refreshes(arena)
        await _stand_still(_family(gateways[int(what.pick * len(gateways))].pid), what.lasts_s)


async def _lose_power(arena: Arena, what: Strike) -> None:
    """A worker's host is gone, and PostgreSQL is not told: no goodbye comes through.

    Every second time the host lives on, cut off from PostgreSQL alone, until it is found and ended.
    """
    await _out_of_refreshes(arena)
    worker = arena.workers.pop(int(what.pick * len(arena.workers)))
    arena.rigs[worker.pid].tap.go_dead()
    lives_on = int(what.pick * 1000) % 2
    if not lives_on:
        worker.kill()
    await asyncio.sleep(what.lasts_s)
    await arena.add_worker()
    if lives_on:
        worker.kill()


async def _stop_worker(arena: Arena, what: Strike) -> None:
    """A new release: one is told to stop, and another takes its place."""
    worker = arena.workers.pop(int(what.pick * len(arena.workers)))
    worker.ask()
    await arena.add_worker()
    assert await asyncio.to_thread(worker.wait, STOP_S_MAX), "a worker did not stop"


async def _step_clock(arena: Arena, what: Strike) -> None:
    """A worker's wall clock is set by an hour, or three, and back again."""
    clock, steps = arena.rigs[_worker(arena, what).pid].clock, (3600.0, -3600.0, 3 * 3600.0, -3 * 3600.0)
    step(clock, steps[int(what.pick * 1000) % len(steps)])
    await asyncio.sleep(what.lasts_s)
    step(clock, 0.0)


async def _hang_postgres(arena: Arena, what: Strike) -> None:
    """Its disk does not answer: every session stands still where it is."""
    await _stand_still(await _sessions(arena), what.lasts_s)


async def _lock_table(arena: Arena, what: Strike) -> None:
    """Somebody else's maintenance."""
    table = LOCKED[int(what.pick * len(LOCKED))]
    with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        connection = await asyncpg.connect(arena.servers.postgres.url)
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_S_MAX}s'")
                await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                await asyncio.sleep(what.lasts_s)
        finally:
            await connection.close()


async def _stand_still(pids: Sequence[int], seconds: float) -> None:
    for pid in pids:
        _signal(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        for pid in pids:
            _signal(pid, signal.SIGCONT)


def _worker(arena: Arena, what: Strike) -> Child:
    return arena.workers[int(what.pick * len(arena.workers))]


def _family(pid: int) -> list[int]:
    """A process and those that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *(each for child in children for each in _family(int(child)))]


_SESSIONS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


async def _sessions(arena: Arena) -> list[int]:
    """Those of the gateways and workers, as soon as PostgreSQL answers: it may still recover from the strike before."""
    pids: list[int] = []

    async def told() -> bool:
        try:
            connection = await asyncpg.connect(arena.servers.postgres.url)
            try:
                pids.extend(row["pid"] for row in await connection.fetch(_SESSIONS))
            finally:
                await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    await eventually(told, START_S_MAX, "PostgreSQL's sessions")
    return pids


def _signal(pid: int, number: signal.Signals) -> None:
    """A session that has ended meanwhile needs no more."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


async def _until_ended(exit_code: Callable[[], int | None]) -> None:
    while exit_code() is None:
        await asyncio.sleep(0.02)


_BY_NAME: dict[str, Callable[[Arena, Strike], Awaitable[None]]] = {
    "kill_worker": _kill_worker,
    "kill_in_transfer": _kill_in_transfer,
    "kill_gateway": _kill_gateway,
    "all_gateways_away": _all_gateways_away,
    "kill_postgres_backend": _kill_postgres_backend,
    "crash_postgres": _crash_postgres,
    "restart_postgres": _restart_postgres,
    "cut_postgres": _cut_postgres,
    "kill_redis": _kill_redis,
    "restart_redis": _restart_redis,
    "flush_redis": _flush_redis,
    "hang_redis": _hang_redis,
    "cut_redis": _cut_redis,
    "cut_http": _cut_http,
    "expire_tokens": _expire_tokens,
    "revoke_portal": _revoke_portal,
    "revoke_number": _revoke_number,
    "freeze_worker": _freeze_worker,
    "freeze_claiming": _freeze_claiming,
    "freeze_gateway": _freeze_gateway,
    "lose_power": _lose_power,
    "stop_worker": _stop_worker,
    "step_clock": _step_clock,
    "hang_postgres": _hang_postgres,
    "lock_table": _lock_table,
}
assert _BY_NAME.keys() == {*STRIKES, *STRIKES_AT_FILES, *STANDSTILLS}
