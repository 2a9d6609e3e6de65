"""What the gateway tells the operator, in the chat, in the portal's language: what happened and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping

from zaptrix.core.wording.catalog import Locale, section

NOTICES = section("notices")


def notice_text(code: str, params: Mapping[str, str], locale: Locale) -> str:
    """The line for the operator. An unknown code falls back to the plainest true sentence."""
    texts = NOTICES.get(code, NOTICES["unexpected"])
    return texts[locale].format_map(_Blank(params))


# Characters. A line of ours is not that long, and each of its beginnings is followed to the end of what is looked at.
_LOOKED_AT = 2_000
_PARAMETER = re.compile(r"\\\{\w+\\\}")
# One a language: a search for all of them at once takes several times as long.
_LINES = [
    re.compile("|".join(_PARAMETER.sub(".*", re.escape(texts[locale])) for texts in NOTICES.values()), re.DOTALL)
    for locale in Locale
]


def is_notice(plain: str) -> bool:
    """Whether a text in a chat is a line of ours: a portal may show one under an employee's name."""
    return any(lines.search(plain[:_LOOKED_AT]) for lines in _LINES)


class _Blank(dict[str, str]):
    """A missing parameter shows as a dash: a notice that cannot be rendered must not hold a conversation."""

    def __missing__(self, key: str) -> str:
        return "-"
