"""Files on their way: claimed, prepared (`file_sources.py`); then their message goes, or they follow it.

One that does not come is tried again, waits for a key, or is given up, and what waits for it is told.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from zaptrix.bridge.files.follow_up import Late, follow
from zaptrix.bridge.files.sources import NOT_THERE, FileSources, PreparedFile
from zaptrix.bridge.files.typing_indicator import Typing
from zaptrix.bridge.tell.notices import Line, say
from zaptrix.bridge.tell.pauses import held_back, pause_channel, pause_portal
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.core import limits
from zaptrix.core.delivery.errors import FailureScope, OutOfTime, PlatformError, Refused, Unavailable
from zaptrix.core.delivery.lanes import Lane, bitrix24_lane, meta_lane
from zaptrix.core.delivery.retry import Case, Patience, Pause, Retry, Snooze, decide
from zaptrix.core.ids import AttemptId, MessageId, PortalId
from zaptrix.core.message.message import Direction, Notice, Origin, Side
from zaptrix.media.blobs import BlobsAway, NoSuchBlob, TooLarge
from zaptrix.store.connection.database import Connection
from zaptrix.store.ledger import files
from zaptrix.store.ledger.files import Wanted
from zaptrix.store.people import conversations
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import FileFailure

log = structlog.get_logger(__name__)

# A bad key: until what stands behind it is paused, or the new one is known here; then a repair hastens it.
_KEY_AGAIN_S, _PAUSED_AGAIN_S = 5.0, 60.0
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
    NOT_THERE: Refused("file_gone", "its address knows nothing of it", notice="file_gone"),
    _LOST: Refused("blob_gone", "it was kept, and is not there any more", notice="file_not_kept"),
    _SLOW: Refused("file_too_slow", "its host gives it too slowly", notice="file_too_slow"),
}


class FilePreparer:
    """One process's hands for files. What they hold is theirs while they renew it."""

    def __init__(self, ground: Ground, sources: FileSources, typing: Typing, patience: Patience) -> None:
        self._database = ground.database
        self._directory = ground.directory
        self._bells = ground.bells
        self._sources = sources
        self._typing = typing
        self._patience = patience
        self._now = ground.now

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
                ready = await self._sources.prepared(wanted)
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
            patience=self._patience,
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
            if verdict.scope is FailureScope.PORTAL:
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

    async def _finish(self, wanted: Wanted, ready: PreparedFile) -> None:
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


def _lane(wanted: Wanted) -> Lane:
    inbound = wanted.direction is Direction.INBOUND
    return bitrix24_lane(wanted.portal_id) if inbound else meta_lane(wanted.channel_id)


def _is_hopeless(wanted: Wanted, error: PlatformError) -> bool:
    """Whether its host itself has shown that it does not give the file. An operator can send another; a customer's that
    comes slowly is worth a day of tries, for the narrow way may be ours."""
    return error.code in {NOT_THERE, _LOST} or (error.code == _SLOW and wanted.direction is Direction.OUTBOUND)


def _holds_too_long(wanted: Wanted, error: PlatformError, now: datetime) -> bool:
    """Whether a program's message, which is never promised, holds others for what cannot be had; an upload may be."""
    held = wanted.origin is Origin.API and (now - wanted.created_at).total_seconds() >= limits.FILE_HELD_S_MAX
    return held and (error.code == _STORE_AWAY or wanted.media_id is not None)
