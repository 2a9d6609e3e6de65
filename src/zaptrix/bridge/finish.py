"""Finish: what a message lacks until just before it is delivered, for only then it is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from zaptrix.core.parcel import Parcel
from zaptrix.store import messages
from zaptrix.store.database import Connection


class Finished(NamedTuple):
    """Parcels that may go, and those that wait for what they lack."""

    ready: list[Parcel]
    waiting: list[Parcel]


class Finish(Protocol):
    """Who waits for what is lacking waits in the ledger, and holds nobody but its own conversation."""

    wanted: str  # what is waited for, as the ledger names it

    async def finish(self, parcels: Sequence[Parcel]) -> Finished:
        """Raises StoreUnavailable."""
        ...

    def until(self) -> datetime:
        """When to look again."""
        ...


async def keep(connection: Connection, before: Iterable[Parcel], after: Iterable[Parcel]) -> None:
    """Whoever looks for the line in the chat, or asks what the operator was told, has to know its words."""
    await messages.fill(
        connection,
        [
            (new.message_id, new.attempt_id, new.content)
            for old, new in zip(before, after, strict=True)
            if old is not new
        ],
    )
