"""The wire format of Meta's webhooks and answers.

The webhook endpoint reads what names and sorts an item, and leaves the rest as the bytes that came. Translation reads
strictly first, which is fast; what does not fit is read again leniently: a field of a wrong type is left out, a number
written as text (or the other way round) is taken, and so no optional field can cost an item. Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

import builtins
import json
import re
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Raw
from msgspec.inspect import (
    BoolType,
    CustomType,
    Field,
    FloatType,
    IntType,
    ListType,
    NoneType,
    StrType,
    StructType,
    UnionType,
    type_info,
)
from msgspec.inspect import Type as ShapeType

from zaptrix.core.foreign_json import BROKEN
from zaptrix.whatsapp.items import Message, MetaError

T = TypeVar("T", bound=msgspec.Struct)

_WHOLE_MAX = 2**63 - 1  # what a row can hold
_CURSOR_MAX = 2_000
_DIGITS = re.compile(r"-?\d{1,19}", re.ASCII)

# --- peeks -----------------------------------------------------------------------------------------------------------


class Envelope(msgspec.Struct):
    entry: list[Raw]
    object: Raw = Raw(b'"whatsapp_business_account"')


class Entry(msgspec.Struct):
    changes: list[Raw]
    id: Raw = Raw(b'""')
    time: Raw = Raw(b"null")


class Change(msgspec.Struct):
    value: Raw
    field: str = ""


class Value(msgspec.Struct):
    metadata: Raw = Raw(b"{}")
    contacts: Raw = Raw()
    messages: Raw = Raw()
    statuses: Raw = Raw()
    errors: Raw = Raw()
    user_actions: Raw = Raw()
    message_echoes: Raw = Raw()
    conversation_context: Raw = Raw()
    standby: Raw = Raw()


class MetadataPeek(msgspec.Struct):
    phone_number_id: object = None


class ContactPeek(msgspec.Struct):
    wa_id: object = None
    user_id: object = None


class MessagePeek(msgspec.Struct):
    id: object = None
    type: object = None
    from_: object = msgspec.field(default=None, name="from")
    from_user_id: object = None


class StatusPeek(msgspec.Struct):
    id: object = None
    status: object = None
    type: object = None
    recipient_id: object = None
    recipient_user_id: object = None
    recipient_participant_id: object = None
    recipient_participant_user_id: object = None


# --- whole items -----------------------------------------------------------------------------------------------------


class Metadata(msgspec.Struct, frozen=True):
    phone_number_id: str = ""


class Profile(msgspec.Struct, frozen=True):
    name: str | None = None
    username: str | None = None


class Contact(msgspec.Struct, frozen=True):
    """Who an item is about. The phone number may be absent."""

    profile: Profile | None = None
    wa_id: str | None = None
    user_id: str | None = None


class StatusPricing(msgspec.Struct, frozen=True):
    category: str = ""
    type: str | None = None
    pricing_model: str | None = None
    billable: object = None


class Status(msgspec.Struct, frozen=True):
    """One of `statuses[]`. A payment's has `type` "payment" and words of its own for `status`."""

    id: str = ""
    status: str = ""
    type: str | None = None
    timestamp: str | None = None
    recipient_type: str | None = None
    biz_opaque_callback_data: str | None = None
    pricing: StatusPricing | None = None
    errors: list[MetaError] = []


class ItemValue(msgspec.Struct, frozen=True):
    metadata: Metadata = Metadata()
    contacts: list[Contact] = []
    messages: list[Message] = []
    statuses: list[Status] = []


class ItemBody(msgspec.Struct, frozen=True):
    """An event's body: one change with one item."""

    value: ItemValue = ItemValue()


# --- answers ---------------------------------------------------------------------------------------------------------


class ErrorResponse(msgspec.Struct, frozen=True):
    error: MetaError | None = None


class SentMessage(msgspec.Struct, frozen=True):
    id: str = ""


class SendResponse(msgspec.Struct, frozen=True):
    """The answer to a send. `contacts` has no `wa_id` when it went to a user id."""

    contacts: list[Contact] = []
    messages: list[SentMessage] = []


class MediaInfo(msgspec.Struct, frozen=True):
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media"""

    url: str = ""
    mime_type: str | None = None
    file_size: Annotated[int, msgspec.Meta(ge=0, le=_WHOLE_MAX)] | None = None


class Done(msgspec.Struct, frozen=True):
    success: bool | None = None


class HealthEntity(msgspec.Struct, frozen=True):
    entity_type: str = ""
    id: str = ""


class HealthStatus(msgspec.Struct, frozen=True):
    entities: list[HealthEntity] = []


class PhoneNumber(msgspec.Struct, frozen=True):
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/phone-numbers"""

    id: str = ""
    display_phone_number: str | None = None
    health_status: HealthStatus | None = None


class Cursors(msgspec.Struct, frozen=True):
    after: str | None = None


class Paging(msgspec.Struct, frozen=True):
    """Of a page of a list; it is the last one when `next` is missing, whatever the cursors say."""

    cursors: Cursors | None = None
    next: str | None = None

    @property
    def after(self) -> str | None:
        return (self.cursors.after or "")[:_CURSOR_MAX] or None if self.next and self.cursors else None


class PhoneNumbers(msgspec.Struct, frozen=True):
    """A page of an account's numbers."""

    data: list[PhoneNumber] = []
    paging: Paging | None = None


class AppSubscription(msgspec.Struct, frozen=True):
    override_callback_uri: str | None = None


class SubscribedApps(msgspec.Struct, frozen=True):
    data: list[AppSubscription] = []


# --- reading ---------------------------------------------------------------------------------------------------------


class NotJsonObject(Exception):
    """Bytes that are no JSON object."""


def read(body: bytes | Raw, shape: type[T]) -> T:
    """`body` as `shape`; its texts hold no NUL, which PostgreSQL cannot store. Raises NotJsonObject."""
    data = bytes(body)
    if rb"\u0000" not in data:
        try:
            return msgspec.json.decode(data, type=shape)
        except BROKEN:
            pass
    try:
        found = json.loads(data.decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError) as error:
        raise NotJsonObject("not JSON") from error
    struct = _described(shape)
    if not isinstance(found, dict) or not isinstance(struct, StructType):
        raise NotJsonObject("not a JSON object")
    made: T = _struct(struct, found)
    return made


@cache
def _described(shape: type[msgspec.Struct]) -> ShapeType:
    # Made once: making it takes milliseconds, and one field that Meta changes can bend every item that comes.
    return type_info(shape)


class _Misfit(Exception):
    """A value that cannot be what its field asks for."""


def _lenient(shape: ShapeType, value: Any) -> Any:
    match shape:
        case UnionType():
            return None if value is None else _lenient(_not_none(shape), value)
        case StructType() if isinstance(value, dict):
            return _struct(shape, value)
        case ListType() if isinstance(value, list):
            return [made for item in value if (made := _or_none(shape.item_type, item)) is not None]
        case CustomType(cls=builtins.object):
            return value
        case StrType():
            return _text(value)
        case IntType() if _is_number_or_text(value):
            return _whole(value)
        case FloatType() if _is_number_or_text(value):
            return _decimal(value)
        case BoolType() if isinstance(value, bool | int | str):
            return value in (True, "true")
    raise _Misfit


def _is_number_or_text(value: Any) -> bool:
    # `true` is 1 to Python, and no number of anybody's.
    return isinstance(value, int | float | str) and not isinstance(value, bool)


def _not_none(shape: UnionType) -> ShapeType:
    return next(kind for kind in shape.types if not isinstance(kind, NoneType))


def _struct(shape: StructType, value: dict[str, Any]) -> Any:
    fields: dict[str, Any] = {}
    for field in shape.fields:
        if field.encode_name in value:
            _put(fields, field, value[field.encode_name])
    return shape.cls(**fields)


def _put(fields: dict[str, Any], field: Field, value: Any) -> None:
    try:
        fields[field.name] = _lenient(field.type, value)
    except _Misfit:
        return


def _or_none(shape: ShapeType, value: Any) -> Any:
    try:
        return _lenient(shape, value)
    except _Misfit:
        return None


def _decimal(value: float | str) -> float:
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise _Misfit from error


def _text(value: Any) -> str:
    if isinstance(value, str):
        # Half a surrogate pair is no Unicode: it becomes the replacement character; two halves become their emoji.
        return value.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Misfit
    try:
        return str(int(value)) if value == int(value) else repr(value)
    except (ValueError, OverflowError) as error:
        raise _Misfit from error


def _whole(value: float | str) -> int:
    """A whole number, and never one that was rounded, or that Python alone would read as one."""
    if isinstance(value, str) and not _DIGITS.fullmatch(value.strip()):
        raise _Misfit
    try:
        whole = int(value)
    except (ValueError, OverflowError) as error:
        raise _Misfit from error
    if abs(whole) > _WHOLE_MAX or (isinstance(value, float) and value != whole):
        raise _Misfit
    return whole
