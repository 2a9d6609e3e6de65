"""Buckets and the method-time budget."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zaptrix.core.conversation import Conversation
from zaptrix.core.customer import Customer
from zaptrix.core.ids import ChannelId, ConversationId, PortalId
from zaptrix.core.pace import Bucket, Operating, number_bucket, operating_wait_s, pair_bucket, portal_bucket
from zaptrix.core.portal import Channel, Portal

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
IN_TEN_MINUTES = NOW.timestamp() + 600
PORTAL, CHANNEL, TALK = PortalId(UUID(int=1)), ChannelId(UUID(int=2)), ConversationId(UUID(int=3))


@pytest.mark.parametrize(
    ("used_s", "wait_s"),
    [
        (0.0, 0.0),
        (299.9, 0.0),
        (300.0, 0.0),
        (390.0, 30.0),  # half of the room is spent: a twentieth of the window between two calls
        (480.0, 600.0),  # nothing left: until the window moves on
        (900.0, 600.0),
    ],
)
def test_calls_are_free_first_then_spread_over_what_is_left(used_s: float, wait_s: float) -> None:
    assert operating_wait_s(Operating(used_s=used_s, reset_at=IN_TEN_MINUTES), NOW) == pytest.approx(wait_s)


def test_a_portal_that_never_told_its_time_is_not_slowed_down() -> None:
    assert operating_wait_s(None, NOW) == 0.0


@given(st.floats(0, 10_000), st.floats(-10_000, 10_000))
def test_no_call_waits_beyond_the_end_of_the_window(used_s: float, left_s: float) -> None:
    wait_s = operating_wait_s(Operating(used_s=used_s, reset_at=NOW.timestamp() + left_s), NOW)
    assert 0 <= wait_s <= max(left_s, 0) + 1e-6


def a_portal(*, enterprise: bool = False, rate_per_s: int | None = None) -> Portal:
    return Portal(
        id=PORTAL,
        portal_url="p",
        member_id="m",
        client_endpoint="e",
        connector_id="c",
        enterprise=enterprise,
        rate_per_s=rate_per_s,
    )


def a_channel(rate_per_s: int) -> Channel:
    return Channel(
        id=CHANNEL,
        portal_id=PORTAL,
        name="n",
        phone_number_id="210",
        display_phone_number="+55",
        line_id=1,
        rate_per_s=rate_per_s,
    )


def test_a_portal_has_two_requests_a_second_and_an_enterprise_five() -> None:
    assert portal_bucket(a_portal()) == Bucket(key=f"portal:{PORTAL}", rate_per_s=2.0, burst=43)
    assert portal_bucket(a_portal(enterprise=True)) == Bucket(key=f"portal:{PORTAL}", rate_per_s=5.0, burst=243)


def test_a_self_hosted_portal_has_the_rate_that_its_administrator_gave_it() -> None:
    assert portal_bucket(a_portal(rate_per_s=20)) == Bucket(key=f"portal:{PORTAL}", rate_per_s=20, burst=20)


@pytest.mark.parametrize(("rate", "burst"), [(80, 40), (20, 10), (1_000, 500), (1, 1)])
def test_a_number_has_its_own_throughput(rate: int, burst: int) -> None:
    assert number_bucket(a_channel(rate)) == Bucket(key="number:210", rate_per_s=rate, burst=burst)


def test_one_customer_gets_a_message_in_six_seconds_after_a_burst() -> None:
    talk = Conversation(id=TALK, portal_id=PORTAL, channel_id=CHANNEL, customer=Customer(wa_id="1"))
    bucket = pair_bucket(talk)
    assert (bucket.key, bucket.burst) == (f"pair:{TALK}", 44)  # one of room for what the network delays
    assert bucket.rate_per_s == pytest.approx(1 / 6)
