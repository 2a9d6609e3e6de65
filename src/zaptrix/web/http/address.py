"""Who calls: the peer, or the one for whom a trusted proxy says that it speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from zaptrix.core.installation.variables import Network

_CLIENT_PREFIX = 64  # one customer of a provider has that much of IPv6, and could wander in it


def client_address(scope: Mapping[str, Any], trusted: Sequence[Network]) -> str:
    """The caller's address, fit for a limit's key. What a caller writes of itself counts only from trusted proxies."""
    peer = (scope.get("client") or ("unknown",))[0]
    address = _parsed(peer)
    if address is None:
        return peer if isinstance(peer, str) else "unknown"
    if trusted and _is_in(address, trusted):
        address = _forwarded_for(scope["headers"], trusted) or address
    return _key(address)


def address_of(host: str) -> str:
    """A peer's own address, fit for a limit's key."""
    address = _parsed(host)
    return host if address is None else _key(address)


def is_in(host: str, networks: Sequence[Network]) -> bool:
    address = _parsed(host)
    return address is not None and _is_in(address, networks)


def _forwarded_for(
    headers: Sequence[tuple[bytes, bytes]], trusted: Sequence[Network]
) -> IPv4Address | IPv6Address | None:
    """The right-most address that is no trusted proxy: everything left of it may be invented."""
    chain = b",".join(value for name, value in headers if name == b"x-forwarded-for").decode("latin-1")
    last: IPv4Address | IPv6Address | None = None
    for part in reversed(chain.split(",")):
        address = _parsed(part.strip())
        if address is None:
            return last
        last = address
        if not _is_in(address, trusted):
            return address
    return last


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_in(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _key(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _CLIENT_PREFIX), strict=False))
    return str(address)
