"""Meta's status webhooks for what was sent: first `sent`, then `delivered`, several to a post, until they are taken."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress

from benchmarks.letters import meta_post

POST_EVERY_S = 0.1
DELIVERED_AFTER_S = 0.2
STATUSES_PER_POST = 50
COURIERS = 4
RETRY_S = 0.2

_STATUS = (
    '{"id":"%s","status":"%s","timestamp":"%d","recipient_id":"%s","biz_opaque_callback_data":"%s",'
    '"pricing":{"billable":true,"pricing_model":"PMP","type":"regular","category":"service"}}'
)
_BODY = (
    '{"object":"whatsapp_business_account","entry":[{"id":"102290129340398","changes":[{"value":'
    '{"messaging_product":"whatsapp","metadata":{"display_phone_number":"551140040000","phone_number_id":"%s"},'
    '"statuses":[%s]},"field":"messages"}]}]}'
)


class Receipts:
    """Gathers statuses by number and posts them. A number has one courier, so that its statuses keep their order."""

    def __init__(self, gateway_port: int) -> None:
        self._gateway_port = gateway_port
        self._sent: list[tuple[str, str, str, str]] = []
        self._waiting: deque[tuple[float, list[tuple[str, str, str, str]]]] = deque()
        self._couriers = [deque[bytes]() for _ in range(COURIERS)]
        self._wake = [asyncio.Event() for _ in range(COURIERS)]

    def add(self, number: str, wamid: str, wa_id: str, mark: str) -> None:
        self._sent.append((number, wamid, wa_id, mark))

    async def keep_posting(self) -> None:
        async with asyncio.TaskGroup() as group:
            for place in range(COURIERS):
                group.create_task(self._carry(place))
            while True:
                await asyncio.sleep(POST_EVERY_S)
                self._gather()

    def _gather(self) -> None:
        now = time.monotonic()
        if self._sent:
            self._post("sent", self._sent)
            self._waiting.append((now + DELIVERED_AFTER_S, self._sent))
            self._sent = []
        while self._waiting and self._waiting[0][0] <= now:
            self._post("delivered", self._waiting.popleft()[1])

    def _post(self, status: str, them: list[tuple[str, str, str, str]]) -> None:
        at = int(time.time())
        by_number: dict[str, list[str]] = {}
        for number, wamid, wa_id, mark in them:
            by_number.setdefault(number, []).append(_STATUS % (wamid, status, at, wa_id, mark))
        for number, items in by_number.items():
            courier = hash(number) % COURIERS
            for start in range(0, len(items), STATUSES_PER_POST):
                body = _BODY % (number, ",".join(items[start : start + STATUSES_PER_POST]))
                self._couriers[courier].append(meta_post(body.encode()))
            self._wake[courier].set()

    async def _carry(self, place: int) -> None:
        """One post after another on one connection; what is not answered 2xx is posted again, as Meta does."""
        posts, wake = self._couriers[place], self._wake[place]
        while True:
            await wake.wait()
            wake.clear()
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._carry_all(posts)
            if posts:
                await asyncio.sleep(RETRY_S)
                wake.set()

    async def _carry_all(self, posts: deque[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._gateway_port)
        try:
            while posts:
                writer.write(posts[0])
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(h[15:]) for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")), 0)
                await reader.readexactly(length)
                if head[9:10] != b"2":
                    return
                posts.popleft()
        finally:
            writer.close()
