"""CRM contacts of customers, where the open line does not make them itself."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from zaptrix.bitrix24 import wire
from zaptrix.bitrix24.rest.client import PortalClient
from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.display_name import clean_name
from zaptrix.core.customer.phone import candidates
from zaptrix.core.customer.referral import Referral, utm_of
from zaptrix.core.delivery.errors import Refused, Unexpected
from zaptrix.core.ids import PortalId
from zaptrix.core.portal import Portal


class Contacts:
    """Finds and makes contacts by phone number."""

    def __init__(self, client: PortalClient) -> None:
        self._client = client
        # Keeps two conversations of one person, on two channels, from making two contacts. In this process only: nobody
        # keeps two of them from it.
        self._locks: WeakValueDictionary[tuple[PortalId, str], asyncio.Lock] = WeakValueDictionary()

    async def find_or_create(
        self, portal: Portal, customer: Customer, *, referral: Referral | None = None, request_id: str = ""
    ) -> int | None:
        """The contact with this customer's phone number; None when no number is known. Raises PlatformError.

        `referral`: what brought the customer here, for a contact that is made.
        """
        if not customer.phone:
            return None
        lock = self._locks.setdefault((portal.id, customer.phone), asyncio.Lock())
        async with lock:
            found = await self.find(portal, customer.phone, request_id=request_id)
            return found or await self._create(portal, customer, referral, request_id)

    async def find(self, portal: Portal, phone: str, *, request_id: str = "") -> int | None:
        """The oldest contact with this phone number, in any form in which it may have been written.

        https://apidocs.bitrix24.com/api-reference/crm/duplicates/crm-duplicate-find-by-comm.html
        """
        forms = [f"+{digits}" for digits in candidates(phone.removeprefix("+"))]
        return await self._client.ask(
            portal,
            "crm.duplicate.findbycomm",
            {"type": "PHONE", "values": forms, "entity_type": "CONTACT"},
            lambda result: min(wire.contact_ids(result), default=None),
            request_id=request_id,
        )

    async def find_chats(self, portal: Portal, contact_id: int, *, request_id: str = "") -> list[int]:
        """The chats of a contact on our connector, the newest first. A session that nobody has answered yet counts.

        https://apidocs.bitrix24.com/api-reference/imopenlines/openlines/chats/imopenlines-crm-chat-get.html
        """
        return await self._client.ask(
            portal,
            "imopenlines.crm.chat.get",
            {"CRM_ENTITY_TYPE": "contact", "CRM_ENTITY": contact_id, "ACTIVE_ONLY": "N"},
            lambda result: wire.chat_ids(result, portal.connector_id),
            request_id=request_id,
        )

    async def _create(self, portal: Portal, customer: Customer, referral: Referral | None, request_id: str) -> int:
        """https://apidocs.bitrix24.com/api-reference/crm/contacts/crm-contact-add.html"""
        first, last = clean_name(customer.name)
        fields: dict[str, object] = {
            "NAME": first or customer.phone,
            "LAST_NAME": last,
            "PHONE": [{"VALUE": customer.phone, "VALUE_TYPE": "MOBILE"}],
            "OPENED": "Y",
        }
        source = source_fields(referral) if referral else {}
        try:
            return await self._add(portal, fields | source, request_id)
        except Refused:
            # A portal may have taken the source from its list: the contact is worth more than where it came from.
            if "SOURCE_ID" not in source:
                raise
        del source["SOURCE_ID"]
        return await self._add(portal, fields | source, request_id)

    async def _add(self, portal: Portal, fields: dict[str, object], request_id: str) -> int:
        contact_id = await self._client.ask(
            portal, "crm.contact.add", {"fields": fields}, wire.number, request_id=request_id
        )
        if contact_id is None:
            raise Unexpected("no_contact_id", "crm.contact.add answered without an id")
        return contact_id


# Of the sources that every portal has from the start.
# https://apidocs.bitrix24.com/api-reference/crm/status/crm-status-list.html
_SOURCES = {"ad": "ADVERTISING"}


def source_fields(referral: Referral) -> dict[str, object]:
    """Where a customer came from, as CRM fields."""
    told = (referral.headline, referral.url, f"ctwa_clid {referral.click_id}" if referral.click_id else None)
    fields: dict[str, object] = {name.upper(): value[:_FIELD_MAX] for name, value in utm_of(referral).items()}
    if description := " · ".join(text for text in told if text):
        fields["SOURCE_DESCRIPTION"] = description
    if referral.source in _SOURCES:
        fields["SOURCE_ID"] = _SOURCES[referral.source]
    return fields


_FIELD_MAX = 255
