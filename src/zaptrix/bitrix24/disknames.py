"""References to files on a portal's disk: `disk:<id>` in place of an address, and the file that an address leads to.

Pure.
"""

from __future__ import annotations

import re

_NAMED = re.compile(r"disk:(\d{1,18})")
_LINKED = re.compile(r"https?://[^?#]*/im\.file\.php\?(?:[^#]*&)?FILE_ID=(\d{1,18})(?:[&#]|$)")


def named(file_id: int) -> str:
    """What a message has for an address when only the file's id is known, as from a history."""
    return f"disk:{file_id}"


def named_in(source: str) -> int | None:
    """The file that `source` names so; None when it is an address."""
    found = _NAMED.fullmatch(source)
    return int(found[1]) if found else None


def linked_in(source: str) -> int | None:
    """The file that an address of the portal's leads to, where the address tells.

    https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/events/on-im-connector-message-add.html
    """
    found = _LINKED.match(source)
    return int(found[1]) if found else None
