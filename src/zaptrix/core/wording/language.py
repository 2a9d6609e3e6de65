"""In which language people are told something: the one rule, for the API, its errors and the commands.

1. What was asked for: `?lang=` of a request, `--lang` of a command.
2. What the caller's program says: `Accept-Language`, or for a command LC_ALL, LC_MESSAGES or LANG.
3. Of what one portal's operators were told: the portal's own language.
4. English.

What operators are told in the chat is not negotiated: it is in their portal's language, which is DEFAULT_LOCALE until
the portal is given another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from babel import Locale as Tongue
from babel import UnknownLocaleError

from zaptrix.core.wording.catalog import Locale

DEFAULT = Locale.EN

L = TypeVar("L", bound=str)


def by_tag(locales: Sequence[L]) -> dict[str, L]:
    """Each by its whole tag; and the first one of a tongue for all of it: who asks for `pt-AO` gets `pt-BR`."""
    tongues = {locale.partition("-")[0].lower(): locale for locale in reversed(locales)}
    return tongues | {locale.lower(): locale for locale in locales}


_BY_TAG = by_tag(list(Locale))
_HEADER_MAX = 200
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")


def choose(*wished: str, otherwise: Locale | None = None) -> Locale:
    """The first of those language tags (`pt`, `en-GB`, `pt_BR.UTF-8`) that Zaptrix speaks; else rules 3 and 4."""
    return next((found for tag in wished if (found := _spoken(tag))), otherwise or DEFAULT)


def accepted(header: str) -> list[str]:
    """The tags of an `Accept-Language`, the dearest first. https://www.rfc-editor.org/rfc/rfc9110#section-12.5.4"""
    wanted = [_weighed(part) for part in header[:_HEADER_MAX].split(",")]
    return [tag for weight, tag in sorted(wanted, key=lambda each: -each[0]) if weight > 0]


def of_environment(environ: Mapping[str, str]) -> str:
    """The tag of whoever types a command: the first variable that is set counts.

    https://www.gnu.org/software/gettext/manual/html_node/Locale-Environment-Variables.html
    """
    return next((value for name in _VARIABLES if (value := environ.get(name))), "")


def _weighed(part: str) -> tuple[float, str]:
    tag, _, weight = part.partition(";")
    try:
        return float(weight.strip().lower().removeprefix("q=") or 1), tag.strip()
    except ValueError:
        return 0.0, tag


def _spoken(tag: str) -> Locale | None:
    """What stands behind the language in a tag (`pt-BR-x-ours`) takes nothing from it."""
    whole = tag.strip().replace("_", "-")
    for part in (whole, whole.partition("-")[0]):
        with suppress(ValueError, UnknownLocaleError):
            asked = Tongue.parse(part, sep="-")
            return _BY_TAG.get(f"{asked.language}-{asked.territory}".lower()) or _BY_TAG.get(asked.language)
    return None
