"""A list of templates as the Graph API gives it: filters, fields, pages and a summary.

Pure.
https://developers.facebook.com/docs/graph-api/reference/whats-app-business-account/message_templates
https://developers.facebook.com/docs/graph-api/results
"""

import base64
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from zaptrix_sim.meta.errors import bad_parameter

PAGE_DEFAULT: Final = 25
PAGE_MAX: Final = 100
TEMPLATES_MAX: Final = 250
CARD_FIELDS: Final = ("name", "parameter_format", "components", "language", "status", "category", "id")

Json = dict[str, Any]


def page(templates: list[Json], query: Mapping[str, str], url: str) -> Json:
    """The page that the cursors in `query` name. `next` and `previous` ask as this call did, one page on or back."""
    found = list(filter(_filter(query), templates))
    limit = _limit(query.get("limit", ""))
    start = _start(query, limit)
    cards = [card(one, query) for one in found[start:][:limit]]
    answer: Json = {"data": cards}
    if cards:
        before, after = _cursor(start), _cursor(start + len(cards))
        answer["paging"] = {"cursors": {"before": before, "after": after}}
        if start + len(cards) < len(found):
            answer["paging"]["next"] = _address(url, query, limit, after=after)
        if start > 0:
            answer["paging"]["previous"] = _address(url, query, limit, before=before)
    if summary := _summary(len(found), len(templates), values(query.get("summary", ""))):
        answer["summary"] = summary
    return answer


def card(template: Json, query: Mapping[str, str]) -> Json:
    """A template with the fields that are asked for; its id is always there."""
    names = [name.strip() for name in query.get("fields", "").split(",") if name.strip()] or list(CARD_FIELDS)
    return {name: template[name] for name in dict.fromkeys([*names, "id"]) if name in template}


def values(text: str) -> list[str]:
    """Several values of a parameter: with commas, or as a JSON list."""
    if text.lstrip().startswith("["):
        try:
            return [str(each) for each in msgspec.json.decode(text, type=list[str | int])]
        except msgspec.DecodeError as exc:
            raise bad_parameter("The parameter is not a list.") from exc
    return [each.strip() for each in text.split(",") if each.strip()]


def _filter(query: Mapping[str, str]) -> Callable[[Json], bool]:
    listed = {name: values(query.get(name, "")) for name in ("status", "category", "language", "quality_score")}
    content, either = query.get("content", "").casefold(), query.get("name_or_content", "").casefold()

    def is_wanted(one: Json) -> bool:
        told = {**one, "quality_score": one["quality_score"]["score"]}
        words = str(one["components"]).casefold()
        return (
            all(_among(told[name], wanted) for name, wanted in listed.items())
            and query.get("name", one["name"]).casefold() == one["name"].casefold()
            and content in words
            and (either in words or either in one["name"].casefold())
        )

    return is_wanted


def _among(value: str, wanted: list[str]) -> bool:
    """Letters of either size do: `status=approved`."""
    return not wanted or value.casefold() in {each.casefold() for each in wanted}


def _summary(found: int, count: int, wanted: list[str]) -> Json:
    known: Json = {
        "total_count": found,
        "message_template_count": count,
        "message_template_limit": TEMPLATES_MAX,
        "are_translations_complete": True,
    }
    if {each.casefold() for each in wanted} & {"true", "1"}:
        wanted = ["total_count"]
    return {name: known[name] for name in wanted if name in known}


# --- pages -----------------------------------------------------------------------------------------------------------


def _limit(text: str) -> int:
    if not text:
        return PAGE_DEFAULT
    if not text.isdecimal() or int(text) < 1:
        raise bad_parameter("Param limit must be a positive integer.")
    return min(int(text), PAGE_MAX)


def _start(query: Mapping[str, str], limit: int) -> int:
    if query.get("after"):
        return _place(query["after"])
    return max(0, _place(query["before"]) - limit) if query.get("before") else 0


def _address(url: str, query: Mapping[str, str], limit: int, **cursor: str) -> str:
    kept = {name: value for name, value in query.items() if name not in {"after", "before", "limit"}}
    return f"{url}?{urlencode(kept | {'limit': str(limit)} | cursor)}"


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(b"place %d" % place).decode()


def _place(cursor: str) -> int:
    try:
        return max(0, int(base64.urlsafe_b64decode(cursor).decode().removeprefix("place ")))
    except ValueError as exc:
        raise bad_parameter("Invalid cursors values were passed.") from exc
