"""The edge /messages: what Meta checks of a send, in which order, and what follows when it is taken.

https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from zaptrix_sim.judge.facts import LimitExceeded, MarkedRead, Rank
from zaptrix_sim.meta.errors import UNDELIVERABLE, GraphError, bad_parameter, refusal, told_later
from zaptrix_sim.meta.linked_media import NOT_FETCHED, with_files
from zaptrix_sim.meta.media import CLASSES, MetaMedia
from zaptrix_sim.meta.phonebook import dialled, wa_id_of
from zaptrix_sim.meta.phones import Phones, Said, refused
from zaptrix_sim.meta.send_interactive import header_media
from zaptrix_sim.meta.send_kinds import KINDS, line_of
from zaptrix_sim.meta.send_template import chosen, shown
from zaptrix_sim.meta.webhooks import MetaWebhooks
from zaptrix_sim.world.answers import ApiResponse
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.faults import Fault
from zaptrix_sim.world.world import Number, Phone, PhoneMessage, StoredFile

TEXT_MAX: Final = 4096
MARK_MAX: Final = 512
READ_WITHIN_S: Final = 30 * 86_400.0
STATUS_FIRST_WAIT_S: Final = 10.0
TYPES: Final = frozenset({
    "audio", "contacts", "document", "image", "interactive", "location", "reaction", "sticker", "template", "text",
    "video",
})  # fmt: skip
# What a webhook may tell of and nobody can send.
TOLD_ONLY: Final = frozenset({"button", "order", "system", "unsupported"})


class MetaSend:
    def __init__(self, engine: Engine, phones: Phones, webhooks: MetaWebhooks, media: MetaMedia) -> None:
        self._engine = engine
        self._media = media
        self._phones = phones
        self._webhooks = webhooks

    async def message(self, number: Number, body: dict[str, Any], fault: Fault | None) -> ApiResponse:
        """Accept a message, or raise the refusal. The answer means accepted, nothing more."""
        body, all_came = await with_files(self._engine, number, body)
        said = self._said(number, body)
        phone, contact = self._recipient(number, body)
        self._judge_named(phone, body)
        mark = str(body.get("biz_opaque_callback_data") or "")
        self._judge(number, phone, said, mark)
        message = self._phones.accept(phone, said, mark=mark, to_user_id="user_id" in contact)
        if all_came:
            await self._let_go(phone, message, silent=fault is not None and fault.kind == "silence")
        else:
            self._phones.fail(phone, message, told_later(NOT_FETCHED))
        if self._engine.options.meta_latency_s:
            await asyncio.sleep(self._engine.options.meta_latency_s)
        told = {"id": message.id} | ({} if said.category == "service" else {"message_status": "accepted"})
        return ApiResponse({"messaging_product": "whatsapp", "contacts": [contact], "messages": [told]})

    async def mark_read(self, number: Number, body: dict[str, Any]) -> ApiResponse:
        if body.get("messaging_product") != "whatsapp":
            raise bad_parameter("The parameter messaging_product is required.")
        found = self._engine.world.wamids.get(str(body.get("message_id") or ""))
        if found is None or found[0].number is not number or not found[1].by_customer:
            raise refusal(131009, "The message_id is not that of a received message.")
        phone, message = found
        if self._engine.now() - message.at > READ_WITHIN_S:
            raise refusal(131009, "The message is older than 30 days.")
        if not message.read_by_business:
            self._engine.record(MarkedRead(message.id))
        typing = body.get("typing_indicator")
        if typing is not None and typing != {"type": "text"}:
            raise bad_parameter("Param typing_indicator['type'] must be text.")
        self._phones.mark_read(phone, message)
        if typing:
            self._phones.show_typing(phone)
        return ApiResponse({"success": True})

    def history(self, number: Number, wamid: str) -> list[dict[str, Any]]:
        found = self._engine.world.wamids.get(wamid)
        if found is None or found[0].number is not number or found[1].by_customer:
            return []
        reached = [
            rank for rank in (Rank.ACCEPTED, Rank.SENT, Rank.DELIVERED, Rank.READ, Rank.PLAYED) if rank <= found[1].rank
        ]
        events = [{"id": f"{wamid}.{rank}", "delivery_status": rank.name} for rank in reached]
        return [{"id": f"history.{wamid}", "message_id": wamid, "events": {"data": events}}]

    def addressed(self, number: Number, body: dict[str, Any]) -> str:
        """Whom a send is for, as far as it can be read: only to match faults."""
        try:
            return self._recipient(number, body)[0].customer.key
        except GraphError:
            return ""

    # --- checks --------------------------------------------------------------------------------------------------

    def _said(self, number: Number, body: dict[str, Any]) -> Said:
        kind = str(body.get("type") or "text")
        item = {name: body[name] for name in ("context", kind) if body.get(name)} | {"type": kind}
        if kind in CLASSES:
            _checked(body)
            file, caption = self._media.for_send(number, kind, body.get(kind))
            return Said(caption, file=file, voice=kind == "audio" and bool(body[kind].get("voice")), item=item)
        if kind in KINDS:
            _checked(body)
            line = line_of(kind, body.get(kind))
            return Said(line, file=self._header_file(number, body) if kind == "interactive" else None, item=item)
        if kind != "template" or body.get("messaging_product") != "whatsapp":
            return Said(_text_of(body), item=item)
        templates = self._engine.world.wabas[number.waba_id].templates
        template = chosen(templates.values(), body.get("template"))
        if template["category"] == "AUTHENTICATION" and not body.get("to"):
            raise refusal(131062)
        face = shown(template, body["template"])
        header = self._media.held(number, *face.media) if face.media else None
        return Said(face.text, template["category"].lower(), face.buttons, header, parts=face.parts, item=item)

    def _header_file(self, number: Number, body: dict[str, Any]) -> StoredFile | None:
        found = header_media(body["interactive"])
        return self._media.for_send(number, *found)[0] if found else None

    def _judge_named(self, phone: Phone, body: dict[str, Any]) -> None:
        """What a reaction or a quote names has to be in this thread; a reaction's no older than thirty days."""
        reaction, context = body.get("reaction"), body.get("context")
        if body.get("type") == "reaction" and isinstance(reaction, dict):
            message = self._named(phone, reaction.get("message_id"))
            if self._engine.now() - message.at > READ_WITHIN_S:
                raise refusal(131009, "The message is older than 30 days.")
            if context:
                raise bad_parameter("A reaction takes no context.")
        if context is not None:
            if not isinstance(context, dict):
                raise bad_parameter("Param context must be an object.")
            self._named(phone, context.get("message_id"))

    def _named(self, phone: Phone, wamid: Any) -> PhoneMessage:
        found = self._engine.world.wamids.get(str(wamid or ""))
        if found is None or found[0].thread != phone.thread:
            raise refusal(131009, "The message_id is not that of a message in this conversation.")
        return found[1]

    def _recipient(self, number: Number, body: dict[str, Any]) -> tuple[Phone, dict[str, str]]:
        """`to` wins over `recipient`. The answer names the id under which WhatsApp knows that phone."""
        to, recipient = str(body.get("to") or ""), str(body.get("recipient") or "")
        if not to:
            if not recipient:
                raise bad_parameter("The parameter to is required.")
            phone = self._phones.phone_by_user_id(number, recipient)
            if phone is None:
                raise refusal(131009, "The recipient is not a user of this business.")
            return phone, {"input": recipient, "user_id": recipient}
        digits = dialled(to, number.country_code)
        if digits is None:
            raise refusal(131009, "The parameter to is not a phone number.")
        wa_id = wa_id_of(digits)
        if wa_id == wa_id_of(number.display):
            raise refusal(131021)
        return self._phones.phone(number, wa_id), {"input": to, "wa_id": wa_id}

    def _judge(self, number: Number, phone: Phone, said: Said, mark: str) -> None:
        now = self._engine.now()
        if said.category == "service" and not self._phones.window_is_open(phone, now):
            self._engine.record(refused(phone, said, 131047, mark))
            raise refusal(131047)
        if not number.pace.take(now):
            self._engine.record(LimitExceeded("meta", "130429", number.id))
            raise refusal(130429)
        if not phone.pair.take(now):
            self._engine.record(LimitExceeded("meta", "131056", f"{number.id}/{phone.customer.key}"))
            raise refusal(131056)

    # --- and then ------------------------------------------------------------------------------------------------

    async def _let_go(self, phone: Phone, message: PhoneMessage, *, silent: bool) -> None:
        facts = {"phone_number_id": phone.number.id, "customer": phone.customer.key, "method": "statuses"}
        fault = self._engine.faults.pick("meta", "webhook", facts, _STATUS_KINDS)
        if fault is not None and fault.kind == "fail":
            self._phones.fail(phone, message, told_later(fault.code or UNDELIVERABLE))
            return
        message.silent = silent
        self._phones.arrive(phone, message)
        if fault is None:
            self._phones.deliver_soon(phone, message)
            return
        for update in self._phones.deliver_now(phone, message):
            await self._webhooks.wait_acknowledged(update, STATUS_FIRST_WAIT_S)


_STATUS_KINDS: Final = frozenset({"status_first", "fail"})


def _text_of(body: dict[str, Any]) -> str:
    if body.get("messaging_product") != "whatsapp":
        raise bad_parameter("The parameter messaging_product is required.")
    kind = body.get("type", "text")
    if kind in TOLD_ONLY:
        raise refusal(131051)
    if kind not in TYPES:
        raise bad_parameter(f"Param type must be one of {{{', '.join(sorted(TYPES)).upper()}}}")
    _checked(body)
    return _body_text(body.get("text"))


def _checked(body: dict[str, Any]) -> None:
    if body.get("messaging_product") != "whatsapp":
        raise bad_parameter("The parameter messaging_product is required.")
    if len(str(body.get("biz_opaque_callback_data") or "")) > MARK_MAX:
        raise bad_parameter(f"Param biz_opaque_callback_data must be at most {MARK_MAX} characters long.")


def _body_text(text: Any) -> str:
    if not isinstance(text, dict) or "body" not in text:
        raise refusal(131008, "Parameter of type text is missing: text['body'].")
    words = text["body"]
    for wrong, complaint in _TEXT_RULES:
        if wrong(words):
            raise bad_parameter(complaint)
    assert isinstance(words, str)
    return words


_TEXT_RULES: Final[tuple[tuple[Callable[[Any], bool], str], ...]] = (
    (lambda words: not isinstance(words, str), "Param text['body'] must be a string."),
    (lambda words: not words.strip(), "Param text['body'] must be a non-empty string."),
    (lambda words: len(words) > TEXT_MAX, f"Param text['body'] must be at most {TEXT_MAX} characters long."),
)
