"""Tenants: portals and channels made, changed and deleted by an admin, each change audited."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
import structlog
from msgspec import UNSET
from msgspec.structs import replace

from zaptrix.bridge.tenants.directory import Directory
from zaptrix.bridge.tenants.registration import Registrar
from zaptrix.bridge.tenants.subscription import Subscriptions
from zaptrix.broker.cache.cache import ConversationCache
from zaptrix.broker.queues.bells import Bells
from zaptrix.core.delivery.errors import Unauthorized
from zaptrix.core.delivery.lanes import Lane, bitrix24_lane, meta_lane
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.portal import Channel, Portal
from zaptrix.core.ports import NumberCredentials, PortalCredentials, TokenCache, TokenPair
from zaptrix.store.accounts import audit, channels, erasures, portals
from zaptrix.store.accounts.channels import ChannelFields
from zaptrix.store.accounts.portals import PortalFields, StoredTokens, ValueTaken
from zaptrix.store.connection.database import Database, StoreUnavailable
from zaptrix.store.encryption import SecretBox
from zaptrix.store.journal import events
from zaptrix.store.ledger import claims

log = structlog.get_logger(__name__)

# Somebody waits for the answer; the worker goes on trying.
_JOIN_S_MAX = 25.0
_CHANNELS_MAX = 1_000
_UNREGISTER_S_MAX = 15.0  # of all lines of a portal together

_OWNED = frozenset({"phone_number_id", "access_token", "waba_id"})  # what is the caller's only when Meta says so
_PAIR = frozenset({"client_id", "client_secret", "access_token", "refresh_token"})
_TRIED = frozenset({"portal_url", "client_endpoint", "member_id", "client_id", "access_token", "refresh_token"})


class Joined(msgspec.Struct, frozen=True, kw_only=True):
    """A channel, what kept its connector from standing on its line, and its account from sending us webhooks (None:
    nothing did)."""

    channel: Channel
    registration_error: str | None
    subscription_error: str | None


class TooManyChannels(Exception):
    """The portal has as many channels as it may: `most` of them."""

    def __init__(self, most: int) -> None:
        super().__init__(f"a portal may have {most} channels")
        self.most = most


class Credentials(msgspec.Struct, frozen=True):
    """Where the platforms are asked whose a number or a portal is, before it is taken."""

    numbers: NumberCredentials
    portals: PortalCredentials


class Concerned(NamedTuple):
    """Who is told of a change after its commit."""

    directory: Directory
    registrar: Registrar
    subscriptions: Subscriptions
    cache: ConversationCache
    tokens: TokenCache
    bells: Bells


class Tenants:
    """Writes first, tells whom it concerns after the commit."""

    def __init__(
        self, database: Database, box: SecretBox, credentials: Credentials, concerned: Concerned, *, channels_max: int
    ) -> None:
        self._database = database
        self._box = box
        self._vault = StoredTokens(database, box)
        self._credentials = credentials
        self._channels_max = channels_max
        self._directory = concerned.directory
        self._registrar = concerned.registrar
        self._subscriptions = concerned.subscriptions
        self._cache = concerned.cache
        self._tokens = concerned.tokens
        self._bells = concerned.bells

    async def create_portal(self, actor: str, fields: PortalFields) -> Portal:
        """Make a portal whose own server and tokens have answered for it.

        Raises NotOwned, PlatformError (it cannot be asked now), ValueTaken, StoreRefused, StoreUnavailable; nothing is
        kept.
        """
        async with self._database.connection() as connection:
            # Before tokens are spent on what cannot be kept.
            if field := await portals.taken(connection, str(fields.member_id), str(fields.portal_url)):
                raise ValueTaken(field)
        fields = await self._checked(_nobody(), fields, None)
        async with self._database.transaction() as connection:
            portal = await portals.add(connection, fields, self._box)
            await audit.write(connection, actor, "portal.create", f"portal {portal.id}")
        self._directory.clear()
        return portal

    async def change_portal(self, actor: str, portal_id: PortalId, fields: PortalFields) -> Portal | None:
        """Change what `fields` sets and take the portal out of its pause, so that what was held drains.

        None when there is no such portal. Raises what `create_portal` raises.
        """
        async with self._database.connection() as connection:
            known = await portals.get(connection, portal_id)
        if known is None:
            return None
        if not _TRIED.isdisjoint(_names(fields)):
            fields = await self._checked(known, fields, await self._pair(portal_id, fields))
        async with self._database.transaction() as connection:
            portal = await portals.change(connection, portal_id, fields, self._box)
            if portal is None:
                return None
            await audit.write(connection, actor, "portal.change", f"portal {portal_id}", fields=_names(fields))
            await claims.hasten(connection, portal_id)
        self._directory.clear()
        # The cached token may be the one that was just replaced.
        await self._tokens.drop(portal_id)
        self._bells.ring_soon([bitrix24_lane(portal_id)])
        return portal

    async def _pair(self, portal_id: PortalId, fields: PortalFields) -> TokenPair | None:
        """The stored tokens; None when none of them is needed. Raises Unauthorized when one is, and cannot be read."""
        try:
            return await self._vault.pair(portal_id)
        except Unauthorized:
            if _PAIR - set(_names(fields)):
                raise
            return None

    async def _checked(self, known: Portal, fields: PortalFields, stored: TokenPair | None) -> PortalFields:
        """`fields`, with the tokens to keep, once the portal that they make has answered.

        Only a pair that was given is refreshed: only the token store refreshes the stored one. Raises NotOwned,
        PlatformError.
        """
        portal = replace(known, **_set(fields, ("portal_url", "member_id", "client_endpoint")))
        given = _set(fields, tuple(_PAIR | {"oauth_host"}))
        if "token_expiration_time" in (times := _set(fields, ("token_expiration_time",))):
            given["expires_at"] = times["token_expiration_time"]
        if "refresh_token" in given:
            given.setdefault("access_token", "")
        pair = replace(stored, **given) if stored else TokenPair(**{"oauth_host": None} | given)
        kept = await self._credentials.portals.check(
            portal, pair, stored="access_token" not in given, may_refresh="refresh_token" in given
        )
        if kept == pair:
            return fields
        return replace(
            fields,
            access_token=kept.access_token,
            refresh_token=kept.refresh_token,
            token_expiration_time=kept.expires_at,
        )

    async def delete_portal(self, actor: str, portal_id: PortalId) -> bool:
        """Delete a portal with its channels, conversations, messages and API keys; False when there is none."""
        async with self._database.connection() as connection:
            lost = await channels.listed(connection, None, portal_id, _CHANNELS_MAX)
        with suppress(TimeoutError):
            async with asyncio.timeout(_UNREGISTER_S_MAX):
                for channel in lost:
                    await self._registrar.unregister(channel.id)
        async with self._database.transaction() as connection:
            await erasures.order_portal(connection, portal_id)
            if not await portals.delete(connection, portal_id):
                return False
            await audit.write(connection, actor, "portal.delete", f"portal {portal_id}")
        self._directory.clear()
        await self._tokens.drop(portal_id)
        await self._cache.invalidate(portals=[portal_id])
        return True

    async def create_channel(self, actor: str, portal_id: PortalId, fields: ChannelFields) -> Joined | None:
        """Join a number, whose token opens it, to an open line; what came for the number before is routed now.

        None when there is no such portal. Raises NotOwned, PlatformError (Meta cannot be asked now), TooManyChannels,
        ValueTaken, StoreRefused, StoreUnavailable; nothing is kept.
        """
        async with self._database.connection() as connection:
            if await portals.get(connection, portal_id) is None:
                return None
        number, token = str(fields.phone_number_id), str(fields.access_token)
        account = await self._credentials.numbers.account_of(number, token, fields.waba_id or None)
        async with self._database.transaction() as connection:
            await portals.lock(connection, portal_id)
            if await channels.count(connection, portal_id) >= self._channels_max:
                raise TooManyChannels(self._channels_max)
            channel = await channels.add(connection, portal_id, replace(fields, waba_id=account), self._box)
            if channel is None:
                return None
            await audit.write(connection, actor, "channel.create", f"channel {channel.id}", portal_id=str(portal_id))
            lanes = await events.replay_number(connection, channel.phone_number_id, channel.number_since)
        return await self._joined(channel, lanes)

    async def change_channel(self, actor: str, channel_id: ChannelId, fields: ChannelFields) -> Joined | None:
        """Change what `fields` sets, take the channel out of its pauses and register it again.

        None when there is no such channel. Raises what `create_channel` raises.
        """
        owned = not _OWNED.isdisjoint(_set(fields, tuple(_OWNED)))
        if owned:
            known = await self._known(channel_id, fields)
            if known is None:
                return None
            fields = await self._owned(*known, fields)
        async with self._database.transaction() as connection:
            channel = await channels.change(connection, channel_id, fields, self._box)
            if channel is None:
                return None
            await audit.write(connection, actor, "channel.change", f"channel {channel_id}", fields=_names(fields))
            await claims.hasten(connection, channel_id, channel.portal_id)
            lanes: set[Lane] = set()
            if owned:
                lanes = await events.replay_number(connection, channel.phone_number_id, channel.number_since)
        await self._cache.invalidate(channels=[channel_id])
        return await self._joined(channel, lanes)

    async def _known(self, channel_id: ChannelId, fields: ChannelFields) -> tuple[Channel, str] | None:
        """A channel, and the token that it will have. Raises UnreadableSecret when that is one that cannot be read."""
        async with self._database.connection() as connection:
            channel = await channels.get(connection, channel_id)
            if channel is None:
                return None
            token = fields.access_token or await channels.access_token(connection, channel_id, self._box)
        return channel, str(token)

    async def _owned(self, channel: Channel, token: str, fields: ChannelFields) -> ChannelFields:
        """`fields`, once Meta has said that the number is the token's. Raises NotOwned, PlatformError."""
        number = str(fields.phone_number_id or channel.phone_number_id)
        account = await self._credentials.numbers.account_of(number, token, fields.waba_id or None)
        moved = number != channel.phone_number_id
        return replace(fields, waba_id=account) if account or moved else fields

    async def delete_channel(self, actor: str, channel_id: ChannelId) -> bool:
        """Delete a channel with its conversations and messages; False when there is none."""
        await self._registrar.unregister(channel_id)
        async with self._database.transaction() as connection:
            await erasures.order_channel(connection, channel_id)
            if not await channels.delete(connection, channel_id):
                return False
            await audit.write(connection, actor, "channel.delete", f"channel {channel_id}")
        self._directory.clear()
        await self._cache.invalidate(channels=[channel_id])
        return True

    async def _joined(self, channel: Channel, replayed: Iterable[Lane]) -> Joined:
        self._directory.clear()
        self._bells.ring_soon([*replayed, bitrix24_lane(channel.portal_id), meta_lane(channel.id)])
        registration, subscription = await asyncio.gather(
            _in_time(self._registrar.register(channel.id), "Bitrix24", channel),
            _in_time(self._subscriptions.subscribe(channel), "WhatsApp", channel),
        )
        return Joined(channel=channel, registration_error=registration, subscription_error=subscription)


async def _in_time(work: Awaitable[str | None], who: str, channel: Channel) -> str | None:
    """What is in the way. The row is committed: whatever goes wrong now is told, and the gateway tries again."""
    try:
        async with asyncio.timeout(_JOIN_S_MAX):
            return await work
    except TimeoutError:
        log.warning("not joined in time", channel_id=str(channel.id), platform=who)
        return f"{who} did not finish within {_JOIN_S_MAX:g} s; it is tried again"
    except StoreUnavailable:
        return "PostgreSQL went away; it is tried again"


def _nobody() -> Portal:
    """A portal that is not there yet: what it will be is set on it."""
    return Portal(id=PortalId(uuid4()), portal_url="", member_id="", client_endpoint="", connector_id="")


def _set(fields: PortalFields | ChannelFields, names: Iterable[str]) -> dict[str, Any]:
    """What is set of `names`, and is not null."""
    return {name: value for name in names if (value := getattr(fields, name)) is not UNSET and value is not None}


def _names(fields: PortalFields | ChannelFields) -> list[str]:
    """Which fields were changed; their values may be secrets."""
    return sorted(name for name, value in msgspec.structs.asdict(fields).items() if value is not UNSET)
