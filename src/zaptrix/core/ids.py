"""Identifiers: one type a kind, so that a mix-up does not type-check."""

from __future__ import annotations

import re
from typing import NewType
from uuid import UUID

PortalId = NewType("PortalId", UUID)
ChannelId = NewType("ChannelId", UUID)
ConversationId = NewType("ConversationId", UUID)
MessageId = NewType("MessageId", int)
EventId = NewType("EventId", int)
AttemptId = NewType("AttemptId", UUID)
WorkerId = NewType("WorkerId", bytes)  # what its attempts begin with

# What the examples of the API's description name, and what a gateway on simulators therefore calls its first ones.
EXAMPLE_PORTAL = PortalId(UUID("5f0c8f5e-8c1b-4d55-9d5d-0c8a0f6b1a01"))
EXAMPLE_CHANNEL = ChannelId(UUID("5f0c8f5e-8c1b-4d55-9d5d-0c8a0f6b1a02"))

# What an operator's event carries back to us is the external chat id alone: it must name channel and customer, hold no
# "|" (Bitrix24 joins its dialog code with it) and stay the same when the customer's phone number changes.
# https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-send-messages.html
_CHAT_PREFIX = "zx1"
_CHAT = re.compile(rf"{_CHAT_PREFIX}-([0-9a-f]{{32}})-([0-9a-f]{{32}})")


def external_chat_id(channel_id: ChannelId, conversation_id: ConversationId) -> str:
    """The id of a conversation as Bitrix24 knows it (`chat.id`)."""
    return f"{_CHAT_PREFIX}-{channel_id.hex}-{conversation_id.hex}"


def parse_external_chat_id(text: str) -> tuple[ChannelId, ConversationId] | None:
    """Channel and conversation named by an external chat id, or None when the id is not one of ours."""
    found = _CHAT.fullmatch(text)
    return (ChannelId(UUID(hex=found[1])), ConversationId(UUID(hex=found[2]))) if found else None


def connector_id(portal_id: PortalId) -> str:
    """The connector's id on a portal: long and ours, because another app that registers the same id takes it over."""
    return f"zaptrix_{portal_id.hex[:16]}"


_FURTHER = "#"  # stands in no id of Meta's
_WAMID_KEPT = 240  # of an id that gets a further one, so that both fit


def further_id(whatsapp_id: str, mark: str) -> str:
    """The id of one more message that came under `whatsapp_id`."""
    return f"{whatsapp_id[:_WAMID_KEPT]}{_FURTHER}{mark}"


def meta_id(whatsapp_id: str) -> str:
    """The id by which Meta knows a message of the ledger."""
    return whatsapp_id.partition(_FURTHER)[0]


def callback_data(message_id: MessageId) -> str:
    """What a send carries in `biz_opaque_callback_data`: a status webhook that brings it back proves the send."""
    return f"zx:{message_id}"


def parse_callback_data(text: str | None) -> MessageId | None:
    """The message named by `biz_opaque_callback_data`, or None when it is not ours."""
    prefix, _, digits = (text or "").partition(":")
    if prefix != "zx" or not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        return None
    return MessageId(int(digits))
