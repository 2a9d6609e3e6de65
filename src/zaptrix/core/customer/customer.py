"""Who a customer is: business-scoped user id first, then WhatsApp id verbatim, then canonical phone number."""

from __future__ import annotations

import msgspec


class Customer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one webhook says of a customer. At least one of `bsuid` and `wa_id` is there.

    Since 2026 the phone number may be absent from every webhook of a customer who has a username.
    https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
    """

    bsuid: str | None = None
    wa_id: str | None = None  # digits, exactly as Meta wrote them
    phone: str | None = None  # E.164 with "+", canonical: as the country's plan writes it today
    name: str | None = None
    username: str | None = None

    @property
    def key(self) -> str:
        """The strongest identity: what lanes are sharded by and what `meta_whatsapp_id` starts as."""
        return self.bsuid or self.wa_id or ""
