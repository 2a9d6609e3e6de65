"""What became of one claimed message in one call."""

from __future__ import annotations

import msgspec

from zaptrix.core.delivery.errors import PlatformError


class Accepted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The platform took the message, and these are the ids that it gave."""

    whatsapp_id: str | None = None
    wa_id: str | None = None  # the customer's WhatsApp id as Meta canonicalised it
    bitrix_chat_id: int | None = None
    bitrix_session_id: int | None = None
    bitrix_contact_id: int | None = None
    file_missing: bool = False  # the portal took the words and could not fetch the file
    file_lost: str | None = None  # the words went to WhatsApp without their file: the code of why it was not taken


class Absent(msgspec.Struct, frozen=True):
    """The platform was asked for proof and has never seen the message."""


class Unprovable(msgspec.Struct, frozen=True):
    """There is nobody who could be asked, or no place to look: perhaps it was sent."""


Outcome = Accepted | PlatformError  # of a send or a confirmation
Proof = Accepted | Absent | Unprovable | PlatformError
