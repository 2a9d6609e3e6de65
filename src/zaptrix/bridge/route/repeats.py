"""Repeats: what comes under an id that is known already.

Meta delivers a message twice, and sometimes first says that it cannot show it and then does: with another body under
the same id. The same body is one message; another one is shown as well, in its order, under an id of its own.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from zaptrix.core.event import CustomerMessage
from zaptrix.core.ids import further_id
from zaptrix.core.message.kinds import NO_MARKS, Edited, Quote, Reaction, Revoked, Unknown, Unsupported
from zaptrix.core.message.message import Content, Notice, Said, with_quote
from zaptrix.core.message.template import Template
from zaptrix.store.ledger.contents import as_kept

_encode = msgspec.json.Encoder().encode


def further(said: CustomerMessage, known: Content) -> CustomerMessage | None:
    """`said` as a message of its own beside `known`, which came under its id; None when it tells nothing more."""
    if isinstance(known, Notice | Template) or isinstance(said.content, Unsupported | Unknown):
        return None
    content = as_kept(said.content)
    if _told(known) == _told(content):
        return None
    if isinstance(content, Edited | Revoked) and content.marks.quote is None:
        content = with_quote(content, Quote(whatsapp_id=said.whatsapp_id))
    mark = blake2b(_encode((said.written_at, _told(content))), digest_size=6).hexdigest()
    return replace(said, content=content, whatsapp_id=further_id(said.whatsapp_id, mark))


def _told(content: Said) -> tuple[Said, str | None]:
    """What makes two bodies the same: what stands beside the words is learned later on, and counts only where it says
    what they are about."""
    quote = content.marks.quote if isinstance(content, Edited | Revoked | Reaction) else None
    return replace(content, marks=NO_MARKS), quote.whatsapp_id if quote else None
