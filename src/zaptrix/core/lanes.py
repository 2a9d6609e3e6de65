"""Lanes and queues: what is drained in order, and the bell that says so.

A bell's job is `{"lane": <lane>}` and nothing more: content lives in PostgreSQL.
"""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID
from zlib import crc32

import msgspec

from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.limits import SHARDS


class Queue(StrEnum):
    """The four queues, under the names of the brief."""

    INCOMING = "incoming-messages"  # route inbound; lane: number + shard of the customer
    BITRIX24 = "bitrix24-messages"  # deliver to Bitrix24; lane: portal
    OUTBOUND = "outbound-messages"  # route outbound; lane: portal + shard of the conversation
    META = "meta-messages"  # deliver to WhatsApp; lane: channel


class Lane(msgspec.Struct, frozen=True):
    """An ordered stream with one runner in the whole cluster."""

    queue: Queue
    name: str

    @property
    def owner(self) -> UUID:
        """The portal or channel of a delivery lane."""
        return UUID(self.name)


def shard(key: str) -> int:
    """The shard of a customer or conversation: stable everywhere and for ever."""
    return crc32(key.encode()) % SHARDS


def incoming_lane(phone_number_id: str, customer_key: str) -> Lane:
    return Lane(Queue.INCOMING, f"{phone_number_id}.{shard(customer_key)}")


def outbound_lane(portal_id: PortalId, chat_key: str) -> Lane:
    return Lane(Queue.OUTBOUND, f"{portal_id}.{shard(chat_key)}")


def bitrix24_lane(portal_id: PortalId) -> Lane:
    return Lane(Queue.BITRIX24, str(portal_id))


def meta_lane(channel_id: ChannelId) -> Lane:
    return Lane(Queue.META, str(channel_id))
