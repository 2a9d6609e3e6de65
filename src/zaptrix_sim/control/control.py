"""The routes of /control: JSON in, JSON out; a mistake is answered 4xx with {"error": "..."}.

They do what a customer, an operator or an admin does by hand, and what nobody can ask of the real platforms: to fail,
to forget, and to let time pass.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from zaptrix_sim.bitrix24 import portals
from zaptrix_sim.bitrix24.chats import Chats
from zaptrix_sim.bitrix24.events import BitrixEvents
from zaptrix_sim.bitrix24.oauth import OAuth
from zaptrix_sim.bitrix24.operators import OperatorActions
from zaptrix_sim.bitrix24.time_block import iso
from zaptrix_sim.control.limits_view import limits
from zaptrix_sim.control.orders import Mistake, Wanted, read_order
from zaptrix_sim.control.state_view import state
from zaptrix_sim.judge.facts import CallerAnswered, CallerAsked
from zaptrix_sim.meta.customer_answers import answer_to
from zaptrix_sim.meta.customer_kinds import item_of
from zaptrix_sim.meta.numbers import number_record
from zaptrix_sim.meta.phonebook import wa_id_of
from zaptrix_sim.meta.phones import Phones
from zaptrix_sim.meta.templates import MetaTemplates
from zaptrix_sim.meta.webhooks import MetaWebhooks
from zaptrix_sim.world.answers import ApiResponse
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.files import from_wanted, told
from zaptrix_sim.world.world import Chat, Number, Phone, Portal, Waba, digits_of

DEMO_NUMBER: Final = "210987654321098"
DEMO_DISPLAY: Final = "551140041234"
DEMO_WABA: Final = "108866333444555"
DEFAULT_MPS: Final = 80


class Control:
    def __init__(
        self,
        engine: Engine,
        *,
        phones: Phones,
        webhooks: MetaWebhooks,
        templates: MetaTemplates,
        chats: Chats,
        events: BitrixEvents,
        oauth: OAuth,
    ) -> None:
        self._engine = engine
        self._phones = phones
        self._webhooks = webhooks
        self._templates = templates
        self._chats = chats
        self._events = events
        self._operating = OperatorActions(engine, events, chats)
        self._oauth = oauth

    async def serve(self, request: web.Request) -> web.StreamResponse:
        name = f"{request.method} {request.match_info['tail'].strip('/')}"
        try:
            act = _ACTS.get(name)
            if act is not None:
                return ApiResponse(await act(self, await read_order(request), dict(request.query))).response()
            return ApiResponse(await self._on_one(request)).response()
        except Mistake as mistake:
            return ApiResponse({"error": str(mistake)}, mistake.status).response()
        except (ValueError, KeyError, TypeError) as exc:
            return ApiResponse({"error": f"{type(exc).__name__}: {exc}"}, 400).response()

    async def _on_one(self, request: web.Request) -> Any:
        """Paths that name one portal or number: /control/portals/{portal}/expire."""
        parts = request.match_info["tail"].strip("/").split("/")
        act = _ACTS_ON_ONE.get((request.method, parts[0], parts[-1])) if len(parts) == 3 else None
        if act is None:
            raise Mistake("there is no such control", 404)
        return act(self, parts[1], await read_order(request))

    # --- the whole -----------------------------------------------------------------------------------------------

    async def health(self, _wanted: Wanted, _query: Wanted) -> Any:
        waiting = len(self._engine.world.updates)
        return {"status": "ok", "webhooks_waiting": waiting, "posts": self._engine.posts} | self._engine.underway()

    async def reset(self, _wanted: Wanted, _query: Wanted) -> Any:
        """Forget everything. What is still under way speaks of a world that is gone, and changes nothing in the new."""
        self._webhooks.reset()
        self._events.reset()
        self._engine.forget()
        return {"status": "ok"}

    async def demo(self, _wanted: Wanted, _query: Wanted) -> Any:
        portal = portals.add_portal(self._engine, self._oauth, {"portal": "demo"})
        number = self._engine.world.numbers.get(DEMO_NUMBER) or self._phones.add_number(
            DEMO_NUMBER, display=DEMO_DISPLAY, waba_id=DEMO_WABA, mps=DEFAULT_MPS, access_token=""
        )
        return {"portal": portals.record(self._engine, portal), "number": number_record(self._engine, number)}

    async def options(self, _wanted: Wanted, _query: Wanted) -> Any:
        return self._engine.options.as_dict()

    async def change_options(self, wanted: Wanted, _query: Wanted) -> Any:
        self._engine.options.change(wanted)
        return self._engine.options.as_dict()

    async def ledger(self, _wanted: Wanted, query: Wanted) -> Any:
        verdict = self._engine.world.ledger.verdict(drained=query.get("drained") in {"1", "true"})
        return verdict | {"webhooks_waiting": len(self._engine.world.updates)}

    async def state(self, _wanted: Wanted, query: Wanted) -> Any:
        return state(self._engine.world, query, self._engine.now())

    async def limits(self, _wanted: Wanted, query: Wanted) -> Any:
        return limits(self._engine.world, query, self._engine.now())

    # --- faults --------------------------------------------------------------------------------------------------

    async def faults(self, _wanted: Wanted, _query: Wanted) -> Any:
        return {"seed": self._engine.faults.seed, "faults": self._engine.faults.as_list()}

    async def put_faults(self, wanted: Wanted, query: Wanted) -> Any:
        self._engine.faults.replace(list(wanted.get("faults") or []), int(wanted.get("seed") or 0))
        self._engine.stream.tell("fault")
        return await self.faults({}, query)

    async def clear_faults(self, _wanted: Wanted, query: Wanted) -> Any:
        return await self.put_faults({}, query)

    # --- numbers and customers -----------------------------------------------------------------------------------

    async def add_number(self, wanted: Wanted, _query: Wanted) -> Any:
        number = self._phones.add_number(
            str(wanted["phone_number_id"]),
            display=str(wanted.get("display_phone_number") or DEMO_DISPLAY),
            waba_id=str(wanted.get("waba_id") or DEMO_WABA),
            mps=int(wanted.get("mps") or DEFAULT_MPS),
            access_token=str(wanted.get("access_token") or ""),
            subscribed=bool(wanted.get("subscribed", True)),
        )
        return number_record(self._engine, number)

    async def customer_writes(self, wanted: Wanted, _query: Wanted) -> Any:
        """`count` texts, numbered when there are several: the ledger knows a text by its words.

        `hours_ago`: they were written then, and are told late.
        """
        phone = self._phones.writer(self._number(wanted), wanted)
        hours_ago = float(wanted.get("hours_ago") or 0.0)
        file, voice = None, False
        if media := wanted.get("media"):
            file, voice = from_wanted(self._engine, phone.number.id, media), bool(media.get("voice"))
        wamids = [self._phones.write(phone, text, hours_ago, file, voice=voice) for text in _texts(wanted)]
        return {"wamids": wamids, "customer": phone.customer.key, "file": told(file) if file else None}

    async def customers_write(self, wanted: Wanted, _query: Wanted) -> Any:
        """Many customers in one call: {"writes": [{...}, ...]}."""
        writes: list[Wanted] = wanted["writes"]
        phones = (self._phones.writer(self._number(one), one) for one in writes)
        wamids = [self._phones.write(phone, str(one["text"])) for phone, one in zip(phones, writes, strict=True)]
        return {"wamids": wamids}

    async def customer_sends(self, wanted: Wanted, _query: Wanted) -> Any:
        """One message: `kind` and what it needs, or `media`; `quotes`, `forwarded`, `referral`, `hours_ago`."""
        phone = self._phones.writer(self._number(wanted), wanted | {"name": wanted.get("customer_name")})
        if media := wanted.get("media"):
            file = from_wanted(self._engine, phone.number.id, media)
            wamid = self._phones.send_file(phone, file, wanted)
            return {"wamids": [wamid], "customer": phone.customer.key, "file": told(file)}
        item, line = item_of(wanted)
        hours_ago = float(wanted.get("hours_ago") or 0.0)
        return {
            "wamids": [self._phones.send(phone, item, line, hours_ago=hours_ago)],
            "customer": phone.customer.key,
        }

    async def customer_answers(self, wanted: Wanted, _query: Wanted) -> Any:
        """She answers an interactive message: `to` names it, or it is the latest one; with `choice`, a place or
        `response`."""
        phone = self._phone(wanted)
        asked = [one for one in phone.messages if not one.by_customer and one.item.get("type") == "interactive"]
        named = [one for one in asked if wanted.get("to") in {None, one.id}]
        if not named:
            raise Mistake("no such interactive message is on this phone", 404)
        item, line = answer_to(named[-1].item["interactive"], named[-1].id, wanted)
        return {"wamids": [self._phones.send(phone, item, line)], "customer": phone.customer.key}

    async def customer_moves(self, wanted: Wanted, _query: Wanted) -> Any:
        """The customer gets another number (`to`), or another user id, and keeps the phone's thread."""
        phone = self._phone(wanted)
        to, user_id = digits_of(str(wanted.get("to") or "")), str(wanted.get("to_user_id") or "")
        return {"wamids": [self._phones.move(phone, to, user_id)], "customer": phone.customer.key}

    async def customer_reads(self, wanted: Wanted, _query: Wanted) -> Any:
        return {"read": self._phones.read(self._phone(wanted))}

    async def customer_plays(self, wanted: Wanted, _query: Wanted) -> Any:
        """She listens to the voice note `to`."""
        return {"played": self._phones.play(self._phone(wanted), str(wanted["to"]))}

    async def customer_ages(self, wanted: Wanted, _query: Wanted) -> Any:
        """Let hours pass since the customer's last text: past 24 the window is closed."""
        self._phones.grow_older(self._phone(wanted), float(wanted.get("hours") or 25))
        return {"status": "ok"}

    def revoke_number(self, number_id: str, _wanted: Wanted) -> Any:
        self._phones.revoke_token(self._number({"phone_number_id": number_id}))
        return {"status": "ok"}

    def renew_number(self, number_id: str, _wanted: Wanted) -> Any:
        number = self._number({"phone_number_id": number_id})
        self._phones.renew_token(number)
        return number_record(self._engine, number)

    async def put_template(self, wanted: Wanted, _query: Wanted) -> Any:
        """A template of a number's account, approved unless it says otherwise, as Meta's list would show it."""
        return self._templates.put(self._waba(wanted), wanted)

    async def change_template(self, wanted: Wanted, _query: Wanted) -> Any:
        """Meta changes a template's status, quality, category or components, and tells by webhook."""
        return self._templates.change(self._waba(wanted), wanted)

    # --- portals and operators -----------------------------------------------------------------------------------

    async def add_portal(self, wanted: Wanted, _query: Wanted) -> Any:
        return portals.record(self._engine, portals.add_portal(self._engine, self._oauth, wanted))

    async def operator_writes(self, wanted: Wanted, _query: Wanted) -> Any:
        """`count` texts, numbered when there are several. `hidden` ones are for the operator's colleagues alone;
        `quotes` is the id of the message that is answered; `blocks` are ATTACH blocks, each JSON in a string."""
        portal, chat = self._chat(wanted)
        operator = str(wanted.get("operator") or "Bia")
        if wanted.get("hidden"):
            whispered = [self._chats.operator_whispers(portal, chat, text, operator).id for text in _texts(wanted)]
            return {"message_id": whispered[0], "message_ids": whispered, "chat_id": chat.id}
        files = [from_wanted(self._engine, portal.key, one) for one in wanted.get("files") or ()]
        blocks = [str(one) for one in wanted.get("blocks") or ()]
        quote = self._operating.quote(portal, chat, wanted)
        notes = [
            self._chats.operator_writes(portal, chat, text, operator, files=files, quote=quote, blocks=blocks).id
            for text in _texts(wanted)
        ]
        return {"message_id": notes[0], "message_ids": notes, "chat_id": chat.id}

    async def operator_edits(self, wanted: Wanted, _query: Wanted) -> Any:
        """`anyway`: the portal allows it and tells at once, whatever the connector is registered with."""
        note, anyway = int(wanted["message_id"]), bool(wanted.get("anyway"))
        return {"told": self._operating.edit(*self._chat(wanted), note, str(wanted["text"]), anyway=anyway)}

    async def operator_deletes(self, wanted: Wanted, _query: Wanted) -> Any:
        note, anyway = int(wanted["message_id"]), bool(wanted.get("anyway"))
        return {"told": self._operating.delete(*self._chat(wanted), note, anyway=anyway)}

    async def operator_finishes(self, wanted: Wanted, _query: Wanted) -> Any:
        self._chats.finish(*self._chat(wanted))
        return {"status": "ok"}

    async def chats_age(self, wanted: Wanted, _query: Wanted) -> Any:
        """Let time pass since everything in the chats was said."""
        for portal in self._engine.world.portals.values():
            for chat in portal.chats.values():
                for message in chat.messages:
                    message.at -= float(wanted["seconds"])
            for row in portal.offline.values():
                row["TIMESTAMP_X"] = iso(
                    datetime.fromisoformat(row["TIMESTAMP_X"]).timestamp() - float(wanted["seconds"])
                )
        return {"status": "ok"}

    async def expect(self, wanted: Wanted, _query: Wanted) -> Any:
        """Say beforehand which portal a number belongs to; otherwise its first text in a portal settles that."""
        number, portal = str(wanted["phone_number_id"]), str(wanted["portal"])
        self._engine.world.ledger.portal_of_number[number] = portal
        return {"status": "ok"}

    async def caller(self, wanted: Wanted, _query: Wanted) -> Any:
        """A caller is about to ask the gateway's API for a message with the word `key` in it, or is `answered`."""
        phone, key = self._phones.phone(self._number(wanted), wa_id_of(digits_of(str(wanted["to"])))), wanted["key"]
        self._engine.record(CallerAnswered(key) if wanted.get("answered") else CallerAsked(key, phone.thread))
        return {"status": "ok"}

    def revoke(self, key: str, wanted: Wanted) -> Any:
        self._oauth.revoke(self._portal(key), str(wanted.get("what") or "refresh_token"))
        return {"status": "ok"}

    def expire(self, key: str, _wanted: Wanted) -> Any:
        self._oauth.expire_access(self._portal(key))
        return {"status": "ok"}

    def new_tokens(self, key: str, _wanted: Wanted) -> Any:
        portal = self._portal(key)
        self._oauth.new_pair(portal)
        return portals.record(self._engine, portal)

    def new_code(self, key: str, _wanted: Wanted) -> Any:
        return {"code": self._oauth.new_code(self._portal(key))}

    # --- what is meant -------------------------------------------------------------------------------------------

    def _number(self, wanted: Wanted) -> Number:
        number = self._engine.world.numbers.get(str(wanted.get("phone_number_id") or ""))
        if number is None:
            raise Mistake("no number has this phone_number_id", 404)
        return number

    def _waba(self, wanted: Wanted) -> Waba:
        return self._engine.world.wabas[self._number(wanted).waba_id]

    def _phone(self, wanted: Wanted) -> Phone:
        number = self._number(wanted)
        name = str(wanted.get("from") or wanted.get("user_id") or "")
        customer = self._engine.world.wabas[number.waba_id].by_user_id.get(name)
        phone = number.phones.get(customer.key if customer else wa_id_of(digits_of(name)))
        if phone is None:
            raise Mistake("this customer has never met this number", 404)
        return phone

    def _portal(self, key: str) -> Portal:
        portal = self._engine.world.portals.get(key)
        if portal is None:
            raise Mistake("there is no such portal", 404)
        return portal

    def _chat(self, wanted: Wanted) -> tuple[Portal, Chat]:
        portal = self._portal(str(wanted.get("portal") or ""))
        chat = self._chats.find(portal, str(wanted.get("chat_id") or ""))
        if chat is None:
            raise Mistake("this portal has no such chat", 404)
        return portal, chat


def _texts(wanted: Wanted) -> list[str]:
    bare = "" if wanted.get("media") or wanted.get("files") or "blocks" in wanted else None
    text, count = str(wanted["text"] if bare is None else wanted.get("text", bare)), int(wanted.get("count") or 1)
    return [text] if count == 1 else [f"{text} {index}" for index in range(1, count + 1)]


_ACTS: Final[dict[str, Callable[[Control, Wanted, Wanted], Awaitable[Any]]]] = {
    "GET health": Control.health,
    "POST reset": Control.reset,
    "GET demo": Control.demo,
    "GET options": Control.options,
    "PUT options": Control.change_options,
    "GET ledger": Control.ledger,
    "GET state": Control.state,
    "GET limits": Control.limits,
    "GET faults": Control.faults,
    "PUT faults": Control.put_faults,
    "DELETE faults": Control.clear_faults,
    "POST numbers": Control.add_number,
    "POST customers/write": Control.customer_writes,
    "POST customers/write_many": Control.customers_write,
    "POST customers/send": Control.customer_sends,
    "POST customers/answer": Control.customer_answers,
    "POST customers/move": Control.customer_moves,
    "POST customers/read": Control.customer_reads,
    "POST customers/play": Control.customer_plays,
    "POST customers/age": Control.customer_ages,
    "POST templates": Control.put_template,
    "POST templates/change": Control.change_template,
    "POST portals": Control.add_portal,
    "POST operators/write": Control.operator_writes,
    "POST operators/edit": Control.operator_edits,
    "POST operators/delete": Control.operator_deletes,
    "POST operators/finish": Control.operator_finishes,
    "POST chats/age": Control.chats_age,
    "POST expect": Control.expect,
    "POST callers": Control.caller,
}
_ACTS_ON_ONE: Final[dict[tuple[str, str, str], Callable[[Control, str, Wanted], Any]]] = {
    ("POST", "portals", "revoke"): Control.revoke,
    ("POST", "portals", "expire"): Control.expire,
    ("POST", "portals", "tokens"): Control.new_tokens,
    ("POST", "portals", "code"): Control.new_code,
    ("POST", "numbers", "revoke"): Control.revoke_number,
    ("POST", "numbers", "tokens"): Control.renew_number,
}
