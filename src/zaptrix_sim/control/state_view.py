"""What the phones and the chats show, as JSON for the page and for tests.

Reads only.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from zaptrix_sim.bitrix24 import crm_book as book
from zaptrix_sim.judge.facts import Rank
from zaptrix_sim.world.files import told
from zaptrix_sim.world.world import Chat, ChatMessage, Phone, PhoneMessage, Portal, World

MESSAGES_DEFAULT: Final = 1000
THREADS_DEFAULT: Final = 500


def state(world: World, query: Mapping[str, str], now: float) -> dict[str, Any]:
    """Filters: portal, phone_number_id, customer, chat_id; `messages` and `threads` say how many of the latest there
    are to be."""
    most = _number(query, "messages", MESSAGES_DEFAULT)
    threads = _number(query, "threads", THREADS_DEFAULT)
    portals = [one for one in world.portals.values() if query.get("portal", one.key) == one.key]
    return {
        "numbers": [{"phone_number_id": one.id, "display_phone_number": one.display} for one in world.numbers.values()],
        "portals": [_portal(one) for one in portals],
        "phones": [_phone(phone, most, now) for phone in list(_phones(world, query))[-threads:]],
        "chats": [
            _chat(world.portals[chat.portal], chat, most) for chat in list(_chats(world, portals, query))[-threads:]
        ],
        "contacts": [_contact(one, card) for one in portals for card in one.crm.get(book.CONTACT, {}).values()],
    }


def _phones(world: World, query: Mapping[str, str]) -> Iterable[Phone]:
    for number in world.numbers.values():
        if query.get("phone_number_id", number.id) != number.id:
            continue
        for phone in number.phones.values():
            customer = phone.customer
            names = (customer.key, customer.wa_id, customer.user_id)
            if phone.messages and query.get("customer", customer.key) in names:
                yield phone


def _chats(world: World, portals: list[Portal], query: Mapping[str, str]) -> Iterable[Chat]:
    """A chat belongs to the phone whose text was the first in it."""
    threads = world.ledger.books.thread_of_room
    wanted, by_phone = query.get("chat_id"), bool({"phone_number_id", "customer"} & set(query))
    known = {phone.thread for phone in _phones(world, query)} if by_phone else set()
    for portal in portals:
        for chat in portal.chats.values():
            mine = not by_phone or threads.get((portal.key, chat.id)) in known
            if mine and wanted in {None, str(chat.id), chat.external_id}:
                yield chat


def _phone(phone: Phone, most: int, now: float) -> dict[str, Any]:
    customer = phone.customer
    return {
        "phone_number_id": phone.number.id,
        "customer": {
            "key": customer.key,
            "wa_id": customer.wa_id,
            "user_id": customer.user_id,
            "name": customer.name,
            "username": customer.username,
            "hide_phone": customer.hide_phone,
        },
        "typing": now < phone.typing_until,
        "typing_shown": phone.typing_shown,
        "typing_until": phone.typing_until,
        "messages": [_phone_message(message) for message in phone.messages[-most:] if message.rank is not Rank.FAILED],
        "failed": [_phone_message(message) for message in phone.messages[-most:] if message.rank is Rank.FAILED],
    }


def _phone_message(message: PhoneMessage) -> dict[str, Any]:
    return {
        **_by_metas_names(message),  # first: `text` is the words here, whatever Meta has under that name
        "id": message.id,
        "from": "customer" if message.by_customer else "business",
        "text": message.text,
        "at": message.at,
        "status": message.rank.name.lower(),
        "read_by_business": message.read_by_business,
        "buttons": message.buttons,
        "parts": message.parts,
        "biz_opaque_callback_data": message.mark,
        "file": told(message.file) | {"voice": message.voice} if message.file else None,
    }


def _by_metas_names(message: PhoneMessage) -> dict[str, Any]:
    """`type` and what stands under that name in a send or in a webhook: `interactive`, `location`, `contacts`,
    `reaction`...; `context` names what it quotes."""
    kind = message.item.get("type") or (message.file.kind if message.file else "text")
    return {"type": kind} | {name: message.item[name] for name in (kind, "context", "group_id") if name in message.item}


def _portal(portal: Portal) -> dict[str, Any]:
    lines = [
        {"id": line.id, "name": line.name, "connectors": _active(portal, line.id)} for line in portal.lines.values()
    ]
    bindings = [
        {"event": one.event, "handler": one.handler, "offline": one.offline}
        for bound in portal.bindings.values()
        for one in bound
    ]
    kept = sum(1 for row in portal.offline.values() if row["PROCESS_ID"])
    return {
        "portal": portal.key,
        "lines": lines,
        "bindings": bindings,
        "connectors": list(portal.connectors),
        "offline_rows": len(portal.offline),
        "offline_kept": kept,
    }


def _active(portal: Portal, line: int) -> list[str]:
    return [connector for connector, place in portal.active if place == line]


def _chat(portal: Portal, chat: Chat, most: int) -> dict[str, Any]:
    connector = portal.connectors.get(chat.connector)
    return {
        "portal": chat.portal,
        "line": chat.line,
        "connector": chat.connector,
        "chat_id": chat.id,
        "external_chat_id": chat.external_id,
        "title": chat.title,
        "edits": connector is None or connector.edits,
        "deletes": connector is None or connector.deletes,
        "session": {"id": chat.session.id, "closed": chat.session.closed} if chat.session else None,
        "messages": [_chat_message(message) for message in chat.messages[-most:]],
    }


def _chat_message(message: ChatMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "author": message.author,
        "name": message.name,
        "text": message.text,
        "at": message.at,
        "status": message.status,
        "connector_mids": message.mids,
        "hidden": message.hidden,
        "files": [told(file) for file in message.files],
        "deleted": message.deleted,
        "attach": message.attach,
        "edited": message.edited,
    }


def _contact(portal: Portal, card: book.Card) -> dict[str, Any]:
    phones = [row["value"] for row in card["phones"]]
    return {"portal": portal.key, "id": card["id"], "name": card.get("name", ""), "phones": phones}


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    return int(text) if text.isdigit() else default
