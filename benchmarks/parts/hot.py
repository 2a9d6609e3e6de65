"""Hot: what the report's first table needs, act by act of the other parts, and no more."""

from __future__ import annotations

import msgspec

from benchmarks.parts import accept, idle, inbound, lone, outbound
from benchmarks.parts.act import Act

NAME = "hot"


def _ours(act: Act, *, once: bool = False) -> Act:
    """No row compares it with the yardstick."""
    return msgspec.structs.replace(act, peer=False, once=once)


ACTS = (
    *accept.ACTS,
    inbound.EIGHT,
    inbound.THOUSAND,
    inbound.SLOW,
    _ours(inbound.BUSY),
    outbound.RECEIPTS,
    outbound.PLAIN,
    outbound.SLOW,
    _ours(lone.CHAT),
    *(_ours(act, once=True) for act in idle.ACTS),
)
