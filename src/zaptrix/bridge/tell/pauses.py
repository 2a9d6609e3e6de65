"""Holding: a bad key stops what stands behind it, and whoever waits there is told so, once a conversation and pause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog

from zaptrix.bridge.tell.notices import Line
from zaptrix.broker.queues.bells import Bells
from zaptrix.core.delivery.lanes import bitrix24_lane, meta_lane
from zaptrix.core.delivery.retry import Pause
from zaptrix.core.ids import ChannelId, MessageId, PortalId
from zaptrix.core.message.message import Notice, Side
from zaptrix.store.accounts import audit, channels, holds, portals
from zaptrix.store.accounts.holds import WaitingConversation
from zaptrix.store.connection.database import Connection, Database
from zaptrix.store.encryption import SecretBox
from zaptrix.store.ledger import claims
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import AlarmKind

log = structlog.get_logger(__name__)


async def pause_portal(connection: Connection, portal_id: PortalId, verdict: Pause) -> bool:
    """Hold all that goes to a portal; False when it is held already."""
    new = await portals.pause(connection, portal_id, _reason(verdict))
    if new:
        await _tell_admin(connection, f"portal {portal_id}", verdict)
    return new


async def pause_channel(
    connection: Connection, channel_id: ChannelId, side: Side, verdict: Pause, at: datetime | None = None
) -> bool:
    """Hold what a channel sends to one side; False when it is held already, or was repaired since `at`."""
    new = await channels.pause(connection, channel_id, side, _reason(verdict), at)
    if new:
        await _tell_admin(connection, f"channel {channel_id}", verdict)
    return new


def _reason(verdict: Pause) -> str:
    return f"{verdict.code}: {verdict.detail}" if verdict.detail else verdict.code


async def _tell_admin(connection: Connection, subject: str, verdict: Pause) -> None:
    await audit.write(connection, "gateway", f"{verdict.scope}.pause", subject, reason=_reason(verdict))
    metrics.alarmed(AlarmKind.PAUSED)
    log.error("paused", subject=subject, code=verdict.code, alarm=True)


async def resume(database: Database, box: SecretBox, bells: Bells) -> None:
    """Let go of whom an unreadable secret held, once its key is back in ENCRYPTION_KEYS.

    A start with the wrong keys holds every tenant, and a thousand are not repaired one by one. Raises StoreUnavailable.
    """
    async with database.transaction() as connection:
        readable = await holds.unlock(connection, box)
        for portal_id in readable.portals:
            await audit.write(connection, "gateway", "portal.resume", f"portal {portal_id}")
            await claims.hasten(connection, portal_id)
        for channel_id, portal_id in readable.channels:
            await audit.write(connection, "gateway", "channel.resume", f"channel {channel_id}")
            await claims.hasten(connection, channel_id, portal_id)
    numbers = [meta_lane(channel_id) for channel_id, _ in readable.channels]
    bells.ring_soon([*map(bitrix24_lane, readable.portals), *numbers])


async def held_back(connection: Connection, paused: Iterable[ChannelId], now: datetime) -> list[Line]:
    """What to say where messages wait for WhatsApp behind keys that have just proven bad."""
    return [_line(each, now) for channel_id in paused for each in await holds.waiting(connection, channel_id)]


async def held_at_once(connection: Connection, written: Sequence[MessageId], now: datetime) -> list[Line]:
    """The same of messages that were written while their number stands still."""
    return [_line(each, now) for each in await holds.waiting_among(connection, written)] if written else []


def _line(waiting: WaitingConversation, now: datetime) -> Line:
    code = (waiting.reason or "").partition(":")[0]
    return Line(waiting.conversation_id, Notice("on_hold", {"code": code}), now, waiting.message_id)
