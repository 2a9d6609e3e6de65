"""Receipts move a message's state forward only.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status
"""

from __future__ import annotations

from zaptrix.core.message.message import State

# A receipt proves more than it says: `delivered` for a message that we hold as sending or verifying proves the send.
RANK: dict[State, int] = {
    State.PENDING: 0,
    State.SENDING: 1,
    State.VERIFYING: 1,
    State.SENT: 2,
    State.DELIVERED: 3,
    State.READ: 4,
    State.PLAYED: 5,
    # What was given up without a clear answer may turn out to have arrived; that it was sent alone proves nothing new.
    State.DEAD: 2,
}

# Meta's words for a status -> the state that it proves. `played` comes of voice messages only.
STATUS_STATES: dict[str, State] = {
    "sent": State.SENT,
    "delivered": State.DELIVERED,
    "read": State.READ,
    "played": State.PLAYED,
    "failed": State.DEAD,
}

# `failed` overrides what was only sent, never what has arrived.
_CAN_STILL_FAIL = (State.PENDING, State.SENDING, State.VERIFYING, State.SENT)


def advance(current: State, proven: State) -> State | None:
    """The state after a receipt that proves `proven`, or None when it changes nothing."""
    if proven is State.DEAD:
        return State.DEAD if current in _CAN_STILL_FAIL else None
    if current not in RANK or RANK[proven] <= RANK[current]:
        return None
    return proven
