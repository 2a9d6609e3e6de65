"""Which conversation a customer belongs to: business-scoped user id, then WhatsApp id, then canonical phone."""

from __future__ import annotations

from collections.abc import Iterable

from zaptrix.core.conversation import Conversation
from zaptrix.core.customer import Customer


def choose(customer: Customer, known: Iterable[Conversation]) -> Conversation | None:
    """The one of `known` (all of one channel) that is this customer's, or None for a new one."""
    rows = list(known)
    if customer.bsuid:
        for row in rows:
            if row.customer.bsuid == customer.bsuid:
                return row
    # The same phone under another user id, without a word from Meta, is a number that was given to somebody else.
    free = [row for row in rows if not (customer.bsuid and row.customer.bsuid)]
    for row in free:
        if customer.wa_id and row.customer.wa_id == customer.wa_id:
            return row
    for row in free:
        if customer.phone and row.customer.phone == customer.phone:
            return row
    return None


def bereft(customer: Customer, known: Iterable[Conversation]) -> list[Conversation]:
    """Those of `known` that hold this customer's number under another user id: the number is theirs no more."""
    if not customer.bsuid:
        return []
    return [
        row
        for row in known
        if row.customer.bsuid
        and row.customer.bsuid != customer.bsuid
        and (
            (customer.wa_id and row.customer.wa_id == customer.wa_id)
            or (customer.phone and row.customer.phone == customer.phone)
        )
    ]


def merged(old: Customer, new: Customer) -> Customer:
    """What is known of a customer after one more webhook: nothing known is forgotten because it was left out."""
    return Customer(
        bsuid=new.bsuid or old.bsuid,
        wa_id=new.wa_id or old.wa_id,
        phone=new.phone or old.phone,
        name=new.name or old.name,
        username=new.username or old.username,
    )
