"""Receipts onto the ledger: forward only; early ones are parked; a failure is buried and the operator told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog

from zaptrix.bridge.notices import FAILED_NOTICES, notices_for
from zaptrix.core.event import Receipt
from zaptrix.core.ids import ChannelId, ConversationId, MessageId
from zaptrix.core.message import Notice, State
from zaptrix.core.states import advance
from zaptrix.store import messages
from zaptrix.store import receipts as stored
from zaptrix.store.database import Connection
from zaptrix.store.receipts import Advance, Standing

log = structlog.get_logger(__name__)


async def apply_receipts(connection: Connection, channel_id: ChannelId, receipts: Sequence[Receipt]) -> None:
    """Move the messages that `receipts` speak of, inside the caller's transaction."""
    standings = await stored.standings(connection, channel_id, receipts)
    by_id = {standing.id: standing for standing in standings}
    by_whatsapp_id = {standing.whatsapp_id: standing for standing in standings if standing.whatsapp_id}
    matched: list[tuple[Standing, Receipt]] = []
    unknown: list[Receipt] = []
    for receipt in receipts:
        standing = by_id.get(receipt.message_id) if receipt.message_id else None
        standing = standing or by_whatsapp_id.get(receipt.whatsapp_id)
        if standing is None:
            unknown.append(receipt)
        else:
            matched.append((standing, receipt))
    advances = _furthest(matched)
    if advances:
        await stored.advance(connection, advances)
        await _tell(connection, advances, by_id)
    if unknown:
        await stored.park(connection, channel_id, unknown)


def _furthest(matched: Iterable[tuple[Standing, Receipt]]) -> list[Advance]:
    """The one step that each message takes, when its receipts are taken one after another."""
    states: dict[int, State] = {}
    steps: dict[int, Advance] = {}
    for standing, receipt in matched:
        step = advance(states.get(standing.id, standing.state), receipt.status)
        if step is None:
            continue
        states[standing.id] = step
        steps[standing.id] = Advance(
            id=standing.id,
            state=step,
            at=receipt.at,
            whatsapp_id=receipt.whatsapp_id,
            code=receipt.code,
            detail=receipt.detail,
        )
    return list(steps.values())


async def _tell(connection: Connection, advances: Sequence[Advance], standings: dict[MessageId, Standing]) -> None:
    """A notice in the chat for each message that WhatsApp took first and failed to deliver then."""
    failed = [a for a in advances if a.state is State.DEAD]
    if not failed:
        return
    said: list[tuple[ConversationId, Notice, datetime]] = []
    for step in failed:
        log.warning("failed on whatsapp", message_id=step.id, code=step.code)
        code = step.code or "unknown"
        notice = Notice(FAILED_NOTICES.get(code, "refused"), {"code": code})
        said.append((standings[step.id].conversation_id, notice, step.at))
    await messages.insert(connection, await notices_for(connection, said))
