"""The delivery port (`core.ports.Platform`) for Bitrix24."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from uuid import UUID

import msgspec

from zaptrix.bitrix24 import wire
from zaptrix.bitrix24.outbound.kinds import shown
from zaptrix.bitrix24.portal.contacts import Contacts
from zaptrix.bitrix24.portal.proof import Proofs
from zaptrix.bitrix24.rest.client import PortalClient
from zaptrix.bitrix24.rest.codes import safe_detail
from zaptrix.bitrix24.translate import (
    Element,
    carries_file,
    chat_of,
    is_long,
    is_wordless,
    to_delivery,
    to_elements,
    to_notice,
)
from zaptrix.core import limits
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import OutOfTime, PlatformError, Refused, TooFast, Unauthorized, Unavailable, Unclear
from zaptrix.core.delivery.outcome import Accepted, Outcome, Proof
from zaptrix.core.delivery.retry import Patience
from zaptrix.core.ids import PortalId
from zaptrix.core.message.message import MediaContent, Notice, Side
from zaptrix.core.message.template import Template
from zaptrix.core.portal import CrmMode
from zaptrix.core.ports import Call
from zaptrix.telemetry.log import logger

# A claim that has failed this often goes alone: one that makes whole calls fail must not take others with it.
_ATTEMPTS_TOGETHER = 2


class Bitrix24:
    """Implements `core.ports.Platform` and `core.ports.OperatorView`."""

    side = Side.BITRIX24
    claims_per_call = limits.BITRIX_TEXTS_PER_CALL
    shown = staticmethod(shown)

    def __init__(self, client: PortalClient, *, patience: Patience, calls_at_once: int) -> None:
        self.patience = patience
        self.calls_at_once = calls_at_once
        self._client = client
        self._contacts = Contacts(client)
        self._proofs = Proofs(client, self._contacts)

    def calls(self, claims: Sequence[Claim]) -> list[Call]:
        """What customers said on one line together, in order; a notice is a call of its own, and so is a file, which
        the portal fetches inside the call, and what goes in several parts."""
        calls: list[list[Claim]] = []
        filling: dict[tuple[str, int], list[Claim]] = {}
        for claim in claims:
            if (
                isinstance(claim.content, Notice | MediaContent)
                or claim.attempts >= _ATTEMPTS_TOGETHER
                or is_long(claim)
            ):
                calls.append([claim])
                continue
            line = _line(claim)
            call = filling.get(line)
            if call is None or len(call) >= self.claims_per_call:
                call = filling[line] = []
                calls.append(call)
            call.append(claim)
        return [tuple(call) for call in calls]

    def throttled_s(self, owner: UUID) -> float:
        """How many seconds the portal's next call would wait for its pace, as far as this process knows."""
        return self._client.throttled_s(PortalId(owner))

    async def send(self, call: Call) -> list[Outcome]:
        """One outcome a claim, in order."""
        first = call[0]
        if isinstance(first.content, Notice):
            return [await self._tell(first, first.content)]
        contacts = await asyncio.gather(*map(self._contact, call))
        ready = [claim for claim, contact in zip(call, contacts, strict=True) if _may_go(contact)]
        sent = iter(await self._post(ready) if ready else [])
        return [
            contact if isinstance(contact, PlatformError) else _with_contact(next(sent), contact)
            for contact in contacts
        ]

    async def prove(self, claim: Claim) -> Proof:
        """Accepted when the portal's history holds the message, Absent when it does not."""
        try:
            return await self._proofs.find(claim)
        except PlatformError as error:
            return error

    async def delivered(self, claim: Claim) -> Proof:
        """Implements `core.ports.Witness` for messages to WhatsApp."""
        return await self._proofs.delivered(claim)

    async def confirm(self, claims: Sequence[Claim]) -> list[Outcome]:
        """Tell the portal that operators' messages reached WhatsApp; one outcome each.

        The first call of a message counts and later ones change nothing, so it may be repeated.
        """
        outcomes: dict[int, Outcome] = {}
        for group in _deliveries(claims):
            outcome = await self._confirm_group([claims[index] for index in group])
            outcomes |= dict.fromkeys(group, outcome)
        # What no operator wrote (the API did) waits for no confirmation.
        return [outcomes.get(index, Accepted()) for index in range(len(claims))]

    async def _contact(self, claim: Claim) -> int | PlatformError | None:
        """The contact to remember; an error when the message has to wait."""
        conversation = claim.conversation
        if claim.channel.crm_mode is not CrmMode.GATEWAY or conversation.bitrix_contact_id is not None:
            return None
        try:
            return await self._contacts.find_or_create(
                claim.portal,
                conversation.customer,
                referral=conversation.referral,
                request_id=claim.request_id,
            )
        except (OutOfTime, TooFast, Unauthorized, Unavailable) as error:
            return error
        except PlatformError as error:
            # A CRM that refuses a contact must not keep the customer's words from the operator.
            logger().warning(
                "contact_not_made",
                portal_id=str(claim.portal.id),
                conversation_id=str(conversation.id),
                code=error.code,
                detail=error.detail,
            )
            return None

    async def _post(self, claims: Sequence[Claim]) -> list[Outcome]:
        first = claims[0]
        if len(claims) == 1 and is_long(first):
            return [await self._post_parts(first)]
        return await self._put(
            claims,
            [
                element
                for claim in claims
                if not isinstance(claim.content, Notice | Template)
                for element in to_elements(claim, claim.content)
            ],
        )

    async def _post_parts(self, claim: Claim) -> Outcome:
        """One part after another, as many as a call takes; after a failure only those that are not in the chat."""
        assert not isinstance(claim.content, Notice | Template)
        elements = to_elements(claim, claim.content)
        accepted = Accepted(bitrix_chat_id=chat_of(claim))
        # A revived one has no attempts, and may have parts there all the same.
        perhaps_there = claim.attempts or chat_of(claim) is not None
        try:
            there = await self._proofs.keys_there(claim) if perhaps_there else set()
        except PlatformError as error:
            return error
        missing = [element for element in elements if element.key not in there]
        for start in range(0, len(missing), self.claims_per_call):
            some = missing[start : start + self.claims_per_call]
            outcomes = await self._put([claim] * len(some), some)
            failed = next((one for one in outcomes if isinstance(one, PlatformError)), None)
            if failed is not None:
                # Some parts are there: what is looked for first, and not sent anew as a whole, is never doubled.
                return Unclear(failed.code, failed.detail) if start and not isinstance(failed, Refused) else failed
            if some[0] is elements[0] or not accepted.bitrix_session_id:
                accepted = _of_part(outcomes[0], has_file=some[0] is elements[0])
        return accepted

    async def _put(self, claims: Sequence[Claim], elements: Sequence[Element]) -> list[Outcome]:
        """One element of each claim; one outcome each."""
        first = claims[0]
        params: dict[str, object] = {
            "CONNECTOR": first.portal.connector_id,
            "LINE": first.channel.line_id,
            "MESSAGES": [element.content for element in elements],
        }
        try:
            items = await self._client.ask(
                first.portal, "imconnector.send.messages", params, wire.sent_items, request_id=first.request_id
            )
        except Refused as error:
            return [Refused(error.code, error.detail, notice="inbound_lost")] * len(claims)
        except PlatformError as error:
            return [error] * len(claims)
        # Results carry no id of ours that can be trusted: their place in the list is what names them.
        return [_outcome(items[index] if index < len(items) else None, claim) for index, claim in enumerate(claims)]

    async def _tell(self, claim: Claim, notice: Notice) -> Outcome:
        chat_id = chat_of(claim)
        if chat_id is None:
            return Refused("no_chat", "the conversation has no chat yet")
        try:
            told = to_notice(claim, notice, chat_id)
            await self._client.ask(claim.portal, "im.message.add", told, wire.number, request_id=claim.request_id)
        except PlatformError as error:
            return error
        return Accepted(bitrix_chat_id=chat_id)

    async def _confirm_group(self, claims: Sequence[Claim]) -> Outcome:
        first = claims[0]
        params: dict[str, object] = {
            "CONNECTOR": first.portal.connector_id,
            "LINE": first.channel.line_id,
            "MESSAGES": list(map(to_delivery, claims)),
        }
        try:
            await self._client.call(
                first.portal, "imconnector.send.status.delivery", params, request_id=first.request_id
            )
        except PlatformError as error:
            return error
        return Accepted()


def _of_part(outcome: Outcome, *, has_file: bool) -> Accepted:
    """What the portal said of a part; of a file only the first one tells."""
    assert isinstance(outcome, Accepted)
    return outcome if has_file else msgspec.structs.replace(outcome, file_missing=False)


def _line(claim: Claim) -> tuple[str, int]:
    return claim.portal.connector_id, claim.channel.line_id


def _may_go(contact: int | PlatformError | None) -> bool:
    return not isinstance(contact, PlatformError)


def _with_contact(outcome: Outcome, contact_id: int | None) -> Outcome:
    if contact_id is None or not isinstance(outcome, Accepted):
        return outcome
    return msgspec.structs.replace(outcome, bitrix_contact_id=contact_id)


def _outcome(item: wire.SentItem | None, claim: Claim) -> Outcome:
    """https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-send-messages.html"""
    if item is None or item.success is None:
        return Unclear("no_result", "the answer does not speak of this message")
    if item.success and item.chat_id:
        missing = carries_file(claim) and not item.files
        return Accepted(bitrix_chat_id=item.chat_id, bitrix_session_id=item.session_id, file_missing=missing)
    if item.success:
        return Unclear("no_session", "accepted, but into no chat")
    if carries_file(claim) and is_wordless(claim):
        # So an element is refused whose file the portal could not fetch, as while no gateway runs: that passes.
        return Unavailable("file_not_fetched", safe_detail(item.errors))
    return Refused("item_refused", safe_detail(item.errors), notice="inbound_lost")


def _deliveries(claims: Sequence[Claim]) -> Iterator[list[int]]:
    """Places of the claims that an operator waits for, by line, as many as one call takes."""
    lines: dict[tuple[str, int], list[int]] = {}
    for index, claim in enumerate(claims):
        if claim.bitrix_message_id and claim.whatsapp_id and chat_of(claim):
            lines.setdefault(_line(claim), []).append(index)
    for line in lines.values():
        for start in range(0, len(line), limits.BITRIX_CONFIRMS_PER_CALL):
            yield line[start : start + limits.BITRIX_CONFIRMS_PER_CALL]
