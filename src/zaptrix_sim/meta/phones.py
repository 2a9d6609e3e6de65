"""Customers' phones: what customers do on them, and what becomes there of a business's message.

Whatever is written or arrives is told to the judge here; statuses and messages go out as webhooks.
"""

import asyncio
import base64
import secrets
from dataclasses import dataclass, field, replace
from typing import Any, Final

from zaptrix_sim.judge.facts import CustomerWrote, FileArrived, FileSent, Rank, ReachedPhone, Refused, StateMoved
from zaptrix_sim.meta.customer_kinds import marks_of
from zaptrix_sim.meta.phonebook import bsuid_of, country_code_of, wa_id_of
from zaptrix_sim.meta.webhooks import MetaWebhooks
from zaptrix_sim.meta.wire import Update, contact, content_of, message_item, moved_item, status_item
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.files import known_text
from zaptrix_sim.world.limits import Bucket
from zaptrix_sim.world.world import Customer, Number, Phone, PhoneMessage, StoredFile, Waba, digits_of

DAY_S: Final = 86_400.0
TYPING_S: Final = 25.0


@dataclass(slots=True)
class Said:
    """What a business sends, as the phone shows it, and what Meta charges it as."""

    text: str
    category: str = "service"
    buttons: list[dict[str, Any]] = field(default_factory=list)
    file: StoredFile | None = None  # the message itself, or its header
    parts: list[dict[str, Any]] = field(default_factory=list)
    voice: bool = False
    item: dict[str, Any] = field(default_factory=dict)  # as it was sent: `type`, what stands under it, `context`


class Phones:
    def __init__(self, engine: Engine, webhooks: MetaWebhooks) -> None:
        self._engine = engine
        self._webhooks = webhooks

    # --- who there is --------------------------------------------------------------------------------------------

    def add_number(  # an admin's form
        self, number_id: str, *, display: str, waba_id: str, mps: int, access_token: str, subscribed: bool = True
    ) -> Number:
        """Create a number, or change its pace when it is there already.

        `subscribed`: whether a new account sends its webhooks to the app. At Meta it does once it was told to.
        """
        world = self._engine.world
        number = world.numbers.get(number_id)
        if number is not None:
            number.mps, number.pace = mps, Bucket(mps, mps)
            return number
        waba = world.wabas.setdefault(waba_id, Waba(id=waba_id, subscribed=subscribed))
        token = access_token or f"EAASIM{secrets.token_hex(24)}"
        number = Number(
            id=number_id,
            display=digits_of(display),
            waba_id=waba_id,
            country_code=country_code_of(display),
            access_token=token,
            mps=mps,
            pace=Bucket(mps, mps),
        )
        world.numbers[number_id] = number
        waba.numbers.append(number_id)
        world.number_of_token[token] = number_id
        world.changes += 1
        return number

    def renew_token(self, number: Number) -> None:
        """The old token is dead at once."""
        self.revoke_token(number)
        number.access_token = f"EAASIM{secrets.token_hex(24)}"
        self._engine.world.number_of_token[number.access_token] = number.id

    def revoke_token(self, number: Number) -> None:
        self._engine.world.number_of_token.pop(number.access_token, None)
        self._engine.world.changes += 1

    def phone(self, number: Number, wa_id: str) -> Phone:
        """The thread of a number with a phone, made when it is new."""
        return self._phone_of(number, self._customer(number, wa_id))

    def phone_by_user_id(self, number: Number, user_id: str) -> Phone | None:
        customer = self._engine.world.wabas[number.waba_id].by_user_id.get(user_id)
        return self._phone_of(number, customer) if customer else None

    def writer(self, number: Number, wanted: dict[str, Any]) -> Phone:
        """The phone of somebody who writes; what is told of her replaces what was known."""
        digits = digits_of(str(wanted.get("from") or ""))
        user_id = str(wanted.get("user_id") or "")
        waba = self._engine.world.wabas[number.waba_id]
        customer = waba.by_user_id.get(user_id) if user_id else None
        if customer is None:
            customer = self._customer(number, wa_id_of(digits) or user_id)
        if user_id and user_id != customer.user_id:
            waba.by_user_id.pop(customer.user_id, None)
            customer.user_id = user_id
            waba.by_user_id[user_id] = customer
        customer.name = str(wanted.get("name") or customer.name)
        customer.username = str(wanted.get("username") or customer.username)
        customer.hide_phone = bool(wanted.get("hide_phone", customer.hide_phone)) or not digits
        return self._phone_of(number, customer)

    def _customer(self, number: Number, key: str) -> Customer:
        waba = self._engine.world.wabas[number.waba_id]
        customer = waba.customers.get(key)
        if customer is None:
            wa_id = key if key.isdigit() else ""
            user_id = bsuid_of(number.waba_id, key) if wa_id else key
            name = f"Cliente {key[-4:]}"
            customer = Customer(key=key, wa_id=wa_id, user_id=user_id, name=name, hide_phone=not wa_id)
            waba.customers[key] = waba.by_user_id[user_id] = customer
        return customer

    def _phone_of(self, number: Number, customer: Customer) -> Phone:
        phone = number.phones.get(customer.key)
        if phone is None:
            phone = number.phones[customer.key] = Phone(number=number, customer=customer)
            self._engine.world.changes += 1
        return phone

    # --- what customers do ---------------------------------------------------------------------------------------

    def write(
        self,
        phone: Phone,
        text: str,
        hours_ago: float = 0.0,
        file: StoredFile | None = None,
        *,
        voice: bool = False,
    ) -> str:
        """A customer's text: it is on her phone at once, and its webhook goes out in the background.

        `hours_ago`: she wrote it then, and Meta only gets round to telling now.
        """
        now = self._engine.now() - hours_ago * 3600.0
        message = PhoneMessage(id=new_wamid(), by_customer=True, text=text, at=now, rank=Rank.SENT)
        message.file, message.voice = file, voice
        phone.messages.append(message)
        phone.wrote_at = max(phone.wrote_at or now, now)
        self._engine.world.wamids[message.id] = (phone, message)
        self._engine.record(CustomerWrote(message.id, phone.thread))
        if file is not None:
            self._engine.record(FileSent(file.sha256, by_customer=True, thread=phone.thread))
        if self._engine.options.count_inbound:
            phone.number.pace.pour(self._engine.now())
        update = self._webhooks.push(phone, "messages", message_item(phone, message), contact(phone.customer))
        if update is None:
            message.rank = Rank.PENDING
        self._engine.phone_changed(phone)
        return message.id

    def send(
        self,
        phone: Phone,
        item: dict[str, Any],
        line: str,
        file: StoredFile | None = None,
        *,
        voice: bool = False,
        hours_ago: float = 0.0,
    ) -> str:
        """Something that is not text alone; `line` is what her own phone shows of it."""
        now = self._engine.now() - hours_ago * 3600.0
        message = PhoneMessage(id=new_wamid(), by_customer=True, text=line, at=now, rank=Rank.SENT, item=item)
        message.file, message.voice = file, voice
        phone.messages.append(message)
        if item["type"] not in {"reaction", "edit", "revoke"} and "group_id" not in item:
            phone.wrote_at = max(phone.wrote_at or now, now)
        self._engine.world.wamids[message.id] = (phone, message)
        self._engine.record(CustomerWrote(message.id, phone.thread))
        update = self._webhooks.push(phone, "messages", message_item(phone, message), contact(phone.customer))
        if update is None:
            message.rank = Rank.PENDING
        self._engine.phone_changed(phone)
        return message.id

    def send_file(self, phone: Phone, file: StoredFile, wanted: dict[str, Any]) -> str:
        """A file with its caption (`text`), as a voice note if `media` says so, and with what can stand beside it."""
        caption, voice = str(wanted.get("text") or ""), bool(wanted["media"].get("voice"))
        item = content_of(file, caption, voice=voice) | marks_of(wanted)
        return self.send(phone, item, caption, file, voice=voice)

    def move(self, phone: Phone, wa_id: str, user_id: str) -> str:
        """The customer gets another number or user id, and Meta tells the business; the thread goes on."""
        customer = phone.customer
        before = replace(customer)
        waba = self._engine.world.wabas[phone.number.waba_id]
        waba.by_user_id.pop(customer.user_id, None)
        customer.wa_id, customer.user_id = wa_id_of(wa_id) or customer.wa_id, user_id or customer.user_id
        # She is known by the new number as well; her thread keeps its key.
        waba.by_user_id[customer.user_id] = waba.customers[customer.wa_id] = customer
        wamid = new_wamid()
        phone.wrote_at = None if before.wa_id != customer.wa_id else phone.wrote_at
        self._webhooks.push(phone, "messages", moved_item(wamid, self._engine.now(), before, customer), None)
        self._engine.phone_changed(phone)
        return wamid

    def read(self, phone: Phone) -> int:
        """The phone shows what it has got: a `read` status for each text that was not read yet."""
        unread = [message for message in phone.messages[phone.unread_from :] if self._readable(message)]
        phone.unread_from = len(phone.messages)
        for message in unread:
            for rank in (Rank.SENT, Rank.DELIVERED, Rank.READ):
                self._state(phone, message, rank)
        return len(unread)

    def play(self, phone: Phone, wamid: str) -> bool:
        """She listens to a voice note: that is told the first time, and of no other sound. KeyError when it is none of
        this phone's."""
        owner, message = self._engine.world.wamids[wamid]
        if owner is not phone:
            raise KeyError(wamid)
        if message.by_customer or not message.voice or message.rank is Rank.FAILED:
            return False
        for rank in (Rank.SENT, Rank.DELIVERED, Rank.READ, Rank.PLAYED):
            self._state(phone, message, rank)
        return True

    @staticmethod
    def _readable(message: PhoneMessage) -> bool:
        return (
            not message.by_customer
            and message.rank not in {Rank.FAILED, Rank.READ, Rank.PLAYED}
            and not _is_reaction(message)
        )

    @staticmethod
    def grow_older(phone: Phone, hours: float) -> None:
        """Let time pass for this thread, so that a test can close its 24-hour window."""
        if phone.wrote_at is not None:
            phone.wrote_at -= hours * 3600.0

    @staticmethod
    def window_is_open(phone: Phone, now: float) -> bool:
        return phone.wrote_at is not None and now - phone.wrote_at < DAY_S

    def show_typing(self, phone: Phone) -> None:
        """For 25 seconds, or until the business answers."""
        phone.typing_until, phone.typing_shown = self._engine.now() + TYPING_S, phone.typing_shown + 1
        self._engine.phone_changed(phone)

    def mark_read(self, phone: Phone, message: PhoneMessage) -> None:
        """The business has read a text, and with it all earlier ones of the thread: her ticks turn blue."""
        if message.read_by_business:
            return
        place = phone.unseen_from
        while place < len(phone.messages):
            other = phone.messages[place]
            other.read_by_business = other.read_by_business or other.by_customer
            place += 1
            if other is message:
                break
        phone.unseen_from = place
        self._engine.world.changes += 1
        self._engine.phone_changed(phone)

    # --- what becomes of a business message ----------------------------------------------------------------------

    def accept(self, phone: Phone, said: Said, *, mark: str, to_user_id: bool) -> PhoneMessage:
        message = PhoneMessage(
            id=new_wamid(),
            by_customer=False,
            text=said.text,
            category=said.category,
            buttons=said.buttons,
            parts=said.parts,
            at=self._engine.now(),
            rank=Rank.ACCEPTED,
            mark=mark,
            to_user_id=to_user_id,
            file=said.file,
            voice=said.voice,
            item=said.item,
        )
        phone.messages.append(message)
        phone.typing_until = 0.0
        self._engine.world.wamids[message.id] = (phone, message)
        return message

    def arrive(self, phone: Phone, message: PhoneMessage) -> None:
        self._engine.record(
            ReachedPhone(
                message.id, phone.thread, known_text(message.text, message.file), message.mark, _hash_of(message.file)
            )
        )
        if (file := message.file) is not None:
            self._engine.record(FileArrived(message.id, file.sha256, by_customer=False, thread=phone.thread))
        self._engine.phone_changed(phone)

    def fail(self, phone: Phone, message: PhoneMessage, error: dict[str, Any]) -> None:
        """Accepted, and then never delivered: a `failed` status tells why."""
        self._engine.record(refused(phone, message, error["code"], message.mark))
        self._state(phone, message, Rank.FAILED, error)

    def deliver_soon(self, phone: Phone, message: PhoneMessage) -> None:
        loop, options = asyncio.get_running_loop(), self._engine.options
        loop.call_later(options.status_sent_s, self._state, phone, message, Rank.SENT)
        if not _is_reaction(message):
            loop.call_later(options.status_delivered_s, self._state, phone, message, Rank.DELIVERED)

    def deliver_now(self, phone: Phone, message: PhoneMessage) -> list[Update]:
        """Both statuses go out at once; the caller may wait until they are acknowledged."""
        updates = [self._state(phone, message, rank) for rank in (Rank.SENT, Rank.DELIVERED)]
        return [update for update in updates if update is not None]

    def resume(self) -> None:
        """After a restart: what was accepted is still to be delivered."""
        for phone, message in self._engine.world.wamids.values():
            if not message.by_customer and message.rank in {Rank.ACCEPTED, Rank.SENT}:
                self.deliver_soon(phone, message)

    def _state(
        self, phone: Phone, message: PhoneMessage, rank: Rank, error: dict[str, Any] | None = None
    ) -> Update | None:
        if message.rank >= rank or self._engine.world.numbers.get(phone.number.id) is not phone.number:
            return None
        self._engine.record(StateMoved(message.id, message.rank, rank))
        message.rank = rank
        self._engine.phone_changed(phone)
        if message.silent:
            return None
        item = status_item(phone, message, rank, self._engine.now(), error)
        known = None if rank is Rank.FAILED else contact(phone.customer, with_username=rank is not Rank.SENT)
        return self._webhooks.push(phone, "statuses", item, known)


def _is_reaction(message: PhoneMessage) -> bool:
    """Of these Meta tells that they were sent, and no more."""
    return message.item.get("type") == "reaction"


def refused(phone: Phone, said: Said | PhoneMessage, code: int, mark: str) -> Refused:
    text = known_text(said.text, said.file)
    return Refused(phone.thread, text, code, mark, _hash_of(said.file))


def _hash_of(file: StoredFile | None) -> str:
    return file.sha256 if file else ""


def new_wamid() -> str:
    return "wamid." + base64.b64encode(b"\x1d\x03" + secrets.token_bytes(29)).decode()
