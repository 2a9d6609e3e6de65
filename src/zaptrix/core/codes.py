"""What a platform's error code stands for: the shape of a row of its table, and the codes that are our own. Pure.

The rows themselves stand with their platform. `docs/ERRORS.md` shows them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

import msgspec

from zaptrix.core.notices import NOTICES
from zaptrix.core.wording.catalog import Sentence


class Kind(StrEnum):
    """What an error is; `core.retry` decides by it. Each stands for a class of `core.errors`."""

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
    kind: Kind
    fix: Sentence
    notice: str = ""
    wait_s: float | None = None
    elsewhere: Kind | None = None
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
    Kind.TOO_FAST: "unavailable",
    Kind.UNAVAILABLE: "unavailable",
    Kind.UNCLEAR: "unclear",
    Kind.REFUSED: "refused",
    Kind.CHANNEL: "account",
    Kind.PORTAL: "account",
    Kind.UNEXPECTED: "unexpected",
}
# The same when the platform took the message and told of the error afterwards.
_LATE = {Kind.TOO_FAST: "failed_later", Kind.UNAVAILABLE: "failed_later", Kind.UNEXPECTED: "refused"}


def notice_of(rule: Rule | None, *, late: bool = False) -> str:
    """The code of the line for the operator; `rule` is None for a code that stands in no table."""
    kind = rule.kind if rule else Kind.UNEXPECTED
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
    Rule(("forbidden_address", "too_many_redirects"), Kind.REFUSED, _FILE_ADDRESS, "file_address"),
    Rule(("gone",), Kind.UNAVAILABLE, _FILE_GONE),
    Rule(("file_gone", "media_gone", "no_file"), Kind.REFUSED, _FILE_GONE, "file_gone"),
    Rule(("file_too_slow",), Kind.REFUSED, _FILE_SLOW, "file_too_slow"),
    Rule(("file_timeout", "file_slow", "file_connection_lost", "file_encoded"), Kind.UNAVAILABLE, _FILE_HOST),
    Rule(("no_media_address", "no_media_id"), Kind.UNAVAILABLE, _FILE_HOST),
    Rule(("blobs_away", "blob_lost"), Kind.UNAVAILABLE, _BLOBS),
    Rule(("blob_gone",), Kind.REFUSED, _BLOBS, "file_not_kept"),
    Rule(("file_too_large", "file_empty"), Kind.REFUSED, _CONTENT, "file_too_large"),
    Rule(("file_failed",), Kind.UNEXPECTED, UNKNOWN_FIX),
    Rule(("no_channel",), Kind.REFUSED, _NO_CHANNEL),
    Rule(("no_voice_note",), Kind.REFUSED, _CONTENT),
    Rule(("file_under_way",), Kind.TOO_FAST, _FILE_UNDER_WAY),
)

OWN: tuple[Rule, ...] = (
    *FILES,
    Rule(("no_connection", "oauth_unreachable", "oauth_timeout", "oauth_no_answer"), Kind.UNAVAILABLE, _CONNECTION),
    Rule(
        ("timeout", "connection_lost", "claim_ran_out", "runner_died", "no_json", "answer_too_large", "unreadable"),
        Kind.UNCLEAR,
        _CONNECTION,
    ),
    Rule(("no_wamid", "no_result", "no_session"), Kind.UNCLEAR, UNKNOWN_FIX),
    Rule(("pace", "pace_unknown", "operating", "status_under_way"), Kind.TOO_FAST, _PACE),
    Rule(
        ("templates_wanted",),
        Kind.TOO_FAST,
        Sentence("fixes.own.templates_wanted"),
    ),
    Rule(
        ("quote_wanted",),
        Kind.TOO_FAST,
        Sentence("fixes.own.quote_wanted"),
    ),
    Rule(("too_long",), Kind.REFUSED, _CONTENT, "too_long"),
    Rule(("unsupported",), Kind.REFUSED, _CONTENT, "unsupported"),
    Rule(("empty",), Kind.REFUSED, _CONTENT),
    Rule(
        ("no_address",),
        Kind.REFUSED,
        Sentence("fixes.own.no_address"),
        "unreachable",
    ),
    Rule(
        ("no_chat",),
        Kind.REFUSED,
        Sentence("fixes.own.no_chat"),
    ),
    Rule(
        ("item_refused",),
        Kind.REFUSED,
        Sentence("fixes.own.item_refused"),
    ),
    Rule(
        ("file_not_fetched",),
        Kind.UNAVAILABLE,
        Sentence("fixes.own.file_not_fetched"),
    ),
    Rule(
        ("file_not_given",),
        Kind.REFUSED,
        Sentence("fixes.own.file_not_given"),
        "late_file",
    ),
    Rule(
        ("perhaps_sent",),
        Kind.UNCLEAR,
        Sentence("fixes.own.perhaps_sent"),
        "perhaps_sent",
    ),
    Rule(("redirected", "bad_endpoint"), Kind.UNAVAILABLE, _PORTAL_ADDRESS),
    Rule(
        ("secret_unreadable",),
        Kind.CHANNEL,
        Sentence("fixes.own.secret_unreadable"),
    ),
    Rule(
        ("no_tokens",),
        Kind.PORTAL,
        Sentence("fixes.own.no_tokens"),
    ),
)

_OWN = table_of(OWN)
_BY_STATUS = {
    "http_401": Rule(("http_401",), Kind.PORTAL, _NO_ENTRY),
    "http_402": Rule(("http_402",), Kind.PORTAL, _NO_ENTRY),
    "http_403": Rule(("http_403",), Kind.PORTAL, _NO_ENTRY),
    "http_429": Rule(("http_429",), Kind.TOO_FAST, _PACE),
    "http_503": Rule(("http_503",), Kind.UNAVAILABLE, _CONNECTION),
}


def own_rule(code: str) -> Rule | None:
    """The row of a code that is ours: what happened where the platform itself named no code."""
    if rule := _OWN.get(code) or _BY_STATUS.get(code):
        return rule
    if code in NOTICES:  # we refused it ourselves, and the line has the code's own name
        return Rule((code,), Kind.REFUSED, _CONTENT, code)
    if code.startswith("file_http_"):
        return Rule((code,), Kind.UNAVAILABLE, _FILE_HOST)
    if code.startswith("oauth_http_"):
        return Rule((code,), Kind.UNAVAILABLE, _CONNECTION)
    if code.startswith(("http_3", "http_404", "http_410")):
        return Rule((code,), Kind.UNAVAILABLE, _NO_ENTRY)
    return Rule((code,), Kind.UNCLEAR, _CONNECTION) if code.startswith("http_5") else None
