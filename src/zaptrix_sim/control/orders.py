"""Who may give orders: the page, and programs on this machine; no page from elsewhere in a developer's browser.

A browser tells where a page is from by `Origin` and `Sec-Fetch-Site`, and by `Host` under which name it found this
server: a name that somebody pointed at 127.0.0.1 (DNS rebinding) is refused. What is posted has to be JSON, which no
page can send elsewhere without being asked first. https://fetch.spec.whatwg.org/#http-cors-protocol
"""

import ipaddress
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from zaptrix_sim.settings import Settings

Wanted = dict[str, Any]
_NOT_HERE: Final = ("cross-site", "same-site")


class Mistake(Exception):
    """What was asked for cannot be done; the text says why."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def orders_from_here(settings: Settings) -> Middleware:
    """Guards /control and the page. The platforms' own addresses are open: there, tokens decide."""
    configured = {name for name in (settings.host, _name_of(settings.public_url)) if name}
    anywhere = _is_wildcard(settings.host)

    def is_known(host: str) -> bool:
        name = _name_of(f"//{host}")
        address = _address_of(name)
        if name in configured or name == "localhost":
            return True
        return address is not None and (anywhere or address.is_loopback)

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(("/meta/", "/bitrix24/")):
            return await handler(request)
        if wrong := _wrong(request, settings, known=is_known(request.headers.get("Host", ""))):
            return wrong
        return await handler(request)

    return guard


async def read_order(request: web.Request) -> Wanted:
    """What is wanted, as JSON that says so: no page can send that elsewhere without being asked. Raises Mistake."""
    raw = await request.read()
    if not raw:
        return {}
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as exc:
        raise Mistake("the body is not JSON") from exc
    if request.content_type != "application/json":
        raise Mistake("the body has to be application/json", 415)
    if isinstance(body, list):
        return {"faults": body}
    if not isinstance(body, dict):
        raise Mistake("the body must be a JSON object")
    return body


def _wrong(request: web.Request, settings: Settings, *, known: bool) -> web.Response | None:
    if not known:
        return _refused("this server is not known by the name in Host; SIM_PUBLIC_URL or SIM_HOST tells a name")
    origin = request.headers.get("Origin")
    if origin is not None and origin not in _origins(request, settings):
        return _refused("orders from a page of another origin are not taken")
    if request.path.startswith("/control/") and origin is None and request.headers.get("Sec-Fetch-Site") in _NOT_HERE:
        return _refused("orders from a page of another site are not taken")
    return None


def _origins(request: web.Request, settings: Settings) -> tuple[str, ...]:
    here = request.headers.get("Host", "")
    return f"http://{here}", f"https://{here}", settings.public_url or f"http://{here}"


def _refused(why: str) -> web.Response:
    return web.json_response({"error": why}, status=403)


def _name_of(url: str) -> str:
    """The host of an address, without its port; "" when it cannot be read."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _address_of(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _is_wildcard(host: str) -> bool:
    address = _address_of(host)
    return not host or (address is not None and address.is_unspecified)
