"""Admit: which portal an event truly comes from, on arrival and once more when the spool is replayed."""

from __future__ import annotations

from zaptrix.bitrix24.inbound import webhook
from zaptrix.bridge.receive.heartbeat import Watch
from zaptrix.bridge.tenants.directory import Directory
from zaptrix.core import limits
from zaptrix.core.event import NewEvent


class NotAdmitted(Exception):
    """The event does not carry the application token of the portal that it names."""


class Admission:
    """Checks Bitrix24's events: there is no signature, so the installation's constant token authenticates them."""

    def __init__(self, directory: Directory, watch: Watch) -> None:
        self._directory = directory
        self._watch = watch

    async def admit(self, body: bytes, request_id: str) -> list[NewEvent]:
        """The items of a posted form. Raises webhook.BadForm, NotAdmitted, StoreUnavailable or UnreadableSecret.

        Who it comes from is found out first: an unknown sender's form is not worth the work.
        """
        claimed = member_id, token = webhook.claimed_in(body)
        sender = await self._directory.sender(member_id) if member_id and token else None
        if sender is None or not webhook.same_token(sender.application_token, token):
            if len(body) <= limits.STRANGERS_FORM_BYTES_MAX:
                webhook.parse_form(body)  # its faults are told to whoever calls this endpoint
            raise NotAdmitted("unknown portal or wrong application token")
        form = webhook.parse_form(body)
        if webhook.claimed_sender(form) != claimed:
            raise NotAdmitted("unknown portal or wrong application token")
        events = webhook.to_event(webhook.as_posted(form), sender.portal.id, request_id)
        return self._watch.hold(sender.portal.id, events)
