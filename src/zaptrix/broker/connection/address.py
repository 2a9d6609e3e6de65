"""REDIS_URL in its three forms: one server, a cluster, and a primary that Sentinels name.

- `redis://user:password@host:6379/0`, `unix:///path/redis.sock`
- `redis+cluster://user:password@host1:6379,host2:6379`: some of the nodes; they name the others
- `redis+sentinel://user:password@host1:26379,host2:26379/service/0`: the Sentinels, and the name of the primary that
  they watch. User and password are Redis's own; those of the Sentinels are `?sentinel_username=…&sentinel_password=…`.

`rediss` in place of `redis` is the same over TLS, with `?ssl_ca_certs=/path/ca.pem&ssl_certfile=…&ssl_keyfile=…`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from redis.asyncio.connection import SSLConnection, parse_url

PORT, SENTINEL_PORT = 6379, 26379
_OF_SENTINELS = {"sentinel_username": "username", "sentinel_password": "password"}


class RedisTopology(StrEnum):
    """What an address leads to."""

    SINGLE = ""
    CLUSTER = "cluster"
    SENTINEL = "sentinel"


class Host(NamedTuple):
    name: str
    port: int


class Address(NamedTuple):
    """A REDIS_URL, read. `options` are those of redis-py's connections."""

    url: str
    form: RedisTopology
    hosts: tuple[Host, ...]
    options: dict[str, Any]
    service: str
    sentinel_options: dict[str, Any]


def read(url: str) -> Address:
    """Raises ValueError for what cannot be read; `core.installation.addresses.redis_slip` has told why before."""
    parts = urlsplit(url)
    scheme, _, form = parts.scheme.partition("+")
    return _READERS[RedisTopology(form)](url, parts._replace(scheme=scheme))


def _single(url: str, _parts: SplitResult) -> Address:
    return Address(url, RedisTopology.SINGLE, (), {}, "", {})  # redis-py reads it itself


def _cluster(url: str, parts: SplitResult) -> Address:
    options = _options(parts._replace(path=""))
    return Address(url, RedisTopology.CLUSTER, _hosts(parts, PORT), options, "", {})


def _sentinel(url: str, parts: SplitResult) -> Address:
    service, _, number = parts.path.removeprefix("/").partition("/")
    query = parts.query.split("&") if parts.query else []
    of_sentinels = [part for part in query if part.partition("=")[0] in _OF_SENTINELS]
    rest = "&".join(part for part in query if part not in of_sentinels)
    options = _options(parts._replace(path=f"/{number}", query=rest))
    login = {_OF_SENTINELS[name]: value for name, value in parse_qsl("&".join(of_sentinels).replace("+", "%2B"))}
    shared = {name: value for name, value in options.items() if name.startswith(("ssl", "socket_"))}
    return Address(url, RedisTopology.SENTINEL, _hosts(parts, SENTINEL_PORT), options, unquote(service), shared | login)


_READERS: dict[RedisTopology, Callable[[str, SplitResult], Address]] = {
    RedisTopology.SINGLE: _single,
    RedisTopology.CLUSTER: _cluster,
    RedisTopology.SENTINEL: _sentinel,
}


def _options(parts: SplitResult) -> dict[str, Any]:
    """What redis-py reads out of an address of one server."""
    login, at, hosts = parts.netloc.rpartition("@")
    one = parts._replace(netloc=f"{login}{at}{hosts.partition(',')[0]}")
    options: dict[str, Any] = dict(parse_url(one.geturl()))
    if options.pop("connection_class", None) is SSLConnection:
        options["ssl"] = True
    return {name: value for name, value in options.items() if name not in {"host", "port"}}


def _hosts(parts: SplitResult, port: int) -> tuple[Host, ...]:
    return tuple(_host(text, port) for text in parts.netloc.rpartition("@")[2].split(","))


def _host(text: str, port: int) -> Host:
    read = urlsplit(f"//{text}")
    return Host(read.hostname or "localhost", read.port or port)
