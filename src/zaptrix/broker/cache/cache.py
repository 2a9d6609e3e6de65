"""Caches in Redis: conversations, webhook items that were seen, and access tokens.

Each saves a query of PostgreSQL. A miss, a flush or an absent Redis costs that query and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Self, TypeVar, cast

import msgspec
from cryptography.fernet import InvalidToken
from redis.asyncio import Redis
from redis.exceptions import WatchError

from zaptrix.broker.cache.hits import Hits
from zaptrix.broker.connection.connection import AWAY, answering
from zaptrix.broker.connection.keys import Keys, get_many
from zaptrix.broker.connection.quiet import RateLimitedLog
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.ids import ChannelId, ConversationId, PortalId
from zaptrix.elapsed import elapsed_s
from zaptrix.telemetry.metrics import CacheName

SEEN_TTL_S = 600
TOKEN_TTL_S_MAX = 3_000
UNSAVED_TTL_S = 86_400
# Reading and decrypting a token took an eighth of a worker's time, so for a while it is remembered: less than the five
# minutes before its end with which it leaves Redis. Any change of its portal's row ends that, also a deletion and a
# refresh by another process; while PostgreSQL is away, a portal that does not take it any more has it looked up anew.
TOKEN_NEAR_S = 240.0
TOKENS_NEAR_MAX = 10_000

ByCustomer = tuple[ChannelId, str]
ByChat = tuple[PortalId, int]

_Key = TypeVar("_Key")
_log = RateLimitedLog(__name__)


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """A conversation in Redis, with the ages of its portal and channel when it was put there."""

    ages: list[int]
    conversation: Conversation


class _Name(NamedTuple):
    """What a way leads to."""

    conversation_id: str
    portal_id: str
    channel_id: str

    @classmethod
    def of(cls, conversation: Conversation) -> Self:
        return cls(str(conversation.id), str(conversation.portal_id), str(conversation.channel_id))

    @classmethod
    def read(cls, text: str) -> Self:
        return cls(*text.split())

    @property
    def text(self) -> str:
        return " ".join(self)

    @property
    def record(self) -> str:
        return _record(self.conversation_id)

    @property
    def ages(self) -> tuple[str, str]:
        return _age(self.portal_id), _age(self.channel_id)


class ConversationCache:
    """Conversations, found by customer and by chat.

    Both ways lead to one record, so forgetting a conversation is one key. Forgetting a channel or portal makes
    it one age older: records of an earlier age are misses.
    """

    def __init__(self, redis: Redis, hits: Hits, *, ttl_s: int) -> None:
        self._redis = redis
        self._keys = Keys(redis)
        self._hits = hits
        self._ttl_s = ttl_s

    async def get_many_by_customer(self, keys: Sequence[ByCustomer]) -> dict[ByCustomer, Conversation]:
        """The cached conversations, by (channel, customer key)."""
        return await self._get({key: _customer_way(*key) for key in keys})

    async def get_many_by_chat(self, keys: Sequence[ByChat]) -> dict[ByChat, Conversation]:
        """The cached conversations, by (portal, Bitrix24 chat)."""
        return await self._get({key: _chat_way(*key) for key in keys})

    async def put_many(self, conversations: Iterable[Conversation]) -> None:
        """Keep them as PostgreSQL has them now. Call it after the commit that changed one."""
        those = list(conversations)
        if not those:
            return
        try:
            async with answering():
                keys = list(dict.fromkeys(key for each in those for key in _Name.of(each).ages))
                ages = {key: int(value or 0) for key, value in zip(keys, await self._read(keys), strict=True)}
                async with self._redis.pipeline(transaction=False) as pipe:
                    for each in those:
                        name = _Name.of(each)
                        kept = _Kept([ages[key] for key in name.ages], each)
                        pipe.set(self._keys.alone(name.record), msgspec.json.encode(kept).decode(), ex=self._ttl_s)
                        for way in _ways(each):
                            pipe.set(self._keys.alone(way), name.text, ex=self._ttl_s)
                    await pipe.execute()
        except AWAY as exc:
            _log.warning("cache_not_written", exc, cache=CacheName.CONVERSATION.value)

    async def invalidate(
        self,
        *,
        conversations: Iterable[ConversationId] = (),
        channels: Iterable[ChannelId] = (),
        portals: Iterable[PortalId] = (),
    ) -> bool:
        """Forget them. False when Redis did not take it: then what it holds may be stale for the rest of its hour."""
        ages = [self._keys.alone(_age(str(owner))) for owner in (*channels, *portals)]
        records = [self._keys.alone(_record(str(conversation))) for conversation in conversations]
        try:
            async with answering(), self._redis.pipeline(transaction=False) as pipe:
                for age in ages:
                    pipe.incr(age)
                    pipe.expire(age, 2 * self._ttl_s)
                for record in records:
                    pipe.execute_command("UNLINK", record)  # a cluster's pipeline has no method for it
                await pipe.execute()
        except AWAY as exc:
            _log.warning("cache_not_invalidated", exc, cache=CacheName.CONVERSATION.value)
            return False
        return True

    async def _get(self, ways: Mapping[_Key, str]) -> dict[_Key, Conversation]:
        if not ways:
            return {}
        try:
            async with answering():
                found = await self._follow(list(ways.values()))
        except AWAY as exc:
            _log.warning("cache_not_read", exc, cache=CacheName.CONVERSATION.value)
            return {}
        at_hand = {key: found[way] for key, way in ways.items() if way in found}
        await self._hits.count(CacheName.CONVERSATION, hits=len(at_hand), misses=len(ways) - len(at_hand))
        return at_hand

    async def _follow(self, ways: Sequence[str]) -> dict[str, Conversation]:
        names = await self._read(ways)
        named = {way: _Name.read(name) for way, name in zip(ways, names, strict=True) if name is not None}
        records = [name.record for name in named.values()]
        ages = [key for name in named.values() for key in name.ages]
        values = dict(zip(records + ages, await self._read(records + ages), strict=True))
        kept = {way: _decode(values[name.record]) for way, name in named.items()}
        return {
            way: each.conversation
            for way, each in kept.items()
            if each is not None
            # A way may have gone over to another conversation, or all of its channel may have been forgotten.
            and way in _ways(each.conversation)
            and each.ages == [int(values[key] or 0) for key in named[way].ages]
        }

    async def _read(self, keys: Sequence[str]) -> list[str | None]:
        return await get_many(self._redis, [self._keys.alone(key) for key in keys]) if keys else []


def _customer_way(channel_id: ChannelId, customer_key: str) -> str:
    return f"zx:conversation:customer:{channel_id}:{customer_key}"


def _chat_way(portal_id: PortalId, bitrix_chat_id: int) -> str:
    return f"zx:conversation:chat:{portal_id}:{bitrix_chat_id}"


def _ways(conversation: Conversation) -> list[str]:
    ways = [_customer_way(conversation.channel_id, conversation.customer.key)]
    if conversation.bitrix_chat_id is not None:
        ways.append(_chat_way(conversation.portal_id, conversation.bitrix_chat_id))
    return ways


def _record(conversation_id: str) -> str:
    return f"zx:conversation:id:{conversation_id}"


def _age(owner: str) -> str:
    return f"zx:age:{owner}"


def _decode(record: str | None) -> _Kept | None:
    """None for what an earlier or later version of the gateway wrote."""
    if record is None:
        return None
    try:
        return msgspec.json.decode(record, type=_Kept)
    except msgspec.DecodeError:
        return None


class SeenCache:
    """Webhook items that were here a moment ago, by their key. Only the journal's unique key decides."""

    def __init__(self, redis: Redis, hits: Hits, *, ttl_s: int = SEEN_TTL_S) -> None:
        self._redis = redis
        self._keys = Keys(redis)
        self._hits = hits
        self._ttl_s = ttl_s

    async def probably_seen(self, keys: Sequence[bytes]) -> list[bool]:
        """Which of them were asked for before; all are noted. A hint: true may be wrong after a failed commit."""
        if not keys:
            return []
        try:
            async with answering(), self._redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.set(self._keys.alone(_seen(key)), "1", nx=True, ex=self._ttl_s)
                seen = [noted is None for noted in await pipe.execute()]
        except AWAY as exc:
            _log.warning("cache_not_read", exc, cache=CacheName.SEEN.value)
            return [False] * len(keys)
        await self._hits.count(CacheName.SEEN, hits=sum(seen), misses=len(seen) - sum(seen))
        return seen

    async def forget(self, keys: Sequence[bytes]) -> None:
        """They did not become rows after all."""
        if not keys:
            return
        try:
            async with answering():
                await self._redis.unlink(*(self._keys.alone(_seen(key)) for key in keys))
        except AWAY as exc:
            _log.warning("cache_not_invalidated", exc, cache=CacheName.SEEN.value)


def _seen(key: bytes) -> str:
    return f"zx:seen:{key.hex()}"


class _Near(NamedTuple):
    """A token in this process's memory."""

    token: str
    until: float  # elapsed seconds
    version: str | None  # of the portal


class RedisTokenCache:
    """`core.ports.TokenCache`. Tokens are only ever there encrypted; one that cannot be read is a miss."""

    def __init__(
        self,
        redis: Redis,
        hits: Hits,
        versions: Callable[[PortalId], str | None],
        ttl_s: int = TOKEN_TTL_S_MAX,
        *,
        encrypt: Callable[[bytes], bytes],
        decrypt: Callable[[bytes], bytes],
    ) -> None:
        """`decrypt` raises InvalidToken or ValueError for what no key of ours made.

        `versions` tells of a portal when something of it has changed, in any process; None: it is not known.
        """
        self._redis = redis
        self._keys = Keys(redis)
        self._hits = hits
        self._encrypt = encrypt
        self._decrypt = decrypt
        self._ttl_s = ttl_s
        self._versions = versions
        self._near: dict[PortalId, _Near] = {}

    async def get(self, portal_id: PortalId) -> str | None:
        near = self._near.get(portal_id)
        if near is not None and elapsed_s() < near.until and near.version == self._versions(portal_id):
            await self._hits.count(CacheName.TOKEN, hits=1, misses=0)
            return near.token
        return await self._get(portal_id)

    async def _get(self, portal_id: PortalId) -> str | None:
        version = self._versions(portal_id)
        try:
            async with answering():
                kept = cast("str | None", await self._redis.get(self._keys.alone(_token_key(portal_id))))
        except AWAY as exc:
            _log.warning("cache_not_read", exc, cache=CacheName.TOKEN.value)
            return None
        token = self._read(kept) if kept is not None else None
        if token is not None:
            self._keep_near(portal_id, token, version)
        await self._hits.count(CacheName.TOKEN, hits=int(token is not None), misses=int(token is None))
        return token

    async def put(self, portal_id: PortalId, token: str, seconds: int) -> None:
        """Keep a token for `seconds`, and never longer than the cache keeps anything."""
        self._near.pop(portal_id, None)
        seconds = min(seconds, self._ttl_s)
        if seconds <= 0:
            return
        self._keep_near(portal_id, token, self._versions(portal_id))
        await self._set(_token_key(portal_id), token.encode(), seconds)

    async def drop(self, portal_id: PortalId) -> None:
        self._near.pop(portal_id, None)
        await self._unlink(_token_key(portal_id))

    async def keep_unsaved(self, portal_id: PortalId, record: bytes) -> bool:
        """Until PostgreSQL has it, for a day at most."""
        return await self._set(_unsaved_key(portal_id), record, UNSAVED_TTL_S)

    async def unsaved(self, portal_id: PortalId) -> bytes | None:
        try:
            async with answering():
                kept = cast("str | None", await self._redis.get(self._keys.alone(_unsaved_key(portal_id))))
        except AWAY as exc:
            _log.warning("cache_not_read", exc, cache=CacheName.TOKEN.value)
            return None
        return self._opened(kept) if kept is not None else None

    async def drop_unsaved(self, portal_id: PortalId) -> None:
        await self._unlink(_unsaved_key(portal_id))

    async def reseal(self, rotated: Callable[[str], str]) -> int | None:
        """Put what Redis holds of tokens under the first key; how many, or None when Redis is away.

        `rotated` raises InvalidToken for what no key of ours made: that is a miss, and stays one.
        """
        try:
            found = self._redis.scan_iter(match=self._keys.alone("zx:token*"))
            return sum([await self._reseal(key, rotated) async for key in found])
        except AWAY as exc:
            _log.warning("cache_not_written", exc, cache=CacheName.TOKEN.value)
            return None

    async def _reseal(self, key: str, rotated: Callable[[str], str]) -> bool:
        async with self._redis.pipeline(transaction=True) as pipe:
            await pipe.watch(key)
            kept = cast("str | None", await pipe.get(key))
            if kept is None:
                return False
            try:
                resealed = rotated(kept)
                pipe.multi()  # type: ignore[no-untyped-call]  # the library's own gap
                pipe.set(key, resealed, keepttl=True)
                await pipe.execute()
            except (InvalidToken, ValueError, WatchError):
                return False  # or another has just written it: under the first key
        return True

    async def _set(self, key: str, secret: bytes, seconds: int) -> bool:
        try:
            async with answering():
                await self._redis.set(self._keys.alone(key), self._encrypt(secret).decode("ascii"), ex=seconds)
        except AWAY as exc:
            _log.warning("cache_not_written", exc, cache=CacheName.TOKEN.value)
            return False
        return True

    async def _unlink(self, key: str) -> None:
        try:
            async with answering():
                await self._redis.unlink(self._keys.alone(key))
        except AWAY as exc:
            _log.warning("cache_not_invalidated", exc, cache=CacheName.TOKEN.value)

    def _keep_near(self, portal_id: PortalId, token: str, version: str | None) -> None:
        if len(self._near) >= TOKENS_NEAR_MAX:
            self._near.clear()
        self._near[portal_id] = _Near(token, elapsed_s() + TOKEN_NEAR_S, version)

    def _read(self, kept: str) -> str | None:
        token = self._opened(kept)
        return token.decode() if token is not None else None

    def _opened(self, kept: str) -> bytes | None:
        try:
            return self._decrypt(kept.encode("ascii"))
        except (InvalidToken, ValueError):
            return None


def _token_key(portal_id: PortalId) -> str:
    return f"zx:token:{portal_id}"


def _unsaved_key(portal_id: PortalId) -> str:
    return f"zx:token-unsaved:{portal_id}"
