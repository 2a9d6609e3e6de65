"""CRM contacts of customers, where the open line does not make them itself."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from zaptrix.bitrix24 import wire
from zaptrix.bitrix24.client import PortalClient
from zaptrix.core.customer import Customer
from zaptrix.core.errors import Unexpected
from zaptrix.core.ids import PortalId
from zaptrix.core.names import clean_name
from zaptrix.core.phone import candidates
from zaptrix.core.portal import Portal


class Contacts:
    """Finds and makes contacts by phone number."""

    def __init__(self, client: PortalClient) -> None:
        self._client = client
        # A portal has one runner in the cluster, so a lock of this process keeps two conversations of one person, on
        # two channels, from making two contacts.
        self._locks: WeakValueDictionary[tuple[PortalId, str], asyncio.Lock] = WeakValueDictionary()

    async def find_or_create(self, portal: Portal, customer: Customer, *, request_id: str = "") -> int | None:
        """The contact with this customer's phone number; None when no number is known. Raises PlatformError."""
        if not customer.phone:
            return None
        lock = self._locks.setdefault((portal.id, customer.phone), asyncio.Lock())
        async with lock:
            found = await self.find(portal, customer.phone, request_id=request_id)
            return found or await self._create(portal, customer, customer.phone, request_id)

    async def find(self, portal: Portal, phone: str, *, request_id: str = "") -> int | None:
        """The oldest contact with this phone number, in any form in which it may have been written.

        https://apidocs.bitrix24.com/api-reference/crm/duplicates/crm-duplicate-find-by-comm.html
        """
        forms = [f"+{digits}" for digits in candidates(phone.removeprefix("+"))]
        result = await self._client.call(
            portal,
            "crm.duplicate.findbycomm",
            {"type": "PHONE", "values": forms, "entity_type": "CONTACT"},
            request_id=request_id,
        )
        return min(wire.contact_ids(result), default=None)

    async def find_chats(self, portal: Portal, contact_id: int, *, request_id: str = "") -> list[int]:
        """The chats of a contact on our connector, the newest first. A session that nobody has answered yet counts.

        https://apidocs.bitrix24.com/api-reference/imopenlines/openlines/chats/imopenlines-crm-chat-get.html
        """
        result = await self._client.call(
            portal,
            "imopenlines.crm.chat.get",
            {"CRM_ENTITY_TYPE": "contact", "CRM_ENTITY": contact_id, "ACTIVE_ONLY": "N"},
            request_id=request_id,
        )
        return wire.chat_ids(result, portal.connector_id)

    async def _create(self, portal: Portal, customer: Customer, phone: str, request_id: str) -> int:
        """https://apidocs.bitrix24.com/api-reference/crm/contacts/crm-contact-add.html"""
        first, last = clean_name(customer.name)
        fields = {
            "NAME": first or phone,
            "LAST_NAME": last,
            "PHONE": [{"VALUE": phone, "VALUE_TYPE": "MOBILE"}],
            "OPENED": "Y",
        }
        result = await self._client.call(portal, "crm.contact.add", {"fields": fields}, request_id=request_id)
        contact_id = wire.number(result)
        if contact_id is None:
            raise Unexpected("no_contact_id", "crm.contact.add answered without an id")
        return contact_id
