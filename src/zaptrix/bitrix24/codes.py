"""Bitrix24's error codes -> our errors: one table. Pure.

Statuses differ between documentation, versions and plans, so a code counts for more than the status beside it, and its
case counts for nothing. https://apidocs.bitrix24.com/error-codes.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

import msgspec

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

_QUERY_LIMIT_WAIT_S = 1.5
_OVERLOAD_WAIT_S = 3600.0
_OPERATING_WAIT_S = 60.0  # when the answer does not tell when the window moves on
_OPERATING_WINDOW_S = 600.0

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


def judge(failure: Failure) -> PlatformError:
    """The error that `failure` stands for."""
    row = _TABLE.get(failure.code.casefold())
    return row(failure) if row else _by_status(failure)


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


def _portal(failure: Failure) -> PlatformError:
    return Unauthorized(_shown_code(failure), failure.detail, scope=Scope.PORTAL)


def _line(failure: Failure) -> PlatformError:
    return Unauthorized(_shown_code(failure), failure.detail, scope=Scope.CHANNEL)


def _rights(failure: Failure) -> PlatformError:
    """Rights that are missing for the connector hold the portal; elsewhere they only cost what was asked for."""
    if failure.method.startswith("imconnector.") or "commercial plan" in failure.description.casefold():
        return _portal(failure)
    return _refused(failure)


def _refused(failure: Failure) -> PlatformError:
    return Refused(_shown_code(failure), failure.detail)


def _unavailable(failure: Failure) -> PlatformError:
    return Unavailable(_shown_code(failure), failure.detail)


def _unclear(failure: Failure) -> PlatformError:
    return no_answer(failure.method, _shown_code(failure), safe_detail(failure.description))


def _query_limit(failure: Failure) -> PlatformError:
    return TooFast(_shown_code(failure), failure.detail, wait_s=_QUERY_LIMIT_WAIT_S)


def _overload(failure: Failure) -> PlatformError:
    return TooFast(_shown_code(failure), failure.detail, wait_s=_OVERLOAD_WAIT_S)


def _operating(failure: Failure) -> PlatformError:
    wait_s = _OPERATING_WAIT_S
    if failure.reset_at is not None:
        wait_s = min(max(failure.reset_at - failure.now.timestamp(), 1.0), _OPERATING_WINDOW_S)
    return TooFast(_shown_code(failure), failure.detail, wait_s=wait_s)


_TABLE: dict[str, Callable[[Failure], PlatformError]] = {
    # https://apidocs.bitrix24.com/limits.html
    "query_limit_exceeded": _query_limit,
    "operation_time_limit": _operating,
    "overload_limit": _overload,
    # The portal did not act, or cannot say whether it did.
    "connection_error": _unavailable,
    "expired_token": _unavailable,
    "internal_server_error": _unclear,
    "error_unexpected_answer": _unclear,
    # Our key to the portal. https://apidocs.bitrix24.com/settings/oauth/error-codes.html
    "invalid_token": _portal,
    "no_auth_found": _portal,
    "application_not_found": _portal,
    "error_oauth": _portal,
    "authorization_error": _portal,
    "invalid_client": _portal,
    "wrong_client": _portal,
    "invalid_grant": _portal,
    "user_access_error": _portal,
    "payment_required": _portal,
    "not_installed": _portal,
    "portal_deleted": _portal,
    "wrong_auth_type": _portal,
    "method_confirm_waiting": _portal,
    "method_confirm_denied": _portal,
    "access_denied": _rights,
    "insufficient_scope": _rights,
    "invalid_credentials": _rights,
    "wrong_license": _rights,
    "error_method_not_found": _rights,
    # The connector on its line.
    "not_active_line": _line,
    "imconnector_not_specified_correct_connector": _line,
    "imconnector_no_correct_provider": _line,
    # A line into the chat. https://apidocs.bitrix24.com/api-reference/chats/messages/im-message-add.html
    "access_error": _refused,
    "message_empty": _refused,
    "chat_id_empty": _refused,
}
