"""Customer names as Bitrix24 takes them: letters, spaces, hyphens and apostrophes, 25 characters a part.

https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-send-messages.html
"""

from __future__ import annotations

import unicodedata

from zaptrix.core.limits import BITRIX_NAME_MAX

_KEPT = " -'\N{RIGHT SINGLE QUOTATION MARK}"


def clean_name(name: str | None) -> tuple[str, str]:
    """First and last name of a WhatsApp profile name; two empty strings when nothing of it can be shown."""
    kept = unicodedata.normalize("NFC", name or "")
    if not kept.replace(" ", "").isalpha():
        kept = "".join(map(_letter, kept))
    words = [word for part in kept.split() if (word := _word(part))]
    if not words:
        return "", ""
    return _cut(words[0]), _cut(" ".join(words[1:]))


def _letter(character: str) -> str:
    # Combining marks belong to letters (Indic, Thai); emoji, digits and signs become gaps.
    if character.isalpha() or _is_mark(character):
        return character
    return "'" if character == "\N{RIGHT SINGLE QUOTATION MARK}" else character if character in _KEPT else " "


def _word(part: str) -> str:
    # Marks that follow no letter were an emoji's: its variation selector, its keycap.
    if part[0].isalpha():
        return part.rstrip("-'")
    first = next((place for place, character in enumerate(part) if character.isalpha()), len(part))
    return part[first:].rstrip("-'")


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def _cut(text: str) -> str:
    return text[:BITRIX_NAME_MAX].rstrip()
