"""Quotes: WhatsApp names the message that is answered, and the ledger knows what it said."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from zaptrix.core.ids import ConversationId
from zaptrix.core.limits import QUOTE_CHARACTERS_MAX
from zaptrix.core.message.kinds import Quote
from zaptrix.core.message.message import Direction, Said, gist_of, kind_of, quote_of, with_quote
from zaptrix.store.ledger.messages import Quotable, Wamid


def quoted(content: Said, talk: ConversationId, wamid: Wamid | None, known: Mapping[Wamid, Quotable]) -> Said:
    """`content`, with the words of what it quotes; only its own conversation's are shown to whoever reads it."""
    quote = quote_of(content)
    found = known.get(wamid) if wamid else None
    if quote is None or found is None or found.conversation_id != talk:
        return content
    return with_quote(content, told_of(quote, found))


def told_of(quote: Quote, found: Quotable) -> Quote:
    """`quote`, with what the ledger knows of the message that it names."""
    # One more than is shown tells that there is more.
    gist = gist_of(found.content)[: QUOTE_CHARACTERS_MAX + 1]
    ours = found.direction is Direction.OUTBOUND
    return replace(quote, kind=kind_of(found.content), ours=ours, gist=gist)
