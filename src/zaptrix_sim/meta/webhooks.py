"""Outgoing webhooks of Meta: signed, in batches, and retried until they are answered 200.

Updates wait in one queue a thread, and the next one leaves when the first try of the one before has ended: so the order
of a thread's first posts is that of its events, and what failed may come late.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview
"""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

import aiohttp

from zaptrix_sim.judge.facts import WebhookAcknowledged, WebhookPosted
from zaptrix_sim.meta.wire import Json, Update, account_body_of, body_of, signature
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.faults import Fault
from zaptrix_sim.world.world import Phone, Waba

HELD_KINDS: Final = frozenset({"drop", "double", "delay", "reorder"})


class MetaWebhooks:
    """A thread's next update leaves when the first try of the one before has ended, so that the order of its posts is
    the order of its events; what failed is tried again on its own and may come late."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lanes: dict[tuple[str, str], deque[Update]] = {}
        self._held: dict[tuple[str, str], list[Update]] = {}
        self._ready: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._acknowledged: dict[int, asyncio.Event] = {}
        self._worlds = 0
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)
        for update in self._engine.world.updates.values():
            self._enqueue(update)
        for _ in range(self._engine.options.webhook_parallel):
            self._spawn(self._post_lanes())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def reset(self) -> None:
        """Forget what waits. A post that is under way ends, and means nothing to the new world."""
        self._worlds += 1
        self._lanes.clear()
        self._held.clear()
        while not self._ready.empty():
            self._ready.get_nowait()

    def push(self, phone: Phone, kind: str, item: Json, contact: Json | None) -> Update | None:
        """Let an update go out. None when nobody is subscribed to the number's account."""
        world = self._engine.world
        waba = world.wabas.get(phone.number.waba_id)
        if waba is None or not waba.subscribed:
            return None
        update = Update(
            id=world.update_ids.take(), kind=kind, phone=phone, item=item, contact=contact, wamid=item["id"]
        )
        world.updates[update.id] = update
        world.changes += 1
        self._enqueue(update)
        return update

    def tell_account(self, waba: Waba, kind: str, value: Json) -> None:
        """What concerns an account goes out by itself, in the order in which nobody promises it."""
        if waba.subscribed:
            self._spawn(self._post_account(account_body_of(waba.id, kind, value, self._engine.now())))

    async def _post_account(self, body: bytes) -> None:
        options, worlds = self._engine.options, self._worlds
        pause_s = options.retry_first_s
        while worlds == self._worlds and not await self._send(
            body, self._url_of(None)
        ):  # the app's, whatever the account's
            await asyncio.sleep(pause_s)
            pause_s = min(options.retry_longest_s, pause_s * 2)

    async def wait_acknowledged(self, update: Update, timeout_s: float) -> None:
        """Return when the update was answered 200, or when the time is up."""
        if not self._waits(update):
            return
        event = self._acknowledged.setdefault(update.id, asyncio.Event())
        try:
            await asyncio.wait_for(event.wait(), timeout_s)
        except TimeoutError:
            pass
        finally:
            self._acknowledged.pop(update.id, None)

    # --- lanes ---------------------------------------------------------------------------------------------------

    def _enqueue(self, update: Update) -> None:
        lane = self._lanes.get(update.lane)
        if lane is None:
            lane = self._lanes[update.lane] = deque()
            self._ready.put_nowait(update.lane)
        lane.append(update)

    async def _post_lanes(self) -> None:
        while True:
            lanes = [await self._ready.get()]
            worlds = self._worlds
            batch = self._take(lanes[0], self._engine.options.webhook_batch_max)
            while len(batch) < self._engine.options.webhook_batch_max and not self._ready.empty():
                lanes.append(self._ready.get_nowait())
                batch += self._take(lanes[-1], self._engine.options.webhook_batch_max - len(batch))
            await self._try(batch)
            for lane in lanes if worlds == self._worlds else ():
                self._release(lane)

    def _take(self, lane: tuple[str, str], most: int) -> list[Update]:
        waiting = self._lanes.get(lane)
        return [waiting.popleft() for _ in range(min(most, len(waiting)))] if waiting else []

    def _release(self, lane: tuple[str, str]) -> None:
        if self._lanes.get(lane):
            self._ready.put_nowait(lane)
        else:
            self._lanes.pop(lane, None)

    # --- posts ---------------------------------------------------------------------------------------------------

    async def _try(self, batch: list[Update]) -> None:
        plain = []
        for update in batch:
            fault = self._fault(update)
            if fault is None:
                plain.append(update)
            else:
                self._under_fault(update, fault)
        if plain:
            await self._post(plain)
            for update in plain:
                self._let_go(update.lane)

    def _fault(self, update: Update) -> Fault | None:
        number, customer = update.lane
        facts = {"phone_number_id": number, "customer": customer, "method": update.kind}
        return self._engine.faults.pick("meta", "webhook", facts, HELD_KINDS)

    def _under_fault(self, update: Update, fault: Fault) -> None:
        if fault.kind == "drop" and fault.forever:
            self._forget(update)
        elif fault.kind == "drop":
            update.tries += 1
            self._try_again([update])
        elif fault.kind == "double":
            for _ in range(fault.copies):
                self._spawn(self._post([update]))
        else:
            if fault.kind == "reorder":
                self._held.setdefault(update.lane, []).append(update)
            update.held = True
            self._spawn(self._post_late(update, fault.delay_s))

    async def _post_late(self, update: Update, delay_s: float) -> None:
        """A delayed update goes out after its time; a reordered one at the latest then."""
        await asyncio.sleep(delay_s)
        if update.held:
            update.held = False
            await self._post([update])

    def _let_go(self, lane: tuple[str, str]) -> None:
        """The one that came after has gone out: those that it was to overtake follow."""
        for update in self._held.pop(lane, ()):
            if update.held:
                update.held = False
                self._spawn(self._post([update]))

    async def _post(self, batch: list[Update]) -> None:
        for update in batch:
            if update.kind == "messages":
                self._engine.record(WebhookPosted(update.wamid))
            update.tries += 1
        waba = self._engine.world.wabas.get(batch[0].phone.number.waba_id)
        taken = await self._send(body_of(batch), self._url_of(waba))
        self._engine.posts["meta_taken" if taken else "meta_refused"] += 1
        if taken:
            for update in batch:
                self._settle(update)
        else:
            self._try_again(batch)

    async def _send(self, body: bytes, url: str) -> bool:
        options = self._engine.options
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature-256": signature(body, options.app_secret),
        }
        assert self._session is not None
        try:
            async with self._session.post(
                url,
                data=body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=options.webhook_timeout_s),
                allow_redirects=False,
            ) as response:
                await response.read()
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def _url_of(self, waba: Waba | None) -> str:
        return (waba.override_url if waba else "") or f"{self._engine.settings.gateway_url}/webhooks/meta"

    def _settle(self, update: Update) -> None:
        if not self._waits(update):
            return
        del self._engine.world.updates[update.id]
        if update.kind == "messages":
            self._engine.record(WebhookAcknowledged(update.wamid))
        self._wake(update)

    def _forget(self, update: Update) -> None:
        if self._waits(update):
            del self._engine.world.updates[update.id]
        self._wake(update)

    def _waits(self, update: Update) -> bool:
        return self._engine.world.updates.get(update.id) is update

    def _wake(self, update: Update) -> None:
        if event := self._acknowledged.get(update.id):
            event.set()

    def _try_again(self, batch: list[Update]) -> None:
        """Seven days of patience, in which the pause doubles up to its longest."""
        options = self._engine.options
        tries = max(1, *(update.tries for update in batch))
        pause = min(options.retry_longest_s, options.retry_first_s * 2 ** min(tries - 1, 20))
        self._spawn(self._post_again(batch, pause))

    async def _post_again(self, batch: list[Update], pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        still = [update for update in batch if self._waits(update)]
        if still:
            await self._try(still)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
