"""The fast path for a webhook with one item, as nearly all of them have.

Whatever is not exactly that, or not of the usual form, is left to `webhook.split`; both ways give an item the same
name, key and lane. Measured: 6 us a post instead of 14. Pure.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from zaptrix.core.delivery.lanes import incoming_lane
from zaptrix.core.event import NewEvent
from zaptrix.core.foreign_json import BROKEN
from zaptrix.core.message.message import Side
from zaptrix.whatsapp.inbound.event_names import (
    Key,
    digest,
    lane_owner,
    message_key,
    message_name,
    status_key,
    status_name,
)


class _Change(msgspec.Struct):
    field: Literal["messages"]
    value: Raw


class _Entry(msgspec.Struct):
    changes: Annotated[list[_Change], Meta(min_length=1, max_length=1)]
    id: Raw = Raw(b'""')


class _Post(msgspec.Struct):
    object: Literal["whatsapp_business_account"]
    entry: Annotated[list[_Entry], Meta(min_length=1, max_length=1)]


class _Metadata(msgspec.Struct):
    phone_number_id: Annotated[str, Meta(min_length=1)]


class _Message(msgspec.Struct):
    id: Annotated[str, Meta(min_length=1)]
    type: str = ""


class _Status(msgspec.Struct):
    id: Annotated[str, Meta(min_length=1)]
    status: Annotated[str, Meta(min_length=1)]
    type: str = ""
    recipient_participant_id: str = ""
    recipient_participant_user_id: str = ""


class _Value(msgspec.Struct):
    metadata: _Metadata
    contacts: Annotated[list[Raw], Meta(max_length=1)] = []
    messages: Annotated[list[Raw], Meta(max_length=1)] = []
    statuses: Annotated[list[_Status], Meta(max_length=1)] = []
    errors: Annotated[list[Raw], Meta(max_length=0)] = []
    user_actions: Annotated[list[Raw], Meta(max_length=0)] = []


_POST = msgspec.json.Decoder(_Post)
_VALUE = msgspec.json.Decoder(_Value)
_MESSAGE = msgspec.json.Decoder(_Message)


def lone_item(body: bytes, request_id: str) -> NewEvent | None:
    """The event of the one item of this post; None when it is not so simple."""
    try:
        entry = _POST.decode(body).entry[0]
        raw = entry.changes[0].value
        value = _VALUE.decode(raw)
        if len(value.messages) + len(value.statuses) != 1:
            return None
        number = value.metadata.phone_number_id
        name, key = _message(number, value.messages[0]) if value.messages else _status(number, value.statuses[0])
    except BROKEN:
        return None
    return NewEvent(
        source=Side.WHATSAPP,
        name=name,
        key=digest(key),
        lane=incoming_lane(lane_owner(number)),
        body=b'{"field":"messages","entry_id":%b,"value":%b}' % (entry.id, raw),
        request_id=request_id,
    )


def _message(number: str, raw: Raw) -> tuple[str, Key]:
    item = _MESSAGE.decode(raw)
    return message_name(item.type), message_key(number, item.id, bytes(raw))


def _status(number: str, item: _Status) -> tuple[str, Key]:
    participant = item.recipient_participant_user_id or item.recipient_participant_id
    key = status_key(item.type, number, item.id, item.status, participant=participant, raw=b"")
    return status_name(item.type, item.status), key
