"""Relink: a customer who has other ids now keeps the conversation, and two conversations of one person become one."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.identity import bereft, choose, merged
from zaptrix.core.event import CustomerMoved
from zaptrix.core.ids import ConversationId
from zaptrix.core.message.message import Direction, Notice, Origin
from zaptrix.core.portal import Channel
from zaptrix.store.connection.database import Connection
from zaptrix.store.ledger import messages
from zaptrix.store.ledger.messages import NewMessage
from zaptrix.store.people import conversations, customer_moves

log = structlog.get_logger(__name__)


async def relink(
    connection: Connection, channel: Channel, move: CustomerMoved, request_id: str
) -> list[ConversationId]:
    """Do what `move` tells; the conversations that it changed. None: nobody here had these ids, or it was done before.

    The conversation under the old ids goes on, for the operators know it; one under the new ids, begun before Meta told
    of the change, becomes part of it.
    """
    rows = await conversations.known(connection, [(channel.id, move.before), (channel.id, move.now)])
    old, new = choose(move.before, rows), choose(move.now, rows)
    if old is None:
        return await _remember(connection, new, move.before.bsuid)
    if move.before.bsuid in old.former_bsuids:
        return []
    if new is not None and new.id == old.id and _is(old.customer, move.now):
        return []
    both = [old, new] if new is not None and new.id != old.id else [old]
    now = _now(move.now, new)
    survivor = await join(connection, sorted(both, key=lambda row: row.bitrix_chat_id is None), now)
    # Behind the join, which takes messages: whoever settles takes messages first, and then conversations.
    losers = [row.id for row in bereft(move.now, rows) if row.id != old.id]
    if losers:
        await conversations.detach_numbers(connection, losers)
    await customer_moves.rename(
        connection,
        survivor.id,
        now,
        former_bsuid=move.before.bsuid or old.customer.bsuid,
        number_changed=move.number_changed,
        close_window=move.number_changed and new is None,
    )
    if move.number_changed and survivor.bitrix_chat_id:
        await messages.insert(connection, [_notice(survivor, move, request_id)])
    log.info("relinked", conversation_id=str(survivor.id), number_changed=move.number_changed)
    return [*losers, *(row.id for row in both)]


async def _remember(connection: Connection, new: Conversation | None, former_bsuid: str | None) -> list[ConversationId]:
    """Nobody had the old ids, yet: what was written under them and is still on its way stands where she is now."""
    if new is None or former_bsuid is None or new.customer.bsuid == former_bsuid:
        return []
    await customer_moves.remember(connection, new.id, former_bsuid)
    return [new.id]


async def join(connection: Connection, talks: Sequence[Conversation], customer: Customer) -> Conversation:
    """All of `talks` are one person's: the first goes on with everything that was said in any of them."""
    survivor, *others = talks
    if others:
        await customer_moves.merge(connection, survivor.id, [other.id for other in others], customer)
        log.info("merged", conversation_id=str(survivor.id), others=[str(other.id) for other in others])
    return survivor


def _now(told: Customer, new: Conversation | None) -> Customer:
    """The ids of today: who has left those that Meta tells of, by a move that came sooner, has others already."""
    if new is None:
        return told
    return new.customer if told.bsuid in new.former_bsuids else merged(new.customer, told)


def _is(known: Customer, now: Customer) -> bool:
    return (now.bsuid or known.bsuid) == known.bsuid and (now.wa_id or known.wa_id) == known.wa_id


def _notice(talk: Conversation, move: CustomerMoved, request_id: str) -> NewMessage:
    """One line, however often Meta tells: it goes under the id of Meta's own message."""
    phone = move.now.phone
    return NewMessage(
        conversation=talk,
        direction=Direction.INBOUND,
        origin=Origin.GATEWAY,
        content=Notice("number_changed", {"phone": phone}) if phone else Notice("number_hidden"),
        request_id=request_id,
        written_at=move.at,
        whatsapp_id=move.whatsapp_id,
        bitrix_chat_id=talk.bitrix_chat_id,
    )
