"""The composition root: every room is opened here, and handed to who needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import aiohttp
from redis.asyncio import Redis

from zaptrix.bitrix24 import codes as bitrix24_codes
from zaptrix.bitrix24 import registration
from zaptrix.bitrix24 import translate as bitrix24_translate
from zaptrix.bitrix24.client import PortalClient
from zaptrix.bitrix24.credentials import PortalCredentials
from zaptrix.bitrix24.disk import PortalDisk
from zaptrix.bitrix24.history import PortalHistories
from zaptrix.bitrix24.oauth import OAuth
from zaptrix.bitrix24.offline import PortalQueue
from zaptrix.bitrix24.platform import Bitrix24
from zaptrix.bitrix24.tokens import Tokens
from zaptrix.bridge.attachments import Attachments
from zaptrix.bridge.budgets import Budgets, daily
from zaptrix.bridge.call_limit import CallLimit
from zaptrix.bridge.calls import Calls
from zaptrix.bridge.claiming import Claimer
from zaptrix.bridge.confirmer import Confirmer
from zaptrix.bridge.directory import Directory
from zaptrix.bridge.dispatcher import Dispatcher
from zaptrix.bridge.erasure import Erasure
from zaptrix.bridge.file_preparer import FilePreparer
from zaptrix.bridge.file_sources import FileSources, SourceRules
from zaptrix.bridge.inbound import inbound_steps
from zaptrix.bridge.late_fields import Naming, Quoting
from zaptrix.bridge.letters import Letters
from zaptrix.bridge.offline import Offline, OfflineRules
from zaptrix.bridge.outbound import OutboundSteps
from zaptrix.bridge.receive import Receiver
from zaptrix.bridge.recover import Recovery, RecoveryRules
from zaptrix.bridge.registration import Registrar
from zaptrix.bridge.reminders import Reminders
from zaptrix.bridge.routing import Route
from zaptrix.bridge.send import Sender
from zaptrix.bridge.senders import Senders
from zaptrix.bridge.settle import Settler
from zaptrix.bridge.subscription import Subscriptions
from zaptrix.bridge.sweep import Sweep, SweepPatience
from zaptrix.bridge.templates import Templates
from zaptrix.bridge.tenants import Credentials, Tenants
from zaptrix.bridge.typing import Typing
from zaptrix.bridge.uploads import Uploads
from zaptrix.bridge.watch import LateStatuses, Watch
from zaptrix.core import limits
from zaptrix.core.codes import CodeTable
from zaptrix.core.lanes import Queue
from zaptrix.core.message import Side
from zaptrix.core.portal import Channel, Portal
from zaptrix.core.ports import Platform
from zaptrix.core.retry import Patience
from zaptrix.deadlines import Stopping, TimelyConnector
from zaptrix.media.blobs import Blobs
from zaptrix.media.fetch import Fetcher
from zaptrix.media.links import Links
from zaptrix.media.object_store import S3Access
from zaptrix.media.room import MediaRoom
from zaptrix.queues.bells import Bells
from zaptrix.queues.cache import ConversationCache, RedisTokenCache, SeenCache
from zaptrix.queues.connection import connect
from zaptrix.queues.hits import Hits
from zaptrix.queues.pace import RedisPace
from zaptrix.queues.throttle import Throttle
from zaptrix.queues.workers import Drain
from zaptrix.settings import Settings
from zaptrix.store.api_keys import KnownKeys
from zaptrix.store.clock import Clock
from zaptrix.store.database import Database, StoreUnavailable, open_database
from zaptrix.store.portals import StoredTokens
from zaptrix.store.replica import Reads, open_reads
from zaptrix.store.secrets import SecretBox
from zaptrix.store.sender_digests import SenderDigests
from zaptrix.store.spool import Spool
from zaptrix.tasks import ended
from zaptrix.whatsapp import codes as whatsapp_codes
from zaptrix.whatsapp import translate as whatsapp_translate
from zaptrix.whatsapp.client import GraphClient
from zaptrix.whatsapp.credentials import NumberCredentials
from zaptrix.whatsapp.platform import WhatsApp
from zaptrix.whatsapp.shapes import MEDIA_DOMAINS

Landing = Callable[[], Awaitable[None]]
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
    cache: ConversationCache
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
    drains: dict[Queue, Drain]
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
        media = _media_room(settings)
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
    """What is closed again at the end."""

    database: Database
    reads: Reads
    redis: Redis
    session: aiohttp.ClientSession
    clock: Clock
    budgets: Budgets
    media: MediaRoom


def _compose(settings: Settings, opened: _Opened) -> App:
    database, reads, redis, session, clock, budgets, media = opened
    box, hits = SecretBox(settings.encryption_keys), Hits(redis)
    cache, timeout_s = ConversationCache(redis, hits, ttl_s=settings.cache_ttl_s), settings.bitrix_timeout_s
    bells, directory, pace = Bells(redis, clock.now), Directory(database, box), RedisPace(redis)
    vault, token_cache = StoredTokens(database, box), _token_cache(settings, redis, hits, box, directory)
    oauth, stopping = OAuth(session, url=settings.bitrix_oauth_url, now=clock.now), Stopping()
    tokens, graph = Tokens(vault, token_cache, oauth, clock.now), _graph_client(settings, session, directory, pace)
    portal_client = PortalClient(session, tokens=tokens, vault=vault, pace=pace, now=clock.now, timeout_s=timeout_s)
    templates, spool = Templates(database, directory, graph, clock.now), Spool(settings.data_dir / "spool", clock.now)
    senders = Senders(database, directory, box, SenderDigests(settings.data_dir / "senders.digests"))
    receiver, watch = Receiver(database, bells, budgets), Watch(database)
    subscriptions = Subscriptions(database, directory, graph, settings)
    registrar, queue = _registrar(settings, database, directory, portal_client), PortalQueue(portal_client)
    offline = _offline(settings, database, directory, bells, queue, clock)
    platforms = _platforms(settings, database, graph, portal_client)
    parts = (platforms, templates, clock, budgets, media, stopping)
    drains, landing = _drains(settings, database, directory, bells, cache, SeenCache(redis, hits), *parts)
    credentials = Credentials(NumberCredentials(graph), PortalCredentials(session, oauth=oauth, now=clock.now))
    parties = (directory, registrar, subscriptions, cache, token_cache, bells)
    return App(
        settings=settings,
        database=database,
        reads=reads,
        clock=clock,
        stopping=stopping,
        redis=redis,
        box=box,
        hits=hits,
        cache=cache,
        token_cache=token_cache,
        throttle=Throttle(redis),
        known_keys=KnownKeys(database),
        budgets=budgets,
        bells=bells,
        directory=directory,
        receiver=receiver,
        spool=spool,
        senders=senders,
        registrar=registrar,
        subscriptions=subscriptions,
        tenants=Tenants(database, box, credentials, settings.portal_channels_max, *parties),
        letters=Letters(database, bells, kept_days=settings.media_retention_days, wait_s=settings.media_ready_s),
        sender=Sender(database, bells, platforms[1], clock.now),
        templates=templates,
        reminders=Reminders(database, bells, settings.window_reminder_min, clock.now),
        sweep=Sweep(database, bells, SweepPatience.of(settings), whatsapp_codes.TABLE, directory.clear, clock.now),
        erasure=Erasure(database, media.blobs),
        watch=watch,
        offline=offline,
        recovery=_recovery(settings, database, directory, bells, portal_client, offline, clock),
        drains=drains,
        landing=landing,
        graph=graph,
        portal_client=portal_client,
        media=media,
        files=_files(settings, database, directory, graph, PortalDisk(portal_client), media, bells, budgets, clock),
        uploads=Uploads(media, settings.media_link_origins, clock.now),
    )


def _token_cache(given: Settings, redis: Redis, hits: Hits, box: SecretBox, rows: Directory) -> RedisTokenCache:
    return RedisTokenCache(redis, hits, rows.version, given.token_cache_ttl_s, encrypt=box.encrypt, decrypt=box.decrypt)


def _media_room(settings: Settings) -> MediaRoom:
    return MediaRoom(
        Blobs(settings.media_url, settings.data_dir / "media", S3Access.of(settings)),
        Fetcher(private=settings.media_private_networks, timeout_s=settings.media_timeout_s),
        Links(settings.public_url, settings.encryption_keys),
    )


def _graph_client(
    settings: Settings, session: aiohttp.ClientSession, tokens: Directory, pace: RedisPace
) -> GraphClient:
    return GraphClient(
        session,
        graph_url=settings.meta_graph_url,
        version=settings.meta_api_version,
        tokens=tokens,
        pace=pace,
        timeout_s=settings.meta_timeout_s,
    )


def _registrar(settings: Settings, database: Database, directory: Directory, portal_client: PortalClient) -> Registrar:
    async def register(portal: Portal, channel: Channel) -> None:
        await registration.register(portal_client, portal, channel, settings.public_url)

    async def unregister(portal: Portal, channel: Channel) -> None:
        await registration.unregister(portal_client, portal, channel)

    url = settings.public_url
    return Registrar(database, directory, register=register, unregister=unregister, public_url=url)


def _drains(  # noqa: PLR0917  # this is where everything meets
    settings: Settings,
    database: Database,
    directory: Directory,
    bells: Bells,
    cache: ConversationCache,
    seen: SeenCache,
    platforms: tuple[Bitrix24, WhatsApp],
    templates: Templates,
    clock: Clock,
    budgets: Budgets,
    media: MediaRoom,
    stopping: Stopping,
) -> tuple[dict[Queue, Drain], tuple[Landing, ...]]:
    """Who answers the bells of each queue, and what has to land before the process ends, in this order."""
    limit, lease_s, now = CallLimit(), settings.claim_lease_s, clock.now
    attachments = Attachments(database, media.links, now, settings.media_address_s)
    late_fields = (Naming(database, templates, now), Quoting(database, now))
    to_bitrix24, to_whatsapp = platforms

    def confirmer(platform: Platform) -> Confirmer:
        return Confirmer(platform, database, directory, limit, now=now, lease_s=lease_s, stopping=stopping)

    def dispatcher(platform: Platform, mine: Confirmer, back: Confirmer) -> Dispatcher:
        witness = to_bitrix24 if platform is to_whatsapp else None
        calls = Calls(platform, attachments, late_fields, now=now, stopping=stopping, lease_s=lease_s, witness=witness)
        claimer = Claimer(calls.direction, database, directory, stopping.worker.attempt, lease_s)
        settler = Settler(calls.direction, database, bells, directory.clear, now)
        parts = (claimer, calls, settler, mine, back)
        return Dispatcher(*parts, bells=bells, limit=limit, stopping=stopping, now=now, lease_s=lease_s)

    confirmers = confirmer(to_bitrix24), confirmer(to_whatsapp)
    dispatchers = dispatcher(to_bitrix24, *confirmers), dispatcher(to_whatsapp, *reversed(confirmers))
    wait_s, timing = settings.media_ready_s, (settings.slice_s, now, stopping)
    to_ledger = inbound_steps(directory, cache, seen, wait_s, whatsapp_codes.TABLE, dispatchers[0])
    back = OutboundSteps(directory, cache, wait_s, dispatchers[1], to_whatsapp, to_bitrix24)
    drains: dict[Queue, Drain] = {
        Queue.INCOMING: Route(database, bells, budgets, whatsapp_translate.translate, to_ledger, *timing).drain,
        Queue.BITRIX24: dispatchers[0].answer,
        Queue.OUTBOUND: Route(database, bells, budgets, bitrix24_translate.translate, back, *timing).drain,
        Queue.META: dispatchers[1].answer,
    }
    return drains, tuple(each.landed for each in (*dispatchers, *confirmers))


def _platforms(
    settings: Settings, database: Database, graph: GraphClient, portal_client: PortalClient
) -> tuple[Bitrix24, WhatsApp]:
    to_bitrix24 = Bitrix24(
        portal_client,
        patience=Patience(base_s=settings.retry_base_s, verify_wait_s=settings.bitrix_verify_wait_s),
        calls_at_once=settings.bitrix_parallel_calls,
    )
    to_whatsapp = WhatsApp(
        graph,
        LateStatuses(database, settings.meta_verify_wait_s),
        patience=Patience(
            base_s=settings.retry_base_s,
            verify_wait_s=settings.meta_verify_wait_s,
            file_wait_s=settings.media_ready_s,
        ),
    )
    return to_bitrix24, to_whatsapp


def _files(  # noqa: PLR0917  # as above
    settings: Settings,
    database: Database,
    directory: Directory,
    graph: GraphClient,
    disk: PortalDisk,
    media: MediaRoom,
    bells: Bells,
    budgets: Budgets,
    clock: Clock,
) -> FilePreparer:
    rules = SourceRules(
        graph_url=settings.meta_graph_url, media_domains=MEDIA_DOMAINS, timeout_s=settings.media_timeout_s
    )
    parts = (database, directory, media, budgets)
    sources = FileSources(*parts, account=graph, portal_files=disk, rules=rules, now=clock.now)
    typing, patience = Typing(database, directory, graph), Patience(base_s=settings.retry_base_s)
    hands = (database, directory, bells)
    return FilePreparer(*hands, sources=sources, typing=typing, patience=patience, now=clock.now)


def _offline(  # noqa: PLR0917  # as below
    settings: Settings, database: Database, directory: Directory, bells: Bells, queue: PortalQueue, clock: Clock
) -> Offline:
    rules = OfflineRules(hours=settings.recovery_hours, every_s=settings.recovery_offline_s)
    return Offline(database, directory, queue, bells, rules, clock.now)


def _recovery(  # noqa: PLR0917  # as below
    settings: Settings,
    database: Database,
    directory: Directory,
    bells: Bells,
    portal_client: PortalClient,
    offline: Offline,
    clock: Clock,
) -> Recovery:
    rules = RecoveryRules(hours=settings.recovery_hours, round_s=settings.recovery_round_s)
    return Recovery(database, directory, PortalHistories(portal_client, clock.now), offline, bells, rules, clock.now)
