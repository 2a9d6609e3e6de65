"""crm.*: find by phone, contacts and leads in the old and the universal spelling.

https://apidocs.bitrix24.com/api-reference/crm/index.html
"""

from typing import Any, Final

from zaptrix_sim import bitrix_crm_book as book
from zaptrix_sim.bitrix_call import Call, Method
from zaptrix_sim.bitrix_errors import RestError, refusal
from zaptrix_sim.phpform import listed

PAGE: Final = 50
VALUES_MAX: Final = 20
# The universal methods' names beside the old ones.
NAMES: Final = {
    "name": "NAME",
    "lastName": "LAST_NAME",
    "title": "TITLE",
    "sourceId": "SOURCE_ID",
    "opened": "OPENED",
    "assignedById": "ASSIGNED_BY_ID",
    "comments": "COMMENTS",
    "contactId": "CONTACT_ID",
    "sourceDescription": "SOURCE_DESCRIPTION",
}
OLD_NAMES: Final = {old: new for new, old in NAMES.items()}


async def find_by_comm(call: Call) -> Any:
    """Nothing found is an empty list, something found a map."""
    kind = str(call.get("TYPE") or "").upper()
    if kind not in {"PHONE", "EMAIL"}:
        raise RestError("Communication type is not defined", "Communication type is not defined")
    values = [str(value) for value in listed(call.get("VALUES"))][:VALUES_MAX]
    if not values:
        raise RestError("Communication values is not defined", "Communication values is not defined")
    if kind == "EMAIL":
        return []
    return book.find_by_phone(call.portal, values, str(call.get("ENTITY_TYPE") or "").upper()) or []


async def contact_add(call: Call) -> Any:
    return _add_old(call, book.CONTACT)["id"]


async def lead_add(call: Call) -> Any:
    return _add_old(call, book.LEAD)["id"]


async def contact_get(call: Call) -> Any:
    return _old_card(_got(call, book.CONTACT))


async def lead_get(call: Call) -> Any:
    return _old_card(_got(call, book.LEAD))


async def contact_list(call: Call) -> Any:
    return _page(call, [_old_card(card) for card in _filtered(call, book.CONTACT)])


async def lead_list(call: Call) -> Any:
    return _page(call, [_old_card(card) for card in _filtered(call, book.LEAD)])


async def item_add(call: Call) -> Any:
    kind, fields = _kind(call), _map(call.need("FIELDS"))
    phones = [
        {"value": row.get("value"), "valueType": row.get("valueType", "WORK")}
        for row in listed(fields.get("fm"))
        if isinstance(row, dict) and str(row.get("typeId", "")).upper() == "PHONE"
    ]
    plain = {name: value for name, value in fields.items() if name != "fm"}
    return {"item": _item(book.add(call.portal, kind, plain, phones))}


async def item_get(call: Call) -> Any:
    return {"item": _item(_got(call, _kind(call)))}


async def item_list(call: Call) -> Any:
    return {"items": _page(call, [_item(card) for card in _filtered(call, _kind(call))])}


async def item_update(call: Call) -> Any:
    card = _got(call, _kind(call))
    card.update({name: value for name, value in _map(call.need("FIELDS")).items() if name not in {"id", "fm"}})
    return {"item": _item(card)}


METHODS: Final[dict[str, Method]] = {
    "crm.duplicate.findbycomm": find_by_comm,
    "crm.contact.add": contact_add,
    "crm.contact.get": contact_get,
    "crm.contact.list": contact_list,
    "crm.lead.add": lead_add,
    "crm.lead.get": lead_get,
    "crm.lead.list": lead_list,
    "crm.item.add": item_add,
    "crm.item.get": item_get,
    "crm.item.list": item_list,
    "crm.item.update": item_update,
}


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _kind(call: Call) -> str:
    kind = book.TYPE_OF.get(call.number("ENTITYTYPEID"))
    if kind is None:
        raise RestError("100", "Could not find value for parameter {entityTypeId}")
    return kind


def _got(call: Call, kind: str) -> book.Card:
    card = book.get(call.portal, kind, call.number("ID"))
    if card is None:
        raise refusal("NOT_FOUND")
    return card


def _add_old(call: Call, kind: str) -> book.Card:
    fields = _map(call.need("FIELDS"))
    phones = [
        {"value": row.get("VALUE"), "valueType": row.get("VALUE_TYPE", "WORK")}
        for row in listed(fields.get("PHONE"))
        if isinstance(row, dict)
    ]
    plain = {OLD_NAMES.get(name, name): value for name, value in fields.items() if name != "PHONE"}
    return book.add(call.portal, kind, plain, phones)


def _old_card(card: book.Card) -> dict[str, Any]:
    phones = [
        {"ID": str(row["id"]), "VALUE": row["value"], "VALUE_TYPE": row["valueType"], "TYPE_ID": "PHONE"}
        for row in card["phones"]
    ]
    plain = {NAMES.get(name, name): value for name, value in card.items() if name not in {"id", "phones", "im"}}
    return {"ID": str(card["id"]), **plain, **({"PHONE": phones, "HAS_PHONE": "Y"} if phones else {"HAS_PHONE": "N"})}


def _item(card: book.Card) -> dict[str, Any]:
    rows = [{"id": row["id"], "typeId": "PHONE", "valueType": row["valueType"], "value": row["value"]}
            for row in card["phones"]]  # fmt: skip
    return {name: value for name, value in card.items() if name not in {"phones", "im"}} | {"fm": rows}


def _filtered(call: Call, kind: str) -> list[book.Card]:
    """Equality filters only, on fields, a phone, or `=imol`, the link to an open line's dialog."""
    wanted = {name.lstrip("="): value for name, value in _map(call.get("FILTER")).items()}
    if phone := wanted.pop("PHONE", None):
        numbers = book.find_by_phone(call.portal, [str(phone)], kind).get(kind, [])
        cards = [call.portal.crm[kind][number] for number in numbers]
    else:
        cards = list(call.portal.crm.get(kind, {}).values())
    if link := wanted.pop("imol", None):
        cards = [card for card in cards if link in card.get("im", ())]
    for name, value in wanted.items():
        field = OLD_NAMES.get(name, "id" if name.upper() == "ID" else name)
        cards = [card for card in cards if str(card.get(field)) == str(value)]
    return cards


def _page(call: Call, cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    start = call.number("START")
    if start >= 0:
        call.total = len(cards)
        if start + PAGE < len(cards):
            call.upcoming = start + PAGE
    return cards[max(0, start) : max(0, start) + PAGE]
