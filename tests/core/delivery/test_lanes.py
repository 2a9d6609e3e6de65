"""Lanes: the same for ever, for a lane that moves would leave its events behind."""

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from zaptrix.core.delivery.lanes import Lane, Queue, bitrix24_lane, incoming_lane, meta_lane, outbound_lane, round_of
from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.limits import ROUNDS

PORTAL = PortalId(UUID("9f1e0b8f-7c1b-4b53-9d0e-5f7a5f6f1a01"))
CHANNEL = ChannelId(UUID("0b8f9f1e-7c1b-4b53-9d0e-5f7a5f6f1a01"))


def test_rounds_are_what_they_were_when_the_first_event_was_stored() -> None:
    # Stored names were renamed once, with migration 0008.
    assert [round_of(tenant) for tenant in ("", "210987654321098", str(PORTAL), "unknown")] == [0, 2, 0, 3]


def test_lanes_are_named_as_they_were_when_the_first_event_was_stored() -> None:
    assert incoming_lane("210987654321098") == Lane(Queue.INCOMING, "210987654321098.2")
    assert outbound_lane(PORTAL) == Lane(Queue.OUTBOUND, "9f1e0b8f-7c1b-4b53-9d0e-5f7a5f6f1a01.0")
    assert bitrix24_lane(PORTAL) == Lane(Queue.BITRIX24, "1")
    assert meta_lane(CHANNEL) == Lane(Queue.META, "1")


def test_queues_have_the_names_of_the_brief() -> None:
    assert {queue.value for queue in Queue} == {
        "incoming-messages",
        "bitrix24-messages",
        "outbound-messages",
        "meta-messages",
    }


def test_a_round_of_delivery_is_counted_by_the_last_bits_of_its_owners_ids() -> None:
    assert bitrix24_lane(PortalId(UUID("9f1e0b8f-7c1b-4b53-9d0e-5f7a5f6f1aff"))).number == 3
    assert meta_lane(ChannelId(UUID("0b8f9f1e-7c1b-4b53-9d0e-5f7a5f6f1a30"))).number == 0


def test_a_routing_lane_knows_its_tenant_and_its_round() -> None:
    lane = outbound_lane(PORTAL)
    assert lane.tenant == str(PORTAL)
    assert lane.round == lane.round.round == Lane(Queue.OUTBOUND, "0")


@given(st.text())
def test_every_tenant_is_in_one_of_the_rounds(tenant: str) -> None:
    assert 0 <= round_of(tenant) < ROUNDS


def test_tenants_spread_over_all_rounds() -> None:
    counts = Counter(round_of(f"2109{number:011d}") for number in range(8_000))
    assert min(counts.values()) > 8_000 / ROUNDS * 0.8
    assert len(counts) == ROUNDS
