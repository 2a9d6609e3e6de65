"""Who calls the API: keys, what they may see, and how often they may ask."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from zaptrix.app import App
from zaptrix.core.access.scopes import KeyScope
from zaptrix.core.ids import PortalId
from zaptrix.core.wording.catalog import Sentence
from zaptrix.store.accounts import api_keys
from zaptrix.store.accounts.api_keys import ApiKey
from zaptrix.web.http.address import client_address
from zaptrix.web.http.exposure import is_from_inside, is_private
from zaptrix.web.http.problems import FORBIDDEN, INSUFFICIENT_SCOPE, Problem, too_many, unauthorized

Connection = ASGIConnection[Any, Any, Any, Any]

_NO_KEY = Sentence("api.keys.none")
_ADMINS_ONLY = Sentence("api.keys.admins_only")
# One text for a key that never was, one that ended and one that was revoked: which it is, is nobody's business.
_BAD_KEY = Sentence("api.keys.bad")


SCOPE = "scope"
"""The key of a handler's `opt` that says what a call of it takes; without it a look takes `read`, all else `manage`."""
_LOOKS = frozenset({"GET", "HEAD", "OPTIONS"})


def app_of(connection: Connection) -> App:
    return cast("App", connection.app.state["app"])


def caller_of(connection: Connection) -> ApiKey:
    """Whom `known_caller` let in."""
    return cast("ApiKey", connection.auth)


def request_id_of(connection: Connection) -> str:
    return cast("str", connection.scope["request_id"])  # type: ignore[typeddict-item]  # our own, set by the gateway


def actor_of(connection: Connection) -> str:
    """Who it was, for the audit."""
    return f"key {caller_of(connection).id}"


def only_of(caller: ApiKey, portal_id: UUID | None = None) -> PortalId | None:
    """The one portal that a list is narrowed to; None: all. Another's portal is asked for in vain, as it were empty."""
    return caller.portal_id or (PortalId(portal_id) if portal_id else None)


async def known_caller(connection: Connection, handler: BaseRouteHandler) -> None:
    """A guard: only with a key of the scope that the call takes, and not too often.

    Calls without a good key count for the address they come from.
    """
    app = app_of(connection)
    address = f"api:{client_address(connection.scope, app.settings.trusted_proxies)}"
    wait_s = app.throttle.refused_for(address)
    # A made-up key is not looked for while its address is over the limit; a good one is not held up by others there.
    if wait_s is not None and not await app.known_keys.hold(_given(connection.headers)):
        raise too_many(wait_s)
    caller = await _caller(app, connection.headers)
    wait_s = await app.throttle.allow(f"key:{caller.id}" if caller else address, app.settings.api_rate_per_min)
    if wait_s is not None:
        raise too_many(wait_s)
    if caller is None and not _given(connection.headers):
        raise unauthorized(_NO_KEY)
    if caller is None:
        raise unauthorized(_BAD_KEY, error="invalid_token")
    connection.scope["auth"] = caller
    scope = scope_of(str(connection.scope.get("method", "")), handler.opt)
    if scope not in caller.scopes:
        raise _lacking(scope)


def scope_of(method: str, opt: Mapping[str, Any]) -> KeyScope:
    """What a key has to have for a call."""
    return KeyScope.READ if method.upper() in _LOOKS else opt.get(SCOPE, KeyScope.MANAGE)


def _lacking(scope: KeyScope) -> Problem:
    """https://www.rfc-editor.org/rfc/rfc6750#section-3.1"""
    told = Sentence("api.keys.lacks_scope", {"scope": scope})
    challenge = f'Bearer realm="zaptrix", error="insufficient_scope", scope="{scope}"'
    return Problem(INSUFFICIENT_SCOPE, told, headers={"WWW-Authenticate": challenge})


async def admin(connection: Connection, _handler: BaseRouteHandler) -> None:
    """A guard after `known_caller`: only keys that are not one portal's."""
    only_admins(caller_of(connection))


def only_admins(caller: ApiKey) -> None:
    """What is no matter of one portal's key."""
    if caller.portal_id is not None:
        raise Problem(FORBIDDEN, _ADMINS_ONLY)


async def watcher(connection: Connection, handler: BaseRouteHandler) -> None:
    """A guard of the monitoring pages: open where all of the way is private, else METRICS_TOKEN or an admin's key."""
    app = app_of(connection)
    if is_private(app.settings) and is_from_inside(app.settings, connection.scope["headers"]):
        return
    token = app.settings.metrics_token
    if token and hmac.compare_digest(_given(connection.headers).encode(), token.encode()):
        return
    await known_caller(connection, handler)
    await admin(connection, handler)


async def _caller(app: App, headers: Mapping[str, str]) -> ApiKey | None:
    given = _given(headers)
    if not given.startswith("zx_"):
        return None
    async with app.database.connection() as connection:
        return await api_keys.check(connection, given)


def _given(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "").strip()
