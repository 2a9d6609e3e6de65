"""Lanes: the same for ever, for a lane that moves would leave its events behind."""

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.lanes import Lane, Queue, bitrix24_lane, incoming_lane, meta_lane, outbound_lane, shard
from zaptrix.core.limits import SHARDS

PORTAL = PortalId(UUID("9f1e0b8f-7c1b-4b53-9d0e-5f7a5f6f1a01"))
CHANNEL = ChannelId(UUID("0b8f9f1e-7c1b-4b53-9d0e-5f7a5f6f1a01"))


def test_shards_are_what_they_were_when_the_first_event_was_stored() -> None:
    assert [shard(key) for key in ("", "5541988887777", "BR.1001", "zx1-a-b", "josé")] == [0, 7, 2, 6, 4]


def test_lanes_are_named_as_they_were_when_the_first_event_was_stored() -> None:
    assert incoming_lane("210987654321098", "5541988887777") == Lane(Queue.INCOMING, "210987654321098.7")
    assert outbound_lane(PORTAL, "zx1-a-b") == Lane(Queue.OUTBOUND, "9f1e0b8f-7c1b-4b53-9d0e-5f7a5f6f1a01.6")
    assert bitrix24_lane(PORTAL) == Lane(Queue.BITRIX24, "9f1e0b8f-7c1b-4b53-9d0e-5f7a5f6f1a01")
    assert meta_lane(CHANNEL) == Lane(Queue.META, "0b8f9f1e-7c1b-4b53-9d0e-5f7a5f6f1a01")


def test_queues_have_the_names_of_the_brief() -> None:
    assert {queue.value for queue in Queue} == {
        "incoming-messages",
        "bitrix24-messages",
        "outbound-messages",
        "meta-messages",
    }


def test_a_delivery_lane_knows_its_owner() -> None:
    assert bitrix24_lane(PORTAL).owner == PORTAL
    assert meta_lane(CHANNEL).owner == CHANNEL


@given(st.text())
def test_every_customer_has_one_of_the_shards(key: str) -> None:
    assert 0 <= shard(key) < SHARDS


def test_customers_spread_over_all_shards() -> None:
    counts = Counter(shard(f"55419{number:08d}") for number in range(8_000))
    assert min(counts.values()) > 800
    assert len(counts) == SHARDS
