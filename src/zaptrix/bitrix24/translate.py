"""Translates Bitrix24's wire format to neutral messages and back.

Pure: tables of small functions.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import msgspec
import phonenumbers

from zaptrix.bitrix24 import wire
from zaptrix.bitrix24.inbound.operators import message_added, message_deleted, message_updated
from zaptrix.bitrix24.inbound.webhook import Name
from zaptrix.bitrix24.markup.markup import to_bbcode
from zaptrix.bitrix24.outbound.kinds import shown
from zaptrix.bitrix24.outbound.split_text import in_parts
from zaptrix.core import limits
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.display_name import clean_name
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.event import ConnectorLost, DialogStarted, Event, Ignored, Routed, Unroutable
from zaptrix.core.foreign_json import BROKEN
from zaptrix.core.ids import callback_data
from zaptrix.core.limits import BITRIX_TEXT_MAX
from zaptrix.core.message.filewords import lost, promise
from zaptrix.core.message.kinds import NO_MARKS
from zaptrix.core.message.media import AttachmentState
from zaptrix.core.message.message import MediaContent, MediaKind, Notice, Said, Words
from zaptrix.core.message.template import Template
from zaptrix.core.message.text import Span, Text, plain_text, rich_text
from zaptrix.core.wording.notices import notice_text

# --- from Bitrix24 ---------------------------------------------------------------------------------------------------


def translate(event: Event) -> Routed:
    """What `event` means. Never raises: what is not understood is Unroutable."""
    reader = _READERS.get(event.name)
    if reader is None:
        return Unroutable("unknown event")
    try:
        return reader(msgspec.json.decode(event.body, type=wire.EventBody).data)
    except BROKEN:
        # The library's own text may quote what it could not read.
        return Unroutable(f"{event.name} is not built as documented")


def _dialog_started(data: object) -> Routed:
    item = msgspec.convert(wire.first(data, "DATA"), wire.DialogItem, strict=False)
    chat_id = item.connector.chat_id or (item.chat.id if item.chat else "")
    if not chat_id:
        return Unroutable("a dialog without a chat")
    return DialogStarted(external_chat_id=chat_id, bitrix_session_id=item.session.id)


def _dialog_finished(_data: object) -> Routed:
    return Ignored("a session was closed")


def _switched_off(data: object) -> Routed:
    # The keys of this one event are lower-case.
    connector, line = wire.dig(data, "connector"), wire.number(wire.dig(data, "line"))
    if not isinstance(connector, str) or not connector or line is None:
        return Unroutable("a switched-off connector without its line")
    return ConnectorLost(connector_id=connector, line_id=line, reason="the connector was switched off on the line")


def _line_deleted(data: object) -> Routed:
    # `data` is the line's number itself.
    line = wire.number(data)
    if line is None:
        return Unroutable("a deleted line without its number")
    return ConnectorLost(connector_id=None, line_id=line, reason="the open line was deleted")


_READERS: dict[str, Callable[[object], Routed]] = {
    Name.MESSAGE_ADD: message_added,
    Name.MESSAGE_UPDATE: message_updated,
    Name.MESSAGE_DELETE: message_deleted,
    Name.DIALOG_START: _dialog_started,
    Name.DIALOG_FINISH: _dialog_finished,
    Name.STATUS_DELETE: _switched_off,
    Name.LINE_DELETE: _line_deleted,
}


# --- to Bitrix24 -----------------------------------------------------------------------------------------------------


class Element(msgspec.Struct, frozen=True):
    """A part of a customer's message as the portal takes it, under the key that proves it. Nearly all have one."""

    key: str
    content: dict[str, object]


def to_elements(claim: Claim, said: Said) -> list[Element]:
    """A customer's message as elements of `imconnector.send.messages`: what a portal would cut goes on in another one.

    https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-send-messages.html
    """
    parts = in_parts(_words_of(claim, said))
    return [_element(claim, part_key(claim, number), text, first=not number) for number, text in enumerate(parts)]


def _element(claim: Claim, key: str, text: Text, *, first: bool) -> Element:
    message = {"id": key, "date": int(claim.created_at.timestamp()), "text": to_bbcode(text)}
    return Element(
        key,
        {
            "user": _user(claim.conversation),
            "message": message | (_files(claim) if first else {}),
            "chat": {"id": claim.conversation.external_chat_id},
        },
    )


def is_long(claim: Claim) -> bool:
    """Whether it goes in several parts."""
    content = claim.content
    # Nearly all are short words; marks make a text ten times as long at the most.
    if isinstance(content, Words) and content.marks == NO_MARKS and len(content.text.plain) * 10 < BITRIX_TEXT_MAX:
        return False
    return len(keys_of(claim)) > 1


def keys_of(claim: Claim) -> list[str]:
    """The keys of all parts of a message, by which it is proven."""
    if isinstance(claim.content, Notice | Template):
        return [message_key(claim)]
    parts = in_parts(_words_of(claim, claim.content))
    return [part_key(claim, number) for number, _ in enumerate(parts)]


def _words_of(claim: Claim, said: Said) -> Text:
    """The words of a message; those with its file, or in the file's place."""
    locale = claim.portal.locale
    if not isinstance(said, MediaContent):
        return shown(said, locale)
    file = claim.attachment
    if file is not None and file.state is AttachmentState.READY:
        line = _whole_name(said)
        if not said.caption and not line:
            return Text() if is_wordless(claim) else shown(said, locale)
    elif file is not None and file.state is AttachmentState.PROMISED:
        line = promise(said.kind, locale)
    else:
        line = lost(said, file.notice if file else "file_gone", locale)
    between = [Span("\n")] if line and said.caption else []
    return shown(Words(rich_text([Span(line), *between, *said.caption.spans]), marks=said.marks), locale)


def is_wordless(claim: Claim) -> bool:
    """Whether a file goes alone. With words an element is taken even when its file cannot be fetched."""
    content = claim.content
    bare = isinstance(content, MediaContent) and content.is_bare and not _whole_name(content)
    return bare and claim.attempts < limits.FILE_ALONE_TRIES


def carries_file(claim: Claim) -> bool:
    """Whether its file goes with it; else a line stands in the file's place."""
    return claim.attachment is not None and claim.attachment.state is AttachmentState.READY


def _files(claim: Claim) -> dict[str, object]:
    """https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-send-messages.html"""
    file = claim.attachment
    if file is None or file.state is not AttachmentState.READY or file.blob is None:
        return {}
    return {"files": [{"url": file.address, "name": short_name(file.blob.name)}]}


def _whole_name(file: MediaContent) -> str:
    """The name of a document, where the portal keeps only its end."""
    name = file.name or ""
    return name if file.kind is MediaKind.DOCUMENT and len(name) > limits.BITRIX_FILE_NAME_MAX else ""


def short_name(name: str) -> str:
    """A portal keeps the last fifty characters of a name."""
    stem, dot, ending = name.rpartition(".")
    return f"{stem[: limits.BITRIX_FILE_NAME_MAX - len(dot + ending)]}{dot}{ending}"


def message_key(claim: Claim) -> str:
    """The id that the portal keeps beside the message, and by which a send is proven."""
    return claim.whatsapp_id or callback_data(claim.message_id)


def part_key(claim: Claim, number: int) -> str:
    """The key of the part with this number, from 0 on."""
    return f"{message_key(claim)}#{number + 1}" if number else message_key(claim)


def is_part(key: str) -> bool:
    """Whether it is the key of a later part of a message."""
    return key.rpartition("#")[2].isdigit() and "#" in key


def to_delivery(claim: Claim) -> dict[str, object]:
    """An operator's message that reached WhatsApp, as an element of `imconnector.send.status.delivery`.

    https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-send-status-delivery.html
    """
    return {
        "im": {"chat_id": chat_of(claim), "message_id": claim.bitrix_message_id},
        "message": {"id": list(claim.parts) or [claim.whatsapp_id], "date": int(claim.created_at.timestamp())},
        "chat": {"id": claim.conversation.external_chat_id},
    }


def to_notice(claim: Claim, notice: Notice, chat_id: int) -> dict[str, object]:
    """A line to the operator, kept out of WhatsApp twice: a portal may drop either flag.

    https://apidocs.bitrix24.com/api-reference/chats/messages/im-message-add.html
    """
    return {
        "DIALOG_ID": f"chat{chat_id}",
        "MESSAGE": notice_line(claim, notice),
        "SYSTEM": "Y",
        "SKIP_CONNECTOR": "Y",
        **_attached(claim),
    }


def notice_line(claim: Claim, notice: Notice) -> str:
    """The notice in the portal's language, with the message that it shows."""
    locale = claim.portal.locale
    if notice.about is None:
        return to_bbcode(plain_text(notice_text(notice.code, notice.params, locale)))
    lead = notice_text(notice.code, {**notice.params, "text": ""}, locale).rstrip()
    return to_bbcode(rich_text([Span(f"{lead}\n"), *shown(notice.about, locale).spans]))


def _attached(claim: Claim) -> dict[str, object]:
    """The file of the message that a line shows: a picture as one, everything else as something to fetch.

    https://apidocs.bitrix24.com/api-reference/chats/messages/attachments/index.html
    """
    file = claim.attachment
    if file is None or file.blob is None:
        return {}
    named: dict[str, object] = {"NAME": file.blob.name, "LINK": file.address}
    if file.blob.type.startswith("image/"):
        return {"ATTACH": [{"IMAGE": [named]}]}
    return {"ATTACH": [{"FILE": [named | {"SIZE": file.blob.size}]}]}


def chat_of(claim: Claim) -> int | None:
    """The Bitrix24 chat of a message, when it is known."""
    return claim.bitrix_chat_id or claim.conversation.bitrix_chat_id


def _user(conversation: Conversation) -> dict[str, str]:
    # The same customer has to give the same bytes: any change makes the portal update its guest.
    customer = conversation.customer
    first, last = clean_name(customer.name)
    user = {"id": conversation.id.hex}
    if first:
        user["name"] = first
    if last:
        user["last_name"] = last
    if not first and (customer.phone or customer.username):
        user["title"] = customer.phone or customer.username or ""
    if customer.phone:
        user["phone"] = customer.phone
        if not _is_valid(customer.phone):
            # Else the portal drops a number that its own tables do not know, and finds no one in the CRM.
            user["skip_phone_validate"] = "Y"
    return user


@lru_cache(maxsize=10_000)
def _is_valid(phone: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return False
