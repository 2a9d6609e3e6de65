"""Endpoints for portals, the Bitrix24 accounts.

Secrets go in and never come out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from litestar import Request, Response, Router, delete, get, post, put
from litestar.params import Parameter
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from zaptrix.core.ids import PortalId
from zaptrix.core.limits import PAGE_DEFAULT, PORTAL_RATE_PER_S_MAX
from zaptrix.core.portal import Locale, Portal
from zaptrix.core.wording.catalog import Sentence
from zaptrix.settings import Settings
from zaptrix.store.accounts import portals
from zaptrix.store.accounts.api_keys import ApiKey
from zaptrix.store.accounts.portals import PortalFields, ValueTaken
from zaptrix.web.api.ownership import taken, told_ownership
from zaptrix.web.api.request.callers import actor_of, admin, app_of, caller_of, only_admins, only_of
from zaptrix.web.api.request.paging import Cursor, Limit, Page, page_of, place_of
from zaptrix.web.api.request.patterns import whole
from zaptrix.web.api.request.reading import Check, check, http_address, one_line, token
from zaptrix.web.http.problems import FORBIDDEN, Problem, WrongField, invalid, no_such

_ADDRESS = "https://, a host, no user, query or fragment."
PortalUrl = Annotated[
    str, Meta(min_length=8, max_length=255, description=_ADDRESS, examples=["https://company.bitrix24.com.br"])
]
Endpoint = Annotated[
    str,
    Meta(
        min_length=8,
        max_length=255,
        description="Where the portal's REST answers, on the portal's own host; left out: portal_url + /rest/.",
        examples=["https://company.bitrix24.com.br/rest/"],
    ),
]
MemberId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=whole(r"[A-Za-z0-9_-]+"),
        description="The account's own id; it never changes.",
        examples=["a223c6b3710f85df22e9377d6c4f7553"],
    ),
]
ClientId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        description="Of the local or market application.",
        examples=["local.5c8bb1b0891cf2.87252039"],
    ),
]
Secret = Annotated[
    str, Meta(min_length=1, max_length=4096, description="Kept encrypted, and never shown again.", examples=["..."])
]
OAuthHost = Annotated[
    Literal["oauth.bitrix.info", "oauth.bitrix24.tech"],
    Meta(description="Which of the two official OAuth hosts serves the portal; null: try both."),
]
ExpiresAt = Annotated[datetime, Meta(tz=True, description="When the access token ends.")]
ExpiresIn = Annotated[int, Meta(ge=0, le=100_000_000, description="Or: in how many seconds it ends.", examples=[3600])]
_YEARS = range(2000, 2200)
_NO_YEAR = Sentence("api.portals.no_year")
_BOTH_ENDS = Sentence("api.portals.both_ends")
_OTHER_HOST = Sentence("api.portals.other_host")
Language = Annotated[Locale, Meta(description="Of what the gateway tells operators.")]
Enterprise = Annotated[bool, Meta(description="On the Enterprise plan the portal takes 5 calls a second, else 2.")]
RatePerS = Annotated[
    int,
    Meta(
        ge=1,
        le=PORTAL_RATE_PER_S_MAX,
        description="Calls a second that a self-hosted portal takes; null: one in the cloud, with its limits.",
        examples=[20],
    ),
]

OfflineEvents = Annotated[
    bool,
    Meta(
        description="The portal also keeps operators' messages in a queue that the gateway reads: for a portal whose"
        " conversations it may not read. The tokens have to be an administrator's."
    ),
]


Confirm = Annotated[
    str | None,
    Parameter(
        query="confirm",
        required=False,
        max_length=255,
        description="Has to be given: the `member_id` of the portal that is meant, or its address (`portal_url`, or the"
        " host of it).",
    ),
]
_NOT_CONFIRMED = Sentence("api.portals.not_confirmed")


class PortalChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is left out stays."""

    portal_url: PortalUrl | UnsetType = UNSET
    member_id: MemberId | UnsetType = UNSET
    client_id: ClientId | UnsetType = UNSET
    client_secret: Secret | UnsetType = UNSET
    access_token: Secret | UnsetType = UNSET
    refresh_token: Secret | UnsetType = UNSET
    expires_at: ExpiresAt | UnsetType = UNSET
    expires_in: ExpiresIn | UnsetType = UNSET
    application_token: Secret | UnsetType = UNSET
    client_endpoint: Endpoint | UnsetType = UNSET
    oauth_host: OAuthHost | UnsetType | None = UNSET
    locale: Language | UnsetType = UNSET
    enterprise: Enterprise | UnsetType = UNSET
    rate_per_s: RatePerS | UnsetType | None = UNSET
    offline_events: OfflineEvents | UnsetType = UNSET


class NewPortal(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A portal with the tokens of its application. Without `expires_at` or `expires_in` they are refreshed first."""

    portal_url: PortalUrl
    member_id: MemberId
    client_id: ClientId
    client_secret: Secret
    access_token: Secret
    refresh_token: Secret
    application_token: Secret
    expires_at: ExpiresAt | UnsetType = UNSET
    expires_in: ExpiresIn | UnsetType = UNSET
    client_endpoint: Endpoint | UnsetType = UNSET
    oauth_host: OAuthHost | UnsetType | None = UNSET
    locale: Language | UnsetType = UNSET
    enterprise: Enterprise | UnsetType = UNSET
    rate_per_s: RatePerS | UnsetType | None = UNSET
    offline_events: OfflineEvents | UnsetType = UNSET


class PortalView(Struct, frozen=True, kw_only=True):
    """A portal as the API shows it."""

    id: UUID
    portal_url: str
    member_id: str
    client_endpoint: str
    connector_id: str
    locale: Locale
    enterprise: bool
    rate_per_s: int | None
    offline_events: bool
    paused_at: datetime | None
    paused_reason: str | None

    @classmethod
    def of(cls, portal: Portal) -> PortalView:
        return cls(**asdict(portal))


@get("/", summary="List portals", operation_id="listPortals")
async def list_portals(
    request: Request[Any, Any, Any], limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Page[PortalView]:
    """Portals in the order of their ids; a portal's own key sees that one."""
    after = place_of(cursor, UUID)
    only = only_of(caller_of(request))
    found = await app_of(request).reads.ask(
        lambda connection: portals.listed(connection, PortalId(after) if after else None, only, limit + 1)
    )
    more = found[limit - 1].id if len(found) > limit else None
    return page_of([PortalView.of(portal) for portal in found[:limit]], more)


@get("/{portal_id:uuid}", summary="One portal", operation_id="getPortal")
async def get_portal(request: Request[Any, Any, Any], portal_id: UUID) -> PortalView:
    """A portal, and whether it is paused and why."""
    _own(caller_of(request), portal_id)
    async with app_of(request).database.connection() as connection:
        portal = await portals.get(connection, PortalId(portal_id))
    if portal is None:
        raise no_such("portal")
    return PortalView.of(portal)


@post("/", summary="Create a portal", operation_id="createPortal", guards=[admin], status_code=201)
async def create_portal(request: Request[Any, Any, Any], data: NewPortal) -> Response[PortalView]:
    """Takes an admin's key. The portal is asked with these tokens: when it refuses them, or none answers at the
    address, that is 422; when it cannot be asked, 503; nothing is kept. An access token that has run out is refreshed.
    """
    check(data, _RULES)
    app = app_of(request)
    fields = _fields(data, app.settings.default_locale, app.clock.now())
    _same_host(str(fields.portal_url), str(fields.client_endpoint))
    _sealed_way(app.settings, fields)
    with _told(caller_of(request)):
        portal = await app.tenants.create_portal(actor_of(request), fields)
    return Response(PortalView.of(portal), headers={"Location": f"/api/portals/{portal.id}"})


@put("/{portal_id:uuid}", summary="Change or repair a portal", operation_id="changePortal")
async def change_portal(request: Request[Any, Any, Any], portal_id: UUID, data: PortalChange) -> PortalView:
    """Takes the portal out of its pause: what was held for it is delivered. Its addresses, `member_id` and pace take an
    admin's key to change. Other tokens, addresses or ids are first tried, as when a portal is created."""
    caller, app = caller_of(request), app_of(request)
    _own(caller, portal_id)
    check(data, _RULES)
    _may_move(caller, data)
    fields = _changed(data, app.clock.now())
    if fields.client_endpoint is not UNSET:
        await _stays_home(request, portal_id, fields)
    _sealed_way(app.settings, fields)
    with _told(caller):
        portal = await app.tenants.change_portal(actor_of(request), PortalId(portal_id), fields)
    if portal is None:
        raise no_such("portal")
    return PortalView.of(portal)


@delete("/{portal_id:uuid}", summary="Delete a portal", operation_id="deletePortal")
async def delete_portal(request: Request[Any, Any, Any], portal_id: UUID, confirm: Confirm = None) -> None:
    """With its channels, conversations, messages and API keys: nothing of it comes back. Takes an admin's key, and
    `confirm`, which says by name which portal is meant; without it nothing is deleted."""
    _own(caller_of(request), portal_id)
    only_admins(caller_of(request))
    app = app_of(request)
    async with app.database.connection() as connection:
        portal = await portals.get(connection, PortalId(portal_id))
    if portal is None:
        raise no_such("portal")
    if confirm not in {portal.member_id, portal.portal_url, urlsplit(portal.portal_url).hostname}:
        raise invalid(WrongField("/confirm", _NOT_CONFIRMED, "not_confirmed"), source="query")
    if not await app.tenants.delete_portal(actor_of(request), PortalId(portal_id)):
        raise no_such("portal")


portals_router = Router(
    "/api/portals", route_handlers=[list_portals, get_portal, create_portal, change_portal, delete_portal],
    tags=["Portals"],
)  # fmt: skip

_RULES: tuple[tuple[str, Check], ...] = (
    ("portal_url", http_address),
    ("client_endpoint", http_address),
    ("client_id", one_line),
    ("client_secret", token),
    ("access_token", token),
    ("refresh_token", token),
    ("application_token", token),
    ("expires_at", lambda at: None if at.year in _YEARS else _NO_YEAR),
)

# Where the gateway calls and sends a client secret to; who the portal is; and how fast it is called.
_ADMINS = ("portal_url", "client_endpoint", "oauth_host", "member_id", "enterprise", "rate_per_s")


def _own(caller: ApiKey, portal_id: UUID) -> None:
    if caller.portal_id not in {None, portal_id}:
        raise no_such("portal")


def _may_move(caller: ApiKey, change: PortalChange) -> None:
    moved = [name for name in _ADMINS if getattr(change, name) is not UNSET]
    if caller.portal_id is not None and moved:
        names = ", ".join(moved)
        told = Sentence("api.portals.admins_only", {"names": names})
        raise Problem(FORBIDDEN, told)


def _fields(new: NewPortal, locale: str, now: datetime) -> PortalFields:
    given = _stored(new, now)
    given.setdefault("client_endpoint", f"{given['portal_url']}/rest/")
    # Nobody told how long the pair lasts: it is refreshed before it is used.
    given.setdefault("token_expiration_time", now)
    given.setdefault("locale", Locale(locale))
    return PortalFields(**given)


def _changed(change: PortalChange, now: datetime) -> PortalFields:
    given = _stored(change, now)
    if "portal_url" in given:
        given.setdefault("client_endpoint", f"{given['portal_url']}/rest/")
    if "access_token" in given or "refresh_token" in given:
        given.setdefault("token_expiration_time", now)
    return PortalFields(**given)


def _stored(body: NewPortal | PortalChange, now: datetime) -> dict[str, Any]:
    """What was given, under the store's names."""
    given = {name: value for name, value in asdict(body).items() if value is not UNSET}
    if "expires_at" in given and "expires_in" in given:
        raise invalid(WrongField("/expires_in", _BOTH_ENDS, "twice"))
    if "portal_url" in given:
        given["portal_url"] = given["portal_url"].rstrip("/")
    if "client_endpoint" in given:
        given["client_endpoint"] = f"{given['client_endpoint'].rstrip('/')}/"
    if (seconds := given.pop("expires_in", None)) is not None:
        given["token_expiration_time"] = now + timedelta(seconds=seconds)
    if (at := given.pop("expires_at", None)) is not None:
        given["token_expiration_time"] = at
    return given


async def _stays_home(request: Request[Any, Any, Any], portal_id: UUID, fields: PortalFields) -> None:
    portal_url = fields.portal_url
    if portal_url is UNSET:
        async with app_of(request).database.connection() as connection:
            portal = await portals.get(connection, PortalId(portal_id))
        if portal is None:
            raise no_such("portal")
        portal_url = portal.portal_url
    _same_host(str(portal_url), str(fields.client_endpoint))


def _same_host(portal_url: str, client_endpoint: str) -> None:
    """The access token goes to the client endpoint: that must be the portal, not somebody else's server."""
    portal, endpoint = urlsplit(portal_url), urlsplit(client_endpoint)
    simulated = endpoint.scheme == "http" and endpoint.hostname in {"127.0.0.1", "::1", "localhost"}
    if not simulated and (portal.hostname != endpoint.hostname or endpoint.scheme != portal.scheme):
        raise invalid(WrongField("/client_endpoint", _OTHER_HOST, "other_host"))


_IS_TAKEN = Sentence("api.portals.taken")
_NOT_SEALED = Sentence("api.portals.not_https")


def _sealed_way(settings: Settings, fields: PortalFields) -> None:
    """Tokens go there: by TLS, or within this machine or a private network that the settings name."""
    for name, url in (("portal_url", fields.portal_url), ("client_endpoint", fields.client_endpoint)):
        parts = urlsplit(url or "")
        if parts.scheme == "http" and not _is_near(settings, parts.hostname or ""):
            raise invalid(WrongField(f"/{name}", _NOT_SEALED, "not_https"))


def _is_near(settings: Settings, host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or any(address in network for network in settings.media_private_networks)


@contextmanager
def _told(caller: ApiKey) -> Iterator[None]:
    """Why a portal cannot be made or changed, as problem documents."""
    try:
        with told_ownership("Bitrix24"):
            yield
    except ValueTaken as exc:
        raise taken(caller, f"/{exc.field or 'member_id'}", _IS_TAKEN) from None
