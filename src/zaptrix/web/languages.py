"""In which language an answer's texts for people are: `?lang=`, else `Accept-Language`, else a default.

The default is English for errors, which developers read, and Portuguese for what operators and admins are told. An
answer has one language: errors never come beside other texts. https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qs

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
_LOCALES = {locale.value: locale for locale in Locale}
_HEADER_MAX = 200
_QUERY_MAX = 2000


def language_of(request: Request[Any, Any, Any], lang: Locale | None) -> Locale:
    """Of a result: the first language that the caller asked for and that the gateway speaks."""
    return lang or _accepted(request.headers.get("accept-language", "")) or Locale.PT_BR


def problem_language(accept_language: str | None, query: str) -> Locale:
    """Of an error, by the header and the query string as they came."""
    if "lang=" in query and (lang := _LOCALES.get(parse_qs(query[:_QUERY_MAX]).get("lang", [""])[0])):
        return lang
    return _accepted(accept_language or "") or Locale.EN


def _accepted(header: str) -> Locale | None:
    wanted = [_weighed(part) for part in header[:_HEADER_MAX].split(",")]
    for _, tag in sorted((each for each in wanted if each[0] > 0), key=lambda each: -each[0]):
        if found := _BY_TONGUE.get(_tongue(tag)):
            return found
    return None


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
