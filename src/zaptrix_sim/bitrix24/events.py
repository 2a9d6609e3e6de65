"""Outgoing events of a portal: PHP forms, posted once to each handler and never retried.

A gateway that misses one has to find it by itself, which is what recovery is tested with. The events of one chat are
posted one after the other; chats do not wait for each other.
https://apidocs.bitrix24.com/api-reference/events/index.html
"""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from zaptrix_sim.bitrix24 import php_form
from zaptrix_sim.judge.facts import EventDue, EventEnded, EventPosted, Note
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.faults import Fault
from zaptrix_sim.world.world import Binding, Portal, Token, opaque

PARALLEL_MAX: Final = 64
TOKEN_LIFE_S: Final = 3600
KINDS: Final = frozenset({"drop", "double", "delay", "reorder"})

Lane = tuple[str, str]


@dataclass(slots=True, kw_only=True)
class EventPost:
    """`note` is the operator's message that the event carries, if it carries one."""

    portal: Portal
    lane: Lane
    binding: Binding
    body: bytes
    note: Note | None
    customer: str
    held: bool = False


class BitrixEvents:
    """The events of one chat leave one after the other; chats do not wait for each other."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lanes: dict[Lane, deque[EventPost]] = {}
        self._held: dict[Lane, list[EventPost]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(PARALLEL_MAX)
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def reset(self) -> None:
        """Forget what waits; a post that is under way ends, and means nothing to the new world."""
        for lane in self._lanes.values():
            lane.clear()
        self._held.clear()

    def emit(
        self,
        portal: Portal,
        event: str,
        data: Any,
        *,
        chat: str = "",
        user_id: int = 0,
        note: Note | None = None,
    ) -> None:
        """Tell every handler bound to the event. `user_id` 0 means that nobody acted: then no token goes along."""
        for binding in portal.bindings.get(event, ()):
            if binding.offline:
                self._keep_offline(portal, event, data, user_id)
                continue
            if note is not None:
                self._engine.record(EventDue(note))
            lane, body = (portal.key, chat or event), self._form(portal, binding, data, user_id)
            post = EventPost(portal=portal, lane=lane, binding=binding, body=body, note=note, customer=chat)
            self._enqueue(post)

    def _form(self, portal: Portal, binding: Binding, data: Any, user_id: int) -> bytes:
        return php_form.encode({
            "event": binding.event,
            "event_handler_id": binding.id,
            "data": data,
            "ts": int(self._engine.now()),
            "auth": self._auth(portal, user_id),
        })  # fmt: skip

    def _auth(self, portal: Portal, user_id: int) -> dict[str, Any]:
        url = self._engine.url
        auth: dict[str, Any] = {}
        if user_id:
            token = self._operator_token(portal, user_id)
            auth = {"access_token": token.value, "expires": int(token.expires), "expires_in": TOKEN_LIFE_S}
        auth |= {
            "scope": "crm,im,imopenlines,imconnector",
            "domain": f"{portal.key}.bitrix24.test",
            "server_endpoint": f"{url}/bitrix24/oauth/rest/",
            "status": "L",
            "client_endpoint": f"{url}/bitrix24/{portal.key}/rest/",
            "member_id": portal.member_id,
        }
        if user_id:
            auth["user_id"] = user_id
        return auth | {"application_token": portal.application_token}

    def _operator_token(self, portal: Portal, user_id: int) -> Token:
        token = portal.operator_tokens.get(user_id)
        if token is None or token.expires <= self._engine.now():
            token = Token(
                value=opaque(70), portal=portal.key, user_id=user_id, expires=self._engine.now() + TOKEN_LIFE_S
            )
            portal.operator_tokens[user_id] = self._engine.world.access_tokens[token.value] = token
        return token

    def _keep_offline(self, portal: Portal, event: str, data: Any, user_id: int) -> None:
        row = portal.other_ids.take()
        portal.offline[row] = {
            "ID": str(row),
            "TIMESTAMP_X": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
            "EVENT_NAME": event,
            "EVENT_DATA": data,
            "EVENT_ADDITIONAL": {"user_id": str(user_id)},
            "MESSAGE_ID": opaque(32),
            "PROCESS_ID": "",
            "ERROR": "0",
        }

    # --- lanes ---------------------------------------------------------------------------------------------------

    def _enqueue(self, post: EventPost) -> None:
        lane = self._lanes.get(post.lane)
        if lane is None:
            lane = self._lanes[post.lane] = deque()
            self._spawn(self._drain(post.lane, lane))
        lane.append(post)

    async def _drain(self, name: Lane, lane: deque[EventPost]) -> None:
        try:
            while lane:
                await self._try(lane.popleft())
        finally:
            self._lanes.pop(name, None)

    async def _try(self, post: EventPost) -> None:
        facts = {"portal": post.portal.key, "method": post.binding.event, "customer": post.customer}
        fault = self._engine.faults.pick("bitrix24", "webhook", facts, KINDS)
        if fault is not None:
            await self._under_fault(post, fault)
            return
        await self._send(post)
        for held in self._held.pop(post.lane, ()):
            if held.held:
                held.held = False
                self._spawn(self._send(held))

    async def _under_fault(self, post: EventPost, fault: Fault) -> None:
        if fault.kind == "drop":
            self._ended(post, delivered=False)
        elif fault.kind == "double":
            answers = await asyncio.gather(*(self._delivered(post) for _ in range(fault.copies)))
            self._ended(post, delivered=any(answers), unclear=None in answers)
        else:
            post.held = True
            if fault.kind == "reorder":
                self._held.setdefault(post.lane, []).append(post)
            self._spawn(self._send_late(post, fault.delay_s))

    async def _send_late(self, post: EventPost, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if post.held:
            post.held = False
            await self._send(post)

    async def _send(self, post: EventPost) -> None:
        async with self._places:
            delivered = await self._delivered(post)
        self._engine.posts["bitrix24_taken" if delivered else "bitrix24_refused"] += 1
        self._ended(post, delivered=bool(delivered), unclear=delivered is None)

    async def _delivered(self, post: EventPost) -> bool | None:
        """Whether the gateway took it; None when it did not answer."""
        self._posted(post)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "Bitrix24 Webhook Engine",
        }
        assert self._session is not None
        try:
            async with self._session.post(
                post.binding.handler,
                data=post.body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=self._engine.options.event_timeout_s),
                allow_redirects=False,
            ) as response:
                await response.read()
                return 200 <= response.status < 300
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return False
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    def _posted(self, post: EventPost) -> None:
        if post.note is not None and self._is_of_this_world(post):
            self._engine.record(EventPosted(post.note))

    def _ended(self, post: EventPost, *, delivered: bool, unclear: bool = False) -> None:
        if post.note is not None and self._is_of_this_world(post):
            self._engine.record(EventEnded(post.note, delivered, unclear))

    def _is_of_this_world(self, post: EventPost) -> bool:
        return self._engine.world.portals.get(post.portal.key) is post.portal

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
