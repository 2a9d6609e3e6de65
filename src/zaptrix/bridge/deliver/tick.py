"""A tick: one confirmation, as it is told from memory and as it stands in the ledger."""

from __future__ import annotations

from collections.abc import Callable

from zaptrix.core.delivery.claim import Claim
from zaptrix.core.limits import TICK_ROW_S
from zaptrix.elapsed import elapsed_s
from zaptrix.store.ledger.confirmations import ConfirmEnd


class Tick:
    """What the call comes to and what the settlement writes come in either order, or at the same moment.

    The settlement writes no row when the word was told before; else one that is due when this process should long have
    told it, for who comes after a crash. Its end is recorded when both have come.
    """

    __slots__ = ("_end", "_is_settled", "_may_have_row", "_record", "claim", "followed", "since")

    def __init__(self, claim: Claim, record: Callable[[ConfirmEnd], None], *, followed: bool) -> None:
        self.claim = claim
        self.followed = followed
        self.since = elapsed_s()
        self._record = record
        self._end: ConfirmEnd | None = None
        self._may_have_row = False
        self._is_settled = False

    def row_in_s(self) -> float | None:
        """For who writes the settlement now, or once more: in how many seconds its row is to be due; None: no row."""
        self._may_have_row = self._end is None or self._end.again_at is not None
        return TICK_ROW_S if self._may_have_row else None

    def settled(self, *, ours: bool) -> None:
        """The settlement is on disk. Not `ours`: somebody else wrote it, such as a receipt, with a row of his own."""
        self._is_settled = True
        self._may_have_row |= not ours
        self._record_both()

    def ended(self, end: ConfirmEnd) -> None:
        """What telling it came to."""
        self._end = end
        self._record_both()

    def _record_both(self) -> None:
        if self._end is not None and self._is_settled and self._may_have_row:
            self._record(self._end)
