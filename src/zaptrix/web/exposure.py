"""Whether the gateway listens where only friends can knock."""

from __future__ import annotations

from ipaddress import ip_address


def is_private_bind(host: str) -> bool:
    """True for loopback and private addresses. All interfaces at once (0.0.0.0, ::) are not private."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (address.is_loopback or address.is_private) and not address.is_unspecified
