"""Which bucket a portal, a number and a pair have."""

from uuid import UUID

import pytest

from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.delivery.pace import Bucket, number_bucket, pair_bucket, portal_bucket
from zaptrix.core.ids import ChannelId, ConversationId, PortalId
from zaptrix.core.portal import Channel, Portal

PORTAL, CHANNEL, TALK = PortalId(UUID(int=1)), ChannelId(UUID(int=2)), ConversationId(UUID(int=3))


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
