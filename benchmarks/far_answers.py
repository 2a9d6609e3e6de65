"""What the platforms answer: each call is parsed, its token checked, and what it carried written down.

A portal says the same of the same: chats and sessions keep their ids. Neither limits nor faults: those are the
simulators' (`zaptrix_sim`), which cost too much where microseconds are counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from benchmarks.far_history import FarHistory
from benchmarks.far_record import FarRecord, chat_id, place_of_chat, session_id
from benchmarks.letters import number_of


class Ref(msgspec.Struct):
    id: str


class CustomerMessage(msgspec.Struct):
    id: str
    text: str


class Element(msgspec.Struct):
    """An element of `imconnector.send.messages`."""

    user: Ref
    message: CustomerMessage
    chat: Ref


class SendMessages(msgspec.Struct):
    connector: str = msgspec.field(name="CONNECTOR")
    line: int = msgspec.field(name="LINE")
    messages: list[Element] = msgspec.field(name="MESSAGES")


class ImRef(msgspec.Struct):
    chat_id: int
    message_id: int


class Confirmed(msgspec.Struct):
    id: list[str]


class Delivered(msgspec.Struct):
    im: ImRef
    message: Confirmed


class SendDelivery(msgspec.Struct):
    messages: list[Delivered] = msgspec.field(name="MESSAGES")


class Body(msgspec.Struct):
    body: str


class GraphPost(msgspec.Struct):
    """What goes to a number: a text or a read mark."""

    messaging_product: str
    to: str = ""
    status: str = ""
    message_id: str = ""
    text: Body | None = None
    biz_opaque_callback_data: str = ""


class Posted(msgspec.Struct, frozen=True):
    """An answer, and what Meta will tell of later."""

    status: int
    body: bytes
    sent: tuple[str, str, str, str] | None = None  # number, wamid, wa_id, callback data


_SEND = msgspec.json.Decoder(SendMessages)
_DELIVERY = msgspec.json.Decoder(SendDelivery)
_GRAPH = msgspec.json.Decoder(GraphPost)
_NO_METHOD = b'{"error":"ERROR_METHOD_NOT_FOUND","error_description":"Method not found!"}'
_NO_TOKEN = b'{"error":"expired_token","error_description":"The access token provided has expired."}'
_BAD_GRAPH = b'{"error":{"message":"Invalid OAuth access token","type":"OAuthException","code":190}}'
# https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
_UNDELIVERABLE = b'{"error":{"message":"(#131026) Message undeliverable","type":"OAuthException","code":131026}}'


class FarAnswers:
    """Both platforms' answers."""

    def __init__(self, record: FarRecord, refuse_every: int = 0) -> None:
        self._record = record
        self._refuse_every = refuse_every
        self._history = FarHistory(self._fault)
        self._wamids = 0
        self._methods: dict[str, Callable[[bytes], bytes]] = {
            "imconnector.send.messages": self._send_messages,
            "imconnector.send.status.delivery": self._send_delivery,
            "imconnector.register": _fixed(b'{"result":true}'),
            "imconnector.activate": _fixed(b"true"),
            "imconnector.connector.data.set": _fixed(b"true"),
            "imconnector.status": _fixed(b'{"LINE":14,"ERROR":false,"CONFIGURED":true,"STATUS":true}'),
            "event.get": _fixed(b"[]"),
            "event.bind": _fixed(b"true"),
            "batch": self._history.batch,
            "im.message.add": _fixed(b"4711"),
        }

    def answer(self, path: str, token: str, body: bytes) -> Posted:
        """The answer to `POST path`. Paths: /meta/v26.0/<number>/messages and /bitrix24/p<portal>/rest/<method>."""
        parts = path.split("/")
        if parts[1] == "bitrix24" and len(parts) == 5:
            return self._portal(parts[2], parts[4], token, body)
        if parts[1] == "meta" and len(parts) == 5 and parts[4] == "messages":
            return self._number(parts[3], token, body)
        if parts[1] == "meta" and parts[-1] == "subscribed_apps":
            return Posted(200, b'{"success":true,"data":[{}]}')
        if parts[1] == "meta" and parts[-1].partition("?")[0] == "message_templates":
            return Posted(200, b'{"data":[]}')  # a worker looks for changes now and then
        self._fault(f"no such address: {parts[-1].partition('?')[0]}")
        return Posted(404, _NO_METHOD)

    def _fault(self, what: str) -> None:
        self._record.faults[what] += 1

    def _portal(self, portal: str, method: str, token: str, body: bytes) -> Posted:
        self._record.calls[method] += 1
        if token != f"access-token-{portal[1:]}":
            self._fault("a portal's wrong token")
            return Posted(401, _NO_TOKEN)
        answer = self._methods.get(method)
        if answer is None:
            self._fault(f"unexpected {method}")
            return Posted(404, _NO_METHOD)
        began = time.time()
        try:
            result = answer(body)
        except msgspec.MsgspecError:
            self._fault(f"unreadable {method}")
            return Posted(400, b'{"error":"ERROR_ARGUMENT","error_description":"not as documented"}')
        return Posted(200, b'{"result":%b,"time":%b}' % (result, _timing(began)))

    def _send_messages(self, body: bytes) -> bytes:
        items = []
        for element in _SEND.decode(body).messages:
            thread = self._record.arrived(number_of(element.message.text), element.chat.id)
            message = element.message
            self._history.customer_wrote(thread, message.id)
            items.append(
                f'{{"user":"{thread}","message":{{"id":"{message.id}","date":{{}},"text":"{message.text}"}},'
                f'"chat":{{"id":"{element.chat.id}"}},"extra":{{}},"SUCCESS":true,'
                f'"session":{{"ID":"{session_id(thread)}","CHAT_ID":"{chat_id(thread)}"}}}}'
            )
        return b'{"SUCCESS":true,"DATA":{"RESULT":[%b]}}' % ",".join(items).encode()

    def _send_delivery(self, body: bytes) -> bytes:
        for told in _DELIVERY.decode(body).messages:
            self._record.confirmed(told.im.message_id)
            self._history.operator_wrote(place_of_chat(told.im.chat_id), told.im.message_id, told.message.id[0])
        return b'{"SUCCESS":true,"DATA":[]}'

    def _number(self, number: str, token: str, body: bytes) -> Posted:
        if token != f"number-token-{int(number) - 210_000_000_000_000}":
            self._fault("a number's wrong token")
            return Posted(401, _BAD_GRAPH)
        try:
            post = _GRAPH.decode(body)
        except msgspec.MsgspecError:
            self._fault("unreadable message")
            return Posted(400, b'{"error":{"message":"Invalid parameter","type":"OAuthException","code":100}}')
        if post.status == "read":
            self._record.calls["read mark"] += 1
            return Posted(200, b'{"success":true}')
        self._record.calls["message"] += 1
        wa_id = post.to.removeprefix("+")
        told = number_of(post.text.body if post.text else "")
        if self._refuse_every and told % self._refuse_every == 1:
            return Posted(400, _UNDELIVERABLE)
        self._record.arrived(told, f"{number}/{wa_id}")
        self._wamids += 1
        wamid = f"wamid.HBgNFAR{self._wamids:016d}"
        answer = (
            f'{{"messaging_product":"whatsapp","contacts":[{{"input":"{post.to}","wa_id":"{wa_id}"}}],'
            f'"messages":[{{"id":"{wamid}"}}]}}'
        )
        return Posted(200, answer.encode(), (number, wamid, wa_id, post.biz_opaque_callback_data))


def _fixed(result: bytes) -> Callable[[bytes], bytes]:
    return lambda _body: result


def _timing(began: float) -> bytes:
    """https://apidocs.bitrix24.com/settings/how-to-call-rest-api/data-encoding.html"""
    finish = time.time()
    took, day = finish - began, _iso(int(began))
    return (
        b'{"start":%.6f,"finish":%.6f,"duration":%.6f,"processing":%.6f,"date_start":"%b","date_finish":"%b",'
        b'"operating_reset_at":%d,"operating":%.6f}' % (began, finish, took, took, day, day, finish + 600, took)
    )


_day: tuple[int, bytes] = (0, b"")


def _iso(second: int) -> bytes:
    """The second as text, made once a second."""
    global _day  # noqa: PLW0603
    if _day[0] != second:
        _day = (second, datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds").encode())
    return _day[1]
