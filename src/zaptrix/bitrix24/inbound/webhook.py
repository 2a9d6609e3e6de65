"""Bitrix24's webhooks: which portal a form claims to be from, and the journal items that it becomes.

Pure.
https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/events/index.html
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from enum import StrEnum
from hashlib import blake2b

import msgspec

from zaptrix.bitrix24.inbound.form import BadForm, Form, Value, last_values, parse_form
from zaptrix.bitrix24.wire import OURS_ALONE
from zaptrix.core import limits
from zaptrix.core.delivery.lanes import outbound_lane
from zaptrix.core.event import EventState, NewEvent
from zaptrix.core.ids import PortalId
from zaptrix.core.message.message import Side

__all__ = [
    "BadForm", "Form", "Name", "as_posted", "claimed_in", "claimed_sender", "parse_form", "same_token", "to_event",
]  # fmt: skip

UNKNOWN = "unknown"  # labels stay bounded, whatever somebody posts; the journal's body keeps the name as it came
_KEY_BYTES = 16
_KEY_CHARACTERS_MAX = 256


class Name(StrEnum):
    """The connector's events."""

    MESSAGE_ADD = "ONIMCONNECTORMESSAGEADD"
    MESSAGE_UPDATE = "ONIMCONNECTORMESSAGEUPDATE"
    MESSAGE_DELETE = "ONIMCONNECTORMESSAGEDELETE"
    DIALOG_START = "ONIMCONNECTORDIALOGSTART"
    DIALOG_FINISH = "ONIMCONNECTORDIALOGFINISH"
    STATUS_DELETE = "ONIMCONNECTORSTATUSDELETE"
    LINE_DELETE = "ONIMCONNECTORLINEDELETE"


# Where an event keeps its items; the others are one item as a whole.
_LISTS: dict[Name, str] = {
    Name.MESSAGE_ADD: "MESSAGES",
    Name.MESSAGE_UPDATE: "MESSAGES",
    Name.MESSAGE_DELETE: "MESSAGES",
    Name.DIALOG_START: "DATA",
    Name.DIALOG_FINISH: "DATA",
}


def claimed_sender(form: Form) -> tuple[str, str]:
    """`member_id` and `application_token` as the form claims them; empty where it does not say.

    There is no signature: the constant token of the installation is all that authenticates an event.
    https://apidocs.bitrix24.com/api-reference/events/safe-event-handlers.html
    """
    auth = form.get("auth")
    if not isinstance(auth, dict):
        return "", ""
    return _string(auth.get("member_id")), _string(auth.get("application_token"))


_MEMBER, _TOKEN = "auth[member_id]", "auth[application_token]"
# As PHP's http_build_query writes them.
_SPELLED = {name: name.replace("[", "%5B").replace("]", "%5D").encode() + b"=" for name in (_MEMBER, _TOKEN)}


def claimed_in(body: bytes) -> tuple[str, str]:
    """What `claimed_sender` would tell of `body`, without reading the whole form: it may be large, and from anybody."""
    quick = {name: _last_value(body, spelled) for name, spelled in _SPELLED.items()}
    found = quick if all(quick.values()) else last_values(body, _SPELLED)
    return found.get(_MEMBER, ""), found.get(_TOKEN, "")


def _last_value(body: bytes, spelled: bytes) -> str:
    """A plain value (letters and digits, as Bitrix24's keys are) of the last field that is spelled so, or nothing."""
    at = body.rfind(b"&" + spelled) + 1
    if not at and not body.startswith(spelled):
        return ""
    value = body[at + len(spelled) : at + len(spelled) + _KEY_CHARACTERS_MAX].partition(b"&")[0]
    return value.decode() if value.isalnum() and len(value) < _KEY_CHARACTERS_MAX else ""


def same_token(stored: str, given: str) -> bool:
    """Whether the application token is the stored one, in constant time. An empty one never is."""
    return bool(stored) and hmac.compare_digest(stored.encode(), given.encode())


def as_posted(form: Form) -> Form:
    """`form` without what only the gateway itself may say of a message (`wire.OURS_ALONE`)."""
    data = form.get("data")
    if not isinstance(data, dict):
        return form
    return {**form, "data": {key: _as_posted_items(value) for key, value in data.items()}}


def _as_posted_items(value: Value) -> Value:
    if isinstance(value, list):
        return [_as_posted_item(item) for item in value]
    # A list that PHP made a map of is read as a list later.
    return {key: _as_posted_item(item) for key, item in value.items()} if isinstance(value, dict) else value


def _as_posted_item(item: Value) -> Value:
    if not isinstance(item, dict) or OURS_ALONE.isdisjoint(item):
        return item
    return {key: value for key, value in item.items() if key not in OURS_ALONE}


def to_event(form: Form, portal_id: PortalId, request_id: str) -> list[NewEvent]:
    """One journal item for each message or dialog of the form. Never raises; tokens never reach the journal."""
    given = _string(form.get("event"))
    name = _NAMES.get(given.upper())
    if name is None:
        data, reason = form.get("data", {}), "unknown event"
        return [_whole(form, data, portal_id=portal_id, request_id=request_id, name=UNKNOWN, reason=reason)]
    try:
        return list(_split(name, form, portal_id, request_id))
    except _BrokenShape as broken:
        data = form.get("data", {})
        return [_whole(form, data, portal_id=portal_id, request_id=request_id, name=name, reason=str(broken))]


class _BrokenShape(Exception):
    """The event is not built as documented."""


_NAMES: dict[str, Name] = {name.value: name for name in Name}


def _split(name: Name, form: Form, portal_id: PortalId, request_id: str) -> Iterator[NewEvent]:
    data = form.get("data")
    if data is None:
        raise _BrokenShape("no data")
    if name not in _LISTS:
        yield _whole(form, data, portal_id=portal_id, request_id=request_id, name=name)
        return
    if not isinstance(data, dict):
        raise _BrokenShape("data is no map")
    items_key, items = _items(data, _LISTS[name])
    shared = {key: value for key, value in data.items() if key != items_key}
    if len(items) * len(msgspec.json.encode(shared)) > limits.BITRIX_BODY_BYTES_MAX:
        # Each item's row holds it: the rows of a small form would fill the disk.
        raise _BrokenShape("too much beside the items")
    told: dict[str, set[bytes]] = {}
    for item in items:
        identity = _identity(name, item, _string(form.get("ts")))
        same, written = told.setdefault(identity, set()), msgspec.json.encode(item, order="sorted")
        if written in same:
            continue
        same.add(written)
        yield NewEvent(
            source=Side.BITRIX24,
            name=name,
            # Different items of one post that name the same message are told apart, on every delivery alike.
            key=_digest(portal_id, name, identity, str(len(same))),
            lane=outbound_lane(portal_id),
            body=_body(form, {**shared, _LISTS[name]: [item]}),
            request_id=request_id,
        )


def told_late(
    portal_id: PortalId, item: dict[str, object], *, connector: str, line_id: int, message_id: int
) -> NewEvent:
    """The event of an operator's message that nobody told us of, with the key that it would have had."""
    name = Name.MESSAGE_ADD
    body = {"event": name, "data": {"CONNECTOR": connector, "LINE": str(line_id), "MESSAGES": [item]}, "ts": ""}
    return NewEvent(
        source=Side.BITRIX24,
        name=name,
        key=_digest(portal_id, name, str(message_id), "1"),
        lane=outbound_lane(portal_id),
        body=msgspec.json.encode(body),
        request_id="recovery",
    )


def _items(data: dict[str, Value], wanted: str) -> tuple[str, list[Value]]:
    for key, value in data.items():
        if key.upper() == wanted and isinstance(value, list) and value:
            return key, value
    raise _BrokenShape(f"no list {wanted}")


def _identity(name: Name, item: Value, ts: str) -> str:
    """What two deliveries of one item have in common and no two items share."""
    message_id = _string(_dig(item, "im", "message_id"))
    if name is Name.MESSAGE_ADD and message_id:
        return message_id
    return f"{ts} {msgspec.json.encode(item, order='sorted').decode()}"


def _whole(
    form: Form, data: Value, *, portal_id: PortalId, request_id: str, name: str, reason: str | None = None
) -> NewEvent:
    body = _body(form, data)
    return NewEvent(
        source=Side.BITRIX24,
        name=name,
        key=_digest(portal_id, name, body.decode()),
        lane=outbound_lane(portal_id),
        body=body,
        request_id=request_id,
        state=EventState.UNROUTABLE if reason else EventState.NEW,
        reason=reason,
    )


def _body(form: Form, data: Value) -> bytes:
    return msgspec.json.encode({"event": form.get("event", ""), "data": data, "ts": form.get("ts", "")})


def _digest(portal_id: PortalId, *parts: str) -> bytes:
    hashed = blake2b(portal_id.bytes, digest_size=_KEY_BYTES)
    for part in parts:
        hashed.update(b"\0" + part.encode())
    return hashed.digest()


def _dig(value: Value | None, *path: str) -> Value | None:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _string(value: Value | None) -> str:
    return value if isinstance(value, str) else ""
