"""The words with which a customer's wordless messages are shown to operators, in the portal's language."""

from __future__ import annotations

from zaptrix.core.wording.catalog import Locale, section

PHRASES = section("phrases")


def phrase(code: str, locale: Locale) -> str:
    """The words for `code`; a code without words is shown as it is."""
    found = PHRASES.get(code)
    return found[locale] if found else code
