"""The composition root: opens every resource, and passes it to what needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import aiohttp
from redis.asyncio import Redis

from zaptrix.bitrix24 import translate as bitrix24_translate
from zaptrix.bitrix24.portal.disk import PortalDisk
from zaptrix.bitrix24.portal.history import PortalHistories
from zaptrix.bitrix24.portal.offline_queue import PortalQueue
from zaptrix.bitrix24.rest import codes as bitrix24_codes
from zaptrix.bitrix24.rest.client import PortalClient
from zaptrix.bridge.files.preparer import FilePreparer
from zaptrix.bridge.files.sources import FileSources, SourceRules
from zaptrix.bridge.files.typing_indicator import Typing
from zaptrix.bridge.files.uploads import Uploads
from zaptrix.bridge.receive.heartbeat import LateStatuses, Watch
from zaptrix.bridge.receive.receiver import Receiver
from zaptrix.bridge.recover.history import Recovery
from zaptrix.bridge.recover.offline_queue import Offline
from zaptrix.bridge.send.sender import Sender
from zaptrix.bridge.send.templates import Templates
from zaptrix.bridge.tenants.budgets import Budgets, daily
from zaptrix.bridge.tenants.directory import Directory
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.bridge.tenants.registration import Registrar
from zaptrix.bridge.tenants.senders import Senders
from zaptrix.bridge.tenants.subscription import Subscriptions
from zaptrix.bridge.tenants.tenants import Concerned, Credentials, Tenants
from zaptrix.bridge.upkeep.dead_letters import Letters
from zaptrix.bridge.upkeep.erasure import Erasure
from zaptrix.bridge.upkeep.sweep import Sweep, SweepPatience
from zaptrix.bridge.upkeep.window_reminders import Reminders
from zaptrix.broker.cache.cache import ConversationCache, RedisTokenCache, SeenCache
from zaptrix.broker.cache.hits import Hits
from zaptrix.broker.connection.connection import connect
from zaptrix.broker.pace.pace import RedisPace
from zaptrix.broker.pace.throttle import Throttle
from zaptrix.broker.queues.bells import Bells
from zaptrix.broker.queues.workers import Drain
from zaptrix.building.bitrix24 import PortalAccess, TokenStore, portal_access
from zaptrix.building.bridge import Landing, Languages, Platforms, deliver, drains, recover
from zaptrix.building.whatsapp import GraphAccess, graph_access
from zaptrix.core import limits
from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.delivery.retry import Patience
from zaptrix.core.message.message import Side
from zaptrix.core.wording.error_codes import CodeTable
from zaptrix.deadlines import Stopping, TimelyConnector
from zaptrix.media.room import MediaRoom
from zaptrix.settings import Settings
from zaptrix.store.accounts.api_keys import KnownKeys
from zaptrix.store.accounts.portals import StoredTokens
from zaptrix.store.accounts.sender_digests import SenderDigests
from zaptrix.store.connection.clock import Clock
from zaptrix.store.connection.database import Database, StoreUnavailable, open_database
from zaptrix.store.connection.replica import Reads, open_reads
from zaptrix.store.encryption import SecretBox
from zaptrix.store.journal.spool import Spool
from zaptrix.tasks import ended
from zaptrix.whatsapp.client import GraphClient
from zaptrix.whatsapp.codes import codes as whatsapp_codes
from zaptrix.whatsapp.inbound import translate as whatsapp_translate
from zaptrix.whatsapp.outbound.upload import MEDIA_DOMAINS

_CODES = {Side.WHATSAPP: whatsapp_codes.TABLE, Side.BITRIX24: bitrix24_codes.TABLE}


@dataclass(frozen=True, kw_only=True)
class App:
    """What one process stands on. Every process has all of it: it is small, and dials nothing before it is used."""

    settings: Settings
    database: Database
    reads: Reads
    clock: Clock
    stopping: Stopping
    redis: Redis
    box: SecretBox
    hits: Hits
    token_cache: RedisTokenCache
    throttle: Throttle
    known_keys: KnownKeys
    budgets: Budgets
    bells: Bells
    directory: Directory
    receiver: Receiver
    senders: Senders
    spool: Spool
    registrar: Registrar
    subscriptions: Subscriptions
    tenants: Tenants
    letters: Letters
    sender: Sender
    templates: Templates
    reminders: Reminders
    sweep: Sweep
    erasure: Erasure
    watch: Watch
    offline: Offline
    recovery: Recovery
    drains: Mapping[Queue, Drain]
    landing: tuple[Landing, ...]
    graph: GraphClient
    portal_client: PortalClient
    media: MediaRoom
    files: FilePreparer
    codes: Mapping[Side, CodeTable] = field(default_factory=lambda: _CODES)
    uploads: Uploads


@asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[App]:
    """Everything a gateway or worker process needs, closed again at the end."""
    async with AsyncExitStack() as stack:
        pool_max, pooled = settings.database_pool_max, settings.is_pooled
        database = await open_database(settings.database_url, pool_max=pool_max, pooled=pooled)
        stack.push_async_callback(database.close)
        reads = await stack.enter_async_context(open_reads(database, settings.database_read_url, pool_max=pool_max))
        redis = connect(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=TimelyConnector(limit=0, limit_per_host=limits.CONNECTIONS_A_HOST_MAX),
                cookie_jar=aiohttp.DummyCookieJar(),  # a portal's cookie is never another's
            )
        )
        clock = Clock(database)
        with suppress(StoreUnavailable):  # whoever needs PostgreSQL finds out for himself
            await clock.look()
        await stack.enter_async_context(_beside(clock.keep()))
        budgets = Budgets(database, daily(settings), clock.now)
        await stack.enter_async_context(_beside(budgets.keep()))
        media = MediaRoom.of(settings)
        stack.push_async_callback(media.fetcher.close)
        app = _compose(settings, _Opened(database, reads, redis, session, clock, budgets, media))
        await stack.enter_async_context(_beside(app.directory.keep()))
        stack.push_async_callback(app.bells.close)
        yield app


@asynccontextmanager
async def _beside(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await ended([task])


class _Opened(NamedTuple):
    """What is closed again at the end, and what was made for it."""

    database: Database
    reads: Reads
    redis: Redis
    session: aiohttp.ClientSession
    clock: Clock
    budgets: Budgets
    media: MediaRoom


class _Caches(NamedTuple):
    """What this cell remembers in Redis."""

    hits: Hits
    conversations: ConversationCache
    seen: SeenCache
    tokens: RedisTokenCache

    @classmethod
    def of(cls, settings: Settings, redis: Redis, box: SecretBox, directory: Directory) -> _Caches:
        hits, version, ttl_s = Hits(redis), directory.version, settings.token_cache_ttl_s
        tokens = RedisTokenCache(redis, hits, version, ttl_s, encrypt=box.encrypt, decrypt=box.decrypt)
        return cls(hits, ConversationCache(redis, hits, ttl_s=settings.cache_ttl_s), SeenCache(redis, hits), tokens)


def _compose(settings: Settings, opened: _Opened) -> App:
    database, reads, redis, session, clock, budgets, media = opened
    now, box, watch = clock.now, SecretBox(settings.encryption_keys), Watch(database)
    bells, directory, pace = Bells(redis, now), Directory(database, box), RedisPace(redis)
    ground = Ground(database, bells, directory, budgets, now, Stopping())
    caches = _Caches.of(settings, redis, box, directory)
    whatsapp = graph_access(settings, session, directory, pace, LateStatuses(database, settings.meta_verify_wait_s))
    bitrix24 = portal_access(settings, session, TokenStore(StoredTokens(database, box), caches.tokens), pace, now)
    templates, spool = Templates(database, directory, whatsapp.client, now), Spool(settings.data_dir / "spool", now)
    platforms = Platforms(bitrix24.platform, whatsapp.platform, witness=bitrix24.platform)
    delivery = deliver(settings, ground, platforms, addresses=media.links, templates=templates)
    offline, recovery = recover(settings, ground, PortalQueue(bitrix24.client), PortalHistories(bitrix24.client, now))
    concerned = _concerned(settings, ground, caches, whatsapp, bitrix24)
    credentials = Credentials(whatsapp.credentials, bitrix24.credentials)
    return App(
        settings=settings,
        database=database,
        reads=reads,
        clock=clock,
        stopping=ground.stopping,
        redis=redis,
        box=box,
        hits=caches.hits,
        token_cache=caches.tokens,
        throttle=Throttle(redis),
        known_keys=KnownKeys(database),
        budgets=budgets,
        bells=bells,
        directory=directory,
        receiver=Receiver(database, bells, budgets),
        spool=spool,
        senders=Senders(database, directory, box, SenderDigests(settings.data_dir / "senders.digests")),
        registrar=concerned.registrar,
        subscriptions=concerned.subscriptions,
        tenants=Tenants(database, box, credentials, concerned, channels_max=settings.portal_channels_max),
        letters=Letters(database, bells, kept_days=settings.media_retention_days, wait_s=settings.media_ready_s),
        sender=Sender(database, bells, whatsapp.platform, now),
        templates=templates,
        reminders=Reminders(database, bells, settings.window_reminder_min, now),
        sweep=Sweep(ground, SweepPatience.of(settings), whatsapp_codes.TABLE),
        erasure=Erasure(database, media.blobs),
        watch=watch,
        offline=offline,
        recovery=recovery,
        drains=drains(
            settings, ground, delivery, _languages(whatsapp, bitrix24), cache=caches.conversations, seen=caches.seen
        ),
        landing=delivery.landing,
        graph=whatsapp.client,
        portal_client=bitrix24.client,
        media=media,
        files=_files(settings, ground, media, whatsapp, bitrix24),
        uploads=Uploads(media, settings.media_link_origins, now),
    )


def _concerned(
    settings: Settings, ground: Ground, caches: _Caches, whatsapp: GraphAccess, bitrix24: PortalAccess
) -> Concerned:
    database, directory = ground.database, ground.directory
    register, unregister, url = bitrix24.register, bitrix24.unregister, settings.public_url
    return Concerned(
        directory,
        Registrar(database, directory, register=register, unregister=unregister, public_url=url),
        Subscriptions(database, directory, whatsapp.client, settings),
        caches.conversations,
        caches.tokens,
        ground.bells,
    )


def _languages(whatsapp: GraphAccess, bitrix24: PortalAccess) -> Languages:
    return Languages(
        whatsapp=whatsapp_translate.translate,
        bitrix24=bitrix24_translate.translate,
        whatsapp_codes=whatsapp_codes.TABLE,
        texts=whatsapp.platform,
        view=bitrix24.platform,
    )


def _files(
    settings: Settings, ground: Ground, media: MediaRoom, whatsapp: GraphAccess, bitrix24: PortalAccess
) -> FilePreparer:
    account, portal_files = whatsapp.client, PortalDisk(bitrix24.client)
    rules = SourceRules(
        graph_url=settings.meta_graph_url, media_domains=MEDIA_DOMAINS, timeout_s=settings.media_timeout_s
    )
    sources = FileSources(ground, media, account, portal_files, rules)
    typing = Typing(ground.database, ground.directory, account)
    return FilePreparer(ground, sources, typing, Patience(base_s=settings.retry_base_s))
