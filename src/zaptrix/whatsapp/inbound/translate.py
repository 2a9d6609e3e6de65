"""Translates a journalled item of Meta's to what it means to the bridge.

Pure: a table of small functions.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from zaptrix.core.customer.customer import Customer
from zaptrix.core.event import CustomerMessage, Event, Ignored, Pricing, Receipt, Routed, Unroutable
from zaptrix.core.ids import parse_callback_data
from zaptrix.core.limits import WAMID_CHARACTERS_MAX
from zaptrix.core.message.kinds import Cards
from zaptrix.core.message.message import Said, State, with_standby
from zaptrix.core.message.states import STATUS_STATES
from zaptrix.whatsapp.codes import codes
from zaptrix.whatsapp.inbound.event_names import STANDBY
from zaptrix.whatsapp.inbound.ids import can_be, customer_of
from zaptrix.whatsapp.inbound.kinds import content_of
from zaptrix.whatsapp.inbound.moves import moved
from zaptrix.whatsapp.items import Message, MetaError
from zaptrix.whatsapp.templates import CHANGES, template_change
from zaptrix.whatsapp.wire import Contact, ItemBody, ItemValue, NotJsonObject, Status, StatusPricing, read

# Ids are opaque, and longer than this they are none; a name that is longer is cut.
# https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
PHONE_NUMBER_ID_MAX = 32
NAME_MAX = 255
USERNAME_MAX = 64
PRICE_WORD_MAX = 64

_KNOWN_STATUSES_WITHOUT_MEANING = ("deleted", "warning")
_YEAR_2100 = 4_102_444_800
_CLOCKS_APART = timedelta(minutes=5)


def translate(event: Event) -> Routed:
    """What `event` means. Never raises."""
    reader = _READERS.get(event.name.partition(".")[0])
    if reader is None:
        return Unroutable(f"no reader for {event.name}")
    try:
        value = read(event.body, ItemBody).value
    except NotJsonObject as error:
        return Unroutable(str(error))
    return reader(value, event)


def _account(_value: ItemValue, event: Event) -> Routed:
    # A post whose items nobody could find, and fields that Meta invents after us, are for an admin to look at.
    if event.name in ("account.unknown", "account.messages", "account.standby"):
        return Unroutable("nothing in it that we know")
    return template_change(event) if event.name in CHANGES else Ignored(event.name)


# --- messages --------------------------------------------------------------------------------------------------------


def _message(value: ItemValue, event: Event) -> Routed:
    if not value.messages:
        return Unroutable("no message in it")
    item = value.messages[0]
    phone_number_id = value.metadata.phone_number_id
    # Not written by a customer: they must neither show as hers nor open the 24-hour window.
    if item.type == "system":
        return moved(item, phone_number_id, _moment(item.timestamp, event.received_at))
    if item.type == "request_welcome":
        return Ignored("messages.request_welcome")
    content = content_of(item, event.body)
    customer = _with_own_number(_customer(item, value.contacts), item, content)
    if not item.id or not customer.key or not phone_number_id:
        return Unroutable("a message without id, sender or number")
    if _too_long(item.id, phone_number_id) or not can_be(customer):
        return Unroutable("a message with an id that cannot be one")
    return CustomerMessage(
        phone_number_id=phone_number_id,
        customer=customer,
        whatsapp_id=item.id,
        content=content,
        written_at=_moment(item.timestamp, event.received_at),
    )


def _overheard(value: ItemValue, event: Event) -> Routed:
    """Another app has the conversation, and answers: the operator reads it all the same, and is told so."""
    routed = _message(value, event)
    return replace(routed, content=with_standby(routed.content)) if isinstance(routed, CustomerMessage) else routed


def _customer(item: Message, contacts: list[Contact]) -> Customer:
    contact = _contact_of(item, contacts)
    profile = contact.profile
    return replace(
        customer_of(item.from_, contact.wa_id, user_ids=(item.from_user_id, contact.user_id)),
        name=((profile.name or "")[:NAME_MAX] or None) if profile else None,
        # Older samples write the username with "@", current ones without.
        username=((profile.username or "").removeprefix("@")[:USERNAME_MAX] or None) if profile else None,
    )


def _with_own_number(customer: Customer, item: Message, content: Said) -> Customer:
    """A customer who hid the number and gave it on our request has one now.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
    """
    if customer.wa_id or not (isinstance(content, Cards) and content.own):
        return customer
    given = customer_of(*(entry.wa_id for card in item.contacts or () for entry in card.phones))
    return replace(customer, wa_id=given.wa_id, phone=given.phone)


def _contact_of(item: Message, contacts: list[Contact]) -> Contact:
    """The sender's contact: not promised to stand at the message's place in the list, and absent at times."""
    for id_ in (item.from_user_id, item.from_):
        for contact in contacts:
            if id_ and id_ in {contact.user_id, contact.wa_id}:
                return contact
    if len(contacts) != 1:
        return Contact()
    only = contacts[0]
    # The only contact is the sender's, yet where its ids are not the sender's it must not lend them.
    return Contact(profile=only.profile) if item.from_ or item.from_user_id else only


def _too_long(wamid: str, phone_number_id: str) -> bool:
    return len(wamid) > WAMID_CHARACTERS_MAX or len(phone_number_id) > PHONE_NUMBER_ID_MAX


def _moment(timestamp: str | None, received_at: datetime) -> datetime:
    """Meta's clock: unix seconds as text."""
    if timestamp is None or not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 10:
        return received_at
    seconds = int(timestamp)
    if not 0 < seconds < _YEAR_2100:
        return received_at
    told = datetime.fromtimestamp(seconds, UTC)
    # What has come was not written later than that; a little is how far two clocks may be apart.
    return told if told <= received_at + _CLOCKS_APART else received_at


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
    fault = _fault(item) if state is State.DEAD else None
    return Receipt(
        phone_number_id=phone_number_id,
        whatsapp_id=item.id,
        message_id=parse_callback_data(item.biz_opaque_callback_data),
        status=state,
        at=at,
        code=codes.code_of(fault) if fault and fault.code is not None else None,
        detail=codes.detail_of(fault) if fault else None,
        pricing=_pricing(item.pricing) if item.pricing else None,
    )


def _fault(item: Status) -> MetaError | None:
    """Why it failed: the first error that has a code, for what has none says nothing about anybody else's messages."""
    named = (error for error in item.errors if error.code is not None)
    return next(named, item.errors[0] if item.errors else None)


def _pricing(told: StatusPricing) -> Pricing | None:
    """What the message is charged as; without a category nothing is said."""
    if not told.category:
        return None
    billable = told.billable if isinstance(told.billable, bool) else None
    kind, model = (told.type or None, told.pricing_model or None)
    return Pricing(
        category=told.category[:PRICE_WORD_MAX],
        type=kind and kind[:PRICE_WORD_MAX],
        model=model and model[:PRICE_WORD_MAX],
        billable=billable,
    )


_READERS: dict[str, Callable[[ItemValue, Event], Routed]] = {
    "messages": _message,
    STANDBY: _overheard,
    "statuses": _status,
    "account": _account,
}
