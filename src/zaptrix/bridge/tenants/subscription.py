"""Subscription: a number's webhooks come only while its WhatsApp Business account sends them to our app.

https://developers.facebook.com/documentation/business-messaging/whatsapp/solution-providers/manage-webhooks
"""

from __future__ import annotations

import asyncio

import structlog

from zaptrix.bridge.tenants.directory import Directory
from zaptrix.core.delivery.errors import PlatformError
from zaptrix.core.portal import Channel
from zaptrix.core.ports import Callback, SubscribedAccounts
from zaptrix.settings import Settings
from zaptrix.store.accounts import channels
from zaptrix.store.connection.database import Database
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)

_CHANNELS_AT_ONCE = 20
_NO_ACCOUNT = "Meta does not tell which WhatsApp Business account the number belongs to: set waba_id on the channel"
_ELSEWHERE = "its WhatsApp Business account sends webhooks to another address (override_callback_uri)"
_NOT_SUBSCRIBED = "its WhatsApp Business account sends no webhooks to any app"


def _callback_of(settings: Settings) -> Callback | None:
    """Our own address, where accounts are to send their webhooks there instead of to the app's."""
    url = f"{settings.public_url}/webhooks/meta"
    return Callback(url, settings.meta_verify_token) if settings.meta_callback == "account" else None


class Subscriptions:
    """Makes accounts send us their webhooks, and sees when they do no more."""

    def __init__(
        self, database: Database, directory: Directory, accounts: SubscribedAccounts, settings: Settings
    ) -> None:
        self._database = database
        self._directory = directory
        self._accounts = accounts
        self._callback = _callback_of(settings)

    async def subscribe(self, channel: Channel) -> str | None:
        """Subscribe the channel's account; None when it is done, else why not, for the admin. Idempotent.

        Raises StoreUnavailable.
        """
        error: str | None = None
        try:
            waba_id = await self._account(channel)
            if waba_id is None:
                error = _NO_ACCOUNT
            else:
                await self._tell_lost(channel, waba_id)
                await self._accounts.subscribe(channel, waba_id, self._callback)
        except PlatformError as exc:
            error = str(exc)
        if error is not None:
            log.warning("not subscribed", channel_id=str(channel.id), reason=error)
        async with self._database.transaction() as connection:
            await channels.subscribed(connection, channel.id, error)
        return error

    async def trouble(self, channel: Channel) -> str | None:
        """What keeps the channel's webhooks from coming, in words for the admin; nothing is changed. For the doctor.

        Raises StoreUnavailable.
        """
        try:
            waba_id = await self._account(channel)
            if waba_id is None:
                return _NO_ACCOUNT
            apps = await self._accounts.subscribed_apps(channel, waba_id)
        except PlatformError as exc:
            return str(exc)
        ours = self._callback.url if self._callback else None
        if any((app.override_callback_uri or None) == ours for app in apps):
            return None
        return _ELSEWHERE if apps else _NOT_SUBSCRIBED

    async def retry(self) -> None:
        """Look at the channels whose turn it is, and subscribe them. Raises StoreUnavailable.

        Whether it is our app that an account is subscribed to, Meta does not tell the number's token: it is said again.
        """
        async with self._database.connection() as connection:
            due = await channels.subscription_due(connection, _CHANNELS_AT_ONCE)
        # Side by side: what takes long for one number is not to hold up the others', nor what comes after this.
        ends = await asyncio.gather(*map(self.subscribe, due), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _tell_lost(self, channel: Channel, waba_id: str) -> None:
        """Somebody took the subscription away since it was made: what customers wrote meanwhile came nowhere."""
        if channel.subscribed_at is None or await self._accounts.subscribed_apps(channel, waba_id):
            return
        metrics.alarmed(AlarmKind.SUBSCRIPTION_LOST)
        log.error("subscription lost", channel_id=str(channel.id), waba_id=waba_id, alarm=True)

    async def _account(self, channel: Channel) -> str | None:
        if channel.waba_id is not None:
            return channel.waba_id
        waba_id = await self._accounts.waba_id(channel)
        if waba_id is not None:
            async with self._database.transaction() as connection:
                await channels.learn_waba(connection, channel.id, waba_id)
            self._directory.clear()
        return waba_id
