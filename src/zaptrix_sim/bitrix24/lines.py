"""The methods imopenlines.* and im.*: lines, dialogs, sessions with their history, messages of the application.

https://apidocs.bitrix24.com/api-reference/imopenlines/openlines/index.html
"""

import json
from typing import Any, Final

from zaptrix_sim.bitrix24.call import Call, Method, is_yes
from zaptrix_sim.bitrix24.chats import TEXT_MAX
from zaptrix_sim.bitrix24.time_block import iso
from zaptrix_sim.world.bitrix24_errors import refusal
from zaptrix_sim.world.world import Chat, ChatMessage, Line, Portal, Session, StoredFile

LIST_MAX: Final = 200
LIST_DEFAULT: Final = 50
ATTACH_BYTES_MAX: Final = 30 * 1024


async def config_list(call: Call) -> Any:
    wanted = _map(call.get("PARAMS"))
    if set(wanted) - {"select", "filter", "order", "limit", "offset"}:
        raise refusal("INVALID_FORMAT")
    cards = [_line_card(line) for line in call.portal.lines.values()]
    for name, value in _map(wanted.get("filter")).items():
        cards = [card for card in cards if str(card.get(name.lstrip("="))) == str(value)]
    offset, limit = int(wanted.get("offset") or 0), min(LIST_MAX, int(wanted.get("limit") or LIST_DEFAULT))
    return [card | {"QUEUE": [27, 31]} for card in cards[offset : offset + limit]]


async def config_get(call: Call) -> Any:
    if not call.get("CONFIG_ID"):
        raise refusal("CONFIG_ID_EMPTY")
    line = call.portal.lines.get(call.number("CONFIG_ID"))
    return _line_card(line) if line else False


async def dialog_get(call: Call) -> Any:
    chat = _asked_chat(call)
    if chat is None:
        raise refusal("ACCESS_ERROR")
    session, guest = chat.session, chat.guest
    crm = "LEAD" if guest.lead_id else "CONTACT" if guest.contact_id else "NONE"
    number = guest.lead_id or guest.contact_id
    session_id, since = (session.id, int(session.at)) if session else (0, 0)
    return {
        "id": chat.id,
        "dialog_id": f"chat{chat.id}",
        "name": chat.title,
        "owner": 0,
        "type": "lines",
        "entity_type": "LINES",
        "entity_id": chat.user_code,
        "entity_data_1": f"{'Y' if number else 'N'}|{crm}|{number}|N|N|{session_id}|{since}|0|0|0",
        "entity_data_2": f"LEAD|{guest.lead_id}|COMPANY|0|CONTACT|{guest.contact_id}|DEAL|0",
        "entity_data_3": "N",
        "message_count": len(chat.messages),
        "last_message_id": chat.messages[-1].id if chat.messages else 0,
        "manager_list": [],
        "role": "guest",
    }


async def session_open(call: Call) -> Any:
    chat = call.portal.chat_by_code.get(str(call.need("USER_CODE")).removeprefix("imol|"))
    if chat is None:
        raise refusal("ACCESS_DENIED", 400)
    return {"chatId": chat.id}


async def session_history(call: Call) -> Any:
    """One session's messages, by its id or the latest one of a chat. `connectorMid` names what came from outside, and
    what was confirmed to have gone there."""
    session = _asked_session(call)
    chat = call.portal.chats[session.chat_id]
    messages: dict[str, Any] = {}
    users: dict[str, Any] = {}
    files: dict[str, Any] = {}
    for message in chat.messages[session.first :]:
        if message.session_id != session.id:
            break
        if message.deleted:
            continue
        messages[str(message.id)] = _history_message(chat, message)
        files |= {file.id: _history_file(call, chat, message, file) for file in message.files}
        if message.author_id:
            known = {"id": str(message.author_id), "name": message.name, "connector": message.author == "customer"}
            users[str(message.author_id)] = known
    return {
        "chatId": chat.id,
        "sessionId": session.id,
        "canJoin": "Y",
        "canVoteHead": "N",
        "message": messages or [],
        "usersMessage": {f"chat{chat.id}": [int(number) for number in messages]},
        "users": users or [],
        "openlines": [],
        "files": files or [],
        "chat": {str(chat.id): {"id": str(chat.id), "name": chat.title, "entityId": chat.user_code}},
    }


async def operator_finish(call: Call) -> Any:
    chat = call.chats.find(call.portal, str(call.need("CHAT_ID")))
    if chat is None:
        raise refusal("CHAT_ID_EMPTY")
    call.chats.finish(call.portal, chat)
    return True


async def accepted(call: Call) -> Any:
    """Methods that need an existing chat and change nothing that the simulator keeps."""
    if call.chats.find(call.portal, str(call.need("CHAT_ID"))) is None:
        raise refusal("CHAT_ID_EMPTY")
    return True


async def crm_chats(call: Call) -> Any:
    kind, number = str(call.need("CRM_ENTITY_TYPE")).upper(), int(call.need("CRM_ENTITY"))
    chats = call.portal.chat_by_crm.get((kind, number), [])
    if str(call.get("ACTIVE_ONLY", "Y")).upper() != "N":
        chats = [chat for chat in chats if chat.session and not chat.session.closed]
    return [
        {
            "CHAT_ID": str(chat.id),
            "CONNECTOR_ID": chat.connector,
            "CONNECTOR_TITLE": _connector_name(call.portal, chat.connector),
        }
        for chat in chats
    ]


async def crm_last_chat(call: Call) -> Any:
    kind, number = str(call.need("CRM_ENTITY_TYPE")).upper(), int(call.need("CRM_ENTITY"))
    chats = call.portal.chat_by_crm.get((kind, number), [])
    return chats[-1].id if chats else 0


async def message_add(call: Call) -> Any:
    """Plain, the text goes to the client and comes back as an event. SYSTEM and SKIP_CONNECTOR keep it inside."""
    text = str(call.get("MESSAGE") or "")
    if not text:
        raise refusal("MESSAGE_EMPTY")
    chat = call.chats.find(call.portal, str(call.get("DIALOG_ID") or call.get("CHAT_ID") or ""))
    if chat is None:
        raise refusal("ACCESS_ERROR", 403)
    if len(text) > TEXT_MAX:
        text = text[:TEXT_MAX] + " (...)"
    attach = _attach(call.get("ATTACH"))
    system = is_yes(call.get("SYSTEM"))
    if system or is_yes(call.get("SKIP_CONNECTOR")):
        shown = f"[b]Zaptrix[/b]\n{text}" if system else text
        return call.chats.note(call.portal, chat, shown, 0 if system else call.token.user_id, attach).id
    author = f"User {call.token.user_id}"
    return call.chats.operator_writes(call.portal, chat, text, author, tell=not call.silent).id


def _attach(value: Any) -> list[dict[str, Any]]:
    """Blocks below a text. https://apidocs.bitrix24.com/api-reference/chats/messages/attachments/index.html"""
    blocks = value.get("BLOCKS") if isinstance(value, dict) else value
    if not blocks:
        return []
    if len(json.dumps(value)) > ATTACH_BYTES_MAX:
        raise refusal("ATTACH_OVERSIZE")
    if not isinstance(blocks, list) or not all(isinstance(one, dict) for one in blocks):
        raise refusal("ATTACH_ERROR")
    for block in blocks:
        for entry in [*block.get("IMAGE", []), *block.get("FILE", [])]:
            if not isinstance(entry, dict) or not str(entry.get("LINK") or "").startswith(("http://", "https://")):
                raise refusal("ATTACH_ERROR")
    return blocks


METHODS: Final[dict[str, Method]] = {
    "imopenlines.config.list.get": config_list,
    "imopenlines.config.get": config_get,
    "imopenlines.dialog.get": dialog_get,
    "imopenlines.session.open": session_open,
    "imopenlines.session.history.get": session_history,
    "imopenlines.session.join": accepted,
    "imopenlines.session.start": accepted,
    "imopenlines.operator.answer": accepted,
    "imopenlines.operator.finish": operator_finish,
    "imopenlines.operator.another.finish": operator_finish,
    "imopenlines.crm.chat.get": crm_chats,
    "imopenlines.crm.chat.getlastid": crm_last_chat,
    "im.message.add": message_add,
}


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _line_card(line: Line) -> dict[str, Any]:
    return {
        "ID": str(line.id),
        "LINE_NAME": line.name,
        "ACTIVE": "Y",
        "CRM": line.crm,
        "CRM_CREATE": line.crm_create,
        "QUEUE_TYPE": "evenly",
        "OPERATOR_DATA": "profile",
    }


def _asked_chat(call: Call) -> Chat | None:
    if code := call.get("USER_CODE"):
        return call.portal.chat_by_code.get(str(code).removeprefix("imol|"))
    if session := call.portal.sessions.get(call.number("SESSION_ID")):
        return call.portal.chats[session.chat_id]
    return call.portal.chats.get(call.number("CHAT_ID") or call.number("DIALOG_ID"))


def _asked_session(call: Call) -> Session:
    if call.get("SESSION_ID"):
        session = call.portal.sessions.get(call.number("SESSION_ID"))
        if session is None:
            raise refusal("INVALID_SESSION_ID")
        return session
    if not call.get("CHAT_ID"):
        raise refusal("MISSING_REQUIRED_PARAM")
    chat = call.portal.chats.get(call.number("CHAT_ID"))
    if chat is None or chat.session is None:
        raise refusal("ACCESS_DENIED", 400)
    return chat.session


def _history_message(chat: Chat, message: ChatMessage) -> dict[str, Any]:
    return {
        "id": str(message.id),
        "chatid": str(chat.id),
        "senderid": str(message.author_id),
        "recipientid": f"chat{chat.id}",
        "date": iso(message.at),
        "text": message.text,
        "textlegacy": message.text,
        "params": _history_params(message) or [],
    }


def _history_params(message: ChatMessage) -> dict[str, Any]:
    params: dict[str, Any] = {"connectorMid": message.mids} if message.mids else {}
    if message.files:
        params["fileId"] = [int(file.id) for file in message.files]
    if message.hidden:
        params["class"] = "bx-messenger-content-item-system"
    return params


def _history_file(call: Call, chat: Chat, message: ChatMessage, file: StoredFile) -> dict[str, Any]:
    """Its address is for who is logged in to the portal, and no use to an application."""
    return {
        "id": int(file.id),
        "chatId": chat.id,
        "date": iso(file.at),
        "type": file.kind if file.kind in {"image", "video", "audio"} else "file",
        "name": file.name,
        "extension": file.name.rpartition(".")[2],
        "size": len(file.content),
        "status": "done",
        "authorId": message.author_id,
        "urlDownload": f"{call.engine.url}/bitrix24/{call.portal.key}/bitrix/services/main/ajax.php?fileId={file.id}",
    }


def _connector_name(portal: Portal, connector: str) -> str:
    known = portal.connectors.get(connector)
    return known.name if known else connector
