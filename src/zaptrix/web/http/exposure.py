"""Tells whether the gateway and a call to it are private: its host, the address it is known by, and the call's own.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from zaptrix.settings import Settings

_LOCAL = "localhost"
_LOOPBACK = frozenset({_LOCAL, "127.0.0.1", "::1"})
# What a proxy, a balancer or a content network adds to say for whom it speaks, or that it speaks at all.
_FORWARDING = frozenset(
    {
        b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip", b"x-original-host",
        b"true-client-ip", b"cf-connecting-ip", b"cf-ray", b"fastly-client-ip", b"fly-client-ip", b"cdn-loop",
        b"x-amzn-trace-id", b"x-cloud-trace-context", b"x-azure-clientip", b"x-envoy-external-address",
    }
)  # fmt: skip
_FORWARDING_PREFIX = b"x-forwarded"


def is_private(settings: Settings) -> bool:
    """Whether neither HOST nor PUBLIC_URL is public. Behind a public address there is a proxy, which may say nothing.

    A name is taken for public, as only its owner knows where it leads.
    """
    return _is_private_host(settings.host) and _is_private_host(urlsplit(settings.public_url).hostname or "")


def is_from_inside(settings: Settings, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a call to a private gateway came straight to it: nobody forwarded it, and it names an address of ours.

    A page of another name that was made to lead here (DNS rebinding) names its own.
    """
    headers = list(headers)
    if any(name in _FORWARDING or name.startswith(_FORWARDING_PREFIX) for name, _ in headers):
        return False
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    return len(hosts) == 1 and _host_in(hosts[0]) in _own_hosts(settings)


def _own_hosts(settings: Settings) -> frozenset[str]:
    own = {settings.host.lower(), urlsplit(settings.public_url).hostname or ""} - {""}
    return _LOOPBACK | own if own & _LOOPBACK else frozenset(own)


def _host_in(header: str) -> str:
    """The host of a Host header; its port is of no matter."""
    try:
        return urlsplit(f"//{header.strip()}").hostname or ""
    except ValueError:
        return ""


def _is_private_host(host: str) -> bool:
    """True for loopback and private addresses. All interfaces at once (0.0.0.0, ::) are not private."""
    if host == _LOCAL:
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return (address.is_loopback or address.is_private) and not address.is_unspecified
