"""Which conversation a customer belongs to: business-scoped user id, then WhatsApp id, then canonical phone."""

from __future__ import annotations

from collections.abc import Iterable

from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.phone import same_line


def choose(customer: Customer, known: Iterable[Conversation]) -> Conversation | None:
    """The one of `known` (all of one channel) that is this customer's, or None for a new one."""
    rows = list(known)
    if customer.bsuid:
        for row in rows:
            if customer.bsuid in (row.customer.bsuid, *row.former_bsuids):
                return row
    # The same phone under another user id, without a word from Meta, is a number that was given to somebody else.
    free = [row for row in rows if not (customer.bsuid and row.customer.bsuid)]
    for row in free:
        if customer.wa_id and row.customer.wa_id == customer.wa_id:
            return row
    for row in free:
        if same_line(row.customer.phone, customer.phone):
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
        and customer.bsuid not in (row.customer.bsuid, *row.former_bsuids)
        and _same_number(row, customer)
    ]


def twins(customer: Customer, known: Iterable[Conversation]) -> list[Conversation]:
    """All of `known` that are this customer's, the one that keeps the talk first: who has a chat, then who knows more.

    A conversation that was opened by phone number knows no user id; when one with the user id is there as well, both
    are the same person.
    """
    rows = list(known)
    chosen = choose(customer, rows)
    if chosen is None or not customer.bsuid:
        return [chosen] if chosen else []
    others = [row for row in rows if row.id != chosen.id and not row.customer.bsuid and _same_number(row, customer)]
    return sorted([chosen, *others], key=lambda row: row.bitrix_chat_id is None)


def _same_number(row: Conversation, customer: Customer) -> bool:
    known = row.customer
    return bool(customer.wa_id and known.wa_id == customer.wa_id) or same_line(known.phone, customer.phone)


def merged(old: Customer, new: Customer) -> Customer:
    """What is known of a customer after one more webhook: nothing known is forgotten because it was left out."""
    return Customer(
        bsuid=new.bsuid or old.bsuid,
        wa_id=new.wa_id or old.wa_id,
        phone=new.phone or old.phone,
        name=new.name or old.name,
        username=new.username or old.username,
    )


def says_it_all(cached: Conversation | None, customer: Customer) -> bool:
    """Whether a cache's word is enough: it knows this customer, and the webhook tells no new id."""
    return (
        cached is not None
        and (customer.bsuid is None or cached.customer.bsuid == customer.bsuid)
        and (customer.wa_id is None or cached.customer.wa_id == customer.wa_id)
    )


def without_former_ids(customer: Customer, talk: Conversation) -> Customer:
    """What came late under a user id that is no more tells a name, and neither the id nor the number of today."""
    if customer.bsuid in talk.former_bsuids:
        return Customer(name=customer.name, username=customer.username)
    return customer
