"""The retry policy: `decide(outcome, ...)` returns the verdict on an attempt.

It is the only place that knows what to do about an outcome. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from zaptrix.core import limits
from zaptrix.core.delivery.errors import (
    FailureScope,
    OutOfTime,
    PlatformError,
    Refused,
    StaleUpload,
    TooFast,
    Unauthorized,
    Unavailable,
    Unclear,
)
from zaptrix.core.delivery.outcome import Absent, Accepted, Outcome, Proof, Unprovable


class Sent(msgspec.Struct, frozen=True):
    """The platform took it."""

    accepted: Accepted


class Snooze(msgspec.Struct, frozen=True):
    """Wait; it costs no attempt."""

    at: datetime
    code: str


class Retry(msgspec.Struct, frozen=True):
    """Try again; it cost an attempt."""

    at: datetime
    code: str
    detail: str = ""
    alarm: bool = False


class Verify(msgspec.Struct, frozen=True):
    """Perhaps it was taken: look for the proof before any re-send; it cost an attempt."""

    at: datetime
    code: str
    detail: str = ""


class Reupload(msgspec.Struct, frozen=True):
    """Upload the message's file anew, then try again; it cost an attempt. The message waits for it until `at`."""

    at: datetime
    code: str
    detail: str = ""


class Bury(msgspec.Struct, frozen=True):
    """It will never be taken: a dead letter, and a notice to the operator."""

    code: str
    detail: str
    notice: str
    alarm: bool = False


class Pause(msgspec.Struct, frozen=True):
    """Our key is bad: hold the message and pause all that stands behind the key; it costs no attempt."""

    scope: FailureScope
    code: str
    detail: str
    at: datetime  # to look again, when the key turns out to have been repaired meanwhile


PERHAPS_SENT = "perhaps_sent"
"""The code of what is not sent, as it may have been before a restore and nobody can tell."""

Verdict = Sent | Snooze | Retry | Verify | Reupload | Bury | Pause

COSTS_AN_ATTEMPT = (Retry, Verify, Reupload, Bury)


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait, in seconds. Platforms and tests differ; the rule does not."""

    base_s: float = 1.0
    verify_wait_s: float = 5.0
    outage_s: float = limits.OUTAGE_S_MAX
    file_wait_s: float = 10.0  # for a file that is made ready


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """The message that an outcome is judged for."""

    attempts: int  # finished before this one
    unclear: int  # those of them that had no clear answer
    created_at: datetime
    now: datetime
    jitter: float  # in [0, 1), drawn by the caller, so that runners do not retry in step
    patience: Patience
    reuploaded: bool = False  # its file was uploaded anew already


def decide(outcome: Outcome, case: Case) -> Verdict:
    """The verdict on `outcome`."""
    match outcome:
        case Accepted():
            return Sent(outcome)
        case TooFast():
            return Snooze(_later(case, _pause_s(outcome, case)), outcome.code)
        case OutOfTime():
            return Snooze(case.now, outcome.code)
        case Unavailable():
            return _unavailable(outcome, case)
        case Unclear():
            return _unclear(outcome, case)
        case StaleUpload() if not case.reuploaded:
            # Once: what is refused under a second id, too, is refused for what it is.
            return Reupload(_later(case, case.patience.file_wait_s), outcome.code, outcome.detail)
        case Refused():
            return Bury(outcome.code, outcome.detail, outcome.notice)
        case Unauthorized():
            return _pause(outcome, case)
        case _:
            return _unexpected(outcome, case)


def decide_proof(outcome: Proof, case: Case) -> Sent | Snooze | Verify | Bury | Pause:
    """The verdict on a search for proof: only a sure no lets the message be sent again."""
    match outcome:
        case Accepted():
            return Sent(outcome)
        case Absent():
            return Snooze(case.now, "not_found")
        case Unprovable():
            return Bury(PERHAPS_SENT, "", PERHAPS_SENT)
        case Unauthorized():
            return _pause(outcome, case)
        case _:
            return _unproven(outcome, case)


def backoff_s(attempts: int, jitter: float, base_s: float) -> float:
    """Exponential back-off after `attempts` earlier failures, with up to half of it added as jitter."""
    steps = min(attempts, limits.BACKOFF_STEPS_MAX)
    return min(base_s * float(limits.BACKOFF_FACTOR**steps), limits.BACKOFF_S_MAX) * (1 + jitter / 2)


def _pause_s(error: TooFast, case: Case) -> float:
    if error.wait_s is not None:
        return error.wait_s * (1 + case.jitter / 10)
    return backoff_s(max(case.attempts, 1), case.jitter, case.patience.base_s)


def _pause(error: Unauthorized, case: Case) -> Pause:
    return Pause(error.scope, error.code, error.detail, _later(case, case.patience.base_s))


def _unavailable(error: Unavailable, case: Case) -> Verdict:
    # An outage is not the message's fault: five attempts in two minutes would bury what a portal's maintenance hour
    # only delays. So attempts alone do not bury it, age does too.
    if case.attempts + 1 >= limits.ATTEMPTS_MAX:
        if error.hold is not None:
            return Pause(error.hold, error.code, error.detail, _later(case, case.patience.base_s))
        if _outlasted(case):
            return Bury(error.code, error.detail, "unavailable")
    at = _later(case, backoff_s(case.attempts, case.jitter, case.patience.base_s))
    return Retry(at, error.code, error.detail)


def _unclear(error: Unclear, case: Case) -> Verdict:
    # Each of them may have arrived after all. What failed clearly before did not, and says nothing of this one.
    if case.unclear + 1 >= limits.ATTEMPTS_MAX:
        return Bury(error.code, error.detail, "unclear")
    return Verify(_later(case, case.patience.verify_wait_s), error.code, error.detail)


def _unproven(error: PlatformError, case: Case) -> Verify | Bury:
    if isinstance(error, OutOfTime):
        return Verify(case.now, error.code, error.detail)
    # A search that is refused day and night would hold its conversation for ever, and nobody would be told.
    if _outlasted(case) and not isinstance(error, TooFast | Unavailable):
        return Bury(error.code, error.detail, "unclear", alarm=True)
    if isinstance(error, TooFast):
        return Verify(_later(case, _pause_s(error, case)), error.code, error.detail)
    at = _later(case, backoff_s(case.attempts, case.jitter, case.patience.base_s))
    return Verify(at, error.code, error.detail)


def _outlasted(case: Case) -> bool:
    return (case.now - case.created_at).total_seconds() > case.patience.outage_s


def _unexpected(error: PlatformError, case: Case) -> Verdict:
    if case.attempts >= limits.UNEXPECTED_RETRIES:
        return Bury(error.code, error.detail, "unexpected", alarm=True)
    at = _later(case, backoff_s(case.attempts, case.jitter, case.patience.base_s))
    return Retry(at, error.code, error.detail, alarm=True)


def _later(case: Case, seconds: float) -> datetime:
    return case.now + timedelta(seconds=seconds)
