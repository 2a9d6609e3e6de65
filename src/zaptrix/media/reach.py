"""The SSRF guard: names are looked up once, judged, and what was judged is what is connected to.

The list of what is not public is our own, from IANA's registries: the interpreter's differs by its version.
https://www.iana.org/assignments/iana-ipv4-special-registry/
https://www.iana.org/assignments/iana-ipv6-special-registry/
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

# Inside of this an IPv4 address travels in an IPv6 one, and is the one that is judged: a host that has IPv6 alone gets
# such addresses for all that has IPv4 alone. https://www.rfc-editor.org/rfc/rfc6052
_NAT64 = ip_network("64:ff9b::/96")

_NOT_PUBLIC = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by the customers of a provider
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and a cloud's metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast tunnels
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_IPV6_PUBLIC = ip_network(
    "2000::/3"
)  # all that IANA gives out; loopback, link- and site-local and the like are outside


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
        try:
            found = await self._inner.resolve(host, port, family)
        except OSError:
            raise
        except Exception as exc:
            # A name that is none, as the library sees it: too long, empty between two dots, with a NUL inside.
            raise ForbiddenAddress("not the name of a host") from exc
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
    if isinstance(address, IPv6Address) and address not in _IPV6_PUBLIC:
        return False
    return not any(address in network for network in _NOT_PUBLIC)


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
    return address.ipv4_mapped or address
