"""What the platforms post to the gateway: unique, signed, made before the clock starts.

Written by hand and not by the simulators' code, which builds each from a world of objects; `tests/benchmarks` reads
both with the gateway's own eyes.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

from benchmarks.load import Request
from benchmarks.tenants import Tenant

APP_SECRET = "bench-app-secret"
META_PATH = "/webhooks/meta"
BITRIX_PATH = "/webhooks/bitrix24/outbound"

_HOST = "127.0.0.1"
_FILLER = "Bom dia! Gostaria de saber se o pedido ja saiu para entrega, por favor."

_MESSAGE = (
    '{"object":"whatsapp_business_account","entry":[{"id":"%(waba)s","changes":[{"value":{"messaging_product":"whatsapp",'
    '"metadata":{"display_phone_number":"%(display)s","phone_number_id":"%(number)s"},'
    '"contacts":[{"profile":{"name":"Cliente %(customer)d"},"wa_id":"%(wa_id)s","user_id":"%(user_id)s"}],'
    '"messages":[{"from":"%(wa_id)s","from_user_id":"%(user_id)s","id":"%(wamid)s","timestamp":"%(at)d","type":"text",'
    '"text":{"body":"%(text)s"}}]},"field":"messages"}]}]}'
)
_POST = (
    "POST %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\nUser-Agent: %s\r\nContent-Type: %s\r\n%sContent-Length: %d\r\n\r\n"
)


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One customer of one tenant. `line` is its place among all conversations of the run."""

    line: int
    tenant: Tenant

    @property
    def wa_id(self) -> str:
        return f"5511{900_000_000 + self.line}"

    @property
    def user_id(self) -> str:
        return f"BR.{10**15 + self.line}"


def conversations(tenants: Sequence[Tenant], each: int) -> list[Conversation]:
    """`each` customers of every tenant, the tenants taking turns."""
    count = len(tenants) * each
    return [Conversation(line=line, tenant=tenants[line % len(tenants)]) for line in range(count)]


def text_of(number: int) -> str:
    """A text that names its message: what arrives tells by itself which one it is."""
    return f"{number} {_FILLER}"


def number_of(text: str) -> int:
    """The message that a text names; -1 when it names none."""
    digits, _, rest = text.partition(" ")
    return int(digits) if digits.isdigit() and rest == _FILLER else -1


def wamid_of(number: int) -> str:
    return f"wamid.HBgNNTUxMTk5OTk5OTk5ORUCABIYFDNB{number:012d}AA=="


def customers_write(talks: Sequence[Conversation], numbers: Iterable[int]) -> list[Request]:
    """A webhook of Meta's for each number, the conversations taking turns."""
    at = int(time.time())
    return [_from_customer(talks[number % len(talks)], number, at) for number in numbers]


def signature(body: bytes) -> str:
    """https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/create-webhook-endpoint"""
    return f"sha256={hmac.digest(APP_SECRET.encode(), body, 'sha256').hex()}"


def meta_post(body: bytes) -> bytes:
    """The whole signed request."""
    signed = f"X-Hub-Signature-256: {signature(body)}\r\n"
    head = _POST % (META_PATH, _HOST, "facebookexternalua", "application/json", signed, len(body))
    return head.encode() + body


def _from_customer(talk: Conversation, number: int, at: int) -> Request:
    tenant = talk.tenant
    body = _MESSAGE % {
        "waba": tenant.waba_id,
        "display": tenant.display,
        "number": tenant.number,
        "customer": talk.line,
        "wa_id": talk.wa_id,
        "user_id": talk.user_id,
        "wamid": wamid_of(number),
        "at": at,
        "text": text_of(number),
    }
    return Request(line=talk.line, data=meta_post(body.encode()))


@dataclass(frozen=True, kw_only=True)
class Chat:
    """A conversation as the portal knows it."""

    external_id: str  # what it was given
    id: int


def operators_write(talks: Sequence[Conversation], chats: Sequence[Chat], numbers: Iterable[int]) -> list[Request]:
    """An event of Bitrix24's for each number; `chats` are those of the conversations.

    https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/events/index.html
    """
    at = int(time.time())
    lines = len(talks)
    return [_from_operator(talks[n % lines], chats[n % lines], n, at) for n in numbers]


def _from_operator(talk: Conversation, chat: Chat, number: int, at: int) -> Request:
    tenant = talk.tenant
    message = "data[MESSAGES][0]"
    fields = {
        "event": "ONIMCONNECTORMESSAGEADD",
        "event_handler_id": "41",
        "data[CONNECTOR]": tenant.connector_id,
        "data[LINE]": str(tenant.line_id),
        f"{message}[im][chat_id]": str(chat.id),
        f"{message}[im][message_id]": str(number + 1),
        f"{message}[message][user_id]": "27",
        f"{message}[message][text]": f"[b]Bia:[/b] [br]{text_of(number)}",
        f"{message}[chat][id]": chat.external_id,
        "ts": str(at),
        "auth[access_token]": "operators-own-token-which-nobody-keeps-0123456789abcdef0123456789abcdef",
        "auth[expires]": str(at + 3600),
        "auth[expires_in]": "3600",
        "auth[scope]": "crm,im,imopenlines,imconnector",
        "auth[domain]": f"{tenant.key}.bitrix24.test",
        "auth[server_endpoint]": "https://oauth.bitrix24.tech/rest/",
        "auth[status]": "L",
        "auth[client_endpoint]": tenant.client_endpoint,
        "auth[member_id]": tenant.member_id,
        "auth[user_id]": "27",
        "auth[application_token]": tenant.application_token,
    }
    body = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in fields.items()).encode()
    kind = "application/x-www-form-urlencoded; charset=UTF-8"
    head = _POST % (BITRIX_PATH, _HOST, "Bitrix24 Webhook Engine", kind, "", len(body))
    return Request(line=talk.line, data=head.encode() + body)
