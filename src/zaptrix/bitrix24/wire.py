"""The wire format of Bitrix24's events and answers, read leniently.

Every scalar of an event is a string, nulls and empty lists vanish, an empty map of an answer arrives as `[]`; what
leaves this module has one type a field. Pure.
https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/events/index.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from zaptrix.bitrix24.disknames import named
from zaptrix.core.event import Recovered

ID_MAX = 2**63 - 1
_MOMENT_MAX = 40
_EXTERNAL_ID_MAX = 255
_YEARS = (2000, 2100)
_WHOLE = ("http://", "https://")
Id = Annotated[int, msgspec.Meta(ge=1, le=ID_MAX)]


class EventBody(msgspec.Struct, frozen=True):
    """A journal item of Bitrix24's."""

    event: str
    data: object = None


class ImRef(msgspec.Struct, frozen=True):
    chat_id: Id
    message_id: Id


class ChatRef(msgspec.Struct, frozen=True):
    id: Annotated[str, msgspec.Meta(min_length=1)]


class Said(msgspec.Struct, frozen=True):
    """What an operator wrote. `text` is absent for files alone."""

    text: str = ""
    user_id: object = None  # the author in the portal; 0: the line itself
    files: object = None
    params: object = None
    attachments: object = None


class OperatorItem(msgspec.Struct, frozen=True):
    im: ImRef
    chat: ChatRef
    message: Said = msgspec.field(default_factory=Said)
    attachments_old: object = None
    recovered: Recovered | None = None  # no portal's word: ours, of an item that was made from a history


OURS_ALONE = frozenset({"recovered"})
"""Fields of an item that the gateway itself writes: what a portal posts under these names is dropped on arrival."""


class SessionRef(msgspec.Struct, frozen=True):
    id: Id


class DialogConnector(msgspec.Struct, frozen=True):
    chat_id: str = ""


class DialogItem(msgspec.Struct, frozen=True):
    session: SessionRef
    connector: DialogConnector = msgspec.field(default_factory=DialogConnector)
    chat: ChatRef | None = None


class SentFile(msgspec.Struct, frozen=True):
    """A file of an operator's message."""

    name: str
    link: str
    type: str = ""  # image, video, audio or file
    mime: str = ""
    size: int | None = None


class SentItem(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one element of `imconnector.send.messages`."""

    success: bool | None  # None: it does not say
    errors: str
    chat_id: int | None
    session_id: int | None
    files: int  # how many are in the chat: one that the portal could not fetch is left out


class HistoryMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of `imopenlines.session.history.get`. `style` tells hidden ones from those for the client."""

    id: int | None
    sender_id: int | None
    style: str
    bbcode: str
    files: tuple[int, ...]  # by their ids
    text: str
    external_ids: tuple[str, ...]
    written_at: datetime | None


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Who wrote in a session. `guest`: the customer, as the connector's invisible user."""

    name: str
    guest: bool


class History(msgspec.Struct, frozen=True, kw_only=True):
    """A session with its messages."""

    chat_id: int | None
    session_id: int | None
    messages: tuple[HistoryMessage, ...]
    people: dict[int, Person]
    files: dict[int, SentFile]


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """An online handler, as `event.get` tells it."""

    event: str
    handler: str


def sent_files(value: object) -> list[SentFile]:
    """The files of an operator's message; a link goes without the hint that images carry."""
    return [
        SentFile(
            _text(entry, "name"),
            _link(entry),
            _text(entry, "type"),
            _text(entry, "mime"),
            number(dig(entry, "size")),
        )
        for entry in listed(value)
        if isinstance(entry, dict)
    ]


def _link(entry: object) -> str:
    """Where a file can be fetched. A portal behind a proxy may tell one of its links without its own name."""
    told = [_text(entry, name).partition("#")[0].strip() for name in ("downloadLink", "link")]
    whole = (link for link in told if link.lower().startswith(_WHOLE))
    return next(whole, "") or next(filter(None, told), "")


def sent_items(result: object) -> list[SentItem]:
    """One entry an element, in the order of the request: entries are matched by nothing but their index.

    https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-send-messages.html
    """
    return [
        SentItem(
            success=None if dig(entry, "SUCCESS") is None else truth(dig(entry, "SUCCESS")),
            errors="; ".join(error for error in listed(dig(entry, "ERRORS")) if isinstance(error, str)),
            chat_id=number(dig(entry, "session", "CHAT_ID")),
            session_id=number(dig(entry, "session", "ID")),
            files=len(listed(dig(entry, "message", "files"))),
        )
        for entry in listed(dig(result, "DATA", "RESULT"))
    ]


def history(result: object) -> History:
    """https://apidocs.bitrix24.com/api-reference/imopenlines/openlines/sessions/imopenlines-session-history-get.html"""
    return History(
        chat_id=number(dig(result, "chatId")),
        session_id=number(dig(result, "sessionId")),
        messages=tuple(
            HistoryMessage(
                id=number(dig(entry, "id")),
                sender_id=number(dig(entry, "senderid")),
                style=_text(dig(entry, "params"), "class"),
                bbcode=_text(entry, "text") or _text(entry, "textlegacy"),
                files=_file_ids(dig(entry, "params")),
                text=_text(entry, "textlegacy") or _text(entry, "text"),
                external_ids=_external_ids(dig(entry, "params")),
                written_at=moment(_text(entry, "date")),
            )
            for entry in listed(dig(result, "message"))
        ),
        people={
            person_id: Person(
                name=_text(entry, "name"),
                guest=truth(dig(entry, "connector")) or _text(entry, "externalAuthId") == "imconnector",
            )
            for entry in listed(dig(result, "users"))
            if (person_id := number(dig(entry, "id")))
        },
        files={
            file_id: SentFile(
                _text(entry, "name"), named(file_id), _text(entry, "type"), "", number(dig(entry, "size"))
            )
            for entry in listed(dig(result, "files"))
            if (file_id := number(dig(entry, "id")))
        },
    )


def session_of(dialog: object) -> int | None:
    """The session of `imopenlines.dialog.get`: the sixth part of its `entity_data_1`."""
    parts = _text(dialog, "entity_data_1").split("|")
    return number(parts[5]) if len(parts) > 5 else None


def bindings(result: object) -> list[Binding]:
    """The online handlers of `event.get`; offline ones have none."""
    return [
        Binding(event=_text(entry, "event").upper(), handler=_text(entry, "handler"))
        for entry in listed(result)
        if _text(entry, "handler")
    ]


def is_bound_offline(result: object, event: str) -> bool:
    """Whether `event.get` tells that the portal keeps an event for the application."""
    return any(truth(dig(entry, "offline")) and _text(entry, "event").upper() == event for entry in listed(result))


def contact_ids(result: object) -> list[int]:
    """The contacts of `crm.duplicate.findbycomm`."""
    return [found for found in map(number, listed(dig(result, "CONTACT"))) if found]


def chat_ids(result: object, connector_id: str) -> list[int]:
    """The chats of one connector out of `imopenlines.crm.chat.get`, the newest first."""
    found = {
        number(dig(entry, "CHAT_ID"))
        for entry in listed(result)
        if _text(entry, "CONNECTOR_ID").casefold() == connector_id.casefold()
    }
    return sorted((chat_id for chat_id in found if chat_id), reverse=True)


def first(data: object, items: str) -> object:
    """The first entry of a list in an event's data; the journal keeps one entry an event."""
    return next(iter(listed(dig(data, items))), None)


def scalar(value: object) -> str:
    """A lone value as text; empty when it is none."""
    return str(value) if isinstance(value, str | int) else ""


def dig(value: object, *path: str) -> object:
    """What stands under `path`, whatever the case of the keys; None when nothing does."""
    for step in path:
        if not isinstance(value, dict):
            return None
        # Nearly always as documented.
        value = value[step] if step in value else _in_any_case(value, step)
    return value


def _in_any_case(value: dict[object, object], step: str) -> object:
    wanted = step.casefold()
    for key, below in value.items():
        if str(key).casefold() == wanted:
            return below
    return None


def listed(value: object) -> list[object]:
    """The entries of a list, or of a map that PHP made of one; a lone scalar is a list of itself."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return list(value.values())
    return [] if value is None or value == "" else [value]


def number(value: object) -> int | None:
    """A positive integer, also when it comes as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value <= ID_MAX else None


def truth(value: object) -> bool:
    """PHP's and Bitrix24's ways to say yes."""
    return value is True or (isinstance(value, int) and value == 1) or str(value).upper() in {"1", "Y", "TRUE"}


def moment(text: object) -> datetime | None:
    """A time that names its zone, of a year that one can reckon with in any zone."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) and len(text) <= _MOMENT_MAX else None
    except ValueError:
        return None
    return found if found and found.tzinfo and _YEARS[0] <= found.year <= _YEARS[1] else None


def _text(entry: object, name: str) -> str:
    value = dig(entry, name)
    return value.replace("\0", "") if isinstance(value, str) else ""


def _file_ids(params: object) -> tuple[int, ...]:
    ids = dig(params, "fileId")
    if ids is None:
        ids = dig(params, "FILE_ID")
    return tuple(file_id for entry in listed(ids) if (file_id := number(entry)))


def _external_ids(params: object) -> tuple[str, ...]:
    ids = dig(params, "connectorMid")
    if ids is None:
        ids = dig(params, "CONNECTOR_MID")
    return tuple(found for entry in listed(ids) if (found := scalar(entry)[:_EXTERNAL_ID_MAX].replace("\0", "")))
