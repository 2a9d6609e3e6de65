"""Reads a customer's ids, whichever field they came in: the number, and the business-scoped user id.

Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
"""

from __future__ import annotations

import re

from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.phone import e164

BSUID_MAX = 150
WA_ID_MAX = 20

_NUMBER = re.compile(r"\+?(\d+)", re.ASCII)


def customer_of(*ids: str | None, user_ids: tuple[str | None, ...] = ()) -> Customer:
    """The customer whom `ids` and `user_ids` name, the best first.

    Where a number is hidden, its user id may stand in the number's own field. An id that is no number is answered to as
    it is, and never dialled.
    """
    numbers = [found[1] for id_ in ids if id_ and (found := _NUMBER.fullmatch(id_))]
    others = [id_ for id_ in ids if id_ and not _NUMBER.fullmatch(id_)]
    bsuid = next((id_ for id_ in (*user_ids, *others) if id_), None)
    wa_id = numbers[0] if numbers else None
    return Customer(bsuid=bsuid, wa_id=wa_id, phone=e164(wa_id) if wa_id else None)


def can_be(customer: Customer) -> bool:
    """Whether ids of this length are Meta's."""
    return len(customer.bsuid or "") <= BSUID_MAX and len(customer.wa_id or "") <= WA_ID_MAX
