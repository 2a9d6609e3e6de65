"""The parameters of crm.* lists: `filter`, `order`, `select` and `start`.

Pure. Prefixes of a filter's field, and what stands for a page without a total (`start` = -1):
https://apidocs.bitrix24.com/api-reference/crm/contacts/crm-contact-list.html
https://apidocs.bitrix24.com/settings/performance/huge-data.html
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from zaptrix_sim.bitrix24.php_form import listed

PAGE: Final = 50

Card = Mapping[str, Any]
Values = Callable[[Any, str], list[Any]]
"""The values that a card has in a field: several of a phone, none of a field that it does not have."""


class Page(NamedTuple):
    """One page; `total` and `upcoming` are None when nobody counts."""

    items: list[Any]
    total: int | None
    upcoming: int | None


def page(cards: Sequence[Any], start: int) -> Page:
    """`start` = -1: the first page, and nothing is counted."""
    if start < 0:
        return Page(list(cards[:PAGE]), None, None)
    upcoming = start + PAGE
    return Page(list(cards[start:upcoming]), len(cards), upcoming if upcoming < len(cards) else None)


# --- filter ----------------------------------------------------------------------------------------------------------


def kept(cards: Iterable[Any], wanted: Any, values: Values) -> list[Any]:
    """Those that a filter keeps. Groups of conditions stand under numbers; `logic` says how they are joined."""
    return [card for card in cards if _keeps(card, wanted, values)]


def _keeps(card: Any, wanted: Any, values: Values) -> bool:
    if not isinstance(wanted, Mapping):
        return all(_keeps(card, each, values) for each in wanted) if isinstance(wanted, list) else True
    conditions = [(str(name), value) for name, value in wanted.items() if str(name).casefold() != "logic"]
    join = any if _logic(wanted) == "OR" else all
    return join(_holds(card, name, value, values) for name, value in conditions) if conditions else True


def _logic(wanted: Mapping[str, Any]) -> str:
    return next((str(value).upper() for name, value in wanted.items() if str(name).casefold() == "logic"), "AND")


def _holds(card: Any, name: str, value: Any, values: Values) -> bool:
    if name.isdigit() and isinstance(value, Mapping | list):
        return _keeps(card, value, values)
    sign = next(sign for sign in _SIGNS if name.startswith(sign))
    return _SIGNS[sign](values(card, name[len(sign) :]), value)


def _is_one_of(given: list[Any], value: Any) -> bool:
    wanted = [_text(each) for each in listed(value)] if isinstance(value, list | dict) else [_text(value)]
    if wanted == [""]:
        return not any(map(_text, given))
    return any(_text(each) in wanted for each in given)


def _contains(given: list[Any], value: Any) -> bool:
    return any(_text(value) in _text(each) for each in given)


def _is_like(given: list[Any], value: Any) -> bool:
    """`%` at an end stands for anything there."""
    text = _text(value)
    bare = text.strip("%")
    if text.startswith("%") and text.endswith("%"):
        return _contains(given, bare)
    if text.startswith("%"):
        return any(_text(each).endswith(bare) for each in given)
    return any(_text(each).startswith(bare) if text.endswith("%") else _text(each) == bare for each in given)


def _compared(holds: Callable[[Any, Any], bool]) -> Callable[[list[Any], Any], bool]:
    def check(given: list[Any], value: Any) -> bool:
        return any(holds(*_comparable(each, value)) for each in given if _text(each))

    return check


def _not(check: Callable[[list[Any], Any], bool]) -> Callable[[list[Any], Any], bool]:
    return lambda given, value: not check(given, value)


# The longer ones first: the first that a name begins with is its sign.
_SIGNS: Final[dict[str, Callable[[list[Any], Any], bool]]] = {
    "!=%": _not(_is_like),
    "!%=": _not(_is_like),
    "!%": _not(_contains),
    "!@": _not(_is_one_of),
    "!=": _not(_is_one_of),
    "=%": _is_like,
    "%=": _is_like,
    ">=": _compared(lambda one, other: one >= other),
    "<=": _compared(lambda one, other: one <= other),
    ">": _compared(lambda one, other: one > other),
    "<": _compared(lambda one, other: one < other),
    "%": _contains,
    "@": _is_one_of,
    "!": _not(_is_one_of),
    "=": _is_one_of,
    "": _is_one_of,
}


def _text(value: Any) -> str:
    return "" if value is None else str(value).casefold()


def _comparable(one: Any, other: Any) -> tuple[Any, Any]:
    """Numbers as numbers, everything else, dates among it, as text."""
    try:
        return float(one), float(other)
    except (TypeError, ValueError):
        return _text(one), _text(other)


# --- order and select ------------------------------------------------------------------------------------------------


def ordered(cards: list[Any], wanted: Any, values: Values) -> list[Any]:
    """By each field in turn; without an order by the id, as it was made."""
    order = wanted if isinstance(wanted, Mapping) else {}
    for name, way in reversed([*order.items()]):
        cards = sorted(cards, key=lambda card: _key(values(card, str(name))), reverse=str(way).upper() == "DESC")
    return cards


def _key(given: list[Any]) -> tuple[int, float, str]:
    first = given[0] if given else None
    try:
        return 1, float(first), ""  # type: ignore[arg-type]  # what is no number is caught
    except (TypeError, ValueError):
        return (0 if first is None else 2), 0.0, _text(first)


def selected(card: Card, wanted: Any, multiple: frozenset[str], always: str) -> dict[str, Any]:
    """The fields that `select` names, and the id. `*`, and no select, is all of them but the multiple ones."""
    names = {str(each).casefold() for each in listed(wanted)} if wanted else {"*"}
    masks = tuple(name.removesuffix("*") for name in names if name.endswith("*") and name != "*")
    return {
        name: value
        for name, value in card.items()
        if name == always
        or name.casefold() in names
        or ("*" in names and name not in multiple)
        or (masks and name.casefold().startswith(masks))
    }
