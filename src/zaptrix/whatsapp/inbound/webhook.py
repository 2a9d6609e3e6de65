"""Meta's webhooks: verifies the signature, and splits a post into its items.

One post carries up to 1,000 updates of many numbers, so that one bad item must never harm the others. Pure, and fast:
it runs before the answer 200.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from zaptrix.core.delivery.lanes import incoming_lane
from zaptrix.core.event import EventState, NewEvent
from zaptrix.core.foreign_json import BROKEN
from zaptrix.core.limits import META_ITEMS_MAX
from zaptrix.core.message.message import Side
from zaptrix.whatsapp import wire
from zaptrix.whatsapp.inbound.event_names import (
    FIELDS,
    STANDBY,
    digest,
    lane_owner,
    message_key,
    message_name,
    status_key,
    status_name,
)
from zaptrix.whatsapp.inbound.single_item import lone_item

_PREFIX = "sha256="
_HEX_DIGITS = 64
_NOTHING = (b"", b"null")

_ENVELOPE = msgspec.json.Decoder(wire.Envelope)
_ENTRY = msgspec.json.Decoder(wire.Entry)
_CHANGE = msgspec.json.Decoder(wire.Change)
_VALUE = msgspec.json.Decoder(wire.Value)
_METADATA = msgspec.json.Decoder(wire.MetadataPeek)
_CONTACT = msgspec.json.Decoder(wire.ContactPeek)
_MESSAGE = msgspec.json.Decoder(wire.MessagePeek)
_STATUS = msgspec.json.Decoder(wire.StatusPeek)
_LIST = msgspec.json.Decoder(list[Raw])
_ANYTHING = msgspec.json.Decoder()
_RAW = msgspec.json.Decoder(Raw)


def verify(secrets: Sequence[str], body: bytes, header: str | None) -> bool:
    """True when `header` (X-Hub-Signature-256) signs `body`, byte by byte, with one of `secrets`.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/create-webhook-endpoint
    """
    if header is None or not is_signature(header):
        return False
    try:
        given = bytes.fromhex(header[len(_PREFIX) :])
    except ValueError:
        return False
    # An empty secret is a setting that was left out, and would let everybody in.
    return any(hmac.compare_digest(hmac.digest(secret.encode(), body, "sha256"), given) for secret in secrets if secret)


def is_signature(header: str | None) -> bool:
    """Whether `header` looks like a signature; only the body tells whether it is Meta's."""
    return header is not None and header.startswith(_PREFIX) and len(header) == len(_PREFIX) + _HEX_DIGITS


def challenge(query: Mapping[str, str], verify_token: str) -> str | None:
    """What to answer when Meta verifies the callback's address, or None when it is not Meta who asks."""
    given = query.get("hub.verify_token", "").encode("utf-8", "surrogatepass")
    if not verify_token or not hmac.compare_digest(given, verify_token.encode()):
        return None
    return query.get("hub.challenge") if query.get("hub.mode") == "subscribe" else None


def split(body: bytes, request_id: str) -> list[NewEvent]:
    """One event for each item of a post, in its order. Never raises: what cannot be read becomes UNROUTABLE."""
    lone = lone_item(body, request_id)
    if lone is not None:
        return [lone]
    found = _post(body, request_id)
    events = list(islice(found, META_ITEMS_MAX))
    if next(found, None) is not None:
        events.append(_unreadable(body, f"more than {META_ITEMS_MAX} items in one post", request_id))
    return events


def _post(body: bytes, request_id: str) -> Iterator[NewEvent]:
    envelope = _envelope(body)
    if isinstance(envelope, str):
        yield _unreadable(body, envelope, request_id)
        return
    for raw in envelope.entry:
        yield from _entry(raw, request_id)


def _envelope(body: bytes) -> wire.Envelope | str:
    """The opened post, or why it cannot be opened."""
    try:
        envelope = _ENVELOPE.decode(body)
    except msgspec.ValidationError:
        return "not a webhook of Meta: no list of entries"
    except BROKEN:
        mended = _mended(body)
        return "not JSON" if mended == body else _envelope(mended)
    if bytes(envelope.object) != b'"whatsapp_business_account"':
        return "not of a WhatsApp business account"
    return envelope


def _entry(raw: Raw, request_id: str) -> Iterator[NewEvent]:
    try:
        entry = _ENTRY.decode(raw)
    except BROKEN:
        yield _unreadable(bytes(raw), "an entry without a list of changes", request_id)
        return
    for change in entry.changes:
        yield from _change(change, entry, request_id)


def _change(raw: Raw, entry: wire.Entry, request_id: str) -> Iterator[NewEvent]:
    try:
        change = _CHANGE.decode(raw)
        value = _VALUE.decode(change.value)
    except BROKEN:
        yield _Place(raw, "", entry, wire.Value(), request_id).whole(
            EventState.UNROUTABLE, "a change of a strange shape"
        )
        return
    if change.field == STANDBY:
        value = _standby(value)
    place = _Place(change.value, change.field, entry, value, request_id)
    if change.field not in {"messages", STANDBY}:
        yield place.whole()
        return
    any_item = False
    for event in place.items():
        any_item = True
        yield event
    if not any_item:
        yield place.whole()


def _standby(value: wire.Value) -> wire.Value:
    """While another app has the conversation, the items stand one level deeper."""
    try:
        inner = _VALUE.decode(value.standby)
    except BROKEN:
        return value
    contacts = inner.contacts if bytes(inner.contacts) not in _NOTHING else value.contacts
    return replace(inner, metadata=value.metadata, contacts=contacts)


class _Place:
    """Where an item was found: all that its event needs beside the item."""

    def __init__(self, raw: Raw, field: str, entry: wire.Entry, value: wire.Value, request_id: str) -> None:
        self.raw = raw
        self.field = field
        self.entry = entry
        self.value = value
        self.request_id = request_id
        self.phone_number_id = _phone_number_id(value.metadata)
        self.contacts = _Contacts(value.contacts)

    def items(self) -> Iterator[NewEvent]:
        for raw in self._list("messages", self.value.messages):
            yield raw if isinstance(raw, NewEvent) else self._message(raw)
        for raw in self._list("statuses", self.value.statuses):
            yield raw if isinstance(raw, NewEvent) else self._status(raw)
        others = ("errors", "user_actions", "message_echoes")
        for name, raws in ((name, getattr(self.value, name)) for name in others):
            for raw in self._list(name, raws):
                yield raw if isinstance(raw, NewEvent) else self._other(name, raw)

    def whole(self, state: EventState = EventState.NEW, reason: str | None = None) -> NewEvent:
        """The whole change as one event: what concerns an account, and what has no items that we know."""
        entry_id, raw = bytes(self.entry.id), bytes(self.raw)
        return self._event(
            name=f"account.{self.field if self.field in FIELDS else 'unknown'}",
            key=("account", self.field, entry_id, bytes(self.entry.time), raw),
            body=b'{"field":%b,"entry_id":%b,"time":%b,"value":%b}'
            % (msgspec.json.encode(self.field), entry_id, bytes(self.entry.time), raw),
            state=state,
            reason=reason,
        )

    def _list(self, name: str, raws: Raw) -> Iterator[Raw | NewEvent]:
        """The items of a list; what should be a list and is not comes as one event."""
        if bytes(raws) in _NOTHING:
            return
        try:
            yield from _LIST.decode(raws)
        except BROKEN:
            yield self._poisonous(name, raws, f"{name} is not a list")

    def _message(self, raw: Raw) -> NewEvent:
        try:
            item = _MESSAGE.decode(raw)
        except BROKEN:
            return self._poisonous("messages", raw, "a message of a strange shape")
        sender, user = _text(item.from_), _text(item.from_user_id)
        kind, wamid = _text(item.type), _text(item.id)
        return self._event(
            name=message_name(kind, self.field),
            key=message_key(self.phone_number_id, wamid, bytes(raw)),
            body=self._body("messages", raw, self.contacts.of(user, sender)),
        )

    def _status(self, raw: Raw) -> NewEvent:
        try:
            item = _STATUS.decode(raw)
        except BROKEN:
            return self._poisonous("statuses", raw, "a status of a strange shape")
        recipient, user = _text(item.recipient_id), _text(item.recipient_user_id)
        kind, wamid, status = _text(item.type), _text(item.id), _text(item.status)
        participant = _text(item.recipient_participant_user_id) or _text(item.recipient_participant_id)
        return self._event(
            name=status_name(kind, status),
            key=status_key(kind, self.phone_number_id, wamid, status, participant=participant, raw=bytes(raw)),
            body=self._body("statuses", raw, self.contacts.of(user, recipient)),
        )

    def _other(self, name: str, raw: Raw) -> NewEvent:
        return self._event(
            name=f"account.{name}",
            key=(name, bytes(self.entry.id), bytes(self.entry.time), self.phone_number_id, bytes(raw)),
            body=self._body(name, raw, b""),
        )

    def _poisonous(self, name: str, raw: Raw, reason: str) -> NewEvent:
        return self._event(
            name=f"{name}.unknown" if name in ("messages", "statuses") else f"account.{name}",
            key=("poisonous", name, bytes(self.entry.id), self.phone_number_id, bytes(raw)),
            body=self._body(name, raw, b""),
            state=EventState.UNROUTABLE,
            reason=reason,
        )

    def _body(self, name: str, raw: Raw, contacts: bytes) -> bytes:
        context = bytes(self.value.conversation_context)
        return b'{"field":"messages","entry_id":%b,"value":{"metadata":%b,%b"contacts":[%b],"%b":[%b]}}' % (
            bytes(self.entry.id),
            bytes(self.value.metadata),
            b'"conversation_context":%b,' % context if context else b"",
            contacts,
            name.encode(),
            bytes(raw),
        )

    def _event(
        self,
        *,
        name: str,
        key: tuple[str | bytes, ...],
        body: bytes,
        state: EventState = EventState.NEW,
        reason: str | None = None,
    ) -> NewEvent:
        return NewEvent(
            source=Side.WHATSAPP,
            name=name,
            key=digest(key),
            lane=incoming_lane(lane_owner(self.phone_number_id or _entry_text(self.entry))),
            body=body,
            request_id=self.request_id,
            state=state,
            reason=reason,
        )


class _Contacts:
    """The contacts of one value: they are not promised to stand in the order of its items."""

    def __init__(self, raw: Raw) -> None:
        self._all = [] if bytes(raw) in _NOTHING else _contacts(raw)
        self._by_id: dict[str, bytes] | None = None

    def of(self, user_id: str, wa_id: str) -> bytes:
        """The contact of a customer, as bytes; the only one whoever it names; else nothing."""
        if len(self._all) <= 1:
            return bytes(self._all[0]) if self._all else b""
        if self._by_id is None:
            self._by_id = self._indexed()
        return self._by_id.get(user_id) or self._by_id.get(wa_id) or b""

    def _indexed(self) -> dict[str, bytes]:
        index: dict[str, bytes] = {}
        for raw in self._all:
            try:
                contact = _CONTACT.decode(raw)
            except BROKEN:
                continue
            for value in (contact.user_id, contact.wa_id):
                if text := _text(value):
                    index[text] = bytes(raw)
        return index


def _contacts(raw: Raw) -> list[Raw]:
    try:
        return _LIST.decode(raw)
    except BROKEN:
        return []


def _phone_number_id(metadata: Raw) -> str:
    try:
        return _text(_METADATA.decode(metadata).phone_number_id)
    except BROKEN:
        return ""


def _entry_text(entry: wire.Entry) -> str:
    try:
        return _text(_ANYTHING.decode(entry.id))
    except BROKEN:
        return ""


def _text(value: object) -> str:
    """An id as text, however it was written. https://developers.facebook.com/docs/graph-api/guides/error-handling"""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _unreadable(body: bytes, reason: str, request_id: str) -> NewEvent:
    """What no item could be found in, kept as it came."""
    return NewEvent(
        source=Side.WHATSAPP,
        name="account.unknown",
        key=digest(("unreadable", body)),
        lane=incoming_lane("unknown"),
        body=body if _is_json(body) else msgspec.json.encode({"raw_base64": base64.b64encode(body).decode()}),
        request_id=request_id,
        state=EventState.UNROUTABLE,
        reason=reason,
    )


def _is_json(body: bytes) -> bool:
    try:
        body.decode()
        _RAW.decode(body)
    except BROKEN:
        return False
    return True


# A text cut in the middle of an emoji leaves half a surrogate pair. JSON allows the escape, Unicode does not, and one
# customer's broken emoji must not cost the whole post.
_ESCAPE = re.compile(
    rb"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)


def _mended(body: bytes) -> bytes:
    return _ESCAPE.sub(lambda found: b"\\ufffd" if found["half"] else found[0], body)
