"""An operator's message in the ledger, to be changed or taken back: held first, so that nobody sends it meanwhile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from zaptrix.core.ids import MessageId, PortalId
from zaptrix.core.message.message import Content, State, kind_of
from zaptrix.store.connection.database import STATE_BY_KEY, Connection
from zaptrix.store.ledger.contents import encoded

_decode = msgspec.json.Decoder(Content).decode

Note = tuple[PortalId, int]
"""An operator's message as its portal counts it."""


class LockedPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part of an operator's message, which stays as it is until the transaction ends."""

    id: MessageId
    part: int
    state: State
    content: Content


_IDS = """
SELECT m.id FROM unnest($1::uuid[], $2::bigint[]) AS a(portal_id, bitrix_message_id)
JOIN message m ON m.portal_id = a.portal_id AND m.bitrix_message_id = a.bitrix_message_id AND m.direction = 'outbound'
"""
# Files before messages, each in the order of its key, as those take them who fetch and who deliver (lock order:
# docs/adr/0034).
_HOLD_FILES = "SELECT FROM file WHERE message_id = ANY($1) ORDER BY message_id FOR UPDATE"
_HOLD = """
SELECT id, portal_id, bitrix_message_id, part, state, content FROM message WHERE id = ANY($1)
ORDER BY id FOR NO KEY UPDATE
"""


async def hold(connection: Connection, notes: Sequence[Note]) -> dict[Note, list[LockedPart]]:
    """The parts of operators' messages, in order. Whoever is sending one right now has told how it ended."""
    if not notes:
        return {}
    ids = [row["id"] for row in await connection.fetch(_IDS, [n[0] for n in notes], [n[1] for n in notes])]
    if not ids:
        return {}
    await connection.execute(_HOLD_FILES, ids)
    held: defaultdict[Note, list[LockedPart]] = defaultdict(list)
    for row in await connection.fetch(_HOLD, ids):
        one = LockedPart(id=row["id"], part=row["part"], state=State(row["state"]), content=_decode(row["content"]))
        held[PortalId(row["portal_id"]), row["bitrix_message_id"]].append(one)
    return {note: sorted(parts, key=lambda one: one.part) for note, parts in held.items()}


_REWRITE = "UPDATE message SET content = $2::jsonb, kind = $3, told_change = NULL WHERE id = $1"
_WITHDRAW = f"""
UPDATE message SET state = 'dismissed', error_code = 'withdrawn'
WHERE id = ANY($1) AND {STATE_BY_KEY} IN ('pending', 'dead')
"""  # noqa: S608
_WITHDRAW_FILES = """
UPDATE file SET state = 'failed', attempt_id = NULL, promised_at = NULL, error_code = 'withdrawn'
WHERE message_id = ANY($1) AND state = 'wanted'
"""
_TELL = "UPDATE message SET told_change = $2 WHERE id = $1 AND told_change IS DISTINCT FROM $2 RETURNING id"


async def rewrite(connection: Connection, message_id: MessageId, content: Content) -> None:
    """A message that is held and was not sent says something else now."""
    await connection.execute(_REWRITE, message_id, encoded(content), kind_of(content))


async def withdraw(connection: Connection, ids: Sequence[MessageId], parts: Sequence[MessageId]) -> None:
    """Messages that are held and were not sent never will be; nor the files of any of the `parts` that still come."""
    await connection.execute(_WITHDRAW, ids)
    await connection.execute(_WITHDRAW_FILES, parts)


async def tell_once(connection: Connection, message_id: MessageId, change: bytes | None) -> bool:
    """Remember the last change that the operator was told of; False when it is this one."""
    return await connection.fetchval(_TELL, message_id, change) is not None
