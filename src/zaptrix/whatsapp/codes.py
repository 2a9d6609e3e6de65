"""Meta's error codes to our errors, in one table. Pure.

Meta asks to branch on `code`, never on titles or the HTTP status.
https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from zaptrix.core.errors import PlatformError, Refused, Scope, TooFast, Unauthorized, Unavailable, Unexpected
from zaptrix.whatsapp.wire import Fault

_DETAIL_MAX = 300
_OBJECT_MISSING = 33  # as a code, and as the subcode of 100

_Maker = Callable[[str, str], PlatformError]


def _too_fast(wait_s: float) -> _Maker:
    return partial(TooFast, wait_s=wait_s)


def _refused(notice: str) -> _Maker:
    return partial(Refused, notice=notice)


_NUMBER_IS_BLOCKED: _Maker = partial(Unauthorized, scope=Scope.CHANNEL)

# How long to leave each kind of limit alone. A pair's is one message in six seconds; those of the app and of the
# WhatsApp Business account are counted by the hour.
_WAIT_S = {130429: 1.0, 131056: 6.0, 4: 60.0, 17: 60.0, 32: 60.0, 613: 60.0, 80007: 60.0, 80008: 60.0}

# An error body came, so nothing was sent; the fault is on Meta's side and passes.
_PASSING = (2, 131000, 131016, 131057, 133000, 133004, 133015, 134101, 2494100)

# Token dead, permission gone (3, 10, 131005, 200-299), or the whole number may not send: an admin has to act.
_KEY_IS_BAD = (
    *(0, 3, 10, 104, 190, 131005),
    *range(200, 300),
    *(_OBJECT_MISSING, 368, 131031, 131037, 131042, 131045, 131048, 133006, 133010, 134011),
)

_FINAL = {
    131047: "window_closed",
    131026: "unreachable",
    131030: "test_number",
    130403: "blocked",
    131050: "blocked",
    130497: "account",
    131064: "account",
    **dict.fromkeys(
        (100, 130472, 131008, 131009, 131020, 131021, 131041, 131049, 131051, 131052, 131053, 131055, 131060, 131062),
        "refused",
    ),
    **dict.fromkeys((131063, 131065, 135000, 137000, *range(132000, 132100), 134100, 134102, 134103), "refused"),
}

# Code 1 is "unknown request or server error" and stays out, as every code that stands in no table: tried twice more.
_TABLE: dict[int, _Maker] = {
    **{code: _too_fast(wait_s) for code, wait_s in _WAIT_S.items()},
    **dict.fromkeys(_PASSING, Unavailable),
    **dict.fromkeys(_KEY_IS_BAD, _NUMBER_IS_BLOCKED),
    **{code: _refused(notice) for code, notice in _FINAL.items()},
}


def error_of(fault: Fault) -> PlatformError:
    """The error that an error body stands for."""
    return _maker(fault)(code_of(fault), detail_of(fault))


def notice_of(code: str) -> str:
    """The notice that tells an operator best why a message that Meta had taken was not delivered after all."""
    maker = _TABLE.get(int(code), Unexpected) if code.isascii() and code.isdigit() else Unexpected
    match maker(code, ""):
        case Refused(notice=notice):
            return notice
        case Unauthorized():
            return "account"
        case TooFast() | Unavailable():
            return "unavailable"
        case _:
            return "refused"


def code_of(fault: Fault) -> str:
    """The code as text; what is no code of Meta's is cut short."""
    return str(fault.code)[:20]


def detail_of(fault: Fault) -> str:
    """What Meta tells people about the error, without what could name a customer."""
    details = fault.error_data.details if fault.error_data else None
    told = _anonymous(details or fault.error_user_msg or fault.message or fault.title or "")[:_DETAIL_MAX]
    return f"{told} (trace {fault.fbtrace_id})" if fault.fbtrace_id else told


def _maker(fault: Fault) -> _Maker:
    if fault.code == 100 and fault.error_subcode == _OBJECT_MISSING:
        return _NUMBER_IS_BLOCKED
    return _TABLE.get(fault.code, Unexpected)


_PERSONAL = re.compile(r"\b[A-Z]{2}\.[A-Za-z0-9.]{6,}|\+?\d[\d ().-]{6,}\d|wamid\.\S+|[\w.+-]+@[\w-]+\.\S+")


def _anonymous(text: str) -> str:
    return _PERSONAL.sub("…", text)
