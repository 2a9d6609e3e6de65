"""Late fields: what a message lacks until just before it is delivered, for only then it is known.

The notice of a closed window names the templates that would work (`Naming`). A customer may answer a message of ours
before the ledger has learned its WhatsApp id; by the time that the answer is delivered, it mostly has (`Quoting`).
Who waits for what is lacking waits in the ledger, for a while, and holds nobody but its own conversation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from zaptrix.bridge.send.templates import Templates
from zaptrix.bridge.tell.quotes import quoted
from zaptrix.core import limits
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.ids import ChannelId
from zaptrix.core.message.message import Notice, Origin, quote_of
from zaptrix.core.message.template import Template, sketch
from zaptrix.core.message.text import in_a_line
from zaptrix.store.accounts import templates
from zaptrix.store.connection.database import Connection, Database
from zaptrix.store.ledger import messages
from zaptrix.store.ledger.messages import Quotable, Wamid

_WINDOW_CLOSED = "window_closed"
_WITH_TEMPLATES = "window_closed_templates"


class Finished(NamedTuple):
    """Claims that may go, and those that wait for what they lack."""

    ready: list[Claim]
    waiting: list[Claim]


class LateField(Protocol):
    """One thing that may be lacking."""

    wanted: str  # what is waited for, as the ledger names it

    async def finish(self, claims: Sequence[Claim]) -> Finished:
        """Raises StoreUnavailable."""
        ...

    def until(self) -> datetime:
        """When to look again."""
        ...


async def _keep(connection: Connection, before: Iterable[Claim], after: Iterable[Claim]) -> None:
    """Whoever looks for the line in the chat, or asks what the operator was told, has to know its words."""
    await messages.fill(
        connection,
        [
            (new.message_id, new.attempt_id, new.content)
            for old, new in zip(before, after, strict=True)
            if old is not new
        ],
    )


# --- templates that would work ---------------------------------------------------------------------------------------


class Naming:
    """Meta's list may be slow: the notice waits for it."""

    wanted = "templates_wanted"

    def __init__(
        self,
        database: Database,
        templates_: Templates,
        now: Callable[[], datetime],
        wait_s: float = limits.TEMPLATES_WAIT_S_MAX,
    ) -> None:
        self._database = database
        self._templates = templates_
        self._now = now
        self._longest = timedelta(seconds=wait_s)

    async def finish(self, claims: Sequence[Claim]) -> Finished:
        """Raises StoreUnavailable."""
        wanted = {claim.channel.id: claim.channel for claim in claims if _wants_names(claim)}
        if not wanted:
            return Finished(list(claims), [])
        fetching = await self._templates.fetching(wanted.values())
        waiting = [claim for claim in claims if claim.channel.id in fetching and self._may_wait(claim)]
        ready = [claim for claim in claims if claim not in waiting]
        return Finished(await self._filled(ready), waiting)

    def until(self) -> datetime:
        """When to look again."""
        return self._now() + timedelta(seconds=limits.TEMPLATES_LOOK_S)

    def _may_wait(self, claim: Claim) -> bool:
        return _wants_names(claim) and self._now() - claim.created_at < self._longest

    async def _filled(self, claims: Sequence[Claim]) -> list[Claim]:
        channels = {claim.channel.id for claim in claims if _wants_names(claim)}
        if not channels:
            return list(claims)
        async with self._database.transaction() as connection:
            named = {channel_id: await _named(connection, channel_id) for channel_id in channels}
            filled = [_filled(claim, named) for claim in claims]
            await _keep(connection, claims, filled)
        return filled


def _wants_names(claim: Claim) -> bool:
    return isinstance(claim.content, Notice) and claim.content.code == _WINDOW_CLOSED


def _filled(claim: Claim, named: Mapping[ChannelId, str]) -> Claim:
    if not (isinstance(claim.content, Notice) and _wants_names(claim) and named[claim.channel.id]):
        return claim
    params = {**claim.content.params, "templates": named[claim.channel.id]}
    return replace(claim, content=Notice(_WITH_TEMPLATES, params))


async def _named(connection: Connection, channel_id: ChannelId) -> str:
    """A few templates that would reach the customer, as lines; empty when none is known."""
    found = await templates.usable(connection, channel_id, limits.TEMPLATES_NAMED)
    most = limits.TEMPLATE_SKETCH_MAX
    return "\n".join(f"• {each.name} ({each.language}): {in_a_line(sketch(each), most)}" for each in found)


# --- what is quoted --------------------------------------------------------------------------------------------------


class Quoting:
    """Waits only while something is on its way to the customer who answers: that may be what is quoted."""

    wanted = "quote_wanted"

    def __init__(
        self, database: Database, now: Callable[[], datetime], wait_s: float = limits.QUOTE_WAIT_S_MAX
    ) -> None:
        self._database = database
        self._now = now
        self._longest = timedelta(seconds=wait_s)

    async def finish(self, claims: Sequence[Claim]) -> Finished:
        """Raises StoreUnavailable."""
        lost = {wamid for claim in claims if (wamid := _lost(claim))}
        if not lost:
            return Finished(list(claims), [])
        may_wait = [(claim.channel.id, claim.conversation.id) for claim in claims if self._may_wait(claim)]
        async with self._database.transaction() as connection:
            # First who waits, then what is known: a message that is settled in between is found.
            underway = await messages.underway(connection, may_wait) if may_wait else set()
            known = await messages.quotable(connection, list(lost))
            told = [_told(claim, known) for claim in claims]
            await _keep(connection, claims, told)
        waiting = [claim for claim in told if self._may_wait(claim) and claim.conversation.id in underway]
        return Finished([claim for claim in told if claim not in waiting], waiting)

    def until(self) -> datetime:
        """When to look again."""
        return self._now() + timedelta(seconds=limits.QUOTE_LOOK_S)

    def _may_wait(self, claim: Claim) -> bool:
        return _lost(claim) is not None and self._now() - claim.created_at < self._longest


def _lost(claim: Claim) -> Wamid | None:
    """What a customer's message speaks of, as long as nobody knows what that says."""
    quote = quote_of(claim.content) if claim.origin is Origin.CUSTOMER else None
    return (claim.channel.id, quote.whatsapp_id) if quote is not None and quote.kind is None else None


def _told(claim: Claim, known: Mapping[Wamid, Quotable]) -> Claim:
    wamid = _lost(claim)
    if wamid is None or isinstance(claim.content, Notice | Template):
        return claim
    content = quoted(claim.content, claim.conversation.id, wamid, known)
    return claim if content is claim.content else replace(claim, content=content)
