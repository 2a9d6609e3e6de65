"""Uploads and sends of the Graph API: the form of an upload, the message with an uploaded file, and the id of a send.

No I/O; the boundary of a form is random.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from typing import NamedTuple

from zaptrix.core.limits import WAMID_CHARACTERS_MAX
from zaptrix.core.message.media import CAPTIONED
from zaptrix.core.message.message import MediaKind
from zaptrix.whatsapp.wire import SendResponse

_WA_ID = re.compile(r"\+?[0-9]{5,19}")

# Hosts below which Meta keeps media. The address comes from Meta's own answer, and still leads nowhere else.
# https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
MEDIA_DOMAINS = ("fbsbx.com", "fbcdn.net", "whatsapp.net", "facebook.com")


class Wamid(NamedTuple):
    """A message as Meta took it."""

    whatsapp_id: str
    wa_id: str | None  # the customer's, as Meta writes it: Brazil's ninth digit may be gone


def wamid_of(answer: SendResponse) -> Wamid | None:
    """None when the answer to a send names no message, or none that can be one."""
    whatsapp_id = answer.messages[0].id if answer.messages else ""
    if not 0 < len(whatsapp_id) <= WAMID_CHARACTERS_MAX or not whatsapp_id.isprintable():
        return None
    wa_id = answer.contacts[0].wa_id if answer.contacts else None
    return Wamid(whatsapp_id, wa_id if wa_id and _WA_ID.fullmatch(wa_id) else None)


class MediaToSend(NamedTuple):
    """An uploaded file as a message. Sounds and stickers have no caption."""

    kind: MediaKind
    media_id: str
    caption: str = ""
    name: str = ""
    voice: bool = False

    def fields(self) -> dict[str, object]:
        """https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages"""
        fields: dict[str, object] = {"id": self.media_id}
        if self.caption and self.kind in CAPTIONED:
            fields["caption"] = self.caption
        if self.kind is MediaKind.DOCUMENT:
            fields["filename"] = self.name
        if self.kind is MediaKind.AUDIO and self.voice:
            fields["voice"] = True
        return fields


class UploadForm:
    """A multipart form around a file that is not held: its length is known beforehand, as some servers want it."""

    def __init__(self, name: str, type_: str, size: int) -> None:
        mark = f"zaptrix{secrets.token_hex(16)}"
        ascii_name = "".join(sign if sign.isascii() and sign not in '"\\' else "_" for sign in name)
        fields = "".join(
            f'--{mark}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in (("messaging_product", "whatsapp"), ("type", type_))
        )
        self._head = (
            f'{fields}--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{ascii_name}"\r\n'
            f"Content-Type: {type_}\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{mark}--\r\n".encode()
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={mark}",
            "Content-Length": str(len(self._head) + size + len(self._tail)),
        }

    async def body(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        yield self._head
        async for part in parts:
            yield part
        yield self._tail
