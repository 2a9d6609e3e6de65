"""Why calls do not succeed, as labels of metrics."""

from __future__ import annotations

from enum import StrEnum


class PaceRefusal(StrEnum):
    """By which limit a platform refused a call of ours."""

    PORTAL = "portal"
    NUMBER = "number"
    PAIR = "pair"
    METHOD = "method"  # a method's time in a portal


class CallFailure(StrEnum):
    """What a call that did not succeed ended in, by the classes of `core.delivery.errors`."""

    TOO_FAST = "too_fast"  # a limit, ours or the platform's: it costs no attempt
    OUT_OF_TIME = "out_of_time"
    UNAVAILABLE = "unavailable"
    UNCLEAR = "unclear"
    REFUSED = "refused"
    STALE_UPLOAD = "stale_upload"
    UNAUTHORIZED = "unauthorized"
    UNEXPECTED = "unexpected"


class Refresh(StrEnum):
    """How the renewal of a portal's tokens ended."""

    SUCCESS = "success"
    REFUSED = "refused"  # the portal has to be authorised again
    AWAY = "away"  # the OAuth server gave no clear answer; it is asked again
