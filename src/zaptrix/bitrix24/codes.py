"""Bitrix24's error codes -> our errors, by the rows of `code_table`. Pure."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from zaptrix.bitrix24.code_table import PAGE, RULES
from zaptrix.core import codes
from zaptrix.core.codes import CodeTable, Kind, Rule
from zaptrix.core.errors import (
    PlatformError,
    Refused,
    Scope,
    TooFast,
    Unauthorized,
    Unavailable,
    Unclear,
    Unexpected,
)

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

_TABLE = codes.table_of(RULES)

_LONG_DIGITS = re.compile(r"\d(?:[\s().-]{0,2}\d){5,}")
_DETAIL_MAX = 200


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal in the portal's own words."""

    method: str
    status: int
    code: str
    description: str
    reset_at: float | None
    now: datetime

    @property
    def detail(self) -> str:
        return f"{self.method}: {safe_detail(self.description)}" if self.description else self.method


def rule_of(code: str) -> Rule | None:
    """The row of a code; None for one that stands in no table."""
    return _TABLE.get(code.casefold())


TABLE = CodeTable(rule_of, PAGE)


def judge(failure: Failure) -> PlatformError:
    """The error that `failure` stands for."""
    rule = rule_of(failure.code)
    if rule is None:
        return _by_status(failure)
    code, detail = _shown_code(failure), failure.detail
    match _kind(rule, failure):
        case Kind.TOO_FAST:
            return TooFast(code, detail, wait_s=_wait_s(rule, failure))
        case Kind.UNAVAILABLE:
            return Unavailable(code, detail)
        case Kind.UNCLEAR:
            return no_answer(failure.method, code, safe_detail(failure.description))
        case Kind.REFUSED:
            return Refused(code, detail, notice=codes.notice_of(rule))
        case Kind.CHANNEL:
            return Unauthorized(code, detail, scope=Scope.CHANNEL)
        case Kind.PORTAL:
            return Unauthorized(code, detail, scope=Scope.PORTAL)
        case _:
            return Unexpected(code, detail)


def no_answer(method: str, code: str, detail: str = "") -> PlatformError:
    """The request left and no answer came that could be read."""
    detail = f"{method}: {detail}" if detail else method
    return Unavailable(code, detail) if method in SAFE_TO_REPEAT else Unclear(code, detail)


def safe_detail(text: str) -> str:
    """The portal's words for people, short and without anything that may be a phone number."""
    return _LONG_DIGITS.sub("…", " ".join(text.split()))[:_DETAIL_MAX]


def _by_status(failure: Failure) -> PlatformError:
    if failure.status == 503:
        return Unavailable("http_503", failure.detail)
    if failure.status >= 500:
        return no_answer(failure.method, f"http_{failure.status}", safe_detail(failure.description))
    return Unexpected(_shown_code(failure), failure.detail)


def _shown_code(failure: Failure) -> str:
    # Old CRM methods answer with an empty code, a number or a sentence in its place.
    # https://apidocs.bitrix24.com/api-reference/crm/contacts/crm-contact-add.html
    code = failure.code
    return code if re.fullmatch(r"\w{1,64}", code) else f"http_{failure.status}"


def _kind(rule: Rule, failure: Failure) -> Kind:
    """A plan without REST holds the portal whatever the call was for."""
    if rule.elsewhere is None or failure.method.startswith("imconnector."):
        return rule.kind
    return rule.kind if "commercial plan" in failure.description.casefold() else rule.elsewhere


def _wait_s(rule: Rule, failure: Failure) -> float | None:
    if failure.reset_at is None or failure.code.casefold() != _OPERATING_LIMIT:
        return rule.wait_s
    return min(max(failure.reset_at - failure.now.timestamp(), 1.0), _OPERATING_WINDOW_S)
