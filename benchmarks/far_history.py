"""What a portal remembers of its chats, for whoever looks whether an event was lost: ids and authors, no texts."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

import msgspec

from benchmarks.far_record import chat_id, place_of_chat, place_of_session, session_id

FIRST_ID = 5_000_000_000  # of customers' messages; operators' are numbered by the generator, from one on
OPERATOR = 27
WRITTEN_AT = "2026-01-01T00:00:00+00:00"


class Batch(msgspec.Struct):
    """`batch`: https://apidocs.bitrix24.com/settings/how-to-call-rest-api/batch.html"""

    cmd: dict[str, str]


_BATCH = msgspec.json.Decoder(Batch)
_encode = msgspec.json.Encoder().encode


class FarHistory:
    """Messages of each chat: their ids, what WhatsApp calls them, and whether a customer wrote them."""

    def __init__(self, fault: Callable[[str], None]) -> None:
        self._fault = fault
        self._next = FIRST_ID
        self._chats: dict[int, dict[int, tuple[str, bool]]] = {}

    def customer_wrote(self, place: int, wamid: str) -> None:
        self._next += 1
        self._chats.setdefault(place, {})[self._next] = wamid, True

    def operator_wrote(self, place: int, message_id: int, wamid: str) -> None:
        """As far as the portal was told: the confirmation names its message."""
        self._chats.setdefault(place, {})[message_id] = wamid, False

    def batch(self, body: bytes) -> bytes:
        """Raises msgspec.MsgspecError."""
        found: dict[str, object] = {}
        refused: dict[str, object] = {}
        for name, command in _BATCH.decode(body).cmd.items():
            answer = self._command(command)
            if answer is None:
                refused[name] = {"error": "ACCESS_ERROR", "error_description": "You do not have access"}
            else:
                found[name] = answer
        # An empty map of PHP's is a list.
        told: dict[str, object] = {
            "result": found or [],
            "result_error": refused or [],
            "result_total": [],
            "result_next": [],
        }
        return _encode(told | {"result_time": []})

    def _command(self, command: str) -> object:
        method, _, query = command.partition("?")
        asked = {name: int(values[0]) for name, values in parse_qs(query).items()}
        place = place_of_session(asked["SESSION_ID"]) if "SESSION_ID" in asked else place_of_chat(asked["CHAT_ID"])
        if method == "imopenlines.dialog.get":
            return self._dialog(place)
        if method == "imopenlines.session.history.get":
            return self._history(place)
        self._fault(f"unexpected {method} in a batch")
        return None

    def _dialog(self, place: int) -> object:
        messages = self._chats.get(place)
        if not messages:
            return None
        chat, session = chat_id(place), session_id(place)
        return {
            "id": chat,
            "dialog_id": f"chat{chat}",
            "type": "lines",
            "entity_type": "LINES",
            "entity_data_1": f"N|NONE|0|N|N|{session}|1767225600|0|0|0",
            "message_count": len(messages),
            "last_message_id": max(messages),
        }

    def _history(self, place: int) -> object:
        messages = self._chats.get(place)
        if not messages:
            return None
        guest = OPERATOR + 1 + place
        users = {
            str(OPERATOR): {"id": str(OPERATOR), "name": "Bia", "connector": False},
            str(guest): {"id": str(guest), "name": "Cliente", "connector": True},
        }
        told = {
            str(number): {
                "id": str(number),
                "chatId": str(chat_id(place)),
                "senderid": str(guest if by_customer else OPERATOR),
                "date": WRITTEN_AT,
                "text": "-",
                "textlegacy": "-",
                "params": {"connectorMid": [wamid]},
            }
            for number, (wamid, by_customer) in messages.items()
        }
        return {"chatId": chat_id(place), "sessionId": session_id(place), "message": told, "users": users}
