"""The methods crm.*: find by phone, contacts and leads in the old and the universal spelling.

https://apidocs.bitrix24.com/api-reference/crm/index.html
"""

import re
from collections.abc import Callable
from typing import Any, Final

from zaptrix_sim.bitrix24 import crm_book as book
from zaptrix_sim.bitrix24 import crm_query as query
from zaptrix_sim.bitrix24.call import Call, Method
from zaptrix_sim.bitrix24.php_form import listed
from zaptrix_sim.world.bitrix24_errors import RestError, refusal

VALUES_MAX: Final = 20
# Fields with several values are told only when `select` names them.
OLD_MULTIPLE: Final = frozenset({"PHONE"})
ID_OLD, ID_NEW = "ID", "id"


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
    cards = _listed(call, _kind(call), _item)
    return {"items": [query.selected(card, call.get("SELECT"), frozenset(), ID_NEW) for card in cards]}


async def item_update(call: Call) -> Any:
    card = _got(call, _kind(call))
    card.update({name: value for name, value in _map(call.need("FIELDS")).items() if name not in {"id", "fm"}})
    return {"item": _item(card)}


async def item_delete(call: Call) -> Any:
    book.remove(call.portal, _kind(call), int(_got(call, _kind(call))["id"]))
    return []


# --- the old methods, one set for each kind --------------------------------------------------------------------------


def _old_methods(kind: str) -> dict[str, Method]:
    async def add(call: Call) -> Any:
        return _add_old(call, kind)["id"]

    async def get(call: Call) -> Any:
        return _old_card(_got(call, kind))

    async def listing(call: Call) -> Any:
        cards = _listed(call, kind, _old_card)
        return [query.selected(card, call.get("SELECT"), OLD_MULTIPLE, ID_OLD) for card in cards]

    async def update(call: Call) -> Any:
        fields = _map(call.need("FIELDS"))
        _got(call, kind).update(
            {_new_name(name): value for name, value in fields.items() if name not in {"ID", "PHONE"}}
        )
        return True

    async def delete(call: Call) -> Any:
        book.remove(call.portal, kind, int(_got(call, kind)["id"]))
        return True

    named: dict[str, Method] = {"add": add, "get": get, "list": listing, "update": update, "delete": delete}
    return {f"crm.{kind.lower()}.{name}": method for name, method in named.items()}


METHODS: Final[dict[str, Method]] = {
    "crm.duplicate.findbycomm": find_by_comm,
    "crm.item.add": item_add,
    "crm.item.get": item_get,
    "crm.item.list": item_list,
    "crm.item.update": item_update,
    "crm.item.delete": item_delete,
    **{name: method for kind in book.TYPE_OF.values() for name, method in _old_methods(kind).items()},
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
    plain = {_new_name(name): value for name, value in fields.items() if name not in {"ID", "PHONE"}}
    return book.add(call.portal, kind, plain, phones)


def _old_card(card: book.Card) -> dict[str, Any]:
    phones = [
        {"ID": str(row["id"]), "VALUE": row["value"], "VALUE_TYPE": row["valueType"], "TYPE_ID": "PHONE"}
        for row in card["phones"]
    ]
    plain = {_old_name(name): value for name, value in card.items() if name not in {"id", "phones", "im"}}
    return {"ID": str(card["id"]), **plain, **({"PHONE": phones, "HAS_PHONE": "Y"} if phones else {"HAS_PHONE": "N"})}


def _item(card: book.Card) -> dict[str, Any]:
    rows = [{"id": row["id"], "typeId": "PHONE", "valueType": row["valueType"], "value": row["value"]}
            for row in card["phones"]]  # fmt: skip
    return {name: value for name, value in card.items() if name not in {"phones", "im"}} | {"fm": rows}


def _listed(call: Call, kind: str, shown: Callable[[book.Card], dict[str, Any]]) -> list[dict[str, Any]]:
    """A page of those that the filter keeps, as they are shown, in the order that is wanted."""
    wanted = [(card, shown(card)) for card in call.portal.crm.get(kind, {}).values()]
    found = query.ordered(query.kept(wanted, call.get("FILTER"), _values), call.get("ORDER"), _values)
    told = query.page(found, call.number("START"))
    call.total, call.upcoming = told.total, told.upcoming
    return [one for _, one in told.items]


def _values(card: tuple[book.Card, dict[str, Any]], field: str) -> list[Any]:
    """Of a field, a phone as it was written, or `imol`, the link to an open line's dialog; any case of a name does."""
    own, shown = card
    name = field.casefold()
    if name == "phone":
        return [row["value"] for row in own["phones"]]
    if name == "imol":
        return list(own.get("im", ()))
    return [value for key, value in shown.items() if key.casefold() == name]


def _old_name(name: str) -> str:
    """`lastName` is LAST_NAME in the old methods; fields of the portal's own keep their names."""
    return name if name.isupper() else _CAPITAL.sub(r"_\g<0>", name).upper()


def _new_name(name: str) -> str:
    if name.startswith("UF_") or not name.isupper():
        return name
    first, *others = name.lower().split("_")
    return first + "".join(other.capitalize() for other in others)


_CAPITAL = re.compile(r"(?<=[a-z])[A-Z]")
