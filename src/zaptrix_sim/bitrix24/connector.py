"""The methods imconnector.*: registration of a connector, its lines, and messages of clients.

https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/index.html
"""

import asyncio
import re
from typing import Any, Final

from zaptrix_sim.bitrix24.call import Call, Method, is_yes
from zaptrix_sim.bitrix24.php_form import listed
from zaptrix_sim.world.bitrix24_errors import RestError, missing, refusal
from zaptrix_sim.world.files import fetched
from zaptrix_sim.world.world import Chat, Connector

_ID = re.compile(r"[a-z0-9_]{1,255}")
REQUIRED: Final = (
    ("ID", "CONNECTOR_ID_REQUIRED"),
    ("NAME", "NAME_REQUIRED"),
    ("ICON", "ICON_REQUIRED"),
    ("PLACEMENT_HANDLER", "NO_PLACEMENT_HANDLER"),
)


async def register(call: Call) -> Any:
    """Errors come with HTTP 200, inside the result."""
    connector_id = str(call.get("ID") or "").lower()
    known = call.portal.connectors.get(connector_id)
    for name, code in REQUIRED:
        if not call.get(name) and (known is None or name == "ID"):
            return {"result": False, "error": code, "error_description": f"{name} is not specified"}
    if not _ID.fullmatch(connector_id):
        text = "The connector id may hold Latin letters, digits and underscores only"
        return {"result": False, "error": "GENERAL_CONNECTOR_REGISTRATION_ERROR", "error_description": text}
    if known is None:
        known = call.portal.connectors[connector_id] = Connector(id=connector_id, name="")
    known.name = str(call.get("NAME") or known.name)
    known.signature = _flag(call.get("NEED_SIGNATURE"), known.signature)
    known.edits = _flag(call.get("EDIT_INTERNAL_MESSAGES"), known.edits)
    known.deletes = _flag(call.get("DEL_INTERNAL_MESSAGES"), known.deletes)
    known.system_messages = _flag(call.get("NEED_SYSTEM_MESSAGES"), known.system_messages)
    return {"result": True}


async def unregister(call: Call) -> Any:
    connector_id = str(call.need("ID"))
    if call.portal.connectors.pop(connector_id, None) is None:
        text = "The connector is not registered"
        return {"result": False, "error": "APPLICATION_UNREGISTRATION_ERROR", "error_description": text}
    for connector, line in [key for key in call.portal.active if key[0] == connector_id]:
        _switch_off(call, connector, line)
    return {"result": True}


async def activate(call: Call) -> Any:
    """Any non-empty ACTIVE switches on, also "N": only empty, 0 and false switch off."""
    connector, line = _place(call)
    active = call.get("ACTIVE")
    if active is None:
        raise missing("ACTIVE")
    if connector not in call.portal.connectors:
        raise refusal("IMCONNECTOR_NOT_SPECIFIED_CORRECT_CONNECTOR")
    if line not in call.portal.lines:
        raise refusal("NOT_ACTIVE_LINE")
    if active in ("", "0", 0, False):
        _switch_off(call, connector, line)
    else:
        call.portal.active.setdefault((connector, line), {})["error"] = False
    return True


async def status(call: Call) -> Any:
    connector, line = str(call.need("CONNECTOR")), call.number("LINE")
    channel = call.portal.active.get((connector, line))
    error = bool(channel and channel.get("error"))
    configured = channel is not None
    on = configured and not error
    return {"LINE": line, "CONNECTOR": connector, "ERROR": error, "CONFIGURED": configured, "STATUS": on}


async def data_set(call: Call) -> Any:
    connector, line = _place(call)
    channel = call.portal.active.get((connector, line))
    if channel is None:
        raise refusal("NOT_ACTIVE_LINE")
    channel.setdefault("data", {}).update(call.need("DATA"))
    return True


async def connectors(call: Call) -> Any:
    return {one.id: one.name for one in call.portal.connectors.values()} or []


async def set_error(call: Call) -> Any:
    _active_channel(call)["error"] = True
    return True


async def send_messages(call: Call) -> Any:
    """Element after element, each fully. The outer SUCCESS is true even when every element failed."""
    elements = _elements(call)
    _active_channel(call)
    connector, line = _place(call)
    options = call.engine.options
    results = []
    for element in elements:
        busy = call.portal.chat_by_external.get(str(element["chat"].get("id")))
        _enter(call, busy)
        try:
            if options.item_latency_s:
                await asyncio.sleep(options.item_latency_s)
        finally:
            if busy is not None:
                busy.calls -= 1
        call.operating_s += options.item_operating_s
        if call.item_error:
            results.append({"SUCCESS": False, "ERRORS": ["The message could not be saved"]})
        else:
            files = [
                await fetched(call.engine, call.portal.key, one) for one in listed(element["message"].get("files"))
            ]
            there = [file for file in files if file is not None]
            results.append(call.chats.put(call.portal, connector, line, element, there))
    return {"SUCCESS": True, "DATA": {"RESULT": results}}


async def update_messages(call: Call) -> Any:
    """Changes the text of what was sent under that id; SUCCESS even when there is nothing of the kind."""
    elements = _elements(call)
    _active_channel(call)
    for element in elements:
        message = _by_mid(call, element)
        if message is not None:
            message.text = str(element["message"].get("text") or "")
    return {"SUCCESS": True, "DATA": {"RESULT": [{"SUCCESS": True} for _ in elements]}}


async def delete_messages(call: Call) -> Any:
    elements = _elements(call)
    _active_channel(call)
    for element in elements:
        message = _by_mid(call, element)
        if message is not None:
            message.text = ""
    return {"SUCCESS": True, "DATA": {"RESULT": [{"SUCCESS": True} for _ in elements]}}


async def status_delivery(call: Call) -> Any:
    call.need("CONNECTOR")
    call.need("LINE")
    messages = listed(call.need("MESSAGES"))
    _active_channel(call)
    for item in messages:
        mids = item.get("message", {}).get("id")
        ids = [str(mid) for mid in listed(mids)] if isinstance(mids, list | dict) else []
        note = str(item.get("im", {}).get("message_id") or "")
        if note.isdigit() and ids:
            call.chats.delivered(call.portal, int(note), ids)
    return {"SUCCESS": True, "DATA": []}


async def status_reading(call: Call) -> Any:
    """There is such a method, and it does nothing."""
    call.need("MESSAGES")
    return {"SUCCESS": True, "DATA": []}


async def chat_name_set(call: Call) -> Any:
    _active_channel(call)
    chat = call.portal.chat_by_external.get(str(call.need("CHAT_ID")))
    name = str(call.need("NAME"))
    call.need("USER_ID")
    if chat is None or chat.session is None or chat.session.closed:
        raise RestError("CHAT_RENAMING_FAILED", "The chat could not be renamed")
    chat.title = name
    call.engine.chat_changed(chat)
    return {"SUCCESS": True, "DATA": {"RESULT": {}}}


METHODS: Final[dict[str, Method]] = {
    "imconnector.register": register,
    "imconnector.unregister": unregister,
    "imconnector.activate": activate,
    "imconnector.status": status,
    "imconnector.connector.data.set": data_set,
    "imconnector.list": connectors,
    "imconnector.set.error": set_error,
    "imconnector.send.messages": send_messages,
    "imconnector.update.messages": update_messages,
    "imconnector.delete.messages": delete_messages,
    "imconnector.send.status.delivery": status_delivery,
    "imconnector.send.status.reading": status_reading,
    "imconnector.chat.name.set": chat_name_set,
}


def _flag(value: Any, known: bool) -> bool:
    return known if value is None or value == "" else is_yes(value)


def _place(call: Call) -> tuple[str, int]:
    connector = str(call.need("CONNECTOR"))
    call.need("LINE")
    return connector, call.number("LINE")


def _active_channel(call: Call) -> dict[str, Any]:
    connector, line = _place(call)
    if connector not in call.portal.connectors:
        raise refusal("IMCONNECTOR_NOT_SPECIFIED_CORRECT_CONNECTOR")
    channel = call.portal.active.get((connector, line))
    if channel is None or channel.get("error") or line not in call.portal.lines:
        raise refusal("NOT_ACTIVE_LINE")
    return channel


def _elements(call: Call) -> list[dict[str, Any]]:
    """All three blocks must be in every element, or the whole call fails. Their keys are not case-sensitive."""
    _place(call)
    elements = [_lowered(element) for element in listed(call.need("MESSAGES"))]
    for element in elements:
        for block in ("user", "message", "chat"):
            if not isinstance(element, dict) or not isinstance(element.get(block), dict) or not element[block]:
                raise missing(block)
    return elements


def _lowered(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key).lower(): _lowered(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_lowered(inner) for inner in value]
    return value


def _enter(call: Call, chat: Chat | None) -> None:
    """Two calls at once for one dialog wait for each other's lock on a real portal; here they are counted."""
    if chat is None:
        return
    if chat.calls:
        call.engine.world.ledger.books.counts["parallel_calls_in_one_chat"] += 1
    chat.calls += 1


def _by_mid(call: Call, element: dict[str, Any]) -> Any:
    chat = call.portal.chat_by_external.get(str(element["chat"].get("id")))
    mid = str(element["message"].get("id") or "")
    if chat is None or not mid:
        return None
    return next((message for message in reversed(chat.messages) if mid in message.mids), None)


def _switch_off(call: Call, connector: str, line: int) -> None:
    if call.portal.active.pop((connector, line), None) is not None:
        call.events.emit(call.portal, "ONIMCONNECTORSTATUSDELETE", {"connector": connector, "line": line})
