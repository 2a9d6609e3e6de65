"""A customer's ids have changed: a new number, or a new user id. Pure.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system
"""

from __future__ import annotations

from datetime import datetime

from zaptrix.core.customer import Customer
from zaptrix.core.event import CustomerMoved, Ignored, Routed, Unroutable
from zaptrix.core.limits import WAMID_CHARACTERS_MAX
from zaptrix.core.phone import e164
from zaptrix.whatsapp.items import Message, System

# https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
BSUID_MAX = 150
WA_ID_MAX = 20

# By Meta's types, older ones too: whether the number is another one.
_MOVES = {"user_changed_number": True, "customer_changed_number": True, "user_changed_user_id": False}


def moved(item: Message, phone_number_id: str, at: datetime) -> Routed:
    """What a system message tells. Nothing of it was written by the customer."""
    system = item.system or System()
    number_changed = _MOVES.get(system.type or "")
    if number_changed is None:
        return Ignored("a system message that moves nobody")
    wa_id = system.wa_id or system.new_wa_id or None
    before = _customer(system.previous_user_id, item.from_)
    # An id that did not change stands in both; Meta leaves out what it does not tell.
    now = _customer(system.user_id or (None if number_changed else item.from_user_id), wa_id)
    if not item.id or len(item.id) > WAMID_CHARACTERS_MAX or not phone_number_id or not before.key or not now.key:
        return Unroutable("a change of ids that does not name both")
    if any(len(one.bsuid or "") > BSUID_MAX or len(one.wa_id or "") > WA_ID_MAX for one in (before, now)):
        return Unroutable("a change of ids with an id that cannot be one")
    return CustomerMoved(
        phone_number_id=phone_number_id,
        whatsapp_id=item.id,
        before=before,
        now=now,
        number_changed=number_changed,
        at=at,
    )


def _customer(bsuid: str | None, wa_id: str | None) -> Customer:
    return Customer(bsuid=bsuid or None, wa_id=wa_id or None, phone=e164(wa_id) if wa_id else None)
