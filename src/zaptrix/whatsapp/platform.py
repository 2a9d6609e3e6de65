"""WhatsApp as delivery sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from zaptrix.core.errors import PlatformError, Refused, TooFast
from zaptrix.core.ids import ConversationId, callback_data
from zaptrix.core.limits import WHATSAPP_TEXT_MAX
from zaptrix.core.message import Origin, Side, Words
from zaptrix.core.outcome import Absent, Accepted, Outcome, Proof
from zaptrix.core.parcel import Parcel
from zaptrix.core.ports import Call, Statuses
from zaptrix.core.retry import Patience
from zaptrix.core.template import Template
from zaptrix.core.text import Mark, Span, Text
from zaptrix.whatsapp.client import GraphClient, Wamid
from zaptrix.whatsapp.markup import to_whatsapp
from zaptrix.whatsapp.templates import to_wire

CALLS_AT_ONCE = 32


class WhatsApp:
    """Implements `core.ports.Platform`."""

    side = Side.WHATSAPP
    parcels_per_call = 1

    def __init__(
        self, graph: GraphClient, statuses: Statuses, *, patience: Patience, calls_at_once: int = CALLS_AT_ONCE
    ) -> None:
        self._graph = graph
        self._statuses = statuses
        self.patience = patience
        self.calls_at_once = calls_at_once

    def calls(self, parcels: Sequence[Parcel]) -> list[Call]:
        """The Graph API takes one message a request."""
        return [(parcel,) for parcel in parcels]

    async def send(self, call: Call) -> list[Outcome]:
        return [await self._send(parcel) for parcel in call]

    async def prove(self, parcel: Parcel) -> Proof:  # noqa: ARG002 -- the port names it
        """Meta cannot be asked. A status that names the message proves it, and by now would have moved it by itself:
        unless nobody was there to be told, and Meta tries again later.

        https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status
        """
        wait_s = await self._statuses.under_way_s()
        return TooFast("status_under_way", "Meta may still have to tell", wait_s=wait_s) if wait_s else Absent()

    async def confirm(self, parcels: Sequence[Parcel]) -> list[Outcome]:
        """Blue ticks. Marking a message marks all before it, so that the newest of a conversation does for the rest."""
        newest: dict[ConversationId, Parcel] = {}
        for parcel in parcels:
            known = newest.get(parcel.conversation.id)
            if _can_be_read(parcel) and (known is None or known.message_id < parcel.message_id):
                newest[parcel.conversation.id] = parcel
        at_once = asyncio.Semaphore(self.calls_at_once)
        outcomes = await asyncio.gather(*(self._mark_read(parcel, at_once) for parcel in newest.values()))
        marked = dict(zip(newest, outcomes, strict=True))
        return [marked[p.conversation.id] if _can_be_read(p) else Accepted() for p in parcels]

    async def _send(self, parcel: Parcel) -> Outcome:
        try:
            sent = await self._handed(parcel)
        except PlatformError as error:
            return error
        return Accepted(whatsapp_id=sent.whatsapp_id, wa_id=sent.wa_id)

    async def _handed(self, parcel: Parcel) -> Wamid:
        mark = callback_data(parcel.message_id)
        if isinstance(parcel.content, Template):
            message = ("template", to_wire(parcel.content))
            return await self._graph.send(parcel.channel, parcel.conversation, message, mark, parcel.request_id)
        body = _body(parcel)
        return await self._graph.send_text(parcel.channel, parcel.conversation, body, mark, parcel.request_id)

    async def _mark_read(self, parcel: Parcel, at_once: asyncio.Semaphore) -> Outcome:
        assert parcel.whatsapp_id is not None
        async with at_once:
            try:
                await self._graph.mark_read(parcel.channel, parcel.whatsapp_id, parcel.request_id)
            except PlatformError as error:
                return error
        return Accepted()


def _can_be_read(parcel: Parcel) -> bool:
    return parcel.channel.mark_read and parcel.whatsapp_id is not None and parcel.origin is Origin.CUSTOMER


def _body(parcel: Parcel) -> str:
    """The text as it goes out. Raises Refused for what WhatsApp would never take."""
    content = parcel.content
    if not isinstance(content, Words):
        raise Refused("unsupported", "only text goes to WhatsApp", notice="unsupported")
    if not content.text:
        raise Refused("empty", "the text is empty")
    signed = parcel.channel.operator_prefix and content.author
    body = to_whatsapp(_signed(content.text, content.author or "") if signed else content.text)
    if len(body) > WHATSAPP_TEXT_MAX:
        # The detail is the limit: the operator's notice names it.
        raise Refused("too_long", str(WHATSAPP_TEXT_MAX), notice="too_long")
    return body


def _signed(text: Text, author: str) -> Text:
    return Text((Span(f"{' '.join(author.split())}:", (Mark.BOLD,)), Span("\n"), *text.spans))
