"""Reads that a customer's ids have changed: a new number, or a new user id.

Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system
"""

from __future__ import annotations

import re
from datetime import datetime

from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.recipient import USER_ID
from zaptrix.core.event import CustomerMoved, Ignored, Routed, Unroutable
from zaptrix.core.limits import WAMID_CHARACTERS_MAX
from zaptrix.whatsapp.inbound.ids import can_be, customer_of
from zaptrix.whatsapp.items import Message, System

# By Meta's types, older ones too: whether the number is another one.
_MOVES = {"user_changed_number": True, "customer_changed_number": True, "user_changed_user_id": False}

# "User Ana changed from X to Y". A name may hold anything, so the ids are those at the end.
_USER_IDS = re.compile(rf"(?<![\w.]){USER_ID.pattern}(?![\w])", re.ASCII)
_NUMBERS = re.compile(r"(?<![\w.])\+?\d{8,15}(?!\w)", re.ASCII)


def moved(item: Message, phone_number_id: str, at: datetime) -> Routed:
    """What a system message tells. Nothing of it was written by the customer."""
    system = item.system or System()
    number_changed = _MOVES.get(system.type or "")
    if number_changed is None:
        return Ignored("a system message that moves nobody")
    before, now = _before(item, system), _now(item, system, number_changed=number_changed)
    if not item.id or len(item.id) > WAMID_CHARACTERS_MAX or not phone_number_id or not before.key or not now.key:
        return Unroutable("a change of ids that does not name both")
    if not can_be(before) or not can_be(now):
        return Unroutable("a change of ids with an id that cannot be one")
    return CustomerMoved(
        phone_number_id=phone_number_id,
        whatsapp_id=item.id,
        before=before,
        now=now,
        number_changed=number_changed,
        at=at,
    )


def _before(item: Message, system: System) -> Customer:
    """The ids that are left: each where Meta's versions name it, the last resort being the words for people."""
    own = item.from_user_id if item.from_user_id != system.user_id else None
    old_id, _ = _told(_USER_IDS, system.body, system.user_id)
    old_number, _ = _told(_NUMBERS, system.body, _new_number(system))
    return customer_of(item.from_, system.customer, old_number, user_ids=(system.previous_user_id, own, old_id))


def _now(item: Message, system: System, *, number_changed: bool) -> Customer:
    """The ids from now on. One that did not change stands in both; Meta leaves out what it does not tell."""
    _, new_id = _told(_USER_IDS, system.body, system.user_id)
    number = _new_number(system)
    if number_changed:
        _, number = _told(_NUMBERS, system.body, number)
        return customer_of(number, user_ids=(new_id,))
    return customer_of(number, user_ids=(new_id, item.from_user_id))


def _new_number(system: System) -> str | None:
    return system.wa_id or system.new_wa_id or None


def _told(ids: re.Pattern[str], words: str | None, new: str | None) -> tuple[str | None, str | None]:
    """The old and the new id in Meta's words for people, of which the new one may be known."""
    found = ids.findall(words or "")
    new = new or (found[-1] if len(found) > 1 else None)
    return next((one for one in reversed(found) if one != new), None), new
