"""The Graph API: every request to Meta, and what its answers mean.

https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import TypeVar
from urllib.parse import quote, urlencode

import msgspec
from aiohttp import ClientSession

from zaptrix import __version__
from zaptrix.core import limits
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.delivery.errors import PlatformError, Refused, TooFast, Unauthorized, Unavailable, Unclear, Unexpected
from zaptrix.core.delivery.pace import Bucket, number_bucket, pair_bucket
from zaptrix.core.ids import meta_id
from zaptrix.core.message.media import MediaSource
from zaptrix.core.message.template import CreatedTemplate, Definition
from zaptrix.core.portal import Channel
from zaptrix.core.ports import Callback, NumberTokens, Pace
from zaptrix.exchange import HttpResponse, NoAnswer, NotSent, Request, exchange, read
from zaptrix.whatsapp import wire
from zaptrix.whatsapp.codes import codes
from zaptrix.whatsapp.items import MetaError
from zaptrix.whatsapp.outbound.translate import Typed
from zaptrix.whatsapp.outbound.upload import UploadForm, Wamid, wamid_of
from zaptrix.whatsapp.templates import TemplatePage, definition_of

CONNECT_S = 5.0
TIMEOUT_S = 30.0
REQUEST_ID_MAX = 128

_NUMBER_FIELDS = "display_phone_number,health_status"

_TEMPLATE_FIELDS = "id,name,language,status,category,components,parameter_format,quality_score,rejected_reason"

# Templates are managed by the account and not by the number: some thousand calls an hour, and we make a few.
# https://developers.facebook.com/documentation/business-messaging/whatsapp/about-the-platform
_NO_BUCKETS: tuple[Bucket, ...] = ()
_NO_SUCH_OBJECT = ("33", "100/33")
# What else stands in an id's place would be another address of the Graph.
_MEDIA_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_UPLOAD_ID_MAX = 64  # what the ledger keeps
_WABA_ID = re.compile(r"[0-9]{5,32}")
_ADDRESS_MAX = 8_192

# Which bucket a refusal speaks of.
_REFUSING = {"130429": "number", "http_429": "number", "131056": "pair"}

T = TypeVar("T", bound=msgspec.Struct)


class GraphClient:
    """Calls of one Graph API. Every method raises `PlatformError`, and takes its tokens of pace before it calls.

    `session` is shared and stays the caller's. aiohttp repeats a request on a fresh connection only when its method is
    idempotent, so that a send whose kept-alive connection was gone ends as Unclear and never as two messages.
    """

    def __init__(
        self,
        session: ClientSession,
        *,
        graph_url: str,
        version: str,
        tokens: NumberTokens,
        pace: Pace,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._session = session
        self._root = f"{graph_url.rstrip('/')}/{version.strip('/')}"
        self._tokens = tokens
        self._pace = pace
        self._timeout_s = timeout_s

    async def send(
        self,
        channel: Channel,
        conversation: Conversation,
        message: Typed,
        callback_data: str,
        request_id: str,
        *,
        quotes: str | None = None,
    ) -> Wamid:
        """Send a message of any kind, as an answer to the wamid `quotes`. `callback_data` comes back in every status of
        it."""
        kind, content = message
        answer = await self._call(
            "POST",
            channel,
            f"{channel.phone_number_id}/messages",
            wire.SendResponse,
            buckets=(number_bucket(channel), pair_bucket(conversation)),
            request_id=request_id,
            content={
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                **_address(conversation.customer),
                "type": kind,
                kind: content,
                **({"context": {"message_id": meta_id(quotes)}} if quotes else {}),
                "biz_opaque_callback_data": callback_data,
            },
        )
        taken = wamid_of(answer)
        if taken is None:
            raise Unclear("no_wamid", "the answer names no message")
        return taken

    async def media_source(self, channel: Channel, media_id: str) -> MediaSource:
        """Where a file at Meta is right now: the address lives for five minutes, the id for days."""
        info = await self.media_info(channel, media_id)
        if not info.url or len(info.url) > _ADDRESS_MAX:
            raise Unavailable("no_media_address", "Meta tells no address of the file")
        return MediaSource(info.url, _headers(await self._tokens.number_token(channel.id), ""), info.mime_type)

    async def media_info(self, channel: Channel, media_id: str) -> wire.MediaInfo:
        """What Meta tells of a file. Raises Refused when it is not there, or not for this number."""
        if not _MEDIA_ID.fullmatch(media_id):
            raise Refused("media_gone", "the message names no file", notice="file_gone")
        path = f"{quote(media_id, safe='')}?phone_number_id={channel.phone_number_id}"
        try:
            return await self._call("GET", channel, path, wire.MediaInfo, repeatable=True)
        except Unauthorized as error:
            if error.code in _NO_SUCH_OBJECT:
                raise Refused("media_gone", "Meta does not keep the file any more", notice="file_gone") from error
            raise

    async def upload(
        self, channel: Channel, parts: AsyncIterator[bytes], *, size: int, type_: str, name: str, timeout_s: float
    ) -> str:
        """Hand over a file in parts; its id at Meta, good for thirty days, for this number alone.

        Doing it again harms nothing. Raises Refused for a type or size that Meta does not take.
        """
        form = UploadForm(name, type_, size)
        token = await self._tokens.number_token(channel.id)
        await self._pace.take(number_bucket(channel))
        answer = await self._exchange(
            "POST",
            f"{channel.phone_number_id}/media",
            _headers(token, "") | form.headers,
            form.body(parts),
            repeatable=True,
            time_s=timeout_s,
        )
        media_id = (await self._read("media", answer, wire.SentMessage, repeatable=True)).id
        if not _MEDIA_ID.fullmatch(media_id) or len(media_id) > _UPLOAD_ID_MAX:
            raise Unavailable("no_media_id", "the answer names no file")
        return media_id

    async def mark_read(
        self, channel: Channel, whatsapp_id: str, request_id: str = "", *, typing: bool = False
    ) -> None:
        """Blue ticks for a customer's message and all before it. Doing it again harms nothing.

        `typing`: the customer is shown that an answer is coming, for 25 seconds or until it is there.
        """
        shown: dict[str, object] = {"typing_indicator": {"type": "text"}} if typing else {}
        done = await self._call(
            "POST",
            channel,
            f"{channel.phone_number_id}/messages",
            wire.Done,
            buckets=(number_bucket(channel),),
            request_id=request_id,
            content={"messaging_product": "whatsapp", "status": "read", "message_id": meta_id(whatsapp_id), **shown},
            repeatable=True,
        )
        _check(done)

    async def phone_number(self, channel: Channel) -> wire.PhoneNumber:
        """What Meta says of the number, its health included."""
        path = f"{channel.phone_number_id}?fields={_NUMBER_FIELDS}"
        return await self._call("GET", channel, path, wire.PhoneNumber, repeatable=True)

    async def waba_id(self, channel: Channel) -> str | None:
        """The WhatsApp Business account that the number belongs to, when Meta tells this token of it."""
        health = (await self.phone_number(channel)).health_status
        entities = health.entities if health else []
        return next((each.id for each in entities if each.entity_type == "WABA" and _WABA_ID.fullmatch(each.id)), None)

    async def templates(self, channel: Channel, waba_id: str) -> list[Definition]:
        """Every template of a WhatsApp Business account, page by page."""
        found: dict[str, Definition] = {}
        after: str | None = ""
        try:
            async with asyncio.timeout(limits.TEMPLATES_LIST_S_MAX):
                for _ in range(limits.TEMPLATE_PAGES_MAX):
                    query = {"fields": _TEMPLATE_FIELDS, "limit": str(limits.TEMPLATES_PER_PAGE)}
                    path = f"{waba_id}/message_templates?{urlencode(query | ({'after': after} if after else {}))}"
                    page = await self._call("GET", channel, path, TemplatePage, buckets=_NO_BUCKETS, repeatable=True)
                    found |= {each.id: each for told in page.data if (each := definition_of(told))}
                    after = page.after
                    if after is None:
                        return list(found.values())
        except TimeoutError:
            raise Unavailable("timeout", "the list of templates did not come whole in time") from None
        raise Unexpected("endless_list", "the list of templates does not end")

    async def create_template(self, channel: Channel, waba_id: str, wanted: dict[str, object]) -> CreatedTemplate:
        """Hand a new template in for review. Raises Refused with what Meta says is wrong."""
        path = f"{waba_id}/message_templates"
        return await self._call("POST", channel, path, CreatedTemplate, buckets=_NO_BUCKETS, content=wanted)

    async def delete_template(self, channel: Channel, waba_id: str, name: str, template_id: str | None) -> None:
        """Delete a template: one language of it by its id, else all. Doing it again harms nothing."""
        query = {"name": name} | ({"hsm_id": template_id} if template_id else {})
        path = f"{waba_id}/message_templates?{urlencode(query)}"
        _check(await self._call("DELETE", channel, path, wire.Done, buckets=_NO_BUCKETS, repeatable=True))

    async def subscribed_apps(self, channel: Channel, waba_id: str) -> list[wire.AppSubscription]:
        """The apps that get the webhooks of a WhatsApp Business account. Two gateways there answer twice."""
        found = await self._call("GET", channel, f"{waba_id}/subscribed_apps", wire.SubscribedApps, repeatable=True)
        return found.data

    async def subscribe(self, channel: Channel, waba_id: str, callback: Callback | None = None) -> None:
        """Have the webhooks of a WhatsApp Business account sent to the app that owns the channel's token.

        With `callback` they go there, which Meta asks for its challenge first; without, to the app's own address.
        https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/override
        """
        content: dict[str, object] = {}
        if callback is not None:
            content = {"override_callback_uri": callback.url, "verify_token": callback.verify_token}
        path = f"{waba_id}/subscribed_apps"
        _check(await self._call("POST", channel, path, wire.Done, content=content, repeatable=True))

    async def ask(self, token: str, path: str, shape: type[T]) -> T:
        """Read something with a token that no channel has yet; it takes of no number's pace."""
        answer = await self._exchange("GET", path, _headers(token, ""), None, repeatable=True)
        return await self._read(f"GET {shape.__name__}", answer, shape, repeatable=True)

    async def _call(
        self,
        method: str,
        channel: Channel,
        path: str,
        shape: type[T],
        *,
        buckets: tuple[Bucket, ...] | None = None,
        content: dict[str, object] | None = None,
        request_id: str = "",
        repeatable: bool = False,
    ) -> T:
        """One request. `repeatable`: doing it twice harms nothing, so that no answer counts as not done."""
        token = await self._tokens.number_token(channel.id)
        if buckets is None:
            buckets = (number_bucket(channel),)
        if buckets:
            await self._pace.take(*buckets)
        data = None if content is None else msgspec.json.encode(content)
        answer = await self._exchange(method, path, _headers(token, request_id), data, repeatable=repeatable)
        try:
            return await self._read(f"{method} {shape.__name__}", answer, shape, repeatable=repeatable)
        except TooFast as error:
            kind = _REFUSING.get(error.code)
            await self._pace.refused(*(bucket for bucket in buckets if bucket.key.partition(":")[0] == kind))
            raise

    async def _exchange(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        data: bytes | AsyncIterator[bytes] | None,
        *,
        repeatable: bool,
        time_s: float | None = None,
    ) -> HttpResponse:
        request = Request(
            method=method,
            url=f"{self._root}/{path}",
            headers=headers,
            body=data,
            time_s=time_s or self._timeout_s,
            connect_s=min(CONNECT_S, self._timeout_s / 2),
            bytes_max=limits.ANSWER_BYTES_MAX,
        )
        try:
            return await exchange(self._session, request)
        except NotSent as error:
            raise Unavailable(str(error)) from None
        except NoAnswer as error:
            raise _unclear(str(error), repeatable=repeatable) from None

    async def _read(self, call: str, answer: HttpResponse, shape: type[T], *, repeatable: bool) -> T:
        try:
            return await read(call, answer, lambda body: _read_as(shape, answer, body, repeatable=repeatable))
        except NoAnswer as error:
            raise _unclear(str(error), repeatable=repeatable) from None


def _check(done: wire.Done) -> None:
    """Raise Unexpected when the answer says that it was not done; most say that it was, and some nothing."""
    if done.success is False:
        raise Unexpected("not_done", "Meta answered that it has not done it")


def _address(customer: Customer) -> dict[str, object]:
    """`to` with "+", or Meta puts the business's own country code before it; a hidden number goes by its user id.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
    """
    number = customer.wa_id or customer.phone
    if number:
        return {"to": f"+{number.lstrip('+')}"}
    if customer.bsuid:
        return {"recipient": customer.bsuid}
    raise Refused("no_address", "neither a number nor a user id is known", notice="unreachable")


def _headers(token: str, request_id: str) -> dict[str, str]:
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "User-Agent": f"zaptrix/{__version__}",
    }
    if request_id.isascii() and request_id.isprintable() and 0 < len(request_id) <= REQUEST_ID_MAX:
        headers["X-Request-Id"] = request_id
    return headers


def _read_as(shape: type[T], answer: HttpResponse, body: bytes, *, repeatable: bool) -> T:
    fault = _fault(body)
    if fault is not None or answer.status != 200:
        raise codes.error_of_answer(fault, answer.status, retry_after_s=answer.retry_after_s, repeatable=repeatable)
    try:
        return wire.read(body, shape)
    except wire.NotJsonObject:
        # 200 and no JSON: it may well have been done.
        raise _unclear("no_json", "200 without a JSON object", repeatable=repeatable) from None


def _fault(body: bytes) -> MetaError | None:
    if b'"error"' not in body:
        return None
    try:
        return wire.read(body, wire.ErrorResponse).error
    except wire.NotJsonObject:
        return None


def _unclear(code: str, detail: str = "", *, repeatable: bool) -> PlatformError:
    return Unavailable(code, detail) if repeatable else Unclear(code, detail)
