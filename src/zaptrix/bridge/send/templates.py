"""Templates: fetched from Meta when they are wanted and no longer fresh, kept, created and deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from zaptrix.bridge.tenants.directory import Directory
from zaptrix.core import limits
from zaptrix.core.delivery.errors import PlatformError
from zaptrix.core.ids import ChannelId
from zaptrix.core.message.template import APPROVED, CreatedTemplate, Definition, language_code
from zaptrix.core.portal import Channel
from zaptrix.core.ports import TemplateAccount
from zaptrix.store.accounts import audit, channels
from zaptrix.store.accounts import templates as stored
from zaptrix.store.accounts.templates import PageStart, TemplateFilter, TemplateList
from zaptrix.store.connection.database import Database, StoreUnavailable
from zaptrix.store.encryption import UnreadableSecret

log = structlog.get_logger(__name__)

_JUST_NOW = timedelta(seconds=10)  # Meta itself needs a moment until a template that was approved can be sent
_IN_VAIN = timedelta(seconds=60)


class NoAccount(Exception):
    """The WhatsApp Business account of a channel is not known: it was not given, and Meta did not tell."""


class NoSuchTemplate(Exception):
    """The account has no template of this name and language. `languages`: those that it has under the name."""

    def __init__(self, languages: Sequence[str]) -> None:
        super().__init__(", ".join(languages))
        self.languages = tuple(languages)


class Templates:
    """Whoever asks for templates of one channel while they are being fetched waits for the same answer."""

    def __init__(
        self, database: Database, directory: Directory, account: TemplateAccount, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._directory = directory
        self._at = account
        self._now = now
        self._fetching: dict[ChannelId, asyncio.Task[None]] = {}
        self._trying: dict[ChannelId, asyncio.Task[None]] = {}
        self._in_vain: dict[ChannelId, datetime] = {}

    async def listed(
        self, channel: Channel, wanted: TemplateFilter, after: PageStart | None, limit: int
    ) -> list[Definition]:
        """Raises NoAccount, PlatformError, UnreadableSecret, StoreUnavailable; so does everything here."""
        await self._freshen(channel)
        async with self._database.connection() as connection:
            return await stored.listed(connection, channel.id, wanted, after, limit)

    async def find(self, channel: Channel, name: str, language: str | None) -> Definition:
        """The template of this name and language; without a language, the only approved one. Raises NoSuchTemplate."""
        await self._freshen(channel)
        try:
            return await self._known(channel, name, language)
        except NoSuchTemplate:
            # It may be younger than what we know.
            await self._freshen(channel, younger_than=_JUST_NOW)
            return await self._known(channel, name, language)

    async def create(self, actor: str, channel: Channel, wanted: dict[str, object]) -> CreatedTemplate:
        """Hand a template in for review. Raises Refused with what Meta says of it."""
        waba_id = await self._account(channel)
        created = await self._at.create_template(channel, waba_id, wanted)
        await self._changed(actor, "template.create", channel, waba_id, str(wanted.get("name")))
        return created

    async def delete(self, actor: str, channel: Channel, name: str, language: str | None) -> None:
        """Delete a template in one language or all. Raises NoSuchTemplate, or Refused with what Meta says of it."""
        template_id = (await self.find(channel, name, language)).id if language else None
        waba_id = await self._account(channel)
        await self._at.delete_template(channel, waba_id, name, template_id)
        await self._changed(actor, "template.delete", channel, waba_id, name)

    async def fetching(self, channels_: Iterable[Channel]) -> set[ChannelId]:
        """Those whose templates are out of date and on their way. Raises StoreUnavailable."""
        return {channel.id for channel in channels_ if await self._is_fetching(channel)}

    async def _is_fetching(self, channel: Channel) -> bool:
        trying = self._trying.get(channel.id)
        if trying is None or trying.done():
            async with self._database.connection() as connection:
                known = await stored.listed_at(connection, channel.id)
            tried_at = self._in_vain.get(channel.id)
            if known is not None and self._is_fresh(known, channel, None):
                return False
            if tried_at is not None and self._now() - tried_at < _IN_VAIN:
                return False  # a Meta that does not answer must not hold up notices again and again
            self._trying[channel.id] = asyncio.create_task(self._try(channel))
        return True

    async def _try(self, channel: Channel) -> None:
        self._in_vain[channel.id] = self._now()
        try:
            await self._freshen(channel)
        except (NoAccount, PlatformError, UnreadableSecret, StoreUnavailable) as exc:
            log.info("no templates to name", channel_id=str(channel.id), reason=type(exc).__name__)
        else:
            self._in_vain.pop(channel.id, None)

    async def _known(self, channel: Channel, name: str, language: str | None) -> Definition:
        async with self._database.connection() as connection:
            found = await stored.named(connection, channel.id, name)
        if language is not None:
            chosen = [each for each in found if each.language == language_code(language)]
        else:
            chosen = [each for each in found if each.status == APPROVED] or found
        if len(chosen) != 1:
            raise NoSuchTemplate([each.language for each in found])
        return chosen[0]

    async def _freshen(self, channel: Channel, younger_than: timedelta | None = None) -> None:
        async with self._database.connection() as connection:
            known = await stored.listed_at(connection, channel.id)
        if known is not None and self._is_fresh(known, channel, younger_than):
            return
        try:
            await self._joined(channel)
        except PlatformError as exc:
            if known is None or known.waba_id != channel.waba_id:
                raise
            log.warning("templates not fetched", channel_id=str(channel.id), code=exc.code, detail=exc.detail)

    def _is_fresh(self, known: TemplateList, channel: Channel, younger_than: timedelta | None) -> bool:
        age = self._now() - known.fetched_at
        longest = younger_than or timedelta(seconds=limits.TEMPLATES_FRESH_S)
        return known.waba_id == channel.waba_id and not known.stale and age < longest

    async def _joined(self, channel: Channel) -> None:
        fetching = self._fetching.get(channel.id)
        if fetching is None or fetching.done():
            fetching = self._fetching[channel.id] = asyncio.create_task(self._fetch(channel))
        try:
            await asyncio.shield(fetching)
        finally:
            if fetching.done() and self._fetching.get(channel.id) is fetching:
                del self._fetching[channel.id]

    async def _fetch(self, channel: Channel) -> None:
        asked_at = self._now()
        waba_id = await self._account(channel)
        found = await self._at.templates(channel, waba_id)
        async with self._database.transaction() as connection:
            await stored.replace(connection, channel.id, waba_id, found, asked_at)
        log.info("templates fetched", channel_id=str(channel.id), count=len(found))

    async def _account(self, channel: Channel) -> str:
        if channel.waba_id is not None:
            return channel.waba_id
        async with self._database.connection() as connection:
            again = await channels.get(connection, channel.id)
        if again is not None and again.waba_id is not None:
            return again.waba_id
        waba_id = await self._at.waba_id(channel)
        if waba_id is None:
            raise NoAccount
        async with self._database.transaction() as connection:
            await channels.learn_waba(connection, channel.id, waba_id)
        self._directory.clear()
        return waba_id

    async def _changed(self, actor: str, action: str, channel: Channel, waba_id: str, name: str) -> None:
        async with self._database.transaction() as connection:
            await stored.outdate(connection, [waba_id])
            await audit.write(connection, actor, action, f"channel {channel.id}", name=name)
