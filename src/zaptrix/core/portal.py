"""Portals and channels: who the tenants are and which number is joined to which open line."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from zaptrix.core.ids import ChannelId, PortalId
from zaptrix.core.wording.catalog import Locale as Locale  # noqa: PLC0414  # many have it from here

# Meta tells whole seconds, by its own clock.
_CLOCKS_DIFFER = timedelta(seconds=60)


class CrmMode(StrEnum):
    """Who finds or creates the CRM contact of a new customer."""

    LINE = "line"  # the open line's own tracker (the default: two creators make duplicates)
    GATEWAY = "gateway"  # Zaptrix: crm.duplicate.findbycomm, then crm.contact.add
    NONE = "none"


class Portal(msgspec.Struct, frozen=True, kw_only=True):
    """One Bitrix24 account. Secrets stay in the store and are never part of this value."""

    id: PortalId
    portal_url: str
    member_id: str
    client_endpoint: str  # ends in "/rest/"
    connector_id: str
    locale: Locale = Locale.PT_BR
    enterprise: bool = False
    # A self-hosted portal's own pace, set by its administrator; None: the cloud's limits, by plan.
    rate_per_s: int | None = None
    # Operators' messages are also kept in the portal's own queue, and read from there.
    offline_events: bool = False
    paused_at: datetime | None = None
    paused_reason: str | None = None


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """One WhatsApp number joined to one open line of a portal."""

    id: ChannelId
    portal_id: PortalId
    name: str
    phone_number_id: str
    display_phone_number: str
    line_id: int
    waba_id: str | None = None  # the WhatsApp Business account of the number, once somebody told it
    rate_per_s: int = 80  # the number's throughput: 80 by default, 20 in coexistence, up to 1,000
    crm_mode: CrmMode = CrmMode.LINE
    operator_prefix: bool = False
    mark_read: bool = True
    typing: bool = True  # shown while an operator's file is prepared; only with mark_read, as it is one call
    registered_at: datetime | None = None  # the connector stands on the line and events are bound
    subscribed_at: datetime | None = None  # the number's account was last seen to send its webhooks to our app
    # Until then the number was another portal's: what came for it before is not for this one. None: it never was.
    number_since: datetime | None = None
    # A channel can be held on one side alone: a dead WhatsApp token must not keep customers' words from the operator.
    whatsapp_paused_at: datetime | None = None
    whatsapp_paused_reason: str | None = None
    line_paused_at: datetime | None = None
    line_paused_reason: str | None = None

    def owned_at(self, received_at: datetime) -> bool:
        """Whether what came for the number then came for this portal."""
        return self.number_since is None or received_at >= self.number_since

    def owned_when_written(self, written_at: datetime) -> bool:
        """The same of what a customer wrote, by Meta's clock: a webhook may come days after, and the number be another
        portal's by then."""
        return self.number_since is None or written_at >= self.number_since - _CLOCKS_DIFFER
