"""Verifies whether a portal has a message, so that nothing is sent twice.

A portal does not drop doubles, so after an unclear send its history is asked for the id that went with the message.
https://apidocs.bitrix24.com/api-reference/imopenlines/openlines/sessions/imopenlines-session-history-get.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from zaptrix.bitrix24 import wire
from zaptrix.bitrix24.markup.markup import ZWSP, from_bbcode
from zaptrix.bitrix24.portal.contacts import Contacts
from zaptrix.bitrix24.rest.client import PortalClient
from zaptrix.bitrix24.translate import carries_file, chat_of, keys_of, notice_line
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import PlatformError, Refused, Unauthorized, Unexpected
from zaptrix.core.delivery.outcome import Absent, Accepted, Proof, Unprovable
from zaptrix.core.message.message import Notice

_CHATS_MAX = 5
# The portal's clock is not ours. A line of the same words that is older than this was another notice.
_CLOCKS_APART = timedelta(minutes=1)


class Proofs:
    """Searches the history of a claim's chat."""

    def __init__(self, client: PortalClient, contacts: Contacts) -> None:
        self._client = client
        self._contacts = contacts

    async def find(self, claim: Claim) -> Accepted | Absent | Unprovable:
        """Accepted with the ids of the chat when the message is there. Raises PlatformError.

        Unprovable: it may have been sent before a restore, and its chat is not known, or it has no key but that of its
        place in the ledger, which it may have changed.
        """
        if isinstance(claim.content, Notice):
            return await self._find_notice(claim, claim.content)
        wanted, looked = set(keys_of(claim)), False
        async for history in self._histories(claim):
            looked = True
            found = [message for message in history.messages if not wanted.isdisjoint(message.external_ids)]
            if wanted <= {key for message in found for key in message.external_ids}:
                return Accepted(
                    bitrix_chat_id=history.chat_id or chat_of(claim),
                    bitrix_session_id=history.session_id,
                    file_missing=carries_file(claim) and not any(message.files for message in found),
                )
        is_sure = looked and claim.whatsapp_id is not None
        return Unprovable() if claim.suspect and not is_sure else Absent()

    async def delivered(self, claim: Claim) -> Proof:
        """Implements `core.ports.Witness`: an operator's message that was confirmed bears WhatsApp's id.

        https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-send-status-delivery.html
        """
        chat_id, session_id = chat_of(claim), claim.conversation.bitrix_session_id
        places: list[dict[str, object]] = [{"SESSION_ID": session_id}] if session_id else []
        places += [{"CHAT_ID": chat_id}] if chat_id else []
        for where in places if claim.bitrix_message_id else []:
            try:
                history = await self._history(claim, **where)
            except (Refused, Unauthorized, Unexpected):
                continue  # nobody is kept waiting for a portal that does not let us look
            except PlatformError as error:
                return error
            for message in history.messages:
                if message.id == claim.bitrix_message_id and claim.part < len(message.external_ids):
                    return Accepted(whatsapp_id=message.external_ids[claim.part])
        return Unprovable()

    async def keys_there(self, claim: Claim) -> set[str]:
        """The keys of messages that stand where this one would. Raises PlatformError."""
        return {
            key
            async for history in self._histories(claim)
            for message in history.messages
            for key in message.external_ids
        }

    async def _find_notice(self, claim: Claim, notice: Notice) -> Accepted | Absent:
        chat_id = chat_of(claim)
        if chat_id is None:
            return Absent()
        history = await self._history(claim, CHAT_ID=chat_id)
        wanted = _bare(notice_line(claim, notice))
        earliest = claim.created_at - _CLOCKS_APART
        # The portal may set the app's name above the line.
        lines = [message for message in history.messages if wanted in _bare(message.text)]
        young = [line for line in lines if line.written_at is None or line.written_at >= earliest]
        if len(young) > claim.twins:
            return Accepted(bitrix_chat_id=chat_id, bitrix_session_id=history.session_id)
        return Absent()

    async def _histories(self, claim: Claim) -> AsyncIterator[wire.History]:
        """Where the message would stand: in its chat, else in the session that it opened, else with its contact."""
        chat_id, session_id = chat_of(claim), claim.conversation.bitrix_session_id
        if chat_id is not None:
            yield await self._history(claim, CHAT_ID=chat_id)
        elif session_id is not None:
            yield await self._history(claim, SESSION_ID=session_id)
        else:
            for found in await self._chats(claim):
                yield await self._history(claim, CHAT_ID=found)

    async def _chats(self, claim: Claim) -> list[int]:
        contact_id, phone = claim.conversation.bitrix_contact_id, claim.conversation.customer.phone
        if contact_id is None and phone:
            contact_id = await self._contacts.find(claim.portal, phone, request_id=claim.request_id)
        if contact_id is None:
            return []
        chats = await self._contacts.find_chats(claim.portal, contact_id, request_id=claim.request_id)
        return chats[:_CHATS_MAX]

    async def _history(self, claim: Claim, **where: object) -> wire.History:
        return await self._client.ask(
            claim.portal, "imopenlines.session.history.get", where, wire.history, request_id=claim.request_id
        )


def _bare(text: str) -> str:
    """Words alone: a portal may add marks and change white space."""
    return " ".join(from_bbcode(text).plain.replace(ZWSP, "").split())
