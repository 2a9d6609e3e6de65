"""Whether a Redis is fit for the queues: looked at before a process serves, by the doctor and by `/health`."""

from __future__ import annotations

import os
import ssl
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from redis.asyncio import Redis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from zaptrix.core.faults import Fault, FaultKind, Unfit
from zaptrix.queues.connection import answering

REDIS_OLDEST = (6, 2)
ANSWER_S = 10.0
_FILES = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})

# What the queues do: a script over two keys. On a cluster the two are on different nodes.
_PROBE = "redis.call('SET', KEYS[1], '1', 'PX', 1000) return redis.call('EXISTS', KEYS[2])"
_PROBE_KEYS = ("bull:zaptrix:probe", "zaptrix:probe")


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What Redis tells of itself."""

    name: str
    """redis or valkey."""
    version: str
    mode: str
    role: str
    policy: str
    append_only: bool


def facts_of(info: dict[str, Any]) -> Facts:
    """Out of INFO. A Sentinel has no memory to tell of."""
    valkey = info.get("valkey_version")
    return Facts(
        name="valkey" if valkey else "redis",
        version=str(valkey or info.get("redis_version", "0.0")),
        mode=str(info.get("redis_mode", info.get("server_mode", "standalone"))),
        role=str(info.get("role", "master")),
        policy=str(info.get("maxmemory_policy", "")),
        append_only=bool(info.get("aof_enabled", 0)),
    )


def fault_of(facts: Facts) -> Fault | None:
    """The first thing that makes it unfit."""
    if facts.mode == "sentinel":
        return Fault(FaultKind.REDIS_SENTINEL)
    if facts.mode == "cluster":
        return Fault(FaultKind.REDIS_CLUSTER)
    if facts.role != "master":
        return Fault(FaultKind.REDIS_REPLICA)
    if tuple(int(part) for part in facts.version.split(".")[:2] if part.isdigit()) < REDIS_OLDEST:
        return Fault(FaultKind.REDIS_OLD, facts.version)
    return None


async def examine(url: str) -> Facts:
    """Dial it, look, and try what the queues do. Raises Unfit, also where it is only away for now (`may_pass`)."""
    for name, path in parse_qsl(urlsplit(url).query):
        if name in _FILES and not os.access(path, os.R_OK):
            raise Unfit(Fault(FaultKind.REDIS_TLS, name))
    try:
        # The database's number is chosen later: a cluster or a Sentinel would refuse it before it says what it is.
        async with Redis.from_url(url, decode_responses=True, socket_connect_timeout=ANSWER_S) as client:
            number = client.connection_pool.connection_kwargs.pop("db", 0)
            async with answering(ANSWER_S):
                facts = facts_of(await client.info())
            if (fault := fault_of(facts)) is not None:
                raise Unfit(fault)
            async with answering(ANSWER_S):
                await _try(client, number)
    except (RedisError, OSError, ValueError, TypeError) as exc:
        raise Unfit(trouble(exc)) from exc
    return facts


async def probe(client: Redis) -> None:
    """Write as the queues write. Raises one of `AWAY`."""
    await client.eval(_PROBE, len(_PROBE_KEYS), *_PROBE_KEYS)


async def _try(client: Redis, number: int) -> None:
    async with client.pipeline(transaction=True) as pipe:  # one connection
        if number:
            pipe.execute_command("SELECT", number)
        pipe.eval(_PROBE, len(_PROBE_KEYS), *_PROBE_KEYS)
        await pipe.execute()


def trouble(exc: Exception) -> Fault:
    """What an error means. Only its kind is ever shown: texts may quote an address."""
    told, seen = str(exc).lower(), type(exc).__name__
    for kind, classes, words in _TROUBLES:
        if isinstance(exc, classes) and (not words or any(word in told for word in words)):
            return Fault(kind, seen)
    return Fault(FaultKind.REDIS_REFUSED, seen)


# The first that fits.
_TROUBLES: tuple[tuple[FaultKind, tuple[type[Exception], ...], tuple[str, ...]], ...] = (
    (
        FaultKind.REDIS_LOGIN,
        (RedisError,),
        ("wrongpass", "noauth", "invalid password", "invalid username", "without any", "authenticat"),
    ),
    (FaultKind.REDIS_LOGIN, (AuthenticationError,), ()),
    (FaultKind.REDIS_RIGHTS, (NoPermissionError,), ()),
    (FaultKind.REDIS_RIGHTS, (RedisError,), ("noperm", "no permissions")),
    (FaultKind.REDIS_DB, (ResponseError,), ("db index",)),
    (FaultKind.REDIS_CLUSTER, (ResponseError,), ("cluster", "crossslot", "moved ")),
    (FaultKind.REDIS_REPLICA, (ReadOnlyError,), ()),
    (FaultKind.REDIS_FULL, (OutOfMemoryError,), ()),
    (FaultKind.REDIS_FULL, (ResponseError,), ("oom ", "misconf")),
    (FaultKind.REDIS_AWAY, (BusyLoadingError, RedisTimeoutError), ()),
    (FaultKind.REDIS_TLS, (RedisError, OSError), ("ssl", "certificate", "tls")),
    (FaultKind.REDIS_TLS, (ssl.SSLError,), ()),
    (FaultKind.REDIS_AWAY, (RedisConnectionError, OSError), ()),
    (FaultKind.REDIS_URL, (ValueError, TypeError), ()),
)
