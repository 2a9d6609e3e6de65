"""The line of text in a file's place: that it is on its way, or why it will not come.

Pure.
"""

from __future__ import annotations

from zaptrix.core.message.message import MediaContent, MediaKind
from zaptrix.core.wording.catalog import Locale, section

_PROMISES, _LOST, _WHY = section("files.promise"), section("files.lost"), section("files.why")


def promise(kind: MediaKind, locale: Locale) -> str:
    """The line that holds a file's place."""
    return _PROMISES[kind][locale]


def lost(file: MediaContent, notice: str | None, locale: Locale) -> str:
    """The line in the place of a customer's file that did not come: why, and what is known of it."""
    line = _LOST[file.kind][locale].format(why=_WHY.get(notice or "", _WHY["unavailable"])[locale])
    type_ = file.mime if file.kind is MediaKind.DOCUMENT else None
    return " ".join(part for part in (line, file.name, f"({type_})" if type_ else None) if part)


def joined(*lines: str) -> str:
    """Those that say something, one below the other."""
    return "\n".join(line for line in lines if line.strip())
