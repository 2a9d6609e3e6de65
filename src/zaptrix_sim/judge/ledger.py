"""The ledger: folds facts, in the order in which they happened, into counts and violations.

What it holds both sides to: every text that was acknowledged arrives once, in its own conversation, in an order that
its senders could expect; nobody is told of a state that is not so; no limit is run into. Pure.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from zaptrix_sim.judge.callers import Callers
from zaptrix_sim.judge.facts import (
    CallerAnswered,
    CallerAsked,
    CustomerWrote,
    Fact,
    FileArrived,
    FileSent,
    LimitExceeded,
    MarkedRead,
    Noticed,
    PutInChat,
    ReachedPhone,
    Refused,
    Room,
    StateMoved,
    Thread,
    ToldDelivered,
    WebhookAcknowledged,
    WebhookPosted,
)
from zaptrix_sim.judge.files import Files
from zaptrix_sim.judge.outbound import Outbound
from zaptrix_sim.judge.parts import Books, Passage
from zaptrix_sim.judge.refusals import Refusals

OPEN_SHOWN_MAX: Final = 200


@dataclass(slots=True)
class Inbound(Passage):
    """A customer's text on its way into a chat."""

    wamid: str = ""
    thread: Thread = ("", "")
    room: Room | None = None


@dataclass(slots=True)
class Ledger:
    books: Books = field(default_factory=Books)
    limits: Counter[LimitExceeded] = field(default_factory=Counter)
    inbound: dict[str, Inbound] = field(default_factory=dict)
    inbound_open: dict[str, Inbound] = field(default_factory=dict)
    outbound: Outbound = field(default_factory=Outbound)
    callers: Callers = field(default_factory=Callers)
    files: Files = field(default_factory=Files)
    refusals: Refusals = field(default_factory=Refusals)
    room_of_place: dict[tuple[Thread, str, str], Room] = field(default_factory=dict)
    portal_of_number: dict[str, str] = field(default_factory=dict)
    latest_post: dict[Room, Inbound] = field(default_factory=dict)

    def record(self, fact: Fact) -> None:
        self.books.clock += 1
        mine = _JUDGES.get(type(fact))
        if mine is not None:
            mine(self, fact)
        else:
            self.outbound.record(fact, self.books)

    # --- inbound: customer to operator ---------------------------------------------------------------------------

    def customer_wrote(self, fact: CustomerWrote) -> None:
        item = Inbound(wamid=fact.wamid, thread=fact.thread, written=self.books.clock)
        self.inbound[fact.wamid] = self.inbound_open[fact.wamid] = item
        self.books.counts["customers_wrote"] += 1

    def webhook_posted(self, fact: WebhookPosted) -> None:
        item = self.inbound.get(fact.wamid)
        if item is not None and item.posted is None:
            item.posted = self.books.clock

    def webhook_acknowledged(self, fact: WebhookAcknowledged) -> None:
        item = self.inbound.get(fact.wamid)
        if item is not None and item.acknowledged is None:
            item.acknowledged = self.books.clock
            self.books.counts["webhooks_acknowledged"] += 1

    def put_in_chat(self, fact: PutInChat) -> None:
        item = self.inbound.get(fact.wamid)
        if item is None:
            self.books.counts["foreign_in_chats"] += 1
            return
        self._judge_conversation(item, fact)
        if item.room is not None:
            self.books.violations.add("doubled", "a customer's text is in the chats twice", fact.wamid)
            return
        item.room = fact.room
        del self.inbound_open[fact.wamid]
        self.books.counts["in_chats"] += 1
        self._judge_order(item, fact.room)

    def _judge_conversation(self, item: Inbound, fact: PutInChat) -> None:
        portal, number = fact.room[0], item.thread[0]
        owner = self.books.owner(fact.room, item.thread)
        home = self.portal_of_number.setdefault(number, portal)
        room = self.room_of_place.setdefault((item.thread, portal, fact.place), fact.room)
        if owner != item.thread:
            self.books.violations.add(
                "strange_conversation", "a text is in another customer's or number's chat", fact.wamid
            )
        elif home != portal:
            self.books.violations.add(
                "strange_conversation", "a text is in a portal that is not its number's", fact.wamid
            )
        elif room != fact.room:
            self.books.violations.add("strange_conversation", "one conversation is split over two chats", fact.wamid)

    def _judge_order(self, item: Inbound, room: Room) -> None:
        latest = self.latest_post.get(room)
        if latest is not None and item.must_precede(latest):
            self.books.violations.add("disordered", "a text stands after one that came later", item.wamid, latest.wamid)
        if item.posted is not None and (latest is None or item.posted > (latest.posted or 0)):
            self.latest_post[room] = item

    def marked_read(self, fact: MarkedRead) -> None:
        item = self.inbound.get(fact.wamid)
        if item is not None and item.room is None:
            self.books.violations.add("state_ahead", "a text was marked as read before it was in its chat", fact.wamid)

    # --- both ways -----------------------------------------------------------------------------------------------

    def told_delivered(self, fact: ToldDelivered) -> None:
        if self.outbound.is_open(fact.note):
            self.books.violations.add("state_ahead", "the line was told delivered before the phone had it", fact.note)

    def file_sent(self, fact: FileSent) -> None:
        self.files.sent(fact, self.books)

    def file_arrived(self, fact: FileArrived) -> None:
        self.files.arrived(fact, self.books)

    def noticed(self, fact: Noticed) -> None:
        self.books.counts["notices"] += 1
        self.refusals.noticed(fact, self.books)
        self.files.noticed(fact, self.books)

    def caller_asked(self, fact: CallerAsked) -> None:
        self.callers.asked(fact, self.books)

    def caller_answered(self, fact: CallerAnswered) -> None:
        self.callers.answered(fact, self.books)

    def reached_phone(self, fact: ReachedPhone) -> None:
        if not self.callers.reached(fact, self.books):
            self.outbound.record(fact, self.books)

    def refused(self, fact: Refused) -> None:
        by_operator = not self.callers.refused(fact)
        self.refusals.refused(fact, by_operator=by_operator)
        self.files.refused(fact)
        if by_operator:
            self.outbound.record(fact, self.books)

    def state_moved(self, fact: StateMoved) -> None:
        if fact.now < fact.was:
            self.books.violations.add("state_backward", f"from {fact.was.name} back to {fact.now.name}", fact.message)

    def limit_exceeded(self, fact: LimitExceeded) -> None:
        self.limits[fact] += 1
        self.books.counts["limits_exceeded"] += 1

    def forget_underway(self) -> None:
        """The platforms were restarted: an event that was under way is gone."""
        for answer in self.outbound.open.values():
            answer.in_flight = 0

    # --- the verdict ---------------------------------------------------------------------------------------------

    def verdict(self, *, drained: bool = False) -> dict[str, Any]:
        """What is known so far. With `drained` whatever was acknowledged and has not arrived counts as lost; without
        it, as not yet drained, which does not make the verdict bad."""
        violations = self.books.violations.as_list()
        violations += [
            {"kind": "limit_exceeded", "detail": f"{one.side}: {one.limit} refused {times} calls", "ids": [one.scope]}
            for one, times in self.limits.items()
        ]
        acknowledged = [wamid for wamid, item in self.inbound_open.items() if item.acknowledged is not None]
        waiting = [wamid for wamid, item in self.inbound_open.items() if item.acknowledged is None]
        answers, underway, owed = self.outbound.acknowledged_open(), self.outbound.underway(), self.outbound.owed()
        promised, asked = self.callers.promised(), self.callers.unanswered()
        late = "lost" if drained else "not_drained"
        violations += _left(late, "acknowledged and not in any chat", acknowledged)
        violations += _left(late, "delivered to the gateway and on no phone", answers)
        violations += _left(late, "told to nobody, and on no phone", owed)
        violations += _left(late, "promised by the API and on no phone", promised)
        violations += _left("not_drained", "asked of the API, which has not answered", asked)
        violations += _left("not_drained", "the webhook is not acknowledged yet", waiting)
        violations += _left("not_drained", "the event is under way", underway)
        kinds: Counter[str] = Counter(self.books.violations.totals)
        kinds["limit_exceeded"] = len(self.limits)
        kinds[late] += len(acknowledged) + len(answers) + len(owed) + len(promised)
        kinds["not_drained"] += len(waiting) + len(underway) + len(asked)
        return {
            "ok": not any(total for kind, total in kinds.items() if kind != "not_drained"),
            "drained": not (self.inbound_open or answers or underway or owed or promised or asked),
            **{
                name: self.books.counts[name]
                for name in ("customers_wrote", "in_chats", "operators_wrote", "on_phones")
            },
            "counts": dict(self.books.counts) | {"violations": {kind: total for kind, total in kinds.items() if total}},
            "files_left": self.files.left(),
            "files_of_customers_left": self.files.of_customers_left(),
            "refused": self.refusals.by_code(),
            "untold": self.refusals.untold_of(),
            "violations": violations,
        }


def judge(history: Iterable[Fact], *, drained: bool = True) -> dict[str, Any]:
    """The verdict on a whole history."""
    ledger = Ledger()
    for fact in history:
        ledger.record(fact)
    return ledger.verdict(drained=drained)


def _left(kind: str, detail: str, ids: list[Any]) -> list[dict[str, Any]]:
    if not ids:
        return []
    return [{"kind": kind, "detail": f"{len(ids)} {detail}", "ids": ids[:OPEN_SHOWN_MAX]}]


_JUDGES: Final[dict[type, Callable[[Ledger, Any], None]]] = {
    CustomerWrote: Ledger.customer_wrote,
    WebhookPosted: Ledger.webhook_posted,
    WebhookAcknowledged: Ledger.webhook_acknowledged,
    PutInChat: Ledger.put_in_chat,
    MarkedRead: Ledger.marked_read,
    ToldDelivered: Ledger.told_delivered,
    CallerAsked: Ledger.caller_asked,
    CallerAnswered: Ledger.caller_answered,
    ReachedPhone: Ledger.reached_phone,
    Refused: Ledger.refused,
    FileSent: Ledger.file_sent,
    FileArrived: Ledger.file_arrived,
    Noticed: Ledger.noticed,
    StateMoved: Ledger.state_moved,
    LimitExceeded: Ledger.limit_exceeded,
}
