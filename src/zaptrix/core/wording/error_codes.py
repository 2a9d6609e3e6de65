"""What a platform's error code stands for: the shape of a row of its table, and the codes that are our own.

The rows themselves stand with their platform. `docs/ERRORS.md` shows them all. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

import msgspec

from zaptrix.core.wording.catalog import Sentence
from zaptrix.core.wording.notices import NOTICES


class ErrorClass(StrEnum):
    """What an error is; `core.delivery.retry` decides by it. Each stands for a class of `core.delivery.errors`."""

    TOO_FAST = "too_fast"
    UNAVAILABLE = "unavailable"
    UNCLEAR = "unclear"
    REFUSED = "refused"
    CHANNEL = "channel"  # our key to a number or a line is bad
    PORTAL = "portal"  # our key to a whole portal is bad
    UNEXPECTED = "unexpected"


class Rule(msgspec.Struct, frozen=True):
    """A row: these codes are errors of that kind, and this is what an admin does about them.

    A code of the form "100/33" is code and subcode. `notice` is the line for the operator, when the kind's own does not
    say it; `wait_s` how long a limit asks for; `elsewhere` the kind in calls that do not carry messages.
    """

    codes: tuple[int | range | str, ...]
    kind: ErrorClass
    fix: Sentence
    notice: str = ""
    wait_s: float | None = None
    elsewhere: ErrorClass | None = None
    page: str = ""

    def names(self) -> Iterator[str]:
        """Every code of the row, as text."""
        for code in self.codes:
            yield from map(str, code if isinstance(code, range) else (code,))


class CodeTable(msgspec.Struct, frozen=True):
    """A platform's codes, and where it documents them."""

    rule_of: Callable[[str], Rule | None]
    page: str


def table_of(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Code, its case folded, to row; the first row that names a code has it."""
    table: dict[str, Rule] = {}
    for rule in rules:
        for name in rule.names():
            table.setdefault(name.casefold(), rule)
    return table


# The line for the operator when a message is buried because of an error of that kind.
_NOTICES = {
    ErrorClass.TOO_FAST: "unavailable",
    ErrorClass.UNAVAILABLE: "unavailable",
    ErrorClass.UNCLEAR: "unclear",
    ErrorClass.REFUSED: "refused",
    ErrorClass.CHANNEL: "account",
    ErrorClass.PORTAL: "account",
    ErrorClass.UNEXPECTED: "unexpected",
}
# The same when the platform took the message and told of the error afterwards.
_LATE = {ErrorClass.TOO_FAST: "failed_later", ErrorClass.UNAVAILABLE: "failed_later", ErrorClass.UNEXPECTED: "refused"}


def notice_of(rule: Rule | None, *, late: bool = False) -> str:
    """The code of the line for the operator; `rule` is None for a code that stands in no table."""
    kind = rule.kind if rule else ErrorClass.UNEXPECTED
    return (rule.notice if rule else "") or (_LATE.get(kind) if late else None) or _NOTICES[kind]


OF_FILES = frozenset({"file_refused", "type_refused"})
"""The notices that say that a file alone was refused: the words beside it were not."""


UNKNOWN_FIX = Sentence("fixes.own.unknown")

_CONNECTION = Sentence("fixes.own.connection")
_CONTENT = Sentence("fixes.own.content")
_PACE = Sentence("fixes.own.pace")
_PORTAL_ADDRESS = Sentence("fixes.own.portal_address")

_NO_ENTRY = Sentence("fixes.own.no_entry")

_FILE_ADDRESS = Sentence("fixes.own.file_address")
_FILE_HOST = Sentence("fixes.own.file_host")
_FILE_SLOW = Sentence("fixes.own.file_slow")
_FILE_GONE = Sentence("fixes.own.file_gone")
_BLOBS = Sentence("fixes.own.blobs")
_NO_CHANNEL = Sentence("fixes.own.no_channel")

_FILE_UNDER_WAY = Sentence("fixes.own.file_under_way")

# What fetching, keeping and uploading a file can end in.
FILES: tuple[Rule, ...] = (
    Rule(("forbidden_address", "too_many_redirects"), ErrorClass.REFUSED, _FILE_ADDRESS, "file_address"),
    Rule(("gone",), ErrorClass.UNAVAILABLE, _FILE_GONE),
    Rule(("file_gone", "media_gone", "no_file"), ErrorClass.REFUSED, _FILE_GONE, "file_gone"),
    Rule(("file_too_slow",), ErrorClass.REFUSED, _FILE_SLOW, "file_too_slow"),
    Rule(("file_timeout", "file_slow", "file_connection_lost", "file_encoded"), ErrorClass.UNAVAILABLE, _FILE_HOST),
    Rule(("no_media_address", "no_media_id"), ErrorClass.UNAVAILABLE, _FILE_HOST),
    Rule(("blobs_away", "blob_lost"), ErrorClass.UNAVAILABLE, _BLOBS),
    Rule(("blob_gone",), ErrorClass.REFUSED, _BLOBS, "file_not_kept"),
    Rule(("file_too_large", "file_empty"), ErrorClass.REFUSED, _CONTENT, "file_too_large"),
    Rule(("file_failed",), ErrorClass.UNEXPECTED, UNKNOWN_FIX),
    Rule(("no_channel",), ErrorClass.REFUSED, _NO_CHANNEL),
    Rule(("no_voice_note",), ErrorClass.REFUSED, _CONTENT),
    Rule(("file_under_way",), ErrorClass.TOO_FAST, _FILE_UNDER_WAY),
)

OWN: tuple[Rule, ...] = (
    *FILES,
    Rule(
        ("no_connection", "oauth_unreachable", "oauth_timeout", "oauth_no_answer"), ErrorClass.UNAVAILABLE, _CONNECTION
    ),
    Rule(
        ("timeout", "connection_lost", "claim_ran_out", "runner_died", "no_json", "answer_too_large", "unreadable"),
        ErrorClass.UNCLEAR,
        _CONNECTION,
    ),
    Rule(("no_wamid", "no_result", "no_session"), ErrorClass.UNCLEAR, UNKNOWN_FIX),
    Rule(("not_done",), ErrorClass.UNEXPECTED, UNKNOWN_FIX),
    Rule(("pace", "pace_unknown", "operating", "status_under_way"), ErrorClass.TOO_FAST, _PACE),
    Rule(("not_found",), ErrorClass.TOO_FAST, Sentence("fixes.own.not_found")),
    Rule(("store_away",), ErrorClass.TOO_FAST, Sentence("fixes.own.store_away")),
    Rule(("moved",), ErrorClass.PORTAL, _PORTAL_ADDRESS),
    Rule(
        ("templates_wanted",),
        ErrorClass.TOO_FAST,
        Sentence("fixes.own.templates_wanted"),
    ),
    Rule(
        ("quote_wanted",),
        ErrorClass.TOO_FAST,
        Sentence("fixes.own.quote_wanted"),
    ),
    Rule(("too_long",), ErrorClass.REFUSED, _CONTENT, "too_long"),
    Rule(("unsupported",), ErrorClass.REFUSED, _CONTENT, "unsupported"),
    Rule(("empty",), ErrorClass.REFUSED, _CONTENT),
    Rule(
        ("no_address",),
        ErrorClass.REFUSED,
        Sentence("fixes.own.no_address"),
        "unreachable",
    ),
    Rule(
        ("no_chat",),
        ErrorClass.REFUSED,
        Sentence("fixes.own.no_chat"),
    ),
    Rule(
        ("item_refused",),
        ErrorClass.REFUSED,
        Sentence("fixes.own.item_refused"),
    ),
    Rule(
        ("file_not_fetched",),
        ErrorClass.UNAVAILABLE,
        Sentence("fixes.own.file_not_fetched"),
    ),
    Rule(
        ("file_not_given",),
        ErrorClass.REFUSED,
        Sentence("fixes.own.file_not_given"),
        "late_file",
    ),
    Rule(
        ("perhaps_sent",),
        ErrorClass.UNCLEAR,
        Sentence("fixes.own.perhaps_sent"),
        "perhaps_sent",
    ),
    Rule(("redirected", "bad_endpoint"), ErrorClass.UNAVAILABLE, _PORTAL_ADDRESS),
    Rule(
        ("secret_unreadable",),
        ErrorClass.CHANNEL,
        Sentence("fixes.own.secret_unreadable"),
    ),
    Rule(
        ("no_tokens",),
        ErrorClass.PORTAL,
        Sentence("fixes.own.no_tokens"),
    ),
)

_OWN = table_of(OWN)
_BY_STATUS = {
    "http_401": Rule(("http_401",), ErrorClass.PORTAL, _NO_ENTRY),
    "http_402": Rule(("http_402",), ErrorClass.PORTAL, _NO_ENTRY),
    "http_403": Rule(("http_403",), ErrorClass.PORTAL, _NO_ENTRY),
    "http_429": Rule(("http_429",), ErrorClass.TOO_FAST, _PACE),
    "http_503": Rule(("http_503",), ErrorClass.UNAVAILABLE, _CONNECTION),
}


def own_rule(code: str) -> Rule | None:
    """The row of a code that is ours: what happened where the platform itself named no code."""
    if rule := _OWN.get(code) or _BY_STATUS.get(code):
        return rule
    if code in NOTICES:  # we refused it ourselves, and the line has the code's own name
        return Rule((code,), ErrorClass.REFUSED, _CONTENT, code)
    if code.startswith("file_http_"):
        return Rule((code,), ErrorClass.UNAVAILABLE, _FILE_HOST)
    if code.startswith("oauth_http_"):
        return Rule((code,), ErrorClass.UNAVAILABLE, _CONNECTION)
    if code.startswith(("http_3", "http_404", "http_410")):
        return Rule((code,), ErrorClass.UNAVAILABLE, _NO_ENTRY)
    return Rule((code,), ErrorClass.UNCLEAR, _CONNECTION) if code.startswith("http_5") else None
