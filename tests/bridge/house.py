"""The bridge between two platforms whose answers a test scripts, on real PostgreSQL and Redis."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from tests.bridge.ringing import Ringing
from tests.store.ledger_rows import Ledger
from zaptrix.bitrix24.platform import Bitrix24
from zaptrix.bridge.deliver.attachments import Attachments
from zaptrix.bridge.deliver.call_limit import CallBounds, CallLimit
from zaptrix.bridge.deliver.calls import Calls
from zaptrix.bridge.deliver.claiming import Claimer
from zaptrix.bridge.deliver.confirmer import Confirmer
from zaptrix.bridge.deliver.dispatcher import Dispatcher
from zaptrix.bridge.deliver.late_fields import Naming, Quoting
from zaptrix.bridge.deliver.settler import Settler
from zaptrix.bridge.receive.receiver import Receiver
from zaptrix.bridge.route.inbound import InboundSteps
from zaptrix.bridge.route.outbound import OutboundSteps
from zaptrix.bridge.route.router import Route
from zaptrix.bridge.send.templates import Templates
from zaptrix.bridge.tenants.budgets import Budgets
from zaptrix.bridge.tenants.directory import Directory
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.bridge.upkeep.sweep import Sweep, SweepPatience
from zaptrix.broker.cache.cache import ConversationCache, SeenCache
from zaptrix.broker.cache.hits import Hits
from zaptrix.broker.queues.bells import Bells
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import PlatformError
from zaptrix.core.delivery.lanes import Lane, Queue, bitrix24_lane, incoming_lane, meta_lane, outbound_lane
from zaptrix.core.delivery.outcome import Absent, Accepted, Outcome, Proof
from zaptrix.core.delivery.retry import Patience
from zaptrix.core.event import (
    CustomerMessage,
    Event,
    NewEvent,
    OperatorMessage,
    Receipt,
    Routed,
)
from zaptrix.core.ids import ConversationId, MessageId, PortalId
from zaptrix.core.message.message import Direction, Side, Words
from zaptrix.core.message.template import CreatedTemplate, Definition
from zaptrix.core.message.text import plain_text
from zaptrix.core.portal import Channel, Portal
from zaptrix.core.ports import Call, Handover, Witness
from zaptrix.deadlines import Stopping
from zaptrix.media.signed_links import Links
from zaptrix.store.accounts.budgets import Budget
from zaptrix.whatsapp.codes.codes import TABLE
from zaptrix.whatsapp.platform import WhatsApp

_numbers = itertools.count(1)

QUICK = Patience(base_s=0.02, verify_wait_s=0.02)
# For who looks between two tries: what is put off is not tried again by the same runner.
UNHURRIED = Patience(base_s=30, verify_wait_s=30)


def now() -> datetime:
    return datetime.now(UTC)


class ScriptedPlatform:
    """Implements `core.ports.Platform`. What it answers is `answers`, by default that it takes everything.

    What it truly took is `took`, whatever it answered.
    """

    def __init__(self, side: Side, *, calls_at_once: int = 4, claims_per_call: int = 1) -> None:
        self.side = side
        self.patience = QUICK
        self.calls_at_once = calls_at_once
        self.claims_per_call = claims_per_call
        self.took: defaultdict[ConversationId, list[MessageId]] = defaultdict(list)
        self.asked: list[MessageId] = []  # every send, whatever came of it
        self.confirmed: list[MessageId] = []
        self.searched: list[MessageId] = []
        self.answers: Callable[[Claim], Awaitable[Outcome]] = self.take
        self.proofs: Callable[[Claim], Awaitable[Proof]] = self.look
        self.confirms: Callable[[Claim], Awaitable[Outcome]] = self.take_note
        self.throttled: Callable[[], float] = float  # how many seconds the next call would wait for its pace: 0
        self.claims: list[Claim] = []

    def throttled_s(self, _owner: UUID) -> float:
        return self.throttled()

    async def take(self, claim: Claim) -> Outcome:
        self.took[claim.conversation.id].append(claim.message_id)
        if self.side is Side.WHATSAPP:
            return Accepted(whatsapp_id=f"wamid.{claim.message_id}")
        return Accepted(bitrix_chat_id=chat_of(claim.conversation), bitrix_session_id=1)

    async def look(self, claim: Claim) -> Proof:
        if claim.message_id not in self.took[claim.conversation.id]:
            return Absent()
        if self.side is Side.WHATSAPP:
            return Accepted(whatsapp_id=f"wamid.{claim.message_id}")
        return Accepted(bitrix_chat_id=chat_of(claim.conversation))

    async def take_note(self, claim: Claim) -> Outcome:
        assert claim.message_id in self.confirmed
        return Accepted()

    def calls(self, claims: Sequence[Claim]) -> list[Call]:
        size = self.claims_per_call
        return [tuple(claims[at : at + size]) for at in range(0, len(claims), size)]

    async def send(self, call: Call) -> list[Outcome]:
        self.claims += call
        self.asked += [claim.message_id for claim in call]
        assert len({claim.conversation.id for claim in call}) == len(call)
        return [await self.answers(claim) for claim in call]

    async def prove(self, claim: Claim) -> Proof:
        self.searched.append(claim.message_id)
        return await self.proofs(claim)

    async def confirm(self, claims: Sequence[Claim]) -> list[Outcome]:
        self.confirmed += [claim.message_id for claim in claims]
        return [await self.confirms(claim) for claim in claims]

    def always(self, outcome: Outcome) -> None:
        async def answer(_claim: Claim) -> Outcome:
            return outcome

        self.answers = answer

    def once(self, *outcomes: Outcome) -> None:
        """Answer with `outcomes`, one a send, and take everything after them."""
        left = list(outcomes)

        async def answer(claim: Claim) -> Outcome:
            return left.pop(0) if left else await self.take(claim)

        self.answers = answer


class ScriptedAccount:
    """Implements `core.ports.TemplateAccount`: its list comes when the gate is open."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked = 0
        self.listed: list[Definition] = []
        self.fails: PlatformError | None = None

    async def waba_id(self, _channel: Channel) -> str | None:
        return "109876543210"

    async def templates(self, _channel: Channel, _waba_id: str) -> list[Definition]:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        await self.gate.wait()
        return self.listed

    async def create_template(self, _channel: Channel, _waba_id: str, _wanted: dict[str, object]) -> CreatedTemplate:
        raise NotImplementedError

    async def delete_template(self, _channel: Channel, _waba_id: str, _name: str, _template_id: str | None) -> None:
        raise NotImplementedError


class _ByRows(Confirmer):
    """As after a crash: nothing is told from memory."""

    def __init__(self, other: Confirmer) -> None:
        self.__dict__ = other.__dict__

    def arrived(self, claim: Claim, accepted: Accepted, *, followed: bool) -> None:
        """Implements `Confirmer`."""


def _tells(confirmer: Confirmer) -> bool:
    return bool(confirmer._waiting or confirmer._tasks or confirmer._ended)


def chat_of(talk: Conversation) -> int:
    return talk.id.int % 1_000_000 + 1


@dataclass(kw_only=True)
class House:
    """Everything between the doors and the platforms."""

    ledger: Ledger
    redis: Redis
    bells: Bells
    directory: Directory
    cache: ConversationCache
    whatsapp: ScriptedPlatform
    bitrix24: ScriptedPlatform
    account: ScriptedAccount = field(default_factory=ScriptedAccount)
    naming_wait_s: float = 0.0
    quote_wait_s: float = 0.0
    slice_s: float = 5.0
    lease_s: float = 60.0
    table: dict[str, Routed] = field(default_factory=dict)
    most: dict[Budget, int] = field(default_factory=dict)
    confirmers: dict[Side, Confirmer] = field(default_factory=dict)
    stopping: Stopping = field(default_factory=Stopping)
    ticks: bool = True  # arrivals are told from memory; else by the ledger's rows alone
    hands_over: bool = False  # routing hands over in memory; else it only rings
    witness: Witness | None = None  # of what went to WhatsApp

    def __post_init__(self) -> None:
        database = self.ledger.database
        self.budgets = Budgets(database, self.most, now)
        self.ground = Ground(database, self.bells, self.directory, self.budgets, now, self.stopping)
        self.limit = CallLimit()
        self.bounds = CallBounds(self.limit, self.lease_s)
        self.settlers = {direction: Settler(direction, self.ground) for direction in Direction}
        self.receiver = Receiver(database, self.bells, self.budgets)
        templates = Templates(database, self.directory, self.account, now)
        self.late_fields = (
            Naming(database, templates, now, self.naming_wait_s),
            Quoting(database, now, self.quote_wait_s),
        )
        for platform in (self.whatsapp, self.bitrix24):
            self._confirmer(platform)
        self.dispatchers = {
            Queue.META: self._dispatcher(self.whatsapp),
            Queue.BITRIX24: self._dispatcher(self.bitrix24),
        }
        self.routes = self._routes()
        self.sweep = Sweep(
            self.ground,
            SweepPatience(
                late_s=-1.0,
                lease_s=-1.0,
                bitrix_verify_wait_s=-1.0,
                whatsapp_verify_wait_s=-1.0,
                retention_days=30,
                message_retention_days=365,
                audit_retention_days=730,
            ),
            TABLE,
        )

    def _routes(self) -> dict[Queue, Route]:
        inbound: Handover = Ringing(self.bells, Direction.INBOUND)
        outbound: Handover = Ringing(self.bells, Direction.OUTBOUND)
        if self.hands_over:
            inbound, outbound = self.dispatchers[Queue.BITRIX24], self.dispatchers[Queue.META]
        return {
            Queue.INCOMING: Route(self.ground, self.translate, self.inbound_steps(inbound), self.slice_s),
            Queue.OUTBOUND: Route(self.ground, self.translate, self.outbound_steps(outbound), self.slice_s),
        }

    def inbound_steps(self, handover: Handover) -> InboundSteps:
        """What a route makes its steps with."""
        return InboundSteps(
            directory=self.directory,
            cache=self.cache,
            seen=SeenCache(self.redis, Hits(self.redis)),
            codes=TABLE,
            handover=handover,
            file_wait_s=1.0,
        )

    def outbound_steps(self, handover: Handover) -> OutboundSteps:
        """What a route back makes its steps with: texts end, and are shown, as on the real platforms."""
        return OutboundSteps(self.directory, self.cache, 1.0, handover, WhatsApp, Bitrix24)

    def _confirmer(self, platform: ScriptedPlatform) -> Confirmer:
        """One for each side, which a test may use beside its delivery."""
        confirmer = Confirmer(platform, self.ground, self.bounds)
        self.confirmers[platform.side] = confirmer
        return confirmer

    def _dispatcher(self, platform: ScriptedPlatform) -> Dispatcher:
        back = self.confirmers[Side.WHATSAPP if platform.side is Side.BITRIX24 else Side.BITRIX24]
        calls = Calls(
            platform,
            self.ground,
            self.bounds,
            attachments=Attachments(
                self.ledger.database, Links("https://gateway.example.com", ["secret"]), now, good_s=60.0
            ),
            late_fields=self.late_fields,
            witness=self.witness if platform is self.whatsapp else None,
        )
        return Dispatcher(
            self.ground,
            self.bounds,
            claimer=Claimer(calls.direction, self.ground, self.lease_s),
            calls=calls,
            settler=self.settlers[calls.direction],
            confirmer=self.confirmers[platform.side],
            back=back if self.ticks else _ByRows(back),
        )

    def translate(self, event: Event) -> Routed:
        return self.table[event.request_id]

    async def drain(self, lane: Lane) -> None:
        """Answer a bell of `lane`, and see through what it began."""
        if route := self.routes.get(lane.queue):
            await route.drain(lane)
            if not self.hands_over:
                return
        else:
            await self.dispatchers[lane.queue].answer(lane)
        await self.at_rest()

    def by_rows(self) -> None:
        """Nothing is told from memory from now on."""
        self.ticks = False
        self.__post_init__()

    async def at_rest(self) -> None:
        """Until nothing is under way in memory."""
        busy = self.dispatchers.values()
        while any(each._tasks or each._gathering for each in busy) or any(map(_tells, self.confirmers.values())):
            await asyncio.sleep(0.002)

    # --- what happens outside ---

    async def happens(self, lane: Lane, *said: Routed, name: str = "test") -> Lane:
        """Events that say `said`, in the journal, in order; the round that was rung."""
        events = []
        for routed in said:
            number = next(_numbers)
            self.table[f"r-{number}"] = routed
            events.append(
                NewEvent(
                    source=Side.WHATSAPP if lane.queue is Queue.INCOMING else Side.BITRIX24,
                    name=name,
                    key=number.to_bytes(16, "big"),
                    lane=lane,
                    body=b"{}",
                    request_id=f"r-{number}",
                )
            )
        await self.receiver.accept(events)
        return lane.round

    async def customer_says(self, channel: Channel, *texts: str, customer: Customer) -> Lane:
        lane = incoming_lane(channel.phone_number_id)
        return await self.happens(lane, *(asked(channel, customer, text) for text in texts))

    async def operator_says(self, talk: Conversation, *texts: str) -> Lane:
        lane = outbound_lane(talk.portal_id)
        return await self.happens(lane, *(answered(talk, text) for text in texts))

    async def whatsapp_tells(self, channel: Channel, *receipts: Receipt) -> Lane:
        return await self.happens(incoming_lane(channel.phone_number_id), *receipts)

    async def portal_tells(self, portal_id: PortalId, *told: Routed) -> Lane:
        return await self.happens(outbound_lane(portal_id), *told)

    # --- looking ---

    async def rung(self) -> set[Lane]:
        """The lanes that have a bell, now or later."""
        await self.quiet()
        found: set[Lane] = set()
        for queue in Queue:
            for job in await self.bells.queue(queue).getJobs(["waiting", "delayed", "prioritized"]):
                found.add(Lane(queue, job.data["lane"]))
        return found

    async def rung_now(self) -> set[Lane]:
        """The lanes whose bell may be answered at once."""
        await self.quiet()
        found: set[Lane] = set()
        for queue in Queue:
            for job in await self.bells.queue(queue).getJobs(["waiting", "prioritized"]):
                found.add(Lane(queue, job.data["lane"]))
        return found

    async def quiet(self) -> None:
        """Let bells that were to be rung soon be rung."""
        while self.bells._soon or (self.bells._ringer and not self.bells._ringer.done()):
            await asyncio.sleep(0)

    async def unring(self) -> None:
        """Forget all bells."""
        await self.quiet()
        await self.redis.flushall()

    async def run_until(self, *lanes: Lane, state: Callable[[], Awaitable[bool]], within_s: float = 60.0) -> None:
        """Drain `lanes` again and again, at once and side by side, until `state` holds."""
        async with asyncio.timeout(within_s):
            while not await state():
                await asyncio.gather(*map(self.drain, lanes))

    async def settled(self) -> bool:
        return not await self.ledger.value(
            "SELECT EXISTS (SELECT 1 FROM message WHERE state IN ('pending', 'sending', 'verifying'))"
        )

    async def notices(self) -> list[dict[str, Any]]:
        """The lines from the gateway to operators, oldest first."""
        rows = await self.ledger.rows("SELECT content, conversation_id FROM message WHERE kind = 'notice' ORDER BY id")
        return [msgspec.json.decode(row["content"]) | {"talk": row["conversation_id"]} for row in rows]


def a_customer(**changes: Any) -> Customer:
    number = f"5541{next(_numbers):08d}"
    return Customer(**{"wa_id": number, "phone": f"+{number}", "name": "Ana"} | changes)


def asked(channel: Channel, customer: Customer, text: str, **changes: Any) -> CustomerMessage:
    fields: dict[str, Any] = {
        "phone_number_id": channel.phone_number_id,
        "customer": customer,
        "whatsapp_id": f"wamid.in.{next(_numbers)}",
        "content": Words(plain_text(text)),
        "written_at": now().replace(microsecond=0),
    }
    return CustomerMessage(**fields | changes)


def answered(talk: Conversation, text: str, **changes: Any) -> OperatorMessage:
    fields: dict[str, Any] = {
        "external_chat_id": talk.external_chat_id,
        "bitrix_chat_id": chat_of(talk),
        "bitrix_message_id": next(_numbers),
        "content": Words(plain_text(text), "Rui"),
    }
    return OperatorMessage(**fields | changes)


def lane_to_whatsapp(channel: Channel) -> Lane:
    return meta_lane(channel.id)


def lane_to_bitrix24(portal: Portal | PortalId) -> Lane:
    return bitrix24_lane(portal.id if isinstance(portal, Portal) else portal)


def long_ago() -> datetime:
    return now() - timedelta(days=30)
