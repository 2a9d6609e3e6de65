"""Typing: the customer is shown that an answer is being prepared, while an operator's file takes its time.

Bitrix24 tells nobody that an operator types, so that this is the one time when the gateway knows of an answer that has
not left. WhatsApp takes it with the blue ticks of what is answered, and shows it for 25 seconds or until the answer.
https://developers.facebook.com/documentation/business-messaging/whatsapp/typing-indicators
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from zaptrix.bridge.tenants.directory import Directory
from zaptrix.core import limits
from zaptrix.core.delivery.errors import PlatformError
from zaptrix.core.ids import ConversationId
from zaptrix.core.message.message import Origin
from zaptrix.core.ports import MediaAccount
from zaptrix.store.connection.database import Database, StoreUnavailable
from zaptrix.store.encryption import UnreadableSecret
from zaptrix.store.ledger import answers
from zaptrix.store.ledger.files import Wanted

log = structlog.get_logger(__name__)


class Typing:
    """One process's typing. Files of one conversation that are prepared together show it once."""

    def __init__(self, database: Database, directory: Directory, account: MediaAccount) -> None:
        self._database = database
        self._directory = directory
        self._at = account
        self._shown: dict[ConversationId, float] = {}

    @asynccontextmanager
    async def during(self, wanted: Wanted) -> AsyncIterator[None]:
        """Show it, as long as this takes, when an operator's is for a customer and takes more than a moment. A program
        has read nothing, and blue ticks come with it."""
        if wanted.origin is not Origin.OPERATOR:
            yield
            return
        showing = asyncio.create_task(self._show(wanted))
        try:
            yield
        finally:
            showing.cancel()
            await asyncio.wait([showing])

    async def _show(self, wanted: Wanted) -> None:
        await asyncio.sleep(limits.TYPING_AFTER_S)
        try:
            while await self._show_once(wanted):
                await asyncio.sleep(limits.TYPING_EVERY_S)
        except (PlatformError, StoreUnavailable, UnreadableSecret) as exc:
            # Nobody misses it, and what is wrong will be met by the message itself.
            log.info("typing not shown", message_id=wanted.message_id, code=getattr(exc, "code", type(exc).__name__))

    async def _show_once(self, wanted: Wanted) -> bool:
        """Whether it is worth showing again later."""
        tenant = await self._directory.channel(wanted.channel_id)
        if tenant is None or not (tenant.channel.typing and tenant.channel.mark_read):
            return False
        talk, now = wanted.conversation_id, time.monotonic()
        if now - self._shown.get(talk, -limits.TYPING_EVERY_S) < limits.TYPING_EVERY_S:
            return True
        async with self._database.connection() as connection:
            newest = await answers.newest_in_chat(connection, talk, limits.WINDOW_HOURS)
        if newest is None:
            return False
        self._shown = {each: at for each, at in self._shown.items() if now - at < limits.TYPING_EVERY_S}
        self._shown[talk] = now
        await self._at.mark_read(tenant.channel, newest, wanted.request_id, typing=True)
        return True
