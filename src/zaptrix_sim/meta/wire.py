"""The shapes of Meta's webhooks: one update's value, and the post that carries several.

Pure.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from zaptrix_sim.judge.facts import Rank
from zaptrix_sim.world.world import Customer, Phone, PhoneMessage, StoredFile

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Update:
    """One webhook item that waits to be acknowledged."""

    id: int
    kind: str
    phone: Phone
    item: Json
    contact: Json | None
    wamid: str
    tries: int = 0
    held: bool = field(default=False)

    @property
    def lane(self) -> tuple[str, str]:
        return self.phone.thread


def message_item(phone: Phone, message: PhoneMessage) -> Json:
    customer = phone.customer
    sender = {} if customer.hide_phone else {"from": customer.wa_id}
    if message.item:
        own = {"from_user_id": customer.user_id, "id": message.id, "timestamp": str(int(message.at))}
        return sender | own | message.item
    return {
        **sender,
        "from_user_id": customer.user_id,
        "id": message.id,
        "timestamp": str(int(message.at)),
        **content_of(message.file, message.text, voice=message.voice),
    }


def content_of(file: StoredFile | None, text: str, *, voice: bool) -> Json:
    """A text, or a file with what was written under it."""
    if file is None:
        return {"type": "text", "text": {"body": text}}
    media: Json = {
        "id": file.id,
        "mime_type": file.mime,
        "sha256": base64.b64encode(bytes.fromhex(file.sha256)).decode(),
    }
    if text and file.kind in {"image", "video", "document"}:
        media["caption"] = text
    if file.kind == "document" and file.name:
        media["filename"] = file.name
    if file.kind == "audio":
        media["voice"] = voice
    if file.kind == "sticker":
        media["animated"] = False
    return {"type": file.kind, file.kind: media}


def status_item(phone: Phone, message: PhoneMessage, rank: Rank, now: float, error: Json | None = None) -> Json:
    customer = phone.customer
    item: Json = {"id": message.id, "status": rank.name.lower(), "timestamp": str(int(now))}
    if not (message.to_user_id and customer.hide_phone):
        item["recipient_id"] = customer.wa_id
    if rank is not Rank.FAILED or message.to_user_id:
        item["recipient_user_id"] = customer.user_id
    if message.mark:
        item["biz_opaque_callback_data"] = message.mark
    if rank in {Rank.SENT, Rank.DELIVERED}:
        item["pricing"] = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": message.category}
    if error is not None:
        item["errors"] = [error]
    return item


def contact(customer: Customer, *, with_username: bool = True) -> Json:
    profile = {"name": customer.name}
    if customer.username and with_username:
        profile["username"] = customer.username
    known = {} if customer.hide_phone else {"wa_id": customer.wa_id}
    return {"profile": profile, **known, "user_id": customer.user_id}


def body_of(updates: Iterable[Update]) -> bytes:
    """The bytes of one post. Meta escapes what is not ASCII, and slashes, and signs the bytes as sent."""
    entries: dict[str, dict[tuple[str, str], list[Update]]] = {}
    for update in updates:
        number = update.phone.number
        entries.setdefault(number.waba_id, {}).setdefault((number.id, update.kind), []).append(update)
    document = {
        "object": "whatsapp_business_account",
        "entry": [
            {"id": waba, "changes": [{"value": _value(group), "field": "messages"} for group in groups.values()]}
            for waba, groups in entries.items()
        ],
    }
    return json.dumps(document, separators=(",", ":")).replace("/", "\\/").encode()


def account_body_of(waba_id: str, field: str, value: Json, now: float) -> bytes:
    """What concerns an account and no number: it has no metadata."""
    entry = {"id": waba_id, "time": int(now), "changes": [{"value": value, "field": field}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}, separators=(",", ":")).encode()


def signature(body: bytes, app_secret: str) -> str:
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def _value(group: list[Update]) -> Json:
    """One number's updates of one kind. A customer's profile stands there once, however much she wrote."""
    number = group[0].phone.number
    contacts = {update.phone.customer.key: update.contact for update in group if update.contact is not None}
    return {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": number.display, "phone_number_id": number.id},
        **({"contacts": list(contacts.values())} if contacts else {}),
        group[0].kind: [update.item for update in group],
    }


def moved_item(wamid: str, now: float, before: Customer, after: Customer) -> Json:
    """A customer has another number, or another user id: told without contacts, and not written by the customer."""
    number_changed = before.wa_id != after.wa_id
    system: Json = {
        "type": "user_changed_number" if number_changed else "user_changed_user_id",
        "body": f"User {after.name} changed",
        "user_id": after.user_id,
        "previous_user_id": before.user_id,
    }
    if number_changed:
        system["wa_id"] = after.wa_id
    return {"from": before.wa_id, "id": wamid, "timestamp": str(int(now)), "type": "system", "system": system}
