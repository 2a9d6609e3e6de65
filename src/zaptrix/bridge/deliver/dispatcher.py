"""Dispatch: what is claimed for one side goes at once, a task a call, and no portal waits for another.

Why: a message that is looked for costs more than one that is sent. So routing hands over what it has just written,
whoever ends a message claims the next of its conversation in the same statement, and the ledger is only asked for what
had to wait: for room, for its time, or for another process. What is asked for meanwhile is asked for together.

How: in memory stand the portals or channels with calls under way, and the conversations that these calls hold. A claim
is made for what can be launched now, never for later: should this process die, little has to be verified.

Invariants: a conversation has one call under way at the most. Nothing is sent without a claim, and no claim is kept
behind a stop. What is in memory here is a hint: PostgreSQL alone says what is open.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from msgspec.structs import replace

from zaptrix.bridge.deliver.call_limit import CallBounds
from zaptrix.bridge.deliver.calls import CallOutcome, Calls
from zaptrix.bridge.deliver.claiming import Claimed, Claimer
from zaptrix.bridge.deliver.confirmer import Confirmer
from zaptrix.bridge.deliver.left_alone import LeftAlone
from zaptrix.bridge.deliver.offer import BatchOffer
from zaptrix.bridge.deliver.owner import Owner
from zaptrix.bridge.deliver.settler import Judged, Settler
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.core import limits
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.lanes import Lane, delivery_lane
from zaptrix.core.delivery.retry import Sent
from zaptrix.core.ids import ConversationId
from zaptrix.elapsed import elapsed_s
from zaptrix.store.connection.database import StoreUnavailable
from zaptrix.store.ledger.claims import Ask
from zaptrix.telemetry import metrics

log = structlog.get_logger(__name__)


class Dispatcher:
    """Delivers to one side. Implements `core.ports.Handover`."""

    def __init__(
        self,
        ground: Ground,
        bounds: CallBounds,
        *,
        claimer: Claimer,
        calls: Calls,
        settler: Settler,
        confirmer: Confirmer,
        back: Confirmer,
    ) -> None:
        self._claimer = claimer
        self._calls = calls
        self._platform = calls.platform
        self._settler = settler
        self._confirmer = confirmer  # of this side, for what is due in the ledger
        self._back = back  # of the side that the messages come from
        self._bells = ground.bells
        self._limit = bounds.limit
        self._stopping = ground.stopping
        self._now = ground.now
        self._lease_s = bounds.lease_s
        self._owners: dict[UUID, Owner] = {}
        self._alone = LeftAlone(ground.now)
        self._talks: dict[ConversationId, bool] = {}  # with a call under way; True: more was written behind it
        self._wanting: dict[UUID, None] = {}  # whom to claim for, in order
        self._gathering: dict[UUID, asyncio.TimerHandle] = {}  # for whom more is waited for, while the pace has no room
        self._claiming = False
        self._confirming: set[Lane] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    # --- what others tell ---------------------------------------------------------------------------------------------

    def offer(self) -> BatchOffer:
        """What may be launched at once, for one batch of routing."""
        return BatchOffer(self, self._limit.free, self._stopping.worker.attempt)

    def may_be_handed(self, owner: UUID, conversation_id: ConversationId) -> bool:
        """Whether nobody of this portal or channel, and nothing of this conversation, waits here already."""
        one = self._owners.get(owner)
        return conversation_id not in self._talks and not (one and one.more)

    def take(self, claims: Sequence[Claim]) -> None:
        """Claimed a moment ago: they go now."""
        if claims:
            # By the database's time, as their claim is: a process that stood still since then knows it.
            age_s = (self._now() - min(claim.created_at for claim in claims)).total_seconds()
            self._launch(claims, elapsed_s() - max(0.0, age_s))

    def waits(self, owner: UUID, conversation_id: ConversationId) -> None:
        """Something was committed that nobody has claimed."""
        if conversation_id in self._talks:
            self._talks[conversation_id] = True
        elif owner in self._alone:
            self._bells.ring_soon([self._lane(owner)])  # another process may have heard that it was repaired
        else:
            self._owners.setdefault(owner, Owner()).told(conversation_id)
            self._want(owner)

    async def answer(self, lane: Lane) -> None:
        """A bell: look who of the round has something due. Raises StoreUnavailable."""
        asked_at = self._now()
        due = await self._claimer.due(lane)
        times = [each.next_at for each in due if each.next_at is not None]
        for each in due:
            if each.id is None:
                self._confirm(lane) if each.due else None
            elif each.due and (at := self._alone.in_doubt_until(each.id, asked_at)):
                times.append(at)
            elif each.due:
                self._prove(each.id) if each.to_prove else None
                self._want(each.id)  # also beside a search, which may take its time
        if times:
            await self._bells.later(lane, min(times))

    async def landed(self) -> None:
        """Wait until nothing is under way, and nothing can be begun."""
        while self._gathering:
            owner, timer = self._gathering.popitem()
            timer.cancel()
            self._bells.ring_soon([self._lane(owner)])
        while self._tasks:
            await asyncio.wait(self._tasks)

    # --- whom to claim for --------------------------------------------------------------------------------------------

    def room(self, owner: UUID) -> int:
        """How many messages may be launched for a portal or channel now."""
        if self._stopping.told or owner in self._alone:
            return 0
        one, calls = self._owners.get(owner) or Owner(), self._platform.calls_at_once
        if self._platform.throttled_s(owner):
            # What comes until a call has room shares it; but whoever else calls the portal books ahead, and so do we.
            calls = 1 if one.has_gathered else 0
        return (calls - one.begun) * self._platform.claims_per_call

    def _leave_alone(self, owner: UUID, until: datetime) -> None:
        self._alone.put(owner, until)
        self._wanting.pop(owner, None)
        if one := self._owners.get(owner):
            one.more = False  # a bell will say so, then

    def _want(self, owner: UUID) -> None:
        if owner in self._alone:
            return
        self._owners.setdefault(owner, Owner()).more = True
        if self.room(owner) > 0 or self._stopping.told:
            self._wanting[owner] = None
            self._claim_soon()
        elif owner not in self._gathering and (wait_s := self._platform.throttled_s(owner)):
            wait_s = min(wait_s, limits.PACE_GATHER_S)
            self._gathering[owner] = asyncio.get_running_loop().call_later(wait_s, self._has_gathered, owner)

    def _has_gathered(self, owner: UUID) -> None:
        del self._gathering[owner]
        if (one := self._owners.get(owner)) and one.more:
            one.has_gathered = True
            self._want(owner)

    def _claim_soon(self) -> None:
        """One claim at a time: who comes meanwhile shares the next one."""
        if self._claiming or not self._wanting:
            return
        if self._stopping.told:
            self._bells.ring_soon({self._lane(owner) for owner in self._wanting})
            self._wanting.clear()
        elif self._limit.free:
            self._claiming = True
            self._run(self._claim(), ())
        else:
            self._limit.when_free(self._claim_soon)

    async def _claim(self) -> None:
        await asyncio.sleep(0)  # for those who come in the same turn of the loop
        asks, found, claimed_s = list[Ask](), list[Claimed](), elapsed_s()
        try:
            asks = self._asks()
            latest = {ask.lane_id: self._owners[ask.lane_id].taken() for ask in asks}
            found = await self._claimer.to_send(asks) if asks else []
        except Exception:
            self._run(self._let_go(asks, claimed_s), [ask.lane_id for ask in asks])
            raise
        finally:
            self._claiming = False
            self._launch([claim for each in found for claim in each.claims], claimed_s)
            for each in found:
                self._want(each.owner) if each.more else self._forget(each.owner)
            self._claim_soon()
        # What waits for its time, or for another process, which may not have seen it: a bell looks again.
        missed = {each.owner: latest[each.owner] - self._talks.keys() for each in found}
        for each in found:
            if each.more and (one := self._owners.get(each.owner)):
                one.latest |= missed.pop(each.owner)
        await self._again((owner for owner, talks in missed.items() if talks), limits.LOOK_AGAIN_S)

    async def _let_go(self, asks: Sequence[Ask], claimed_s: float) -> None:
        """Nobody was told whether a claim is on disk: what it holds is in nobody's hands, and waits again."""
        for ask in asks:
            self._forget(ask.lane_id)
        await self._again((ask.lane_id for ask in asks), limits.STORE_AGAIN_S)
        for owner in await self._claimer.let_go(
            [a.attempt_id for a in asks], claimed_s + self._lease_s, self._stopping
        ):
            self._want(owner)

    def _asks(self) -> list[Ask]:
        """For the first of those who want, as many as may begin a call."""
        asks, calls = list[Ask](), 0 if self._stopping.told else self._limit.free
        for owner in list(self._wanting):
            if calls <= 0 or len(asks) == limits.OWNERS_PER_CLAIM:
                break
            del self._wanting[owner]
            if (room := self.room(owner)) > 0:
                self._owners[owner].begin()
                asks.append(Ask(owner, self._stopping.worker.attempt(), room))
                calls -= 1
            else:
                self._want(owner)  # something came meanwhile
        return asks

    async def _again(self, owners: Iterable[UUID], wait_s: float) -> None:
        """Let a bell look at them in a while."""
        at = self._now() + timedelta(seconds=wait_s)
        for lane in set(map(self._lane, owners)):
            await self._bells.later(lane, at)

    def _forget(self, owner: UUID) -> None:
        if (one := self._owners.get(owner)) and one.is_idle:
            del self._owners[owner]

    # --- calls --------------------------------------------------------------------------------------------------------

    def _launch(self, claims: Sequence[Claim], claimed_s: float) -> None:
        by_owner: defaultdict[UUID, list[Claim]] = defaultdict(list)
        for claim in claims:
            by_owner[self._claimer.owner_of(claim)].append(claim)
            self._talks[claim.conversation.id] = False
        for owner, those in by_owner.items():
            one = self._owners.setdefault(owner, Owner())
            for call in self._platform.calls(those):
                one.begun += 1
                self._run(self._carry(owner, one, call, claimed_s), [owner])

    async def _carry(self, owner: UUID, one: Owner, call: Sequence[Claim], claimed_s: float) -> None:
        following: Sequence[Claim] = []
        goes_on = False
        try:
            judged, alone_until = await self._called(call, claimed_s)
            if alone_until is not None:
                self._leave_alone(owner, alone_until)
            # Who waits for room has waited longer than what comes next in this conversation.
            shares = one.more or self._platform.throttled_s(owner) > 0
            goes_on = alone_until is None and not (shares or self._stopping.told)
            if goes_on:
                judged = [replace(each, next_attempt_id=self._stopping.worker.attempt()) for each in judged]
            following = await self._settle(judged, claimed_s)
        except Exception:
            # What was claimed stays so until its claim has run out, and is verified then.
            until = self._now() + timedelta(seconds=limits.BROKEN_CALL_S)
            self._leave_alone(owner, until)
            await self._claimer.leave_alone(owner, until)
            raise
        finally:
            one.begun -= 1
            self._land(owner, call, following, looks=one.more or not goes_on)
        await self._ring_later(owner, judged)

    async def _called(self, call: Sequence[Claim], claimed_s: float) -> tuple[list[Judged], datetime | None]:
        """One call: the verdicts, and until when its portal or channel is to be left alone."""
        with self._limit.place():
            try:
                ready = await self._calls.ready(call)
            except StoreUnavailable as exc:
                log.warning("call put off", reason=str(exc))
                again_at = self._now() + timedelta(seconds=limits.STORE_AGAIN_S)
                return [self._calls.put_off(claim, again_at, "store_away") for claim in call], None
            ended = await self._calls.send(ready.claims, claimed_s) if ready.claims else CallOutcome([], None)
        judged = [*ready.waiting, *map(self._told, ended.judged)]
        if ended.leave_alone is not None:
            judged = [replace(each, leave_alone=ended.leave_alone) for each in judged]
        return judged, ended.leave_alone

    def _told(self, judged: Judged) -> Judged:
        """What the platform took is told to the side that it came from, while it is settled."""
        if not isinstance(judged.verdict, Sent):
            return judged
        claim = judged.claim
        followed = claim.followed or self._talks.get(claim.conversation.id, False)
        return replace(judged, tick=self._back.arrived(claim, judged.verdict.accepted, followed=followed))

    async def _settle(self, judged: Sequence[Judged], claimed_s: float) -> Sequence[Claim]:
        """Write the verdicts, and take what was claimed behind them.

        A verdict that is lost has to be searched for, and WhatsApp cannot be asked: so while the store is away it is
        tried again, as long as the claim lasts.
        """
        in_doubt = False
        while True:
            asked_s = elapsed_s()
            try:
                rows = await self._settler.settle(judged)
                claims = await self._claimer.with_tenants(rows) if rows else []
                if in_doubt:
                    await self._give_back(judged, claims)
            except StoreUnavailable as exc:
                if asked_s - claimed_s + limits.SETTLE_AGAIN_S > self._lease_s or self._stopping.told:
                    log.warning("not settled", messages=len(judged), reason=str(exc))
                    return []
                in_doubt = True
                await self._stopping.pause(limits.SETTLE_AGAIN_S)
            else:
                self._launch(claims, asked_s)
                return claims

    async def _give_back(self, judged: Sequence[Judged], following: Sequence[Claim]) -> None:
        """An earlier try may have been written, though nobody said so: what it claimed behind, nobody has."""
        ours = {claim.attempt_id for claim in following}
        if lost := [id_ for each in judged if (id_ := each.next_attempt_id) and id_ not in ours]:
            for owner in await self._claimer.give_back(lost):
                self._want(owner)

    def _land(self, owner: UUID, call: Sequence[Claim], following: Sequence[Claim], *, looks: bool) -> None:
        """The conversations of a call are free, but for those that go on. `looks`: nothing was claimed behind them."""
        goes_on = {claim.conversation.id for claim in following}
        ended = [claim for claim in call if claim.conversation.id not in goes_on]
        behind = [self._talks.pop(claim.conversation.id, False) or claim.followed for claim in ended]
        if looks or any(behind):
            self._want(owner)
        self._forget(owner)

    async def _ring_later(self, owner: UUID, judged: Iterable[Judged]) -> None:
        """What is to be done again has its time, and so has who is to be left alone."""
        times = [at for each in judged if (at := getattr(each.verdict, "at", None))]
        if times:
            await self._bells.later(self._lane(owner), max(min(times), self._alone.until(owner) or min(times)))

    def _prove(self, owner: UUID) -> None:
        one = self._owners.setdefault(owner, Owner())
        if not one.proving:
            one.proving = True
            self._run(self._search(owner, one), [owner])

    async def _search(self, owner: UUID, one: Owner) -> None:
        """Look for the proof of calls that had no clear answer, and then for what else is due."""
        try:
            while not self._stopping.told:
                claimed_s = elapsed_s()
                claims = await self._claimer.to_prove(owner, self._platform.calls_at_once)
                if not claims:
                    break
                judged = await self._calls.prove(claims, claimed_s)
                await self._settle(judged, claimed_s)
                await self._ring_later(owner, judged)
        finally:
            one.proving = False
            self._want(owner)
            self._forget(owner)

    def _confirm(self, lane: Lane) -> None:
        if lane not in self._confirming:
            self._confirming.add(lane)
            self._run(self._confirm_all(lane), ())

    async def _confirm_all(self, lane: Lane) -> None:
        try:
            while not self._stopping.told and await self._confirmer.drain(lane.number):
                pass
        finally:
            self._confirming.discard(lane)
            if self._stopping.told:
                self._bells.ring_soon([lane])

    def _run(self, work: Coroutine[object, object, None], owners: Collection[UUID]) -> None:
        task = asyncio.create_task(self._guarded(work, owners))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[object, object, None], owners: Collection[UUID]) -> None:
        """What breaks is told, and is its own portal's or channel's trouble; a bell looks at it again."""
        try:
            await work
        except StoreUnavailable as exc:
            log.warning("put off", reason=str(exc))
            await self._again(owners, limits.STORE_AGAIN_S)
        except Exception:
            metrics.alarmed(metrics.AlarmKind.DRAIN_FAILED)
            log.exception("delivery failed", owners=list(map(str, owners)), alarm=True)
            await self._again(owners, limits.BROKEN_CALL_S)

    def _lane(self, owner: UUID) -> Lane:
        return delivery_lane(self._claimer.direction, owner)
