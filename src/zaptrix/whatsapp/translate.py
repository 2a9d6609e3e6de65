"""A journalled item of Meta's to what it means to the bridge. Pure: a table of small functions.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from zaptrix.core.customer import Customer
from zaptrix.core.event import CustomerMessage, Event, Ignored, Receipt, Routed, Unroutable
from zaptrix.core.ids import parse_callback_data
from zaptrix.core.message import State, Words
from zaptrix.core.phone import e164
from zaptrix.core.states import STATUS_STATES
from zaptrix.core.text import Text, plain_text, rich_text
from zaptrix.whatsapp import codes
from zaptrix.whatsapp.markup import from_whatsapp
from zaptrix.whatsapp.templates import CHANGES, template_change
from zaptrix.whatsapp.wire import Contact, Fault, Item, ItemValue, Message, Piece, Status, Unreadable, read

# Ids are opaque, and longer than this they are none; a name that is longer is cut.
# https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
WAMID_MAX = 255
PHONE_NUMBER_ID_MAX = 32
BSUID_MAX = 150
WA_ID_MAX = 20
NAME_MAX = 255
USERNAME_MAX = 64

_KNOWN_STATUSES_WITHOUT_MEANING = ("deleted", "warning")
_YEAR_2100 = 4_102_444_800


def translate(event: Event) -> Routed:
    """What `event` means. Never raises."""
    reader = _READERS.get(event.name.partition(".")[0])
    if reader is None:
        return Unroutable(f"no reader for {event.name}")
    try:
        value = read(event.body, Item).value
    except Unreadable as error:
        return Unroutable(str(error))
    return reader(value, event)


def _account(_value: ItemValue, event: Event) -> Routed:
    # A post whose items nobody could find, and fields that Meta invents after us, are for an admin to look at.
    if event.name in ("account.unknown", "account.messages"):
        return Unroutable("nothing in it that we know")
    return template_change(event) if event.name in CHANGES else Ignored(event.name)


# --- messages --------------------------------------------------------------------------------------------------------


def _message(value: ItemValue, event: Event) -> Routed:
    if not value.messages:
        return Unroutable("no message in it")
    item = value.messages[0]
    if item.type in _SILENT:
        return Ignored(f"messages.{item.type}")
    if item.group_id:
        return Ignored("a group's message")
    customer = _customer(item, value.contacts)
    phone_number_id = value.metadata.phone_number_id
    if not item.id or not customer.key or not phone_number_id:
        return Unroutable("a message without id, sender or number")
    if (
        _too_long(item.id, phone_number_id)
        or len(customer.bsuid or "") > BSUID_MAX
        or len(customer.wa_id or "") > WA_ID_MAX
    ):
        return Unroutable("a message with an id that cannot be one")
    return CustomerMessage(
        phone_number_id=phone_number_id,
        customer=customer,
        whatsapp_id=item.id,
        content=Words(_shown(item)),
        written_at=_moment(item.timestamp, event.received_at),
    )


# Not written by a customer: they must neither show in the chat nor open the 24-hour window.
_SILENT = frozenset({"system", "request_welcome"})


def _customer(item: Message, contacts: list[Contact]) -> Customer:
    contact = _contact_of(item, contacts)
    wa_id = item.from_ or contact.wa_id or None
    profile = contact.profile
    return Customer(
        bsuid=item.from_user_id or contact.user_id or None,
        wa_id=wa_id,
        phone=e164(wa_id) if wa_id else None,
        name=((profile.name or "")[:NAME_MAX] or None) if profile else None,
        # Older samples write the username with "@", current ones without.
        username=((profile.username or "").removeprefix("@")[:USERNAME_MAX] or None) if profile else None,
    )


def _contact_of(item: Message, contacts: list[Contact]) -> Contact:
    """The sender's contact: not promised to stand at the message's place in the list, and absent at times."""
    for contact in contacts:
        if item.from_user_id and contact.user_id == item.from_user_id:
            return contact
    for contact in contacts:
        if item.from_ and contact.wa_id == item.from_:
            return contact
    if len(contacts) != 1:
        return Contact()
    only = contacts[0]
    # The only contact is the sender's, yet where its ids are not the sender's it must not lend them.
    return Contact(profile=only.profile) if item.from_ or item.from_user_id else only


def _shown(item: Message) -> Text:
    """What the operator reads. Kinds that are not carried yet show as a line that names them and what can be read."""
    if item.type == "text" and item.text is not None and item.text.body:
        return from_whatsapp(item.text.body)
    label = plain_text(f"[{_LABELS.get(item.type, _UNKNOWN)}]")
    readable = _READABLE.get(item.type, _nothing)(item)
    return rich_text((*label.spans, *plain_text(" ").spans, *from_whatsapp(readable).spans)) if readable else label


# The portal's language is not known to this room, so a label says it twice.
_UNKNOWN = "mensagem não suportada: peça ao cliente que a envie de outra forma / unsupported message: ask to resend"
_LABELS = {
    "text": "mensagem vazia / empty message",
    "image": "imagem / image",
    "video": "vídeo / video",
    "audio": "áudio / audio",
    "document": "documento / document",
    "sticker": "figurinha / sticker",
    "location": "localização / location",
    "contacts": "contato / contact",
    "interactive": "resposta / reply",
    "button": "resposta / reply",
    "reaction": "reação / reaction",
    "order": "pedido / order",
    "edit": "mensagem editada / edited message",
    "revoke": "mensagem apagada / deleted message",
}


def _nothing(_item: Message) -> str:
    return ""


def _piece(get: Callable[[Message], Piece | None], *fields: str) -> Callable[[Message], str]:
    """A reader of the fields of a piece, those that are there, one after another."""

    def readable(item: Message) -> str:
        piece = get(item)
        return " · ".join(text for field in fields if (text := getattr(piece, field, None)))

    return readable


def _interactive(item: Message) -> str:
    reply = item.interactive
    if reply is None:
        return ""
    piece = reply.button_reply or reply.list_reply or reply.nfm_reply
    return (piece.title or piece.body or "") if piece else ""


def _edited(item: Message) -> str:
    message = item.edit.message if item.edit else None
    return message.text.body if message and message.text else ""


_READABLE: dict[str, Callable[[Message], str]] = {
    "image": _piece(lambda item: item.image, "caption"),
    "video": _piece(lambda item: item.video, "caption"),
    "document": _piece(lambda item: item.document, "filename", "caption"),
    "location": _piece(lambda item: item.location, "name", "address"),
    "button": _piece(lambda item: item.button, "text"),
    "reaction": _piece(lambda item: item.reaction, "emoji"),
    "order": _piece(lambda item: item.order, "text"),
    "interactive": _interactive,
    "edit": _edited,
}


def _too_long(wamid: str, phone_number_id: str) -> bool:
    return len(wamid) > WAMID_MAX or len(phone_number_id) > PHONE_NUMBER_ID_MAX


def _moment(timestamp: str | None, received_at: datetime) -> datetime:
    """Meta's clock: unix seconds as text."""
    if timestamp is None or not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 10:
        return received_at
    seconds = int(timestamp)
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < _YEAR_2100 else received_at


# --- statuses --------------------------------------------------------------------------------------------------------


def _status(value: ItemValue, event: Event) -> Routed:
    if not value.statuses:
        return Unroutable("no status in it")
    item = value.statuses[0]
    if item.type == "payment":
        return Ignored("a payment's status")
    if item.recipient_type == "group":
        return Ignored("a group's status")
    state = STATUS_STATES.get(item.status)
    if state is None:
        known = item.status in _KNOWN_STATUSES_WITHOUT_MEANING
        return Ignored(f"statuses.{item.status}" if known else "an unknown status")
    phone_number_id = value.metadata.phone_number_id
    if not item.id or not phone_number_id or _too_long(item.id, phone_number_id):
        return Unroutable("a status without id or number")
    return _receipt(item, state, phone_number_id, _moment(item.timestamp, event.received_at))


def _receipt(item: Status, state: State, phone_number_id: str, at: datetime) -> Receipt:
    fault = (item.errors[0] if item.errors else Fault()) if state is State.DEAD else None
    return Receipt(
        phone_number_id=phone_number_id,
        whatsapp_id=item.id,
        message_id=parse_callback_data(item.biz_opaque_callback_data),
        status=state,
        at=at,
        code=codes.code_of(fault) if fault else None,
        detail=codes.detail_of(fault) if fault else None,
        wa_id=item.recipient_id if item.recipient_id and len(item.recipient_id) <= WA_ID_MAX else None,
    )


_READERS: dict[str, Callable[[ItemValue, Event], Routed]] = {
    "messages": _message,
    "statuses": _status,
    "account": _account,
}
