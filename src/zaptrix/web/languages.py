"""Which language an answer's texts for people are in: `?lang=`, else `Accept-Language`, else Portuguese."""

from __future__ import annotations

from typing import Annotated, Any

from babel import Locale as Tongue
from babel import UnknownLocaleError
from litestar import Request
from litestar.params import Parameter

from zaptrix.core.portal import Locale

Lang = Annotated[
    Locale | None,
    Parameter(
        query="lang",
        required=False,
        description="The language of texts for people; without it `Accept-Language` decides, and else it is pt-BR.",
    ),
]

_BY_TONGUE = {locale.partition("-")[0]: locale for locale in Locale}
_HEADER_MAX = 200


def language_of(request: Request[Any, Any, Any], lang: Locale | None) -> Locale:
    """The first language that the caller asked for and that the gateway speaks."""
    if lang is not None:
        return lang
    wanted = [_weighed(part) for part in request.headers.get("accept-language", "")[:_HEADER_MAX].split(",")]
    for _, tag in sorted((each for each in wanted if each[0] > 0), key=lambda each: -each[0]):
        if found := _BY_TONGUE.get(_tongue(tag)):
            return found
    return Locale.PT_BR


def _weighed(part: str) -> tuple[float, str]:
    tag, _, weight = part.partition(";")
    try:
        return float(weight.strip().removeprefix("q=") or 1), tag.strip()
    except ValueError:
        return 0.0, tag


def _tongue(tag: str) -> str:
    try:
        return Tongue.parse(tag, sep="-").language
    except (ValueError, UnknownLocaleError):
        return ""
