"""Files of messages: wanted, fetched, promised, ready or failed; and what Meta keeps of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from zaptrix.core.ids import AttemptId, ChannelId, ConversationId, MessageId, PortalId
from zaptrix.core.message.media import Attachment, AttachmentState, Blob
from zaptrix.core.message.message import Content, Direction, MediaContent, MediaKind, Origin, file_of
from zaptrix.store.connection.database import STATE_BY_KEY, Connection, Record

_content = msgspec.json.Decoder(Content)
_blob = msgspec.json.Decoder(Blob)
_encode = msgspec.json.Encoder().encode
_KINDS = [*(kind.value for kind in MediaKind), "voice"]  # as the ledger names them

# A message whose file is still to come waits for it a moment, and holds the place of its conversation meanwhile.
_WANT = """
WITH waiting AS (
    UPDATE message SET due_at = now() + make_interval(secs => $2) WHERE id = ANY($1) AND kind = ANY($3)
    RETURNING id, portal_id, channel_id, direction
)
INSERT INTO file (message_id, portal_id, channel_id, direction)
SELECT id, portal_id, channel_id, direction FROM waiting
"""


async def want(connection: Connection, new: Sequence[MessageId], wait_s: float) -> None:
    """Those of `new` messages that carry a file want it, and wait for it up to `wait_s`."""
    await connection.execute(_WANT, new, wait_s, _KINDS)


# A program's message waits for its file to the end: nobody sits in front of it who would wonder.
_WANT_HELD = """
WITH waiting AS (
    UPDATE message SET due_at = now() + make_interval(secs => $2) WHERE id = $1
    RETURNING id, portal_id, channel_id, direction
)
INSERT INTO file (message_id, portal_id, channel_id, direction, blob, media_id)
SELECT id, portal_id, channel_id, direction, $3::jsonb, $4 FROM waiting
"""


async def want_held(
    connection: Connection, message_id: MessageId, *, blob: Blob | None, media_id: str | None, wait_s: float
) -> None:
    """A message whose file is stored already, or at Meta: what is left to do to it is done behind the answer."""
    told = _encode(blob).decode() if blob else None
    await connection.execute(_WANT_HELD, message_id, wait_s, told, media_id)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is to be fetched, in the hands of one runner."""

    message_id: MessageId
    attempt_id: AttemptId
    attempts: int  # finished before this one
    not_there: int = 0  # so many of them because its address knew nothing of it
    channel_id: ChannelId
    portal_id: PortalId
    conversation_id: ConversationId
    direction: Direction
    origin: Origin
    media: MediaContent
    alone: bool = True  # the file is all of its message, and can follow it
    blob: Blob | None = None  # it is stored already
    media_id: str | None = None  # Meta has it already
    request_id: str
    written_at: datetime
    created_at: datetime


_CLAIM = """
WITH picked AS MATERIALIZED (
    SELECT message_id FROM file WHERE state = 'wanted' AND due_at <= now() AND portal_id <> ALL($4)
    ORDER BY due_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
), claimed AS (
    UPDATE file SET attempt_id = $1, attempts = attempts + 1, due_at = now() + make_interval(secs => $3)
    FROM picked WHERE file.message_id = picked.message_id RETURNING file.*
)
SELECT f.message_id, f.attempt_id, f.attempts, f.not_there, f.channel_id, f.portal_id, f.direction, f.created_at,
    f.blob, f.media_id, m.conversation_id, m.origin, m.content, m.request_id, m.written_at
FROM claimed f JOIN message m ON m.id = f.message_id ORDER BY f.message_id
"""


async def claim(
    connection: Connection, attempt_id: AttemptId, *, limit: int, lease_s: float, busy: Sequence[PortalId]
) -> list[Wanted]:
    """Files that are due, of other portals than `busy`. Whoever claims renews the lease until the end."""
    return [_wanted(row) for row in await connection.fetch(_CLAIM, attempt_id, limit, lease_s, busy)]


def _wanted(row: Record) -> Wanted:
    content = _content.decode(row["content"])
    media = file_of(content)
    assert media is not None  # only a message that carries one has a row here
    return Wanted(
        message_id=MessageId(row["message_id"]),
        attempt_id=AttemptId(row["attempt_id"]),
        attempts=row["attempts"] - 1,
        not_there=row["not_there"],
        channel_id=ChannelId(row["channel_id"]),
        portal_id=PortalId(row["portal_id"]),
        conversation_id=ConversationId(row["conversation_id"]),
        direction=Direction(row["direction"]),
        origin=Origin(row["origin"]),
        media=media,
        alone=isinstance(content, MediaContent),
        blob=_blob.decode(row["blob"]) if row["blob"] else None,
        media_id=row["media_id"],
        request_id=row["request_id"],
        written_at=row["written_at"],
        created_at=row["created_at"],
    )


_RENEW = f"""
UPDATE file SET due_at = now() + make_interval(secs => $3)
WHERE message_id = ANY($1) AND attempt_id = ANY($2) AND {STATE_BY_KEY} = 'wanted' RETURNING message_id
"""  # noqa: S608


async def renew(
    connection: Connection, ids: Sequence[MessageId], attempts: Sequence[AttemptId], lease_s: float
) -> set[MessageId]:
    """Go on holding these files for `lease_s`; those that are still held."""
    return {MessageId(row["message_id"]) for row in await connection.fetch(_RENEW, ids, attempts, lease_s)}


_AGAIN = f"""
UPDATE file SET attempt_id = NULL, due_at = $3, attempts = attempts - $4, error_code = $5, error_detail = $6,
    not_there = not_there + $7
WHERE message_id = $1 AND attempt_id = $2 AND {STATE_BY_KEY} = 'wanted'
"""  # noqa: S608


async def again(
    connection: Connection, file: Wanted, at: datetime, code: str, detail: str, *, free: bool, not_there: bool = False
) -> None:
    """It did not come, and is tried again; `free`: that cost no attempt."""
    values = (at, int(free), code[:64], detail[:500], int(not_there))
    await connection.execute(_AGAIN, file.message_id, file.attempt_id, *values)


_READY = f"""
UPDATE file SET state = 'ready', attempt_id = NULL, blob = $3::jsonb, sent_as = $4, media_id = $5, error_code = NULL,
    error_detail = NULL
WHERE message_id = $1 AND attempt_id = $2 AND {STATE_BY_KEY} = 'wanted' RETURNING promised_at
"""  # noqa: S608
_FAILED = f"""
UPDATE file SET state = 'failed', attempt_id = NULL, error_code = $3, error_detail = $4, notice = $5
WHERE message_id = $1 AND attempt_id = $2 AND {STATE_BY_KEY} = 'wanted' RETURNING promised_at
"""  # noqa: S608


class FinishedFile(msgspec.Struct, frozen=True):
    """A file that is at its end. `promised`: a line stands in its place, and it has to follow."""

    promised: bool


async def ready(
    connection: Connection, file: Wanted, blob: Blob, sent_as: MediaKind | None, media_id: str | None
) -> FinishedFile | None:
    """None when another runner has it."""
    kind = sent_as.value if sent_as else None
    told = _encode(blob).decode()
    row = await connection.fetchrow(_READY, file.message_id, file.attempt_id, told, kind, media_id)
    return FinishedFile(row["promised_at"] is not None) if row else None


async def failed(connection: Connection, file: Wanted, code: str, detail: str, notice: str) -> FinishedFile | None:
    """None when another runner has it."""
    row = await connection.fetchrow(_FAILED, file.message_id, file.attempt_id, code[:64], detail[:500], notice)
    return FinishedFile(row["promised_at"] is not None) if row else None


_STILL_WITH = f"""
SELECT m.id FROM unnest($1::bigint[], $2::text[]) AS a(id, whatsapp_id) CROSS JOIN LATERAL (
    SELECT id FROM message WHERE id = a.id AND whatsapp_id = a.whatsapp_id AND kind = ANY($3)
        AND {STATE_BY_KEY} <> 'dead' FOR NO KEY UPDATE) m
ORDER BY m.id
"""  # noqa: S608


async def still_with(connection: Connection, sent: Mapping[MessageId, str]) -> list[MessageId]:
    """Those of messages that Meta knows by these ids and that have not failed which still are ones with a file."""
    rows = await connection.fetch(_STILL_WITH, list(sent), list(sent.values()), _KINDS)
    return [MessageId(row["id"]) for row in rows]


_FOLLOW = """
INSERT INTO file (message_id, portal_id, channel_id, direction, state, blob, sent_as, media_id, reuploaded, error_code,
    error_detail, notice)
SELECT $2, portal_id, channel_id, direction, state, blob, sent_as, media_id, reuploaded, error_code,
    error_detail, notice
FROM file WHERE message_id = $1
"""


async def follow(connection: Connection, first: MessageId, later: MessageId) -> None:
    """The file of one message goes with a later one, as it stands: also one that failed."""
    await connection.execute(_FOLLOW, first, later)


_HASTEN = f"UPDATE message SET due_at = now() WHERE id = $1 AND {STATE_BY_KEY} = 'pending' AND due_at > now()"  # noqa: S608


async def hasten(connection: Connection, message_id: MessageId) -> None:
    """What its message waited for is here."""
    await connection.execute(_HASTEN, message_id)


_IS_PAUSED = """
SELECT ch.whatsapp_paused_at IS NOT NULL OR p.paused_at IS NOT NULL
FROM channel ch JOIN portal_config p ON p.id = ch.portal_id WHERE ch.id = $1 FOR SHARE
"""


async def is_paused(connection: Connection, channel_id: ChannelId) -> bool:
    """Whether a key is known to be bad. A repair waits until this transaction is over: it hastens what that writes."""
    return bool(await connection.fetchval(_IS_PAUSED, channel_id))


_HASTEN_ALL = """
UPDATE file SET due_at = now()
WHERE state = 'wanted' AND attempt_id IS NULL AND due_at > now()
    AND ($1 IN (channel_id, portal_id) OR ($2::uuid IS NOT NULL AND portal_id = $2))
"""


async def hasten_all(connection: Connection, owner: UUID, other: UUID | None) -> None:
    """Files in back-off of these portals or channels are due now: what they waited for has been repaired."""
    await connection.execute(_HASTEN_ALL, owner, other)


# Whoever delivers a message whose file is not there promises it, before the promise goes out: from then on it is a line
# however often it is sent, and the file follows in a message of its own.
_PROMISE = """
UPDATE file SET promised_at = CASE
    WHEN state = 'wanted' AND message_id = ANY($2) THEN coalesce(promised_at, now()) ELSE promised_at END
WHERE message_id = ANY($1)
RETURNING message_id, state, promised_at, blob, sent_as, media_id, error_code, notice, reuploaded
"""


async def attachments(
    connection: Connection, ids: Sequence[MessageId], promisable: Sequence[MessageId]
) -> dict[MessageId, Attachment]:
    """How the files of messages stand that are about to be delivered, or that a line shows. Those of `promisable` that
    are not there are promised."""
    rows = await connection.fetch(_PROMISE, ids, promisable) if ids else []
    return {MessageId(row["message_id"]): _attachment(row) for row in rows}


def _attachment(row: Record) -> Attachment:
    state = AttachmentState.PROMISED if row["promised_at"] else AttachmentState(row["state"])
    return Attachment(
        state=state,
        blob=_blob.decode(row["blob"]) if row["blob"] else None,
        sent_as=MediaKind(row["sent_as"]) if row["sent_as"] else None,
        media_id=row["media_id"],
        code=row["error_code"],
        notice=row["notice"],
        reuploaded=row["reuploaded"],
    )


# What Meta would not send once it is not offered again: an id may be gone before its time.
_UPLOADED = """
SELECT w.media_id FROM whatsapp_media w
WHERE w.phone_number_id = $1 AND w.sha256 = $2 AND w.type = $3 AND w.uploaded_at > now() - make_interval(days => $4)
    AND NOT EXISTS (SELECT 1 FROM file f JOIN message m ON m.id = f.message_id
        WHERE f.media_id = w.media_id AND m.state = 'dead')
"""
_KEEP = """
INSERT INTO whatsapp_media (phone_number_id, sha256, type, media_id) VALUES ($1, $2, $3, $4)
ON CONFLICT (phone_number_id, sha256, type) DO UPDATE SET media_id = excluded.media_id, uploaded_at = now()
"""
_FORGET = "DELETE FROM whatsapp_media WHERE uploaded_at < now() - make_interval(days => $1)"
# A customer's file that is here still is good; Meta's id of an operator's may be what was refused. What a program
# handed over, a file or an id, cannot be fetched again: it is kept.
_REVIVE = """
WITH refused AS (
    DELETE FROM whatsapp_media w USING file f WHERE f.message_id = ANY($1) AND w.media_id = f.media_id
), again AS (
    UPDATE file f SET state = 'wanted', due_at = now(), attempts = 0, not_there = 0, created_at = now(),
        promised_at = NULL,
        blob = CASE m.origin WHEN 'api' THEN f.blob END, media_id = CASE m.origin WHEN 'api' THEN f.media_id END,
        sent_as = NULL, error_code = NULL, error_detail = NULL, notice = NULL
    FROM message m WHERE m.id = f.message_id AND f.message_id = ANY($1) AND (f.state = 'failed' OR (m.origin <> 'api'
        AND (f.direction = 'outbound'
            OR f.blob->>'key' < to_char(now() AT TIME ZONE 'UTC' - make_interval(days => $2), 'YYYY-MM-DD'))))
    RETURNING f.message_id
)
UPDATE message SET due_at = now() + make_interval(secs => $3) FROM again
WHERE message.id = again.message_id AND message.state = 'pending'
"""


_ONCE_MORE = "UPDATE file SET reuploaded = false WHERE message_id = ANY($1) AND reuploaded"
# By a verdict, so after its messages: one of the exceptions to the lock order (docs/adr/0034).
# Only the upload that was refused is forgotten: another message may have made a newer one of the same bytes meanwhile.
_REUPLOAD = """
WITH stale AS MATERIALIZED (
    SELECT message_id, channel_id, blob, media_id FROM file WHERE message_id = ANY($1) AND state = 'ready'
    ORDER BY message_id FOR NO KEY UPDATE
), forgotten AS (
    DELETE FROM whatsapp_media w USING stale s JOIN channel ch ON ch.id = s.channel_id
    WHERE w.phone_number_id = ch.phone_number_id AND w.sha256 = s.blob->>'sha256' AND w.type = s.blob->>'type'
        AND w.media_id = s.media_id
)
UPDATE file f SET state = 'wanted', due_at = now(), attempts = 0, not_there = 0, created_at = now(), media_id = NULL,
    sent_as = NULL, reuploaded = true
FROM stale s WHERE f.message_id = s.message_id
"""


_WAITING = "SELECT direction, count(*) AS waiting FROM file WHERE state = 'wanted' GROUP BY direction"


async def waiting(connection: Connection) -> dict[Direction, int]:
    """How many files are not ready yet."""
    counts = {row["direction"]: row["waiting"] for row in await connection.fetch(_WAITING)}
    return {direction: counts.get(direction.value, 0) for direction in Direction}


async def uploaded(connection: Connection, phone_number_id: str, blob: Blob, days: int) -> str | None:
    """The id under which Meta has these bytes for this number, unless they have been there too long."""
    media_id: str | None = await connection.fetchval(_UPLOADED, phone_number_id, blob.sha256, blob.type, days)
    return media_id


async def keep_upload(connection: Connection, phone_number_id: str, blob: Blob, media_id: str) -> None:
    await connection.execute(_KEEP, phone_number_id, blob.sha256, blob.type, media_id)


async def forget_uploads(connection: Connection, days: int) -> None:
    await connection.execute(_FORGET, days)


async def revive(connection: Connection, ids: Sequence[int], *, kept_days: int, wait_s: float) -> None:
    """Fetch the files of revived messages anew, unless they are here still; the messages wait for them as at first.

    `kept_days`: how long blobs are kept.
    """
    await connection.execute(_REVIVE, ids, kept_days, wait_s)
    await connection.execute(_ONCE_MORE, ids)


async def reupload(connection: Connection, ids: Sequence[MessageId]) -> None:
    """Meta will not have these messages' files by their ids any more: forget those, and upload the files anew."""
    await connection.execute(_REUPLOAD, ids)
