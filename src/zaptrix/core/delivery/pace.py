"""Rate limits of both platforms, as token buckets: how fast we may call.

The arithmetic of a bucket is done in Redis, shared by all processes (`broker.pace`).
"""

from __future__ import annotations

import msgspec

from zaptrix.core import limits
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.ids import PortalId
from zaptrix.core.portal import Channel, Portal

# Room in a burst: ours are spaced by our own clock, and arrive with the network's jitter. A bucket that was taken with
# one request of room had 1 to 6 refused at its edge. The rate is what counts in the long run, and stays whole.
_PORTAL_ROOM = 7
_PAIR_ROOM = 1  # it is called for one message after another


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """A leaky bucket: `burst` at once, `rate_per_s` for ever."""

    key: str
    rate_per_s: float
    burst: int
    # Whether a bucket that Redis has lost counts as full. Not a pair's: who called it a moment ago remembers that
    # himself, and six seconds before every message would be much for what nearly never happens.
    full_when_lost: bool = True


class Operating(msgspec.Struct, frozen=True, kw_only=True):
    """Method time used in the window, as an answer of a portal told it (`time.operating`)."""

    used_s: float
    reset_at: float  # unix seconds
    at: float  # unix seconds, by the portal's clock


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """What a call is going to spend: time of `method`, for each of its `items`."""

    portal_id: PortalId
    method: str
    items: int = 1


def portal_key(portal_id: PortalId) -> str:
    """The name of the portal's request bucket."""
    return f"portal:{portal_id}"


def portal_bucket(portal: Portal) -> Bucket:
    """The portal's request bucket. https://apidocs.bitrix24.com/limits.html

    The limits there are the cloud's; a self-hosted portal regulates itself: its rate, and a second's worth at once.
    """
    if portal.rate_per_s is not None:
        return Bucket(key=portal_key(portal.id), rate_per_s=portal.rate_per_s, burst=portal.rate_per_s)
    if portal.enterprise:
        rate, burst = limits.PORTAL_RATE_PER_S_ENTERPRISE, limits.PORTAL_BURST_ENTERPRISE
    else:
        rate, burst = limits.PORTAL_RATE_PER_S, limits.PORTAL_BURST
    return Bucket(key=portal_key(portal.id), rate_per_s=rate, burst=burst - _PORTAL_ROOM)


def number_bucket(channel: Channel) -> Bucket:
    """The number's throughput, inbound and outbound together. Inbound is not ours to slow down."""
    burst = max(1, int(channel.rate_per_s * limits.NUMBER_BURST_S) // 2)
    return Bucket(key=f"number:{channel.phone_number_id}", rate_per_s=channel.rate_per_s, burst=burst)


def pair_bucket(conversation: Conversation) -> Bucket:
    """One message in six seconds to one customer, with a burst of 45."""
    return Bucket(
        key=f"pair:{conversation.id}",
        rate_per_s=1 / limits.PAIR_INTERVAL_S,
        burst=limits.PAIR_BURST - _PAIR_ROOM,
        full_when_lost=False,
    )
