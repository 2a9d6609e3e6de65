"""The caches: both ways to a conversation, hints, tokens; and what a flush, a stranger's value or no Redis does."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest
import structlog
from cryptography.fernet import Fernet, MultiFernet
from redis.asyncio import Redis

from tests.broker.conftest import eventually
from zaptrix.broker.cache.cache import ConversationCache, RedisTokenCache, SeenCache
from zaptrix.broker.cache.hits import Hits, Lookups
from zaptrix.broker.connection.keys import Keys
from zaptrix.broker.stats import cache_stats
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.ids import ChannelId, ConversationId, PortalId
from zaptrix.telemetry.metrics import CacheName


@pytest.fixture
def hits(redis: Redis) -> Hits:
    return Hits(redis)


@pytest.fixture
def cache(redis: Redis, hits: Hits) -> ConversationCache:
    return ConversationCache(redis, hits, ttl_s=3600)


def a_conversation(**changes: object) -> Conversation:
    made = Conversation(
        id=ConversationId(uuid4()),
        portal_id=PortalId(uuid4()),
        channel_id=ChannelId(uuid4()),
        customer=Customer(wa_id="554187654321", phone="+5541987654321", name="Ana Conceição"),
        bitrix_chat_id=42,
        window_expires_at=datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
    )
    return msgspec.structs.replace(made, **changes)


def by_customer(conversation: Conversation) -> tuple[ChannelId, str]:
    return conversation.channel_id, conversation.customer.key


def by_chat(conversation: Conversation) -> tuple[PortalId, int]:
    assert conversation.bitrix_chat_id is not None
    return conversation.portal_id, conversation.bitrix_chat_id


async def test_a_conversation_is_found_both_ways(cache: ConversationCache) -> None:
    one, other = a_conversation(), a_conversation()
    await cache.put_many([one, other])
    assert await cache.get_many_by_customer([by_customer(one), by_customer(other)]) == {
        by_customer(one): one,
        by_customer(other): other,
    }
    assert await cache.get_many_by_chat([by_chat(one)]) == {by_chat(one): one}


async def test_two_channels_with_the_same_customer_stay_apart(cache: ConversationCache) -> None:
    mine = a_conversation()
    theirs = a_conversation(customer=mine.customer)
    await cache.put_many([mine, theirs])
    assert (await cache.get_many_by_customer([by_customer(mine)]))[by_customer(mine)].id == mine.id
    assert (await cache.get_many_by_customer([by_customer(theirs)]))[by_customer(theirs)].id == theirs.id
    assert await cache.get_many_by_chat([(theirs.portal_id, 43)]) == {}


async def test_a_conversation_without_a_chat_is_found_by_its_customer_and_later_by_both(
    cache: ConversationCache,
) -> None:
    young = a_conversation(bitrix_chat_id=None)
    await cache.put_many([young])
    assert await cache.get_many_by_customer([by_customer(young)]) == {by_customer(young): young}
    grown = msgspec.structs.replace(young, bitrix_chat_id=7)
    await cache.put_many([grown])
    assert await cache.get_many_by_customer([by_customer(young)]) == {by_customer(young): grown}
    assert await cache.get_many_by_chat([by_chat(grown)]) == {by_chat(grown): grown}


async def test_a_way_that_a_conversation_has_left_is_a_miss(cache: ConversationCache) -> None:
    before = a_conversation()
    await cache.put_many([before])
    after = msgspec.structs.replace(before, bitrix_chat_id=43, customer=Customer(bsuid="BR.1", wa_id="554187654321"))
    await cache.put_many([after])
    assert await cache.get_many_by_chat([by_chat(before)]) == {}
    assert await cache.get_many_by_customer([by_customer(before)]) == {}
    assert await cache.get_many_by_customer([by_customer(after)]) == {by_customer(after): after}


async def test_a_forgotten_conversation_is_a_miss_both_ways(cache: ConversationCache) -> None:
    one, other = a_conversation(), a_conversation()
    await cache.put_many([one, other])
    assert await cache.invalidate(conversations=[one.id])
    assert await cache.get_many_by_customer([by_customer(one)]) == {}
    assert await cache.get_many_by_chat([by_chat(one)]) == {}
    assert await cache.get_many_by_chat([by_chat(other)]) == {by_chat(other): other}


@pytest.mark.parametrize("owner", ["portal", "channel"])
async def test_a_forgotten_owner_takes_all_its_conversations_along(cache: ConversationCache, owner: str) -> None:
    gone, kept = a_conversation(), a_conversation()
    await cache.put_many([gone, kept])
    if owner == "portal":
        await cache.invalidate(portals=[gone.portal_id])
    else:
        await cache.invalidate(channels=[gone.channel_id])
    assert await cache.get_many_by_customer([by_customer(gone), by_customer(kept)]) == {by_customer(kept): kept}
    assert await cache.get_many_by_chat([by_chat(gone)]) == {}
    await cache.put_many([gone])
    assert await cache.get_many_by_chat([by_chat(gone)]) == {by_chat(gone): gone}


async def test_conversations_are_kept_for_their_hour(redis: Redis, cache: ConversationCache) -> None:
    await cache.put_many([a_conversation()])
    kept = [await redis.ttl(key) for key in await redis.keys("zx:conversation:*")]
    assert len(kept) == 3
    assert all(3590 < seconds <= 3600 for seconds in kept)


async def test_what_another_version_wrote_is_a_miss(redis: Redis, cache: ConversationCache) -> None:
    one = a_conversation()
    await cache.put_many([one])
    await redis.set(f"zx:conversation:id:{one.id}", '{"another": "form"}')
    assert await cache.get_many_by_customer([by_customer(one)]) == {}


async def test_a_flush_is_a_miss(redis: Redis, cache: ConversationCache) -> None:
    one = a_conversation()
    await cache.put_many([one])
    await redis.flushall()
    assert await cache.get_many_by_customer([by_customer(one)]) == {}


async def test_without_redis_everything_is_a_miss(absent: Redis) -> None:
    hits = Hits(absent)
    cache = ConversationCache(absent, hits, ttl_s=60)
    one = a_conversation()
    await cache.put_many([one])
    assert await cache.get_many_by_customer([by_customer(one)]) == {}
    assert await cache.get_many_by_chat([by_chat(one)]) == {}
    assert not await cache.invalidate(conversations=[one.id])
    assert await hits.totals() is None
    assert await cache_stats(absent, hits) == msgspec.convert({"available": False}, type=type(await stats_of(absent)))


async def stats_of(redis: Redis) -> object:
    return await cache_stats(redis, Hits(redis))


async def test_hits_and_misses_are_counted_over_the_cluster(redis: Redis) -> None:
    one = a_conversation()
    processes = [Hits(redis), Hits(redis)]
    for hits in processes:
        cache = ConversationCache(redis, hits, ttl_s=60)
        await cache.get_many_by_customer([by_customer(a_conversation())])
        await cache.put_many([one])
        for _ in range(3):
            await cache.get_many_by_chat([by_chat(one)])
    await processes[0].totals()  # each tells now and then, or when it is asked
    totals = await processes[1].totals()
    assert totals is not None
    assert totals[CacheName.CONVERSATION] == Lookups(6, 2)
    assert totals[CacheName.CONVERSATION].ratio == 0.75
    assert totals[CacheName.TOKEN].ratio is None


async def test_cache_stats_show_redis_and_the_hit_rate(redis: Redis, hits: Hits, cache: ConversationCache) -> None:
    one = a_conversation()
    await cache.put_many([one])
    await cache.get_many_by_chat([by_chat(one)])
    stats = await cache_stats(redis, hits)
    assert stats.available
    assert stats.used_memory_bytes is not None
    assert stats.used_memory_bytes > 100_000
    assert stats.connected_clients is not None
    assert stats.connected_clients >= 1
    assert stats.total_keys is not None
    assert stats.total_keys >= 3
    assert (stats.hits, stats.misses, stats.hit_rate) == (1, 0, 1.0)
    assert stats.by_cache[CacheName.SEEN] is None


async def test_the_second_time_a_key_is_probably_seen(redis: Redis, hits: Hits) -> None:
    seen = SeenCache(redis, hits)
    first, second, third = (bytes([number]) * 16 for number in range(3))
    assert await seen.probably_seen([first, second]) == [False, False]
    assert await seen.probably_seen([second, third, third]) == [True, False, True]
    await seen.forget([second])
    assert await seen.probably_seen([second]) == [False]
    assert await seen.probably_seen([]) == []


async def test_a_seen_key_is_forgotten_after_a_while(redis: Redis, hits: Hits) -> None:
    seen = SeenCache(redis, hits, ttl_s=1)
    assert await seen.probably_seen([b"k"]) == [False]
    await eventually(lambda: empty(redis))
    assert await seen.probably_seen([b"k"]) == [False]


async def empty(redis: Redis) -> bool:
    return not await redis.keys("zx:seen:*")


async def test_without_redis_nothing_was_seen(absent: Redis) -> None:
    seen = SeenCache(absent, Hits(absent))
    assert await seen.probably_seen([b"a", b"b"]) == [False, False]
    await seen.forget([b"a"])


def token_cache(
    redis: Redis, hits: Hits, fernet: Fernet, versions: Mapping[PortalId, str] | None = None
) -> RedisTokenCache:
    known: Mapping[PortalId, str] = {} if versions is None else versions
    return RedisTokenCache(redis, hits, known.get, encrypt=fernet.encrypt, decrypt=fernet.decrypt)


async def test_a_token_that_was_just_read_is_at_hand_until_it_is_dropped_or_replaced(redis: Redis, hits: Hits) -> None:
    cache = token_cache(redis, hits, Fernet(Fernet.generate_key()))
    portal = PortalId(uuid4())
    await cache.put(portal, "first", 60)
    assert await cache.get(portal) == "first"
    await redis.flushall()
    assert await cache.get(portal) == "first"
    await cache.put(portal, "second", 60)
    assert await cache.get(portal) == "second"
    await cache.drop(portal)
    assert await cache.get(portal) is None


@pytest.mark.parametrize("then", [None, "2"], ids=["deleted", "changed"])
async def test_a_token_that_another_process_replaced_is_looked_up_as_soon_as_its_portal_is_seen_to_have_changed(
    redis: Redis, hits: Hits, then: str | None
) -> None:
    """Refreshed, installed anew, or deleted: whatever it was, the portal's row is another one."""
    fernet, portal = Fernet(Fernet.generate_key()), PortalId(uuid4())
    versions = {portal: "1", PortalId(uuid4()): "7"}
    here, there = token_cache(redis, hits, fernet, versions), token_cache(redis, hits, fernet)
    await there.put(portal, "first", 60)
    assert await here.get(portal) == "first"
    await there.drop(portal)
    assert await here.get(portal) == "first"
    if then is None:
        del versions[portal]
    else:
        versions[portal] = then
        await there.put(portal, "second", 60)
    assert await here.get(portal) == (None if then is None else "second")


async def test_a_token_is_kept_encrypted_and_for_fifty_minutes_at_most(redis: Redis, hits: Hits) -> None:
    cache = token_cache(redis, hits, Fernet(Fernet.generate_key()))
    portal = PortalId(uuid4())
    await cache.put(portal, "s3cret-token", 3600)
    assert await cache.get(portal) == "s3cret-token"
    kept = await redis.get(f"zx:token:{portal}")
    assert kept is not None
    assert "s3cret" not in str(kept)
    assert 2990 < await redis.ttl(f"zx:token:{portal}") <= 3000
    await cache.put(portal, "other", 60)
    assert await redis.ttl(f"zx:token:{portal}") <= 60
    await cache.drop(portal)
    assert await cache.get(portal) is None


async def test_a_pair_that_is_not_saved_is_kept_encrypted_for_a_day_until_it_is_dropped(
    redis: Redis, hits: Hits
) -> None:
    fernet = Fernet(Fernet.generate_key())
    cache, portal = token_cache(redis, hits, fernet), PortalId(uuid4())
    assert await cache.unsaved(portal) is None
    assert await cache.keep_unsaved(portal, b"s3cret-pair")
    assert await token_cache(redis, hits, fernet).unsaved(portal) == b"s3cret-pair"
    assert await token_cache(redis, hits, Fernet(Fernet.generate_key())).unsaved(portal) is None
    assert "s3cret" not in str(await redis.get(f"zx:token-unsaved:{portal}"))
    assert 86_000 < await redis.ttl(f"zx:token-unsaved:{portal}") <= 86_400
    await cache.drop_unsaved(portal)
    assert await cache.unsaved(portal) is None


async def test_what_is_kept_of_tokens_goes_over_to_a_new_key_and_keeps_its_end(redis: Redis, hits: Hits) -> None:
    old, new = Fernet(Fernet.generate_key()), Fernet(Fernet.generate_key())
    before, portal = token_cache(redis, hits, old), PortalId(uuid4())
    await before.put(portal, "s3cret-token", 60)
    await before.keep_unsaved(portal, b"s3cret-pair")
    names = Keys(redis)
    await redis.set(names.alone("zx:token:strange"), "nobody's")
    rotated = MultiFernet([new, old])
    assert await before.reseal(lambda sealed: rotated.rotate(sealed.encode()).decode()) == 2
    after = token_cache(redis, hits, new)
    assert (await after.get(portal), await after.unsaved(portal)) == ("s3cret-token", b"s3cret-pair")
    assert 0 < await redis.ttl(names.alone(f"zx:token:{portal}")) <= 60
    assert await redis.get(names.alone("zx:token:strange")) == "nobody's"


async def test_a_token_that_ends_now_is_not_kept(redis: Redis, hits: Hits) -> None:
    cache = token_cache(redis, hits, Fernet(Fernet.generate_key()))
    portal = PortalId(uuid4())
    await cache.put(portal, "token", 0)
    assert await cache.get(portal) is None


async def test_a_token_under_a_key_that_is_gone_is_a_miss(redis: Redis, hits: Hits) -> None:
    portal = PortalId(uuid4())
    await token_cache(redis, hits, Fernet(Fernet.generate_key())).put(portal, "token", 60)
    assert await token_cache(redis, hits, Fernet(Fernet.generate_key())).get(portal) is None


async def test_without_redis_a_token_is_at_hand_where_it_was_put_alone(absent: Redis) -> None:
    fernet = Fernet(Fernet.generate_key())
    cache, other = token_cache(absent, Hits(absent), fernet), token_cache(absent, Hits(absent), fernet)
    portal = PortalId(uuid4())
    async with asyncio.timeout(15):
        await cache.put(portal, "token", 60)
        assert (await cache.get(portal), await other.get(portal)) == ("token", None)
        await cache.drop(portal)
        assert not await cache.keep_unsaved(portal, b"pair")
        assert await cache.unsaved(portal) is None
        await cache.drop_unsaved(portal)


async def test_hits_and_misses_are_logged_at_debug(cache: ConversationCache) -> None:
    found = a_conversation()
    await cache.put_many([found])
    with structlog.testing.capture_logs() as lines:
        await cache.get_many_by_customer([by_customer(found), by_customer(a_conversation())])
    looked_up = [line for line in lines if line["event"] == "cache looked up"]
    assert looked_up == [
        {"event": "cache looked up", "log_level": "debug", "cache": "conversation", "hits": 1, "misses": 1}
    ]
