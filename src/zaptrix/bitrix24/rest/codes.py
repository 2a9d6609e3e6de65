"""Maps Bitrix24's error codes to our errors, by the rows of `code_table`.

Pure.
"""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from zaptrix.bitrix24.rest.code_table import PAGE, RULES
from zaptrix.core.delivery.errors import (
    FailureScope,
    PlatformError,
    Refused,
    TooFast,
    Unauthorized,
    Unavailable,
    Unclear,
    Unexpected,
)
from zaptrix.core.wording import error_codes
from zaptrix.core.wording.error_codes import CodeTable, ErrorClass, Rule
from zaptrix.telemetry.redact import redact_text

# Calls that may simply be made again: reading ones, and those whose second call changes nothing.
SAFE_TO_REPEAT = frozenset(
    {
        "app.info",
        "crm.duplicate.findbycomm",
        "disk.file.get",
        "event.bind",
        "event.get",
        "event.offline.clear",
        "event.offline.list",
        "event.unbind",
        "feature.get",
        "imconnector.activate",
        "imconnector.connector.data.set",
        "imconnector.register",
        "imconnector.send.status.delivery",
        "imconnector.status",
        "batch",  # ours hold reading commands alone
        "imopenlines.crm.chat.get",
        "imopenlines.dialog.get",
        "imopenlines.session.history.get",
    }
)

# A fresh token may mend these.
STALE_TOKEN = frozenset({"expired_token", "invalid_token", "no_auth_found"})

_OPERATING_LIMIT = "operation_time_limit"
_OPERATING_WINDOW_S = 600.0

_TABLE = error_codes.table_of(RULES)

# With no code at all, something that stands before the portal has answered: no message is to blame.
_OF_NO_PORTAL = frozenset({404, 405, 407, 410, 421, 451})

_LONG_DIGITS = re.compile(r"\d(?:[\s().-]{0,2}\d){5,}")
_OPAQUE = re.compile(r"(?=[\w.-]*\d)(?=[\w.-]*[^\W\d_])[\w.-]{20,}")  # letters and digits so long are no word
# A code of theirs: words and a few digits, and nothing that may be a number or a key of somebody's.
_CODE = re.compile(r"(?=(?:[^\d]*\d){0,5}[^\d]*$)[A-Za-z0-9_]{1,64}")
_WORDS_MAX = 2_000
_DETAIL_MAX = 200


class RestFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal in the portal's own words."""

    method: str
    status: int
    code: str
    description: str
    reset_at: float | None
    retry_after_s: float | None = None
    now: datetime

    @property
    def detail(self) -> str:
        return f"{self.method}: {safe_detail(self.description)}" if self.description else self.method

    @property
    def shown_code(self) -> str:
        # Old CRM methods answer with an empty code, a number or a sentence in its place.
        # https://apidocs.bitrix24.com/api-reference/crm/contacts/crm-contact-add.html
        return self.code if is_code(self.code) else f"http_{self.status}"


def rule_of(code: str) -> Rule | None:
    """The row of a code; None for one that stands in no table."""
    return _TABLE.get(code.casefold())


TABLE = CodeTable(rule_of, PAGE)


def judge(failure: RestFailure) -> PlatformError:
    """The error that `failure` stands for."""
    rule = rule_of(failure.code)
    if rule is None:
        return _by_status(failure)
    code, detail = failure.shown_code, failure.detail
    match _kind(rule, failure):
        case ErrorClass.TOO_FAST:
            return TooFast(code, detail, wait_s=_wait_s(rule, failure))
        case ErrorClass.UNAVAILABLE:
            return Unavailable(code, detail)
        case ErrorClass.UNCLEAR:
            return no_answer(failure.method, code, safe_detail(failure.description))
        case ErrorClass.REFUSED:
            return Refused(code, detail, notice=error_codes.notice_of(rule))
        case ErrorClass.CHANNEL:
            return Unauthorized(code, detail, scope=FailureScope.CHANNEL)
        case ErrorClass.PORTAL:
            return Unauthorized(code, detail, scope=FailureScope.PORTAL)
        case _:
            return Unexpected(code, detail)


def no_answer(method: str, code: str, detail: str = "") -> PlatformError:
    """The request left and no answer came that could be read."""
    detail = f"{method}: {detail}" if detail else method
    return Unavailable(code, detail) if method in SAFE_TO_REPEAT else Unclear(code, detail)


def no_json(method: str, status: int, retry_after_s: float | None = None) -> PlatformError:
    """A page for people: of a proxy, of maintenance, of a host that is no portal any more.

    No message is to blame for it, so that what goes on holds the portal and buries nothing.
    """
    code, detail = f"http_{status}", f"{method}: the answer is not JSON"
    if status == 429:
        return TooFast(code, detail, wait_s=retry_after_s)
    if 300 <= status < 500:
        return Unavailable(code, detail, hold=FailureScope.PORTAL)
    return Unavailable(code, detail) if status == 503 else no_answer(method, code, "the answer is not JSON")


def is_code(text: str) -> bool:
    """Whether it has the form of a code, and may be shown."""
    return bool(_CODE.fullmatch(text))


def words(told: object) -> str:
    """A portal's code or description, which may be anything, as text of a length that one can look through."""
    if told is None or isinstance(told, list | dict):
        return ""
    return str(told)[:_WORDS_MAX]


def safe_detail(text: str) -> str:
    """The portal's words for people, short and without anything that may be a phone number or a secret."""
    return _OPAQUE.sub("…", redact_text(_LONG_DIGITS.sub("…", " ".join(text.split()))))[:_DETAIL_MAX]


def _by_status(failure: RestFailure) -> PlatformError:
    """A code that stands in no table says by its status whether it is about the message, about us or about neither.

    https://apidocs.bitrix24.com/error-codes.html
    """
    code, detail = f"http_{failure.status}", failure.detail
    match failure.status:
        case 429:
            return TooFast(code, detail, wait_s=failure.retry_after_s)
        case 401 | 402 | 403:
            return Unauthorized(failure.shown_code, detail, scope=FailureScope.PORTAL)
        case 503 | 423 | 425:
            return Unavailable(code, detail)
        case status if status in _OF_NO_PORTAL and not failure.code:
            return Unavailable(code, detail, hold=FailureScope.PORTAL)
        case status if status == 408 or status >= 500:
            return no_answer(failure.method, code, safe_detail(failure.description))
        case _:
            return Unexpected(failure.shown_code, detail)


def _kind(rule: Rule, failure: RestFailure) -> ErrorClass:
    """A plan without REST holds the portal whatever the call was for."""
    if rule.elsewhere is None or failure.method.startswith("imconnector."):
        return rule.kind
    return rule.kind if "commercial plan" in failure.description.casefold() else rule.elsewhere


def _wait_s(rule: Rule, failure: RestFailure) -> float | None:
    if failure.reset_at is None or failure.code.casefold() != _OPERATING_LIMIT:
        return rule.wait_s
    return min(max(failure.reset_at - failure.now.timestamp(), 1.0), _OPERATING_WINDOW_S)
