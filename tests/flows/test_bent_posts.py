"""Posts of every kind, whole and bent, through real doors, a real worker and both platforms behind it.

Nothing is lost, no exception reaches a last guard, and every conversation that was posted into goes on both ways.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from proof.world import Tenant, World, eventually
from tests.flows import bent_posts
from tests.flows.bent_posts import Post
from tests.flows.posting import post_to_bitrix24, post_to_meta

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(420)]

AT_ONCE = 16
ROUTED_S = 60
CROSSES_S = 120
# A file that is nowhere holds its conversation for no longer than this; and nobody is slowed down who shows no token.
EXTRA = {"MEDIA_READY_S": "2", "WEBHOOK_UNAUTHENTICATED_RATE_PER_MIN": "1000000"}
GUARDED = ("drain_failed", "broke_down")


@dataclass
class Posted:
    """A world into which everything was posted, and how each post was answered."""

    world: World
    meta: Tenant
    bitrix24: Tenant
    posts: list[Post] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)

    async def send(self, posts: list[Post], to: Callable[[World, bytes, str], Awaitable[int]]) -> None:
        room = asyncio.Semaphore(AT_ONCE)

        async def one(post: Post) -> None:
            async with room:
                self.statuses[post.request_id] = await to(self.world, post.body, post.request_id)

        await asyncio.gather(*(one(post) for post in posts))
        self.posts += posts


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def posted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Posted]:
    world = World(folder=tmp_path_factory.mktemp("bent"), extra=EXTRA)
    try:
        await world.start(workers=2)
        posted = Posted(world, await world.tenant(enterprise=True), await world.tenant(enterprise=True))
        chats = await opened(posted.bitrix24)
        # What is told of a channel right after somebody has changed it is about what it was before, and pauses nothing.
        await world.sql("UPDATE channel SET updated_at = updated_at - interval '1 minute'")
        await posted.send(bent_posts.of_meta(posted.meta), post_to_meta)
        await posted.send(bent_posts.of_bitrix24(posted.bitrix24, chats), post_to_bitrix24)
        await decided(world)
        yield posted
    finally:
        await world.stop()


async def opened(tenant: Tenant) -> dict[str, dict[str, Any]]:
    """A chat for each captured event."""
    askers = bent_posts.askers()
    await asyncio.gather(*(tenant.customer_writes("oi", wa_id=wa_id) for wa_id in askers.values()))
    await tenant.world.drained()
    return {name: await tenant.chat(wa_id) for name, wa_id in askers.items()}


async def decided(world: World) -> None:
    async def none_waits() -> bool:
        return not await world.sql("SELECT count(*) FROM event WHERE state IN ('new', 'held')")

    await eventually(none_waits, ROUTED_S, "every event to be routed")


async def journal(world: World) -> list[dict[str, Any]]:
    rows = """SELECT coalesce(json_agg(json_build_object('id', id, 'key', encode(key, 'hex'), 'state', state,
        'reason', reason, 'request_id', request_id)), '[]') FROM event WHERE request_id LIKE 'bent-%'"""
    return list(json.loads(await world.sql(rows)))


async def test_every_post_is_answered_as_documented(posted: Posted) -> None:
    assert len(posted.posts) > 500
    for post in posted.posts:
        assert posted.statuses[post.request_id] == (200 if post.vouched else 401), post


async def test_every_event_of_every_post_is_in_the_journal_once(posted: Posted) -> None:
    rows = await journal(posted.world)
    wanted = {key.hex() for post in posted.posts for key in post.keys}
    assert sorted(row["key"] for row in rows) == sorted(wanted)
    counts = Counter(row["request_id"] for row in rows)
    for post in posted.posts:
        # Written down by hand for the whole ones, whatever the doors' own splitting says.
        assert post.items is None or counts[post.request_id] == post.items, post
        assert post.vouched or counts[post.request_id] == 0, post


async def test_every_event_has_a_state_and_what_came_to_nothing_a_reason(posted: Posted) -> None:
    rows = await journal(posted.world)
    assert {row["state"] for row in rows} == {"routed", "ignored", "unroutable"}
    reasons = [row["reason"] for row in rows if row["state"] != "routed"]
    assert all(reasons)
    assert not [reason for reason in reasons if reason.startswith("refused by the store")]


async def test_what_came_to_nothing_is_shown_and_can_be_tried_again(posted: Posted) -> None:
    rows = await journal(posted.world)
    unroutable = {row["id"] for row in rows if row["state"] == "unroutable"}
    assert unroutable <= {event["id"] for event in await listed(posted.world)}
    routed = {row["id"] for row in rows if row["state"] == "routed"}
    for row in rows:
        if row["id"] not in routed:
            await posted.world.api("POST", f"/api/events/{row['id']}/replay", status=200)
    await decided(posted.world)
    again = await journal(posted.world)
    assert {row["id"] for row in again} == {row["id"] for row in rows}
    assert routed <= {row["id"] for row in again if row["state"] == "routed"}
    assert all(row["reason"] for row in again if row["state"] != "routed")


async def listed(world: World) -> list[dict[str, Any]]:
    """All unroutable events, as an admin pages through them."""
    events: list[dict[str, Any]] = []
    page = await world.api("GET", "/api/events?state=unroutable&limit=100")
    while True:
        events += page["items"]
        if page["next_cursor"] is None:
            return events
        page = await world.api("GET", f"/api/events?state=unroutable&limit=100&cursor={page['next_cursor']}")


async def test_every_conversation_goes_on_both_ways(posted: Posted) -> None:
    """In a chat with the bent posts, or for the customer that they named."""
    world, stopped = posted.world, posted.bitrix24
    # Somebody switched the connector off, said a post: so it stands still until an admin has it registered again.
    assert (await world.api("GET", f"/api/channels/{stopped.channel_id}"))["line_paused_at"]
    await world.api("PUT", f"/api/channels/{stopped.channel_id}", {"name": "Vendas"})
    for name, writer in bent_posts.writers().items():
        letter = {"phone_number_id": posted.meta.number, "name": "Ana Souza", "text": f"de {name}", **writer}
        await world.control("POST", "customers/write", letter)
    for name, wa_id in bent_posts.askers().items():
        await stopped.customer_writes(f"de {name}", wa_id=wa_id)
    for tenant, names in ((posted.meta, bent_posts.customers()), (stopped, bent_posts.askers())):
        chats = await heard(tenant, {f"de {name}" for name in names})
        assert len({chat["chat_id"] for chat in chats.values()}) == len(names)
        for text, chat in chats.items():
            letter = {"portal": tenant.key, "chat_id": chat["chat_id"], "text": f"resposta {text}", "operator": "Bia"}
            await world.control("POST", "operators/write", letter)
        await answered(tenant, {f"resposta de {name}" for name in names})


async def heard(tenant: Tenant, texts: set[str]) -> dict[str, Any]:
    """The chat in which each text stands, when all do."""
    found: dict[str, Any] = {}

    async def all_are() -> bool:
        state = await tenant.world.control("GET", f"state?portal={tenant.key}&threads=2000")
        found.update({one["text"]: chat for chat in state["chats"] for one in chat["messages"] if one["text"] in texts})
        return found.keys() == texts

    await eventually(all_are, CROSSES_S, f"{texts} in the chats")
    return found


async def answered(tenant: Tenant, texts: set[str]) -> None:
    async def all_are() -> bool:
        state = await tenant.world.control("GET", f"state?phone_number_id={tenant.number}&threads=2000")
        said = [one["text"] for phone in state["phones"] for one in phone["messages"] if one["from"] == "business"]
        return texts <= {line.rpartition("\n")[2] for line in said}

    await eventually(all_are, CROSSES_S, f"{texts} on the phones")


async def test_nothing_reached_a_last_guard(posted: Posted) -> None:
    """The last of this file: what the posts set off later counts as well."""
    world = posted.world
    lines = [line for path in world.folder.glob("*.log") for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line for line in lines if '"routed"' in line]
    assert [line for line in lines if '"exception"' in line or "Traceback" in line] == []
    async with world.session.get(f"{world.url}/metrics", headers=_admin(world)) as answer:
        told = await answer.text()
    for kind in GUARDED:
        assert re.findall(rf'^zaptrix_alarms_total{{kind="{kind}"}} (\S+)$', told, re.MULTILINE) == ["0.0"]
    failed = re.findall(r'^zaptrix_queue_job_status{queue="[^"]+",status="failed"} (\S+)$', told, re.MULTILINE)
    assert len(failed) == 4
    assert set(failed) == {"0.0"}


def _admin(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.admin_key}"}
