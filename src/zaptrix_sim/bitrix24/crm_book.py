"""A portal's contacts and leads, with an index by phone.

Apart from the methods, because the tracker of an open line and the page read them as well. Pure: no call, no clock.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

from zaptrix_sim.world.world import Portal, digits_of

CONTACT: Final = "CONTACT"
LEAD: Final = "LEAD"
COMPANY: Final = "COMPANY"
DEAL: Final = "DEAL"
TYPE_OF: Final = {1: LEAD, 2: DEAL, 3: CONTACT, 4: COMPANY}
FOUND_MAX: Final = 20

_BRAZIL_WITHOUT_NINE = re.compile(r"(55[1-9][0-9])([6-9][0-9]{7})")

Card = dict[str, Any]


def add(portal: Portal, kind: str, fields: Card, phones: Iterable[Card]) -> Card:
    """`phones` are rows with `value` and `valueType`."""
    number = portal.crm_ids.take()
    rows = [{"id": portal.other_ids.take(), **row} for row in phones if row.get("value")]
    card = {**fields, "id": number, "phones": rows}
    portal.crm.setdefault(kind, {})[number] = card
    for row in rows:
        by_kind = portal.crm_by_phone.setdefault(digits_of(str(row["value"])), {})
        by_kind.setdefault(kind, []).append(number)
    return card


def get(portal: Portal, kind: str, number: int) -> Card | None:
    return portal.crm.get(kind, {}).get(number)


def remove(portal: Portal, kind: str, number: int) -> None:
    card = portal.crm[kind].pop(number)
    for row in card["phones"]:
        named = portal.crm_by_phone.get(digits_of(str(row["value"])), {}).get(kind, [])
        if number in named:
            named.remove(number)


def find_by_phone(portal: Portal, values: Iterable[str], kind: str = "") -> dict[str, list[int]]:
    """Numbers compare by their digits alone; at most 20 of a kind are named."""
    found: dict[str, list[int]] = {}
    for value in values:
        for one, numbers in portal.crm_by_phone.get(digits_of(value), {}).items():
            if kind in {"", one}:
                mine = found.setdefault(one, [])
                mine += [number for number in numbers if number not in mine][: FOUND_MAX - len(mine)]
    return found


def phone_of(digits: str) -> str:
    """The number as dialled: Bitrix24 puts the ninth digit back into Brazilian mobiles that lack it."""
    found = _BRAZIL_WITHOUT_NINE.fullmatch(digits)
    return f"{found[1]}9{found[2]}" if found else digits
