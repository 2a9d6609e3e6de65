"""Whether a Redis is fit for the queues: looked at before a process serves, by the doctor and by `/health`."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from itertools import repeat
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import msgspec
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from zaptrix.broker.connection import address
from zaptrix.broker.connection.address import Address, RedisTopology
from zaptrix.broker.connection.cluster import look_again
from zaptrix.broker.connection.connection import connect
from zaptrix.broker.connection.keys import BULL, PACE, Keys, as_cluster, get_many, on_each
from zaptrix.broker.connection.sentinel import primary_told_by, sentinels_of
from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.installation.faults import Fault, FaultKind, Unfit

REDIS_OLDEST = (6, 2)
NEVER_EVICTS = "noeviction"
ANSWER_S = 10.0
_ONCE = Retry(NoBackoff(), 0)
_FILES = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})

# What the queues do: a script over two keys.
_PROBE = "redis.call('SET', KEYS[1], '1', 'PX', 1000) return redis.call('EXISTS', KEYS[2])"
# What users of few rights may lack: some of each kind of what BullMQ's scripts and ours do.
_RIGHTS = """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'a', '1') redis.call('HINCRBY', KEYS[1], 'a', 1) redis.call('DEL', KEYS[1])
redis.call('LPUSH', KEYS[1], '1') redis.call('RPOPLPUSH', KEYS[1], KEYS[1]) redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[1], 1, 'a') redis.call('ZRANGEBYSCORE', KEYS[1], 0, 1) redis.call('DEL', KEYS[1])
redis.call('SADD', KEYS[1], 'a') redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[1], '*', 'a', '1') redis.call('PEXPIRE', KEYS[1], 1000) redis.call('UNLINK', KEYS[1])
redis.call('TIME')
"""


class RedisFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What Redis tells of itself."""

    name: str
    """redis or valkey."""
    version: str
    mode: str
    role: str
    policy: str
    append_only: bool


def facts_of(info: dict[str, Any]) -> RedisFacts:
    """Out of INFO. A Sentinel has no memory to tell of."""
    valkey = info.get("valkey_version")
    return RedisFacts(
        name="valkey" if valkey else "redis",
        version=str(valkey or info.get("redis_version", "0.0")),
        mode=str(info.get("redis_mode", info.get("server_mode", "standalone"))),
        role=str(info.get("role", "master")),
        policy=str(info.get("maxmemory_policy", "")),
        append_only=bool(info.get("aof_enabled", 0)),
    )


def fault_of(facts: RedisFacts, form: RedisTopology | None = None) -> Fault | None:
    """The first thing that makes it unfit; `form`: what its address says that it is."""
    if facts.mode == "sentinel":
        return Fault(FaultKind.REDIS_SENTINEL)
    if form is not None and (facts.mode == "cluster") != (form is RedisTopology.CLUSTER):
        return Fault(FaultKind.REDIS_CLUSTER if facts.mode == "cluster" else FaultKind.REDIS_NO_CLUSTER)
    if facts.role != "master":
        return Fault(FaultKind.REDIS_REPLICA)
    if tuple(int(part) for part in facts.version.split(".")[:2] if part.isdigit()) < REDIS_OLDEST:
        return Fault(FaultKind.REDIS_OLD, facts.version)
    return None


async def facts_told(redis: Redis) -> list[RedisFacts]:
    """Of each server that is written to. On a cluster one may have become a replica since it was looked."""
    told = [facts_of(info) for info in await on_each(redis, "INFO")]
    cluster = as_cluster(redis)
    if cluster is None or all(facts.role == "master" for facts in told):
        return told
    await look_again(cluster)
    return [facts_of(info) for info in await on_each(redis, "INFO")]


async def examine(url: str) -> RedisFacts:
    """Dial it, look, and try what the queues do. Raises Unfit, also where it is only away for now (`may_pass`).

    Of several servers the facts are those of the first that could be better.
    """
    for name, path in parse_qsl(urlsplit(url).query):
        if name in _FILES and not os.access(path, os.R_OK):
            raise Unfit(Fault(FaultKind.REDIS_TLS, name))
    try:
        where = address.read(url)
        async with asyncio.timeout(ANSWER_S):
            return await _EXAMINED[where.form](where)
    except (RedisError, RedisClusterException, OSError, ValueError, TypeError) as exc:
        raise Unfit(trouble(exc)) from exc


async def _single(where: Address) -> RedisFacts:
    # The database's number is chosen later: a cluster or a Sentinel would refuse it before it says what it is.
    options: dict[str, Any] = {"decode_responses": True, "socket_connect_timeout": ANSWER_S, "retry": _ONCE}
    async with Redis.from_url(where.url, **options) as client:
        number = client.connection_pool.connection_kwargs.pop("db", 0)
        facts = _fit([facts_of(await client.info())], where)
        async with client.pipeline(transaction=True) as pipe:  # one connection
            if number:
                pipe.execute_command("SELECT", number)
            pipe.eval(_PROBE, 2, *_probe_keys(BULL, "zx"))
            await pipe.execute()
        await _try(client)
    return facts


async def _cluster(where: Address) -> RedisFacts:
    nodes = [ClusterNode(host.name, host.port) for host in where.hosts]
    options = {"decode_responses": True, "socket_connect_timeout": ANSWER_S / 4, **where.options}
    async with RedisCluster(startup_nodes=nodes, retry=_ONCE, **options) as cluster:
        client = cast("Redis", cluster)
        facts = _fit([facts_of(told) for told in await on_each(client, "INFO")], where)
        await probe(client)
        await _try(client)
    return facts


async def _sentinel(where: Address) -> RedisFacts:
    sentinels = sentinels_of(where)
    try:
        told = await asyncio.gather(*map(_primary_told_by, sentinels.sentinels, repeat(where.service)))
    finally:
        await sentinels.aclose()
    faults = [each for each in told if isinstance(each, Fault)]
    if len(faults) == len(told):  # one that names a primary will do
        raise Unfit(next((fault for fault in faults if not fault.may_pass), faults[0]))
    client = connect(where.url)
    try:
        facts = _fit([facts_of(await client.info())], where)
        await probe(client)
        await _try(client)
    finally:
        await client.aclose()
    return facts


async def _primary_told_by(sentinel: Redis, service: str) -> tuple[str, int] | Fault:
    try:
        if facts_of(await sentinel.info()).mode != "sentinel":
            return Fault(FaultKind.REDIS_NO_SENTINEL)
        found = await primary_told_by(sentinel, service)
    except (RedisError, OSError) as exc:
        fault = trouble(exc)
        return Fault(FaultKind.REDIS_SENTINEL_LOGIN) if fault.kind in _LOGINS else fault
    return Fault(FaultKind.REDIS_SERVICE) if found is None else found


_EXAMINED: dict[RedisTopology, Callable[[Address], Awaitable[RedisFacts]]] = {
    RedisTopology.SINGLE: _single,
    RedisTopology.CLUSTER: _cluster,
    RedisTopology.SENTINEL: _sentinel,
}


def _fit(told: Sequence[RedisFacts], where: Address) -> RedisFacts:
    """Raises Unfit, when one of them is not."""
    for facts in told:
        if (fault := fault_of(facts, where.form)) is not None:
            raise Unfit(fault)
    return next((facts for facts in told if facts.policy != NEVER_EVICTS or not facts.append_only), told[0])


async def probe(client: Redis) -> None:
    """Write as the queues write, wherever they do. Raises one of `AWAY`."""
    keys = Keys(client)
    names = {tuple(_probe_keys(keys.of(tag, BULL), keys.of(tag, "zx"))) for tag in (PACE, *Queue)}
    await asyncio.gather(*(client.eval(_PROBE, len(pair), *pair) for pair in names))


async def _try(client: Redis) -> None:
    """What a user may lack the right to, beside what `probe` does. Raises a RedisError."""
    keys = Keys(client)
    for tag in (PACE, *Queue):
        await client.eval(_RIGHTS, 1, f"{keys.of(tag, BULL)}:zaptrix:rights")
    alone = keys.alone(f"zx:rights:{secrets.token_hex(8)}")  # others start at this moment, and would be seen by WATCH
    async with client.pipeline(transaction=True) as pipe:
        await pipe.watch(alone)
        pipe.multi()  # type: ignore[no-untyped-call]  # the library's own gap
        pipe.set(alone, "1", px=1000)
        await pipe.execute()
    await get_many(client, [alone])
    await client.bzpopmin([keys.alone("zx:nothing")], 0.01)
    await client.script_load(_PROBE)
    async for _ in client.scan_iter(match=alone, count=10):
        break
    await on_each(client, "DBSIZE")


def _probe_keys(bull: str, own: str) -> tuple[str, str]:
    return f"{bull}:zaptrix:probe", f"{own}:probe"


def trouble(exc: Exception) -> Fault:
    """What an error means. Only its kind is ever shown: texts may quote an address."""
    exc = _behind(exc)
    told = str(exc).lower()
    seen = named[1].upper() if (named := _COMMAND.search(told)) else type(exc).__name__
    for kind, classes, words in _TROUBLES:
        if isinstance(exc, classes) and (not words or any(word in told for word in words)):
            return Fault(kind, seen)
    return Fault(FaultKind.REDIS_REFUSED, seen)


def _behind(exc: Exception) -> Exception:
    """What made redis-py's client of a cluster give up."""
    while isinstance(exc, RedisClusterException) or isinstance(exc.__cause__, RedisClusterException):
        behind = exc.__cause__ or exc.__context__
        if not isinstance(behind, Exception):
            return exc
        exc = behind
    return exc


# Of what Redis says, the name of a command is ours; the rest names a user.
_COMMAND = re.compile(r"no permissions to run the '([a-z|]+)' command")
_LOGINS = frozenset({FaultKind.REDIS_LOGIN, FaultKind.REDIS_RIGHTS})
# The first that fits.
_TROUBLES: tuple[tuple[FaultKind, tuple[type[Exception], ...], tuple[str, ...]], ...] = (
    (
        FaultKind.REDIS_LOGIN,
        (RedisError,),
        ("wrongpass", "noauth", "invalid password", "invalid username", "without any", "authenticat"),
    ),
    (FaultKind.REDIS_LOGIN, (AuthenticationError,), ()),
    (FaultKind.REDIS_RIGHTS, (NoPermissionError,), ()),
    (FaultKind.REDIS_RIGHTS, (RedisError,), ("noperm", "no permissions", "acl failure")),
    (FaultKind.REDIS_DB, (ResponseError,), ("db index",)),
    (FaultKind.REDIS_AWAY, (RedisError,), ("max number of clients", "busy ", "tryagain")),
    (FaultKind.REDIS_NO_CLUSTER, (ResponseError,), ("cluster support disabled", "unknown command 'cluster'")),
    (FaultKind.REDIS_AWAY, (ClusterDownError, MasterNotFoundError), ()),
    (FaultKind.REDIS_AWAY, (RedisClusterException,), ("slots are not covered",)),
    (FaultKind.REDIS_CLUSTER, (ResponseError,), ("cluster", "crossslot", "moved ")),
    (FaultKind.REDIS_REPLICA, (ReadOnlyError,), ()),
    (FaultKind.REDIS_FULL, (OutOfMemoryError,), ()),
    (FaultKind.REDIS_FULL, (ResponseError,), ("oom ", "misconf", "noreplicas")),
    (FaultKind.REDIS_AWAY, (BusyLoadingError, RedisTimeoutError), ()),
    (FaultKind.REDIS_TLS, (RedisError, OSError), ("ssl", "certificate", "tls")),
    (FaultKind.REDIS_TLS, (ssl.SSLError,), ()),
    (FaultKind.REDIS_AWAY, (RedisConnectionError, OSError), ()),
    (FaultKind.REDIS_URL, (ValueError, TypeError), ()),
)
