"""Channels: WhatsApp numbers, each joined to one open line of a portal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, delete, get, post, put
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from zaptrix.bridge.tenants.tenants import Joined, TooManyChannels
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.limits import PAGE_DEFAULT
from zaptrix.core.portal import Channel, CrmMode
from zaptrix.core.wording.catalog import Sentence
from zaptrix.store.accounts import channels
from zaptrix.store.accounts.api_keys import ApiKey
from zaptrix.store.accounts.channels import ChannelFields
from zaptrix.store.accounts.portals import ValueTaken
from zaptrix.store.connection.database import Connection
from zaptrix.web.api.ownership import taken, told_ownership
from zaptrix.web.api.request.callers import actor_of, app_of, caller_of, only_of
from zaptrix.web.api.request.paging import Cursor, Limit, OfPortal, Page, page_of, place_of
from zaptrix.web.api.request.patterns import whole
from zaptrix.web.api.request.reading import Check, check, one_line, token
from zaptrix.web.http.problems import LIMIT_REACHED, Problem, WrongField, no_such

Name = Annotated[str, Meta(min_length=1, max_length=255, description="For people.", examples=["Vendas"])]
PhoneNumberId = Annotated[
    str,
    Meta(
        pattern=whole(r"[0-9]{5,20}"),
        max_length=20,
        description="Meta's id of the number (not the number).",
        examples=["210987654321098"],
    ),
]
DisplayNumber = Annotated[
    str,
    Meta(
        pattern=whole(r"\+?[0-9 ()-]{6,24}"),
        max_length=25,
        description="The number as people write it.",
        examples=["+55 11 91234-5678"],
    ),
]
WabaId = Annotated[
    str,
    Meta(
        pattern=whole(r"[0-9]{5,20}"),
        max_length=20,
        description="The WhatsApp business account.",
        examples=["102290129340398"],
    ),
]
Secret = Annotated[
    str, Meta(min_length=1, max_length=4096, description="Kept encrypted, and never shown again.", examples=["EAA..."])
]
LineId = Annotated[int, Meta(ge=1, le=2_147_483_647, description="The open line's number in Bitrix24.", examples=[1])]
Rate = Annotated[
    int, Meta(ge=1, le=1000, description="Messages a second: 80, in coexistence with the app 20, up to 1,000.")
]
CrmCreator = Annotated[
    CrmMode, Meta(description="Who makes a new customer's contact: the line itself, the gateway, or nobody.")
]
Prefix = Annotated[bool, Meta(description="Put the operator's name before what they write.")]
MarkRead = Annotated[bool, Meta(description="Blue ticks, once the message is safely in Bitrix24.")]

ShowTyping = Annotated[
    bool,
    Meta(description="Show the customer that an answer comes while an operator's file is prepared; with mark_read."),
]


class ChannelChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is left out stays."""

    name: Name | UnsetType = UNSET
    phone_number_id: PhoneNumberId | UnsetType = UNSET
    display_phone_number: DisplayNumber | UnsetType = UNSET
    waba_id: WabaId | UnsetType | None = UNSET
    access_token: Secret | UnsetType = UNSET
    line_id: LineId | UnsetType = UNSET
    rate_per_s: Rate | UnsetType = UNSET
    crm_mode: CrmCreator | UnsetType = UNSET
    operator_prefix: Prefix | UnsetType = UNSET
    mark_read: MarkRead | UnsetType = UNSET
    typing: ShowTyping | UnsetType = UNSET


class NewChannel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number and the line that answers it."""

    portal_id: UUID
    name: Name
    phone_number_id: PhoneNumberId
    display_phone_number: DisplayNumber
    access_token: Secret
    line_id: LineId
    waba_id: WabaId | UnsetType | None = UNSET
    rate_per_s: Rate | UnsetType = UNSET
    crm_mode: CrmCreator | UnsetType = UNSET
    operator_prefix: Prefix | UnsetType = UNSET
    mark_read: MarkRead | UnsetType = UNSET
    typing: ShowTyping | UnsetType = UNSET


class Registration(Struct, frozen=True):
    """Whether the connector stands on its line. If not, the gateway tries again; `error` tells what is in the way."""

    done: bool
    error: str | None


class Subscription(Struct, frozen=True):
    """Whether the number's WhatsApp account sends its webhooks to our app. If not, the gateway tries again; `error`
    tells what is in the way."""

    done: bool
    error: str | None


class ChannelView(Struct, frozen=True, kw_only=True):
    """A channel as the API shows it."""

    id: UUID
    portal_id: UUID
    name: str
    phone_number_id: str
    display_phone_number: str
    waba_id: Annotated[str | None, Meta(description="As Meta tells it; null while it does not.")]
    line_id: int
    rate_per_s: int
    crm_mode: CrmMode
    operator_prefix: bool
    mark_read: bool
    typing: bool
    whatsapp_paused_at: datetime | None
    whatsapp_paused_reason: str | None
    line_paused_at: datetime | None
    line_paused_reason: str | None
    registration: Registration
    subscription: Subscription

    @classmethod
    def of(cls, channel: Channel, registration: Registration, subscription: Subscription) -> ChannelView:
        known = {name: value for name, value in asdict(channel).items() if name in cls.__struct_fields__}
        return cls(**known, registration=registration, subscription=subscription)

    @classmethod
    def joined(cls, joined: Joined) -> ChannelView:
        registration, subscription = joined.registration_error, joined.subscription_error
        return cls.of(
            joined.channel,
            Registration(registration is None, registration),
            Subscription(subscription is None, subscription),
        )


@get("/", summary="List channels", operation_id="listChannels")
async def list_channels(
    request: Request[Any, Any, Any], portal_id: OfPortal = None, limit: Limit = PAGE_DEFAULT, cursor: Cursor = None
) -> Page[ChannelView]:
    """Channels in the order of their ids."""
    after = place_of(cursor, UUID)
    only = only_of(caller_of(request), portal_id)

    async def look(connection: Connection) -> tuple[list[Channel], list[ChannelView]]:
        found = await channels.listed(connection, after, only, limit + 1)
        return found, [await _view(connection, channel) for channel in found[:limit]]

    found, items = await app_of(request).reads.ask(look)
    return page_of(items, found[limit - 1].id if len(found) > limit else None)


@get("/{channel_id:uuid}", summary="One channel", operation_id="getChannel")
async def get_channel(request: Request[Any, Any, Any], channel_id: UUID) -> ChannelView:
    """A channel, whether it is registered on its line, and whether a side of it is paused and why."""
    await _own(request, channel_id)
    async with app_of(request).database.connection() as connection:
        channel = await channels.get(connection, ChannelId(channel_id))
        if channel is None:
            raise no_such("channel")
        return await _view(connection, channel)


@post("/", summary="Create a channel", operation_id="createChannel", status_code=201)
async def create_channel(request: Request[Any, Any, Any], data: NewChannel) -> Response[ChannelView]:
    """Asks Meta whether the token opens the number and whether that is of `waba_id`: if not, 422; when Meta cannot be
    asked, 503; nothing is kept. Then registers the connector on the line and subscribes the number's WhatsApp account
    to the app, and goes on trying if that fails; what customers wrote to this number before is delivered now, unless it
    was another portal's then."""
    caller = caller_of(request)
    if caller.portal_id not in {None, data.portal_id}:
        raise no_such("portal")
    check(data, _RULES)
    with _told(caller):
        joined = await app_of(request).tenants.create_channel(
            actor_of(request), PortalId(data.portal_id), _fields(data)
        )
    if joined is None:
        raise no_such("portal")
    return Response(ChannelView.joined(joined), headers={"Location": f"/api/channels/{joined.channel.id}"})


@put("/{channel_id:uuid}", summary="Change or repair a channel", operation_id="changeChannel")
async def change_channel(request: Request[Any, Any, Any], channel_id: UUID, data: ChannelChange) -> ChannelView:
    """Takes the channel out of its pauses, registers it and subscribes its account again: what was held is delivered.
    Another number, token or account is first asked of Meta, as when a channel is created."""
    await _own(request, channel_id)
    check(data, _RULES)
    with _told(caller_of(request)):
        joined = await app_of(request).tenants.change_channel(actor_of(request), ChannelId(channel_id), _fields(data))
    if joined is None:
        raise no_such("channel")
    return ChannelView.joined(joined)


@delete("/{channel_id:uuid}", summary="Delete a channel", operation_id="deleteChannel")
async def delete_channel(request: Request[Any, Any, Any], channel_id: UUID) -> None:
    """With its conversations and messages."""
    await _own(request, channel_id)
    if not await app_of(request).tenants.delete_channel(actor_of(request), ChannelId(channel_id)):
        raise no_such("channel")


channels_router = Router(
    "/api/channels", route_handlers=[list_channels, get_channel, create_channel, change_channel, delete_channel],
    tags=["Channels"],
)  # fmt: skip

_RULES: tuple[tuple[str, Check], ...] = (("name", one_line), ("access_token", token))


async def _own(request: Request[Any, Any, Any], channel_id: UUID) -> None:
    """A portal's key touches that portal's channels only."""
    caller = caller_of(request)
    if caller.portal_id is None:
        return
    async with app_of(request).database.connection() as connection:
        channel = await channels.get(connection, ChannelId(channel_id))
    if channel is None or channel.portal_id != caller.portal_id:
        raise no_such("channel")


async def _view(connection: Connection, channel: Channel) -> ChannelView:
    registered, subscribed = channel.registered_at is not None, channel.subscribed_at is not None
    return ChannelView.of(
        channel,
        Registration(registered, None if registered else await channels.registration_error(connection, channel.id)),
        Subscription(subscribed, None if subscribed else await channels.subscription_error(connection, channel.id)),
    )


def _fields(body: NewChannel | ChannelChange) -> ChannelFields:
    given = {name: value for name, value in asdict(body).items() if name != "portal_id" and value is not UNSET}
    return ChannelFields(**given)


@contextmanager
def _told(caller: ApiKey) -> Iterator[None]:
    """Why a channel cannot be made or changed, as problem documents."""
    try:
        with told_ownership("WhatsApp"):
            yield
    except ValueTaken:
        told = Sentence("api.channels.taken")
        raise taken(caller, "/phone_number_id", told) from None
    except TooManyChannels as exc:
        full = Sentence("api.channels.too_many", {"limit": exc.most})
        raise Problem(LIMIT_REACHED, errors=[WrongField("/portal_id", full, "channels_max")]) from None
