"""Files on their way: fetched, looked at, made fit, uploaded; then their message goes, or they follow it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta

import msgspec
import structlog
from msgspec.structs import replace

from zaptrix import __version__
from zaptrix.bridge.budgets import Budgets
from zaptrix.bridge.directory import Directory, Tenant
from zaptrix.bridge.follow import Late, follow
from zaptrix.bridge.holding import held_back, pause_channel, pause_portal
from zaptrix.bridge.notices import Line, say
from zaptrix.bridge.recoding import Recoding
from zaptrix.bridge.typing import Typing
from zaptrix.core import limits
from zaptrix.core.errors import OutOfTime, PlatformError, Refused, Scope, Unauthorized, Unavailable
from zaptrix.core.ids import AttemptId, MessageId, PortalId
from zaptrix.core.lanes import Lane, bitrix24_lane, meta_lane
from zaptrix.core.media import AS_DOCUMENT, CAPTIONED, Blob, fitting_name, way_of
from zaptrix.core.message import Direction, Media, MediaKind, Notice, Origin, Side
from zaptrix.core.ports import MediaAccount, PortalFiles
from zaptrix.core.retry import Case, Patience, Pause, Retry, Snooze, decide
from zaptrix.media.blobs import BlobsAway, NoSuchBlob, TooLarge, Written
from zaptrix.media.fetch import Allowed
from zaptrix.media.fetch import Origin as Server
from zaptrix.media.room import MediaRoom
from zaptrix.media.sniff import type_of
from zaptrix.media.voice import can_become_voice, is_voice
from zaptrix.queues.bells import Bells
from zaptrix.store import conversations, files
from zaptrix.store.budgets import Budget
from zaptrix.store.database import Connection, Database
from zaptrix.store.files import Wanted
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import FileFailure

log = structlog.get_logger(__name__)

# Portals serve files to browsers; some firewalls before them turn away what does not look like one.
BROWSER = {"User-Agent": f"Mozilla/5.0 (compatible; zaptrix/{__version__})"}
# A bad key: until what stands behind it is paused, or the new one is known here; then a repair hastens it.
_KEY_AGAIN_S, _PAUSED_AGAIN_S = 5.0, 60.0
_NOT_THERE = "gone"
_LOST, _STORE_AWAY, _SLOW = "blob_lost", "blobs_away", "file_slow"
_GONE_TRIES = 3  # what is tried so often for the one or the other reason will not come another time
# Why a file was given up, by the line that its end is told with; every other is a refusal.
_REASONS = {
    "file_gone": FileFailure.GONE,
    "file_not_kept": FileFailure.GONE,
    "file_too_large": FileFailure.SIZE,
    "file_too_slow": FileFailure.UNAVAILABLE,
    "file_address": FileFailure.ADDRESS,
    "unavailable": FileFailure.UNAVAILABLE,
    "unclear": FileFailure.UNAVAILABLE,
    "unexpected": FileFailure.UNEXPECTED,
}

_END = {
    _NOT_THERE: Refused("file_gone", "its address knows nothing of it", notice="file_gone"),
    _LOST: Refused("blob_gone", "it was kept, and is not there any more", notice="file_not_kept"),
    _SLOW: Refused("file_too_slow", "its host gives it too slowly", notice="file_too_slow"),
}


class FileRules(msgspec.Struct, frozen=True, kw_only=True):
    """How files are treated."""

    graph_url: str
    media_domains: tuple[str, ...]  # hosts below which WhatsApp keeps files
    timeout_s: float
    patience: Patience


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A file that its message can go with."""

    blob: Blob
    sent_as: MediaKind | None = None
    media_id: str | None = None


class Files:
    """One process's hands for files. What they hold is theirs while they renew it."""

    def __init__(  # noqa: PLR0917  # the composition root hands everything over, once
        self,
        database: Database,
        directory: Directory,
        account: MediaAccount,
        portal_files: PortalFiles,
        room: MediaRoom,
        bells: Bells,
        budgets: Budgets,
        rules: FileRules,
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._directory = directory
        self._at = account
        self._portal_files = portal_files
        self._room = room
        self._bells = bells
        self._rules = rules
        self._now = now
        self._budgets = budgets
        self._recoding = Recoding(room.blobs, budgets)
        self._typing = Typing(database, directory, account)
        self._meta = Allowed(origins=(Server.of(rules.graph_url),), domains=rules.media_domains)

    async def claim(self, attempt_id: AttemptId, limit: int, busy: Sequence[PortalId]) -> list[Wanted]:
        """Files that are due. Raises StoreUnavailable."""
        async with self._database.connection() as connection:
            return await files.claim(connection, attempt_id, limit=limit, lease_s=limits.FILE_LEASE_S, busy=busy)

    async def renew(self, held: Sequence[Wanted]) -> set[MessageId]:
        """They are still worked at; those that are still ours. Raises StoreUnavailable."""
        ids, attempts = [one.message_id for one in held], [one.attempt_id for one in held]
        async with self._database.connection() as connection:
            return await files.renew(connection, ids, attempts, limits.FILE_LEASE_S)

    async def work(self, wanted: Wanted) -> None:
        """Fetch one file, and write what came of it. Raises StoreUnavailable."""
        try:
            async with self._typing.during(wanted):
                ready = await self._made(wanted)
        except PlatformError as error:
            await self.fail(wanted, error)
        except TooLarge:
            await self.fail(wanted, Refused("file_too_large", notice="file_too_large"))
        except NoSuchBlob:
            await self.fail(wanted, Unavailable("blob_lost", "it was kept, and is not there any more"))
        except BlobsAway as error:
            await self.fail(wanted, Unavailable("blobs_away", str(error)))
        else:
            await self._finish(wanted, ready)

    async def give_back(self, wanted: Wanted) -> None:
        """It was not seen through in time; if it is still ours it is due at once. Raises StoreUnavailable."""
        error = OutOfTime("claim_ran_out", "it was left to another process")
        await self._again(wanted, self._now(), error, free=True)

    async def fail(self, wanted: Wanted, error: PlatformError) -> None:
        """It did not come: again later, or not at all. Raises StoreUnavailable."""
        if _is_hopeless(wanted, error) and wanted.not_there + 1 >= _GONE_TRIES:
            error = _END[error.code]
        case = Case(
            attempts=wanted.attempts,
            unclear=wanted.attempts,  # a file that is fetched twice is no double
            created_at=wanted.created_at,
            now=self._now(),
            jitter=random.random(),  # noqa: S311  # spreads retries, hides nothing
            patience=self._rules.patience,
        )
        verdict = decide(error, case)
        match verdict:
            case Retry() | Snooze() if _holds_too_long(wanted, error, case.now):
                await self._give_up(wanted, error, "unavailable")
            case Retry(at=at) | Snooze(at=at):
                await self._again(wanted, at, error, free=isinstance(verdict, Snooze))
            case Pause():
                await self._wait_for_key(wanted, error, verdict)
            case _:
                await self._give_up(wanted, error, getattr(verdict, "notice", "unavailable"))

    async def _wait_for_key(self, wanted: Wanted, error: PlatformError, verdict: Pause) -> None:
        """Paused here, and not only where delivery meets it, too: a message that waits for its file meets nothing."""
        async with self._database.transaction() as connection:
            if verdict.scope is Scope.PORTAL:
                await pause_portal(connection, wanted.portal_id, verdict)
            elif await pause_channel(connection, wanted.channel_id, Side.WHATSAPP, verdict):
                await say(connection, await held_back(connection, [wanted.channel_id], self._now()))
            paused = await files.is_paused(connection, wanted.channel_id)
            at = self._now() + timedelta(seconds=_PAUSED_AGAIN_S if paused else _KEY_AGAIN_S)
            await files.again(connection, wanted, at, error.code, error.detail, free=True, not_there=False)
        self._directory.clear()
        self._bells.ring_soon([bitrix24_lane(wanted.portal_id)])
        log.info("file waits for a key", message_id=wanted.message_id, code=error.code, paused=paused)

    async def _again(self, wanted: Wanted, at: datetime, error: PlatformError, *, free: bool) -> None:
        async with self._database.connection() as connection:
            gone = _is_hopeless(wanted, error)
            await files.again(connection, wanted, at, error.code, error.detail, free=free, not_there=gone)
        log.info("file later", message_id=wanted.message_id, code=error.code, attempts=wanted.attempts)

    async def _finish(self, wanted: Wanted, ready: Ready) -> None:
        async with self._database.transaction() as connection:
            ended = await files.ready(connection, wanted, ready.blob, ready.sent_as, ready.media_id)
            if ended and ended.promised and wanted.alone:
                await self._follow(connection, wanted)
            elif ended:
                await files.hasten(connection, wanted.message_id)
        self._bells.ring_soon([_lane(wanted)])
        if ended:
            seconds = max((self._now() - wanted.created_at).total_seconds(), 0.0)
            metrics.file_ready(wanted.direction, wanted.media.kind, ready.blob.size, seconds)
        log.info("file ready", message_id=wanted.message_id, bytes=ready.blob.size, attempts=wanted.attempts)

    async def _give_up(self, wanted: Wanted, error: PlatformError, notice: str) -> None:
        async with self._database.transaction() as connection:
            ended = await files.failed(connection, wanted, error.code, error.detail, notice)
            if ended and ended.promised:
                # A line said that it is on its way: now one says that it is not.
                code = "file_lost" if wanted.direction is Direction.INBOUND else notice
                line = Notice(code, {"code": error.code})
                said = Line(wanted.conversation_id, line, wanted.written_at, wanted.message_id)
                await say(connection, [said])
            elif ended:
                await files.hasten(connection, wanted.message_id)
        self._bells.ring_soon([_lane(wanted), bitrix24_lane(wanted.portal_id)])
        if ended:
            metrics.file_failed(wanted.direction, _REASONS.get(notice, FileFailure.REFUSED))
        log.warning("file given up", message_id=wanted.message_id, code=error.code, detail=error.detail)

    @staticmethod
    async def _follow(connection: Connection, wanted: Wanted) -> None:
        talk = (await conversations.by_ids(connection, [wanted.conversation_id]))[wanted.conversation_id]
        late = Late(
            message_id=wanted.message_id,
            conversation=talk,
            direction=wanted.direction,
            origin=wanted.origin,
            media=wanted.media,
            request_id=wanted.request_id,
            written_at=wanted.written_at,
        )
        await follow(connection, late)

    # --- making it -----------------------------------------------------------------------------------------------

    async def _made(self, wanted: Wanted) -> Ready:
        tenant = await self._directory.channel(wanted.channel_id)
        if tenant is None:
            raise Refused("no_channel", "its channel was deleted")
        if (wanted.media.size or 0) > limits.MEDIA_BYTES_MAX:
            raise Refused("file_too_large", str(limits.MEDIA_BYTES_MAX), notice="file_too_large")
        if wanted.blob is None:
            self._budgets.guard(wanted.portal_id, Budget.FILES)
        if wanted.direction is Direction.INBOUND:
            return Ready(blob=await self._from_meta(tenant, wanted.media))
        if wanted.origin is Origin.API:
            return await self._of_api(tenant, wanted)
        blob = await self._kept(wanted.blob) or await self._from_portal(tenant, wanted.media)
        return await self._for_whatsapp(tenant, wanted.media, blob)

    async def _kept(self, blob: Blob | None) -> Blob | None:
        """What was fetched before and is only to be uploaded anew, while it is in the house still."""
        if blob is None:
            return None
        try:
            await self._room.blobs.size(blob.key)
        except NoSuchBlob:
            return None
        return blob

    async def _of_api(self, tenant: Tenant, wanted: Wanted) -> Ready:
        """As the caller asked for it: its kind and its size were judged when it came."""
        media = wanted.media
        if wanted.media_id is not None:
            # It goes by its id; its bytes are for the operator, who is to see what the customer got.
            blob = await self._from_meta(tenant, media)
            return Ready(blob=replace(blob, voice=media.voice), sent_as=media.kind, media_id=wanted.media_id)
        assert wanted.blob is not None
        blob = await self._as_voice(tenant, media, wanted.blob) if media.voice else wanted.blob
        if not wanted.alone or media.kind is not MediaKind.DOCUMENT:
            return Ready(blob=blob, sent_as=media.kind, media_id=await self._uploaded(tenant, blob))
        return await self._for_whatsapp(tenant, media, blob, send_as=media.kind)

    async def _as_voice(self, tenant: Tenant, media: Media, blob: Blob) -> Blob:
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

    async def _from_meta(self, tenant: Tenant, media: Media) -> Blob:
        source = await self._at.media_source(tenant.channel, media.source)
        async with self._room.fetcher.open(
            source.url, self._meta, bytes_max=limits.MEDIA_BYTES_MAX, headers=source.headers
        ) as arriving:
            written = await self._keep(tenant, arriving.parts)
        return _blob(written, media, told=media.mime or source.type)

    async def _from_portal(self, tenant: Tenant, media: Media) -> Blob:
        try:
            written = await self._portals_own(tenant, await self._portal_files.address(tenant.portal, media.source))
        except Unavailable as error:
            fresh = await self._portal_files.fresh(tenant.portal, media.source) if error.code == _NOT_THERE else None
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

    async def _portals_own(self, tenant: Tenant, address: str) -> Written:
        origins = {Server.of(url) for url in (tenant.portal.portal_url, tenant.portal.client_endpoint) if url}
        async with self._room.fetcher.open(
            address, Allowed(origins=tuple(origins)), bytes_max=limits.MEDIA_BYTES_MAX, headers=BROWSER
        ) as arriving:
            return await self._keep(tenant, arriving.parts)

    async def _keep(self, tenant: Tenant, parts: AsyncIterator[bytes]) -> Written:
        written = await self._room.blobs.write(parts, day=self._now().date(), bytes_max=limits.MEDIA_BYTES_MAX)
        self._budgets.spend(tenant.portal.id, Budget.FILES, written.size)
        return written

    async def _for_whatsapp(self, tenant: Tenant, media: Media, blob: Blob, send_as: MediaKind | None = None) -> Ready:
        way = AS_DOCUMENT if send_as else way_of(blob, sticker=media.kind is MediaKind.STICKER)
        if way is None or not blob.size:
            raise Refused("file_too_large" if blob.size else "file_empty", notice="file_too_large")
        # A sound has no caption, and no word may be lost: with one it goes as a document.
        sent_as = way.send_as if way.send_as in CAPTIONED or not media.caption else MediaKind.DOCUMENT
        try:
            return Ready(blob=blob, sent_as=sent_as, media_id=await self._uploaded(tenant, blob))
        except Unauthorized:
            raise
        except Refused as error:
            # Meta's list of types is short, and what passes beside it is told nowhere: the customer gets an address.
            log.info("file not taken", code=error.code, type=blob.type)
            return Ready(blob=blob)

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


def _blob(written: Written, media: Media, *, told: str | None) -> Blob:
    type_ = type_of(written.head, told=told, name=media.name)
    return Blob(
        key=written.key,
        size=written.size,
        sha256=written.sha256,
        type=type_,
        name=fitting_name(media.name, type_, fallback=fallback_name(media.kind)),
    )


def _lane(wanted: Wanted) -> Lane:
    inbound = wanted.direction is Direction.INBOUND
    return bitrix24_lane(wanted.portal_id) if inbound else meta_lane(wanted.channel_id)


def _is_hopeless(wanted: Wanted, error: PlatformError) -> bool:
    """Whether its host itself has shown that it does not give the file. An operator can send another; a customer's that
    comes slowly is worth a day of tries, for the narrow way may be ours."""
    return error.code in {_NOT_THERE, _LOST} or (error.code == _SLOW and wanted.direction is Direction.OUTBOUND)


def _holds_too_long(wanted: Wanted, error: PlatformError, now: datetime) -> bool:
    """Whether a program's message, which is never promised, holds others for what cannot be had; an upload may be."""
    held = wanted.origin is Origin.API and (now - wanted.created_at).total_seconds() >= limits.FILE_HELD_S_MAX
    return held and (error.code == _STORE_AWAY or wanted.media_id is not None)
