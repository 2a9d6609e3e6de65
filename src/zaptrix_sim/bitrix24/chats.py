"""A portal's chats: guests, sessions, messages of clients, operators and the system, and the CRM tracker.

Whatever is put into a chat is told to the judge here, whether it came by REST or from the page.
https://apidocs.bitrix24.com/api-reference/imopenlines/index.html
"""

from collections.abc import Iterable
from typing import Any, Final

from zaptrix_sim.bitrix24 import crm_book as book
from zaptrix_sim.bitrix24.events import BitrixEvents
from zaptrix_sim.bitrix24.files import file_item
from zaptrix_sim.judge.facts import FileArrived, FileSent, Noticed, OperatorWrote, PutInChat, ToldDelivered
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.files import known_text
from zaptrix_sim.world.world import Chat, ChatMessage, Guest, Portal, Session, StoredFile, digits_of

TEXT_MAX: Final = 20_000
CODE_MAX: Final = 255
CLOSE_TERM_MIN: Final = 10
FIRST_OPERATOR_ID: Final = 27
NOT_ALL_DATA: Final = "Not all the required data has been transferred"


class Chats:
    def __init__(self, engine: Engine, events: BitrixEvents) -> None:
        self._engine = engine
        self._events = events

    # --- a client's text -----------------------------------------------------------------------------------------

    def put(
        self, portal: Portal, connector: str, line: int, element: dict[str, Any], files: list[StoredFile]
    ) -> dict[str, Any]:
        """One element of send.messages: in the chat, or an item that tells why not. `message.date` is ignored, and a
        `message.id` that is there already is not noticed."""
        user, message, chat_block = element["user"], element["message"], element["chat"]
        external, text = str(chat_block.get("id") or ""), str(message.get("text") or "")
        # A file that could not be fetched is left out, and nobody is told.
        if not user.get("id") or not external or not (text or files):
            return {"SUCCESS": False, "ERRORS": [NOT_ALL_DATA]}
        guest = self._guest(portal, connector, user)
        chat = self._chat(portal, connector, line, external, guest)
        if chat is None:
            return {"SUCCESS": False, "ERRORS": ["The dialog code is not correct"]}
        session = self._session(portal, chat, track=message.get("disable_crm") != "Y")
        mid = str(message.get("id") or "")
        if len(text) > TEXT_MAX:
            text = text[:TEXT_MAX] + " (...)"
        mids = [mid] if mid else []
        put = self._append(portal, chat, text, author="customer", author_id=guest.id, name=guest.name, mids=mids)
        put.files = files
        room = (portal.key, chat.id)
        self._engine.record(PutInChat(mid, room, f"{connector}|{line}"))
        for file in files:
            self._engine.record(FileArrived(mid, file.sha256, by_customer=True, room=room))
        self._engine.chat_changed(chat)
        return {
            "user": str(guest.id),
            "message": {"id": mid, "date": {}, "text": text} | _file_ids(files),
            "chat": {"id": external},
            "extra": {},
            "SUCCESS": True,
            "session": {"ID": str(session.id), "CHAT_ID": str(chat.id)},
        }

    def _guest(self, portal: Portal, connector: str, user: dict[str, Any]) -> Guest:
        key = (connector, str(user["id"]))
        guest = portal.guests.get(key)
        name = (
            " ".join(part for part in (user.get("name"), user.get("last_name")) if part) or user.get("title") or "Guest"
        )
        phone = book.phone_of(digits_of(str(user.get("phone") or "")))
        if guest is None:
            guest = Guest(id=portal.guest_ids.take(), external_id=key[1], name=str(name))
            portal.guests[key] = guest
        guest.name, guest.phone = str(name), phone or guest.phone
        return guest

    def _chat(self, portal: Portal, connector: str, line: int, external: str, guest: Guest) -> Chat | None:
        code = f"{connector}|{line}|{external}|{guest.id}"
        chat = portal.chat_by_code.get(code)
        if chat is None:
            if "|" in external or "|" in guest.external_id or len(code) > CODE_MAX:
                return None
            chat = Chat(
                id=portal.chat_ids.take(),
                portal=portal.key,
                connector=connector,
                line=line,
                external_id=external,
                guest=guest,
                title=f"{guest.name} - {portal.lines[line].name}",
            )
            portal.chats[chat.id] = portal.chat_by_code[code] = portal.chat_by_external[external] = chat
        return chat

    # --- sessions ------------------------------------------------------------------------------------------------

    def _session(self, portal: Portal, chat: Chat, *, track: bool) -> Session:
        """The open session of a chat, or a new one in the same chat."""
        if chat.session is not None and not chat.session.closed:
            return chat.session
        parent = chat.session.id if chat.session else 0
        session = Session(
            id=portal.session_ids.take(),
            chat_id=chat.id,
            parent_id=parent,
            at=self._engine.now(),
            first=len(chat.messages),
        )
        portal.sessions[session.id] = chat.session = session
        if track:
            self._track(portal, chat)
        self._dialog_event(portal, chat, "ONIMCONNECTORDIALOGSTART")
        return session

    def finish(self, portal: Portal, chat: Chat) -> None:
        """An operator closes the conversation; the customer's next text opens a new session in the same chat."""
        if chat.session is None or chat.session.closed:
            return
        chat.session.closed = True
        self._dialog_event(portal, chat, "ONIMCONNECTORDIALOGFINISH")

    def _dialog_event(self, portal: Portal, chat: Chat, event: str) -> None:
        session = chat.session
        assert session is not None
        item = {
            "connector": {
                "connector_id": chat.connector,
                "line_id": chat.line,
                "chat_id": chat.external_id,
                "user_id": chat.guest.id,
            },
            "session": {
                "id": session.id,
                "closed": "Y" if session.closed else "N",
                "parent_id": session.parent_id,
                "close_term": CLOSE_TERM_MIN,
            },
            "chat": {"id": chat.external_id},
            "user": {"id": chat.guest.id},
        }
        data = {"CONNECTOR": chat.connector, "LINE": chat.line, "DATA": [item]}
        self._events.emit(portal, event, data, chat=chat.external_id)

    def _track(self, portal: Portal, chat: Chat) -> None:
        """The CRM tracker: bind who has this phone already, else create what the line says for unknown clients."""
        guest, line = chat.guest, portal.lines[chat.line]
        if line.crm != "Y" or guest.contact_id or guest.lead_id:
            return
        found = book.find_by_phone(portal, [guest.phone]) if guest.phone else {}
        guest.contact_id = next(iter(found.get(book.CONTACT, ())), 0)
        guest.lead_id = next(iter(found.get(book.LEAD, ())), 0)
        if not guest.contact_id and not guest.lead_id and line.crm_create == "lead":
            self._create_lead(portal, guest, chat)
        self._bind(portal, chat)

    def _create_lead(self, portal: Portal, guest: Guest, chat: Chat) -> None:
        phones = [{"value": f"+{guest.phone}", "valueType": "MOBILE"}] if guest.phone else []
        contact = book.add(portal, book.CONTACT, {"name": guest.name, "sourceId": "WEB"}, phones)
        lead = book.add(
            portal, book.LEAD, {"title": chat.title, "name": guest.name, "contactId": contact["id"]}, phones
        )
        guest.contact_id, guest.lead_id = contact["id"], lead["id"]

    @staticmethod
    def _bind(portal: Portal, chat: Chat) -> None:
        for kind, number in ((book.CONTACT, chat.guest.contact_id), (book.LEAD, chat.guest.lead_id)):
            if number:
                portal.chat_by_crm.setdefault((kind, number), []).append(chat)
                card = book.get(portal, kind, number)
                if card is not None:
                    card.setdefault("im", []).append(f"imol|{chat.user_code}")

    # --- texts of operators and of the system --------------------------------------------------------------------

    def operator_id(self, portal: Portal, name: str) -> int:
        return portal.operators.setdefault(name, FIRST_OPERATOR_ID + len(portal.operators))

    def operator_writes(
        self,
        portal: Portal,
        chat: Chat,
        text: str,
        operator: str,
        *,
        tell: bool = True,
        files: list[StoredFile] | None = None,
        quote: str = "",
        blocks: list[str] | None = None,
    ) -> ChatMessage:
        """An operator's text goes to the client: told once to whoever is bound, with the name in front unless the
        connector wants none. Nobody is told when `tell` is false, as when the portal's queue loses the event."""
        user_id = self.operator_id(portal, operator)
        said, text = text, quote + text
        message = self._append(
            portal, chat, text, author="operator", author_id=user_id, name=operator, status="sending"
        )
        note = (portal.key, message.id)
        connector = portal.connectors.get(chat.connector)
        signed = connector is None or connector.signature
        message.files = files or []
        known = known_text(said, message.files[0] if message.files else None)
        room = (portal.key, chat.id)
        if known:
            hashes = tuple(file.sha256 for file in message.files)
            self._engine.record(OperatorWrote(note, room, operator, known, quote, hashes))
        for file in message.files:
            self._engine.record(FileSent(file.sha256, by_customer=False, room=room))
        # Without words only the name is left of the text, and without a line end behind it.
        shown = f"[b]{operator}:[/b] " + (f"[br]{text}" if text else "") if signed else text
        told = {"files": [file_item(self._engine, portal, file) for file in message.files]} if message.files else {}
        item = {
            "im": {"chat_id": chat.id, "message_id": message.id},
            "message": {"user_id": user_id, "text": shown} | told,
            "chat": {"id": chat.external_id},
        } | ({"attachments_old": blocks} if blocks else {})
        data = {"CONNECTOR": chat.connector, "LINE": chat.line, "MESSAGES": [item]}
        if tell and (chat.connector, chat.line) in portal.active:
            self._events.emit(
                portal, "ONIMCONNECTORMESSAGEADD", data, chat=chat.external_id, user_id=user_id, note=note
            )
        self._engine.chat_changed(chat)
        return message

    def operator_whispers(self, portal: Portal, chat: Chat, text: str, operator: str) -> ChatMessage:
        """An operator's text for colleagues alone, in the hidden mode: no event tells of it."""
        user_id = self.operator_id(portal, operator)
        message = self._append(portal, chat, text, author="operator", author_id=user_id, name=operator)
        message.hidden = True
        self._engine.chat_changed(chat)
        return message

    def note(
        self, portal: Portal, chat: Chat, text: str, user_id: int, attach: Iterable[dict[str, Any]] = ()
    ) -> ChatMessage:
        """A text for the operators' eyes only, with what is attached below it."""
        message = self._append(portal, chat, text, author="system", author_id=user_id, name="")
        message.attach = list(attach)
        self._engine.record(Noticed((portal.key, chat.id), text))
        self._engine.chat_changed(chat)
        return message

    def delivered(self, portal: Portal, message_id: int, mids: list[str]) -> None:
        """The first confirmation ends "sending" and stores the ids; later ones, and unknown ones, have no effect."""
        found = portal.messages.get(message_id)
        if found is None or found[1].author != "operator":
            return
        chat, message = found
        self._engine.record(ToldDelivered((portal.key, message_id)))
        if message.status == "sending":
            message.status, message.mids = "delivered", mids
            self._engine.chat_changed(chat)

    def find(self, portal: Portal, chat_id: str) -> Chat | None:
        """A chat by its Bitrix24 id (`1767`, `chat1767`) or by the id that the gateway gave it."""
        digits = chat_id.removeprefix("chat")
        if digits.isdigit() and int(digits) in portal.chats:
            return portal.chats[int(digits)]
        return portal.chat_by_external.get(chat_id)

    def _append(
        self,
        portal: Portal,
        chat: Chat,
        text: str,
        *,
        author: str,
        author_id: int,
        name: str,
        mids: list[str] | None = None,
        status: str | None = None,
    ) -> ChatMessage:
        message = ChatMessage(
            id=portal.message_ids.take(),
            author=author,
            author_id=author_id,
            name=name,
            text=text,
            at=self._engine.now(),
            session_id=chat.session.id if chat.session else 0,
            mids=mids or [],
            status=status,
        )
        chat.messages.append(message)
        portal.messages[message.id] = (chat, message)
        self._engine.world.changes += 1
        return message


def _file_ids(files: list[StoredFile]) -> dict[str, Any]:
    return {"files": [int(file.id) for file in files]} if files else {}
