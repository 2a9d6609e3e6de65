"""Maps Meta's error codes to our errors, by one table.

Meta asks to branch on `code`, never on titles or the HTTP status. Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from __future__ import annotations

import re

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
from zaptrix.core.wording.error_codes import ErrorClass, Rule
from zaptrix.telemetry.redact import redact_text
from zaptrix.whatsapp.codes import account_codes, admin_codes, message_codes
from zaptrix.whatsapp.items import MetaError

PAGE = "https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes"

RULES: tuple[Rule, ...] = (*account_codes.RULES, *message_codes.RULES, *admin_codes.RULES)

_TABLE = error_codes.table_of(RULES)
_DETAIL_MAX = 300
_WORDS_MAX = 2_000
_TRACE = re.compile(r"[A-Za-z0-9_-]{1,40}")
_OPAQUE = re.compile(r"(?=[\w-]*\d)(?=[\w-]*[^\W\d_])[\w-]{24,}")  # letters and digits so long are no word

# What a code means by its details, where Meta leaves the subcode out: it calls subcodes deprecated.
_BY_DETAILS = {(100, "does not exist, cannot be loaded due to missing permissions"): "100/33"}

# Limits of what goes to one customer: everybody else of the number may go on.
_OF_A_PAIR = frozenset({"131056"})

# What may be said of a file that a message names by its id: the code, and words where the code has other meanings, too.
_OF_FILES: tuple[tuple[int, str], ...] = ((100, "media attachment ID"), (131009, ""), (131053, ""))


def rule_of(code: str) -> Rule | None:
    """The row of a code as `code_of` writes it; None for one that stands in no table."""
    return _TABLE.get(code) or _TABLE.get(code.partition("/")[0])


TABLE = error_codes.CodeTable(rule_of, PAGE)


def error_of(fault: MetaError) -> PlatformError:
    """The error that an error body stands for."""
    code, detail = code_of(fault), detail_of(fault)
    rule = rule_of(code)
    match rule.kind if rule else None:
        case ErrorClass.TOO_FAST:
            return TooFast(code, detail, wait_s=rule.wait_s if rule else None, one_conversation=code in _OF_A_PAIR)
        case ErrorClass.UNAVAILABLE:
            # An error body came, so nothing was sent; the fault is on Meta's side and passes.
            return Unavailable(code, detail)
        case ErrorClass.UNCLEAR:
            return Unclear(code, detail)
        case ErrorClass.REFUSED:
            return Refused(code, detail, notice=error_codes.notice_of(rule), of_file=_is_of_file(fault))
        case ErrorClass.CHANNEL | ErrorClass.PORTAL:
            return Unauthorized(code, detail, scope=FailureScope.CHANNEL)
        case _:
            return Unexpected(code, detail)


def error_of_answer(
    fault: MetaError | None, status: int, *, retry_after_s: float | None = None, repeatable: bool = False
) -> PlatformError:
    """The error that an answer stands for: by its code, or where no table knows that or it has none, by its status.

    `repeatable`: doing it twice harms nothing, so that no clear answer counts as not done.
    """
    if fault is not None and fault.code is not None and rule_of(code_of(fault)) is not None:
        return error_of(fault)
    named = fault is not None and fault.code is not None
    code, detail = code_of(fault) if fault and named else f"http_{status}", detail_of(fault) if fault else ""
    match status:
        case 429:
            return TooFast(f"http_{status}", detail, wait_s=retry_after_s)
        case 401 | 402 | 403 if fault is not None:
            return Unauthorized(code, detail, scope=FailureScope.CHANNEL)
        case 503:
            return Unavailable(code, detail)
        case _ if status >= 500 or (status == 408 and fault is not None):
            return (Unavailable if repeatable else Unclear)(code, detail)
        case _ if 300 <= status < 500 and fault is None:
            # A page for people: Graph is not there. No message is to blame: what goes on holds the channel.
            return Unavailable(f"http_{status}", "the answer is not JSON of Meta's", hold=FailureScope.CHANNEL)
        case _:
            return Unexpected(code, detail)


def code_of(fault: MetaError) -> str:
    """The code as text, with its subcode where the table tells them apart; what is no code of Meta's is cut short."""
    code = "" if fault.code is None else str(fault.code)[:20]
    exact = f"{code}/{fault.error_subcode}"
    if exact in _TABLE:
        return exact
    told = _told(fault)
    return next((key for (of, words), key in _BY_DETAILS.items() if of == fault.code and words in told), code)


def _is_of_file(fault: MetaError) -> bool:
    return any(str(fault.code) == str(code) and words in _told(fault) for code, words in _OF_FILES)


def _told(fault: MetaError) -> str:
    return f"{fault.message or ''} {(fault.error_data.details if fault.error_data else None) or ''}"


def detail_of(fault: MetaError) -> str:
    """What Meta tells people about the error, without what could name a customer."""
    details = fault.error_data.details if fault.error_data else None
    told = details or fault.error_user_msg or fault.message or fault.title or ""
    told = _anonymous(told[:_WORDS_MAX])[:_DETAIL_MAX]
    return f"{told} (trace {fault.fbtrace_id})" if _TRACE.fullmatch(fault.fbtrace_id or "") else told


_PERSONAL = re.compile(r"\b[A-Z]{2}\.[A-Za-z0-9.]{6,}|\+?\d[\d ().-]{6,}\d|wamid\.\S+|[\w.+-]+@[\w-]+\.\S+")


def _anonymous(text: str) -> str:
    return _OPAQUE.sub("…", redact_text(_PERSONAL.sub("…", text)))
