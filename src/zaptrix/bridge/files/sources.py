"""Sources of files: where each comes from, how it is made fit for where it goes, and its upload to WhatsApp.

A customer's file comes from Meta, an operator's from the portal; a program's was kept, or is at Meta. Of what is done
here the ledger has Meta's ids of uploads alone, which are used again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import structlog
from msgspec.structs import replace

from zaptrix import __version__
from zaptrix.bridge.files.recoding import Recoding
from zaptrix.bridge.tenants.directory import Tenant
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.core import limits
from zaptrix.core.delivery.errors import Refused, Unauthorized, Unavailable
from zaptrix.core.message.media import AS_DOCUMENT, CAPTIONED, Blob, fitting_name, way_of
from zaptrix.core.message.message import Direction, MediaContent, MediaKind, Origin
from zaptrix.core.ports import MediaAccount, PortalFiles
from zaptrix.media.blobs import NoSuchBlob, WrittenFile
from zaptrix.media.fetch import Allowed
from zaptrix.media.fetch import ServerOrigin as Server
from zaptrix.media.file_type import type_of
from zaptrix.media.room import MediaRoom
from zaptrix.media.voice import can_become_voice, is_voice
from zaptrix.store.accounts.budgets import Budget
from zaptrix.store.ledger import files
from zaptrix.store.ledger.files import Wanted

log = structlog.get_logger(__name__)

# Portals serve files to browsers; some firewalls before them turn away what does not look like one.
BROWSER = {"User-Agent": f"Mozilla/5.0 (compatible; zaptrix/{__version__})"}
NOT_THERE = "gone"  # the code of an address that knows nothing of its file


class SourceRules(msgspec.Struct, frozen=True, kw_only=True):
    """How files are fetched and handed over. `timeout_s` is for one upload."""

    graph_url: str
    media_domains: tuple[str, ...]  # hosts below which WhatsApp keeps files
    timeout_s: float


class PreparedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that its message can go with."""

    blob: Blob
    sent_as: MediaKind | None = None
    media_id: str | None = None


class FileSources:
    """Fetches, keeps, makes fit and uploads. All of it may be done again: a file that is fetched twice is no double."""

    def __init__(
        self,
        ground: Ground,
        room: MediaRoom,
        account: MediaAccount,
        portal_files: PortalFiles,
        rules: SourceRules,
    ) -> None:
        self._database = ground.database
        self._directory = ground.directory
        self._room = room
        self._budgets = ground.budgets
        self._at = account
        self._portal_files = portal_files
        self._rules = rules
        self._now = ground.now
        self._recoding = Recoding(room.blobs, ground.budgets)
        self._meta = Allowed(origins=(Server.of(rules.graph_url),), domains=rules.media_domains)

    async def prepared(self, wanted: Wanted) -> PreparedFile:
        """The file, as its message can go with it.

        Raises PlatformError, TooLarge, NoSuchBlob, BlobsAway, StoreUnavailable.
        """
        tenant = await self._directory.channel(wanted.channel_id)
        if tenant is None:
            raise Refused("no_channel", "its channel was deleted")
        if (wanted.media.size or 0) > limits.MEDIA_BYTES_MAX:
            raise Refused("file_too_large", str(limits.MEDIA_BYTES_MAX), notice="file_too_large")
        if wanted.blob is None:
            self._budgets.guard(wanted.portal_id, Budget.FILES)
        if wanted.direction is Direction.INBOUND:
            return PreparedFile(blob=await self._from_meta(tenant, wanted.media))
        if wanted.origin is Origin.API:
            return await self._of_api(tenant, wanted)
        blob = await self._kept(wanted.blob) or await self._from_portal(tenant, wanted.media)
        return await self._for_whatsapp(tenant, wanted.media, blob)

    async def _kept(self, blob: Blob | None) -> Blob | None:
        """What was fetched before and is only to be uploaded anew, while it is stored here still."""
        if blob is None:
            return None
        try:
            await self._room.blobs.size(blob.key)
        except NoSuchBlob:
            return None
        return blob

    async def _of_api(self, tenant: Tenant, wanted: Wanted) -> PreparedFile:
        """As the caller asked for it: its kind and its size were judged when it came."""
        media = wanted.media
        if wanted.media_id is not None:
            # It goes by its id; its bytes are for the operator, who is to see what the customer got.
            blob = await self._from_meta(tenant, media)
            return PreparedFile(blob=replace(blob, voice=media.voice), sent_as=media.kind, media_id=wanted.media_id)
        assert wanted.blob is not None
        blob = await self._as_voice(tenant, media, wanted.blob) if media.voice else wanted.blob
        if not wanted.alone or media.kind is not MediaKind.DOCUMENT:
            return PreparedFile(blob=blob, sent_as=media.kind, media_id=await self._uploaded(tenant, blob))
        return await self._for_whatsapp(tenant, media, blob, send_as=media.kind)

    async def _as_voice(self, tenant: Tenant, media: MediaContent, blob: Blob) -> Blob:
        """The recording in the one form of a voice note, turned into it where it has to be."""
        head = await self._head(blob.key)
        if is_voice(blob.type, head):
            return replace(blob, voice=True)
        self._budgets.guard(tenant.portal.id, Budget.RECODING)
        voice = await self._keep(tenant, self._recoding.voice_of(tenant.portal.id, blob.key, blob.type))
        if not voice.size:
            raise Refused("no_voice_note", "it cannot be made a voice note")
        return replace(_blob(voice, media, told=None), voice=True)

    async def _head(self, key: str) -> bytes:
        return b"".join([part async for part in self._room.blobs.read(key, limits.MEDIA_HEAD_BYTES)])

    async def _from_meta(self, tenant: Tenant, media: MediaContent) -> Blob:
        source = await self._at.media_source(tenant.channel, media.source)
        async with self._room.fetcher.open(
            source.url, self._meta, bytes_max=limits.MEDIA_BYTES_MAX, headers=source.headers
        ) as arriving:
            written = await self._keep(tenant, arriving.parts)
        return _blob(written, media, told=media.mime or source.type)

    async def _from_portal(self, tenant: Tenant, media: MediaContent) -> Blob:
        try:
            written = await self._portals_own(tenant, await self._portal_files.address(tenant.portal, media.source))
        except Unavailable as error:
            fresh = await self._portal_files.fresh(tenant.portal, media.source) if error.code == NOT_THERE else None
            if fresh is None:
                raise
            written = await self._portals_own(tenant, fresh)
        blob = _blob(written, media, told=media.mime)
        over = self._budgets.is_over(tenant.portal.id, Budget.RECODING)
        if over or not can_become_voice(blob.type, written.head):
            return replace(blob, voice=is_voice(blob.type, written.head))
        voice = await self._keep(tenant, self._recoding.voice_of(tenant.portal.id, blob.key, blob.type))
        if not voice.size:
            return blob
        await self._room.blobs.delete([written.key])
        return replace(_blob(voice, media, told=None), voice=True)

    async def _portals_own(self, tenant: Tenant, address: str) -> WrittenFile:
        origins = {Server.of(url) for url in (tenant.portal.portal_url, tenant.portal.client_endpoint) if url}
        async with self._room.fetcher.open(
            address, Allowed(origins=tuple(origins)), bytes_max=limits.MEDIA_BYTES_MAX, headers=BROWSER
        ) as arriving:
            return await self._keep(tenant, arriving.parts)

    async def _keep(self, tenant: Tenant, parts: AsyncIterator[bytes]) -> WrittenFile:
        written = await self._room.blobs.write(parts, day=self._now().date(), bytes_max=limits.MEDIA_BYTES_MAX)
        self._budgets.spend(tenant.portal.id, Budget.FILES, written.size)
        return written

    async def _for_whatsapp(
        self, tenant: Tenant, media: MediaContent, blob: Blob, send_as: MediaKind | None = None
    ) -> PreparedFile:
        way = AS_DOCUMENT if send_as else way_of(blob, sticker=media.kind is MediaKind.STICKER)
        if way is None or not blob.size:
            raise Refused("file_too_large" if blob.size else "file_empty", notice="file_too_large")
        # A sound has no caption, and no word may be lost: with one it goes as a document.
        sent_as = way.send_as if way.send_as in CAPTIONED or not media.caption else MediaKind.DOCUMENT
        try:
            return PreparedFile(blob=blob, sent_as=sent_as, media_id=await self._uploaded(tenant, blob))
        except Unauthorized:
            raise
        except Refused as error:
            # Meta's list of types is short, and what passes beside it is told nowhere: the customer gets an address.
            log.info("file not taken", code=error.code, type=blob.type)
            return PreparedFile(blob=blob)

    async def _uploaded(self, tenant: Tenant, blob: Blob) -> str:
        number = tenant.channel.phone_number_id
        async with self._database.connection() as connection:
            known = await files.uploaded(connection, number, blob, limits.MEDIA_ID_DAYS_USED)
        if known:
            return known
        await self._room.blobs.size(blob.key)  # a body that breaks off would look like a lost connection
        media_id = await self._at.upload(
            tenant.channel,
            self._room.blobs.read(blob.key),
            size=blob.size,
            type_=blob.type,
            name=blob.name,
            timeout_s=self._rules.timeout_s,
        )
        async with self._database.connection() as connection:
            await files.keep_upload(connection, number, blob, media_id)
        return media_id


_WORDS = {
    MediaKind.IMAGE: "foto",
    MediaKind.VIDEO: "video",
    MediaKind.AUDIO: "audio",
    MediaKind.DOCUMENT: "arquivo",
    MediaKind.STICKER: "figurinha",
}


def fallback_name(kind: MediaKind) -> str:
    """What a file is called that nobody named."""
    return _WORDS[kind]


def _blob(written: WrittenFile, media: MediaContent, *, told: str | None) -> Blob:
    type_ = type_of(written.head, told=told, name=media.name)
    return Blob(
        key=written.key,
        size=written.size,
        sha256=written.sha256,
        type=type_,
        name=fitting_name(media.name, type_, fallback=fallback_name(media.kind)),
    )
