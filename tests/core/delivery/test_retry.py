"""The closed list of verdicts, row by row, and what each of them costs."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    Unexpected,
)
from zaptrix.core.delivery.outcome import Absent, Accepted, Outcome, Proof
from zaptrix.core.delivery.retry import (
    COSTS_AN_ATTEMPT,
    Bury,
    Case,
    Patience,
    Pause,
    Retry,
    Reupload,
    Sent,
    Snooze,
    Verdict,
    Verify,
    backoff_s,
    decide,
    decide_proof,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENCE = Patience(base_s=1.0, verify_wait_s=60.0, outage_s=24 * 3600.0, file_wait_s=10.0)
TAKEN = Accepted(whatsapp_id="wamid.A")


def a_case(
    *,
    attempts: int = 0,
    unclear: int = 0,
    age: timedelta = timedelta(minutes=1),
    jitter: float = 0.0,
    reuploaded: bool = False,
) -> Case:
    return Case(
        attempts=attempts,
        unclear=unclear,
        created_at=NOW - age,
        now=NOW,
        jitter=jitter,
        patience=PATIENCE,
        reuploaded=reuploaded,
    )


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


DAY_OLD = timedelta(hours=24, seconds=1)


@pytest.mark.parametrize(
    ("outcome", "case", "verdict"),
    [
        # The platform took it.
        (TAKEN, a_case(), Sent(TAKEN)),
        (TAKEN, a_case(attempts=40, age=DAY_OLD), Sent(TAKEN)),
        # Too fast: as long as the platform asks for, else a back-off; never a grave.
        (TooFast("131056", wait_s=6.0), a_case(), Snooze(after(6.0), "131056")),
        (TooFast("130429"), a_case(), Snooze(after(2.0), "130429")),
        (TooFast("130429"), a_case(attempts=3), Snooze(after(8.0), "130429")),
        (TooFast("130429", wait_s=1.0), a_case(attempts=900, age=DAY_OLD), Snooze(after(1.0), "130429")),
        # It surely did not act: again, longer each time. Neither attempts nor age alone bury it.
        (Unavailable("503", "down"), a_case(), Retry(after(1.0), "503", "down")),
        (Unavailable("503"), a_case(attempts=1), Retry(after(2.0), "503")),
        (Unavailable("503"), a_case(attempts=4), Retry(after(16.0), "503")),
        (Unavailable("503"), a_case(attempts=50), Retry(after(60.0), "503")),
        (Unavailable("503"), a_case(attempts=3, age=DAY_OLD), Retry(after(8.0), "503")),
        (Unavailable("503"), a_case(attempts=4, age=timedelta(hours=24)), Retry(after(16.0), "503")),
        (Unavailable("503", "down"), a_case(attempts=4, age=DAY_OLD), Bury("503", "down", "unavailable")),
        (Unavailable("http_404", hold=FailureScope.PORTAL), a_case(attempts=3), Retry(after(8.0), "http_404")),
        (
            Unavailable("http_404", "gone", hold=FailureScope.PORTAL),
            a_case(attempts=4, age=DAY_OLD),
            Pause(FailureScope.PORTAL, "http_404", "gone", after(1.0)),
        ),
        # No clear answer: the proof first. The fifth one is not sent again; a clear no before it does not count.
        (Unclear("timeout", "read"), a_case(), Verify(after(60.0), "timeout", "read")),
        (Unclear("timeout"), a_case(attempts=3, unclear=3), Verify(after(60.0), "timeout")),
        (Unclear("timeout"), a_case(attempts=40, unclear=3), Verify(after(60.0), "timeout")),
        (Unclear("timeout", "read"), a_case(attempts=4, unclear=4), Bury("timeout", "read", "unclear")),
        # It will never be taken.
        (Refused("131047", "24 h", notice="window_closed"), a_case(), Bury("131047", "24 h", "window_closed")),
        (Refused("100", "no"), a_case(attempts=3), Bury("100", "no", "refused")),
        # A file's upload is no good any more: uploaded anew once, then it is refused like anything else.
        (StaleUpload("131053", "media"), a_case(), Reupload(after(10.0), "131053", "media")),
        (StaleUpload("100", "gone"), a_case(attempts=7, age=DAY_OLD), Reupload(after(10.0), "100", "gone")),
        (
            StaleUpload("131053", "media", notice="file_refused"),
            a_case(attempts=1, reuploaded=True),
            Bury("131053", "media", "file_refused"),
        ),
        # Our key is bad: held, and it costs nothing.
        (
            Unauthorized("190", "dead", scope=FailureScope.CHANNEL),
            a_case(),
            Pause(FailureScope.CHANNEL, "190", "dead", after(1.0)),
        ),
        (
            Unauthorized("invalid_grant", scope=FailureScope.PORTAL),
            a_case(attempts=9),
            Pause(FailureScope.PORTAL, "invalid_grant", "", after(1.0)),
        ),
        # Anything else: twice more, then a grave; always an alarm.
        (Unexpected("418", "tea"), a_case(), Retry(after(1.0), "418", "tea", alarm=True)),
        (Unexpected("418"), a_case(attempts=1), Retry(after(2.0), "418", alarm=True)),
        (Unexpected("418", "tea"), a_case(attempts=2), Bury("418", "tea", "unexpected", alarm=True)),
        (PlatformError("odd"), a_case(), Retry(after(1.0), "odd", alarm=True)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, msgspec.Struct) else str(value),
)
def test_every_outcome_has_its_verdict(outcome: Outcome, case: Case, verdict: Verdict) -> None:
    assert decide(outcome, case) == verdict


def test_only_a_failure_of_the_message_costs_an_attempt() -> None:
    assert set(COSTS_AN_ATTEMPT) == {Retry, Verify, Reupload, Bury}


@pytest.mark.parametrize(
    ("proof", "case", "verdict"),
    [
        (TAKEN, a_case(attempts=4), Sent(TAKEN)),
        (Absent(), a_case(attempts=2), Snooze(NOW, "not_found")),
        (
            Unauthorized("190", "dead", scope=FailureScope.CHANNEL),
            a_case(attempts=1),
            Pause(FailureScope.CHANNEL, "190", "dead", after(1.0)),
        ),
        # Whatever else came back is no sure no: the search goes on.
        (Unavailable("503"), a_case(attempts=1), Verify(after(2.0), "503")),
        (TooFast("pace", wait_s=3.0), a_case(attempts=1), Verify(after(3.0), "pace")),
        (Unclear("timeout"), a_case(attempts=1), Verify(after(2.0), "timeout")),
        (Refused("no_session"), a_case(attempts=1), Verify(after(2.0), "no_session")),
        (Unexpected("418"), a_case(attempts=30), Verify(after(60.0), "418")),
        (Unexpected("418"), a_case(attempts=1, age=timedelta(hours=24)), Verify(after(2.0), "418")),
        # A search that finds no answer in a whole day would hold the conversation for ever.
        (Unexpected("418", "tea"), a_case(attempts=1, age=DAY_OLD), Bury("418", "tea", "unclear", alarm=True)),
        (Refused("no_session"), a_case(attempts=1, age=DAY_OLD), Bury("no_session", "", "unclear", alarm=True)),
        # A limit, an outage or a sure answer is not a search that came to nothing, however old the message is.
        (Unavailable("503"), a_case(attempts=1, age=DAY_OLD), Verify(after(2.0), "503")),
        (TooFast("pace", wait_s=3.0), a_case(attempts=1, age=DAY_OLD), Verify(after(3.0), "pace")),
        (Absent(), a_case(attempts=1, age=DAY_OLD), Snooze(NOW, "not_found")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, msgspec.Struct) else str(value),
)
def test_only_a_sure_no_lets_a_message_be_sent_again(proof: Proof, case: Case, verdict: Verdict) -> None:
    assert decide_proof(proof, case) == verdict


ERRORS = st.sampled_from(
    [
        TooFast("130429"),
        TooFast("131056", wait_s=6.0, one_conversation=True),
        Unavailable("503"),
        Unclear("timeout"),
        Refused("100"),
        Unauthorized("190", scope=FailureScope.CHANNEL),
        Unexpected("418"),
    ]
)
CASES = st.builds(
    Case,
    attempts=st.integers(0, 32_000),
    created_at=st.timedeltas(timedelta(0), timedelta(days=400)).map(lambda age: NOW - age),
    now=st.just(NOW),
    jitter=st.floats(0, 1, exclude_max=True),
    patience=st.builds(
        Patience, base_s=st.floats(0.01, 10), verify_wait_s=st.floats(0, 600), outage_s=st.floats(1, 1e6)
    ),
)


@given(ERRORS, CASES)
def test_a_message_waits_a_bounded_time_and_never_in_the_past(error: PlatformError, case: Case) -> None:
    verdict = decide(error, case)
    at = getattr(verdict, "at", NOW)
    assert NOW <= at <= after(600.0)
    assert verdict.code == error.code  # type: ignore[union-attr]


@given(ERRORS, CASES)
def test_only_what_surely_was_not_taken_is_ever_tried_again_without_a_proof(error: PlatformError, case: Case) -> None:
    if isinstance(error, Unclear):
        assert isinstance(decide(error, case), Verify | Bury)


@given(ERRORS, CASES)
def test_a_key_or_a_limit_never_buries_a_message(error: PlatformError, case: Case) -> None:
    if isinstance(error, TooFast | Unauthorized):
        assert isinstance(decide(error, case), Snooze | Pause)


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0.01, 60))
def test_jitter_adds_up_to_half_and_the_back_off_has_an_end(attempts: int, jitter: float, base_s: float) -> None:
    plain = backoff_s(attempts, 0.0, base_s)
    assert plain <= backoff_s(attempts, jitter, base_s) <= plain * 1.5
    assert plain <= 60.0
    assert plain <= backoff_s(attempts + 1, 0.0, base_s)


def test_what_was_not_begun_in_time_is_free_at_once_and_costs_nothing() -> None:
    out_of_time = OutOfTime("claim_ran_out")
    assert decide(out_of_time, a_case(attempts=4)) == Snooze(NOW, "claim_ran_out")
    assert decide_proof(out_of_time, a_case(attempts=4)) == Verify(NOW, "claim_ran_out")
