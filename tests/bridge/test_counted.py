"""What is counted of a message on its way: queues that saw it through, how long it took, what its calls ended in."""

from collections.abc import Callable

import pytest

from tests.bridge.house import House, answered, lane_to_whatsapp
from zaptrix.broker.pace.pace import RedisPace
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.delivery.errors import PlatformError, Refused, StaleUpload, TooFast, Unexpected
from zaptrix.core.delivery.pace import Bucket
from zaptrix.core.portal import Channel
from zaptrix.telemetry import metrics

Counted = Callable[[], float]


def counter(name: str, **labels: str) -> Counted:
    """How much it has grown since this was called."""

    def value() -> float:
        return metrics.REGISTRY.get_sample_value(name, labels) or 0.0

    before = value()
    return lambda: value() - before


async def test_each_queue_counts_what_it_saw_through_and_how_long_that_took(
    house: House, channel: Channel, talk: Conversation
) -> None:
    routed = counter("zaptrix_queue_messages_total", queue="outbound-messages", result="success")
    sent = counter("zaptrix_queue_messages_total", queue="meta-messages", result="success")
    gave_up = counter("zaptrix_queue_messages_total", queue="meta-messages", result="failure")
    waited = counter("zaptrix_routing_seconds_count", queue="outbound-messages")
    took = counter("zaptrix_delivery_seconds_count", direction="outbound")
    house.whatsapp.once(Refused("131026", "undeliverable"))
    for text in ("um", "dois", "três"):
        await house.drain(await house.portal_tells(talk.portal_id, answered(talk, text)))
    await house.drain(lane_to_whatsapp(channel))
    assert (routed(), waited()) == (3, 3)
    assert (sent(), gave_up(), took()) == (2, 1, 2)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (Refused("131026"), "refused"),
        (StaleUpload("131053"), "stale_upload"),
        (TooFast("130429"), "too_fast"),
        (Unexpected("?"), "unexpected"),
        (PlatformError("of no class"), "unexpected"),
    ],
)
async def test_a_call_that_did_not_succeed_is_counted_by_its_cause(
    house: House, channel: Channel, talk: Conversation, error: PlatformError, cause: str
) -> None:
    counted = counter("zaptrix_call_failures_total", side="whatsapp", cause=cause)
    house.whatsapp.once(error)
    await house.ledger.outbound(talk, 1)
    await house.drain(lane_to_whatsapp(channel))
    assert counted() == 1


async def test_a_refusal_for_pace_is_counted_by_its_limit(house: House) -> None:
    counted = counter("zaptrix_pace_refusals_total", bucket="number")
    await RedisPace(house.redis).refused(Bucket(key="number:x", rate_per_s=80, burst=80))
    assert counted() == 1
