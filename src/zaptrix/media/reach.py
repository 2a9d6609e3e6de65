"""Which addresses may be reached: names are looked up once, judged, and what was judged is what is connected to."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# Inside these an IPv4 address travels in an IPv6 one. https://www.rfc-editor.org/rfc/rfc6052
_NAT64 = ip_network("64:ff9b::/96")


class ForbiddenAddress(OSError):
    """A name leads into a private network, or to nowhere. An OSError, as what a resolver raises has to be."""


class CheckedResolver(AbstractResolver):
    """Looks names up, and hands out only what may be reached: `private` are networks that may, though they are not
    public."""

    def __init__(self, private: Sequence[Network] = (), inner: AbstractResolver | None = None) -> None:
        self._private = private
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        # One bad address among good ones is a trap, not an accident.
        if not found or not all(may_reach(each["host"], self._private) for each in found):
            raise ForbiddenAddress("the name leads into a private network")
        return found

    async def close(self) -> None:
        await self._inner.close()


def may_reach(host: str, private: Sequence[Network] = ()) -> bool:
    """Whether an address, as text, is public or in one of `private`."""
    try:
        address = _inner(ip_address(host.partition("%")[0]))
    except ValueError:
        return False
    if any(address in network for network in private):
        return True
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _inner(address: Address) -> Address:
    """The address that is reached in the end: one of IPv4 may be wrapped into one of IPv6."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
