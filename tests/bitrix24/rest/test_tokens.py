"""The token chain: refreshed late, once, and never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import aiohttp
import pytest

from tests.bitrix24.answering import Answering, Reply
from tests.bitrix24.builders import PORTAL_ID, MemoryCache, MemoryVault, a_pair, a_portal, utc_now
from tests.bitrix24.rest.test_client import error, fresh
from zaptrix.bitrix24.rest.oauth import OFFICIAL_HOSTS, OAuth
from zaptrix.bitrix24.rest.tokens import Tokens
from zaptrix.core.delivery.errors import FailureScope, PlatformError, TooFast, Unauthorized, Unavailable
from zaptrix.core.ids import PortalId

PORTAL = a_portal()
SECRETS = ("very-secret-of-the-client", "refresh-0", "access-0")


@dataclass
class Rig:
    """A chain with its OAuth server."""

    vault: MemoryVault
    cache: MemoryCache
    oauth: OAuth
    server: Answering

    def tokens(self, cache: MemoryCache | None = None) -> Tokens:
        """Another process of the cluster: the vault is shared."""
        return Tokens(self.vault, cache or self.cache, self.oauth, utc_now)


class Counting(MemoryVault):
    """Notes how many locks are held whenever one is taken."""

    def __init__(self, vault: MemoryVault, held: list[int]) -> None:
        super().__init__(vault.pairs)
        self._held = held
        self._now_held = 0

    @asynccontextmanager
    async def refreshing(self, portal_id: PortalId) -> AsyncIterator[None]:
        async with super().refreshing(portal_id):
            self._now_held += 1
            self._held.append(self._now_held)
            yield
            self._now_held -= 1


@asynccontextmanager
async def a_rig(*replies: Reply, lasts: timedelta = timedelta(minutes=4), url: str = "") -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(Answering(*(replies or (fresh(1),))).running())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        vault = MemoryVault({PORTAL_ID: a_pair(lasts=lasts)})
        oauth = OAuth(session, url=url or f"{server.url}/oauth/token/", now=utc_now)
        yield Rig(vault, MemoryCache(), oauth, server)


async def test_a_token_that_is_good_for_long_is_not_refreshed_and_then_comes_from_the_cache() -> None:
    async with a_rig(lasts=timedelta(minutes=30)) as rig:
        tokens = rig.tokens()
        assert await tokens.token(PORTAL) == "access-0"
        assert 24 * 60 < rig.cache.seconds[PORTAL_ID] <= 25 * 60
        rig.vault.pairs.clear()
        assert await tokens.token(PORTAL) == "access-0"
        assert rig.server.asked == []


async def test_a_token_is_kept_at_hand_for_fifty_minutes_at_most() -> None:
    async with a_rig(lasts=timedelta(hours=3)) as rig:
        await rig.tokens().token(PORTAL)
        assert rig.cache.seconds[PORTAL_ID] == 50 * 60


async def test_a_token_is_refreshed_when_less_than_five_minutes_are_left() -> None:
    async with a_rig() as rig:
        assert await rig.tokens().token(PORTAL) == "access-1"
        (asked,) = rig.server.asked
        assert (asked.method, asked.path) == ("GET", "/oauth/token/")
        assert asked.query == {
            "grant_type": "refresh_token",
            "client_id": "local.66aa01bb02cc03.12345678",
            "client_secret": "very-secret-of-the-client",
            "refresh_token": "refresh-0",
        }
        stored = rig.vault.pairs[PORTAL_ID]
        assert (stored.access_token, stored.refresh_token) == ("access-1", "refresh-1")
        assert timedelta(minutes=59) < stored.expires_at - utc_now() <= timedelta(hours=1)
        assert rig.cache.tokens[PORTAL_ID] == "access-1"


async def test_two_processes_that_refresh_at_once_ask_once() -> None:
    async with a_rig() as rig:
        one, other = rig.tokens(MemoryCache()), rig.tokens(MemoryCache())
        found = await asyncio.gather(*(tokens.token(PORTAL) for tokens in (one, other) * 5))
        assert set(found) == {"access-1"}
        assert len(rig.server.asked) == 1


async def test_many_portals_that_refresh_at_once_leave_connections_of_the_store_for_others() -> None:
    async with a_rig() as rig:
        held: list[int] = []
        portals = [a_portal(portal_id=PortalId(UUID(int=number))) for number in range(100, 130)]
        rig.vault.pairs |= {portal.id: a_pair(lasts=timedelta(0)) for portal in portals}
        tokens = Tokens(Counting(rig.vault, held), rig.cache, rig.oauth, utc_now)
        assert set(await asyncio.gather(*map(tokens.token, portals))) == {"access-1"}
        assert len(rig.server.asked) == 30
        assert max(held) == 4


async def test_a_refused_token_is_refreshed_although_it_should_be_good() -> None:
    async with a_rig(lasts=timedelta(hours=1)) as rig:
        tokens = rig.tokens()
        await tokens.token(PORTAL)
        assert await tokens.refused(PORTAL, "access-0") == "access-1"
        assert rig.cache.tokens[PORTAL_ID] == "access-1"


async def test_a_refused_token_that_was_replaced_meanwhile_is_not_refreshed() -> None:
    async with a_rig(lasts=timedelta(hours=1)) as rig:
        assert await rig.tokens().refused(PORTAL, "access-of-yesterday") == "access-0"
        assert rig.server.asked == []


async def test_a_pair_that_could_not_be_stored_is_stored_by_the_next_try() -> None:
    async with a_rig(fresh(1), error(400, "invalid_grant")) as rig:
        tokens = rig.tokens()
        rig.vault.away = True
        with pytest.raises(ConnectionError):
            await tokens.refused(PORTAL, "access-0")
        rig.vault.away = False
        assert await tokens.token(PORTAL) == "access-1"
        assert rig.vault.pairs[PORTAL_ID].refresh_token == "refresh-1"
        assert len(rig.server.asked) == 1


async def test_a_pair_that_could_not_be_stored_is_stored_by_another_process() -> None:
    async with a_rig(fresh(1), error(400, "invalid_grant")) as rig:
        one, other = rig.tokens(), rig.tokens()
        rig.vault.away = True
        with pytest.raises(ConnectionError):
            await one.refused(PORTAL, "access-0")
        rig.vault.away = False
        assert await other.refused(PORTAL, "access-0") == "access-1"
        assert rig.vault.pairs[PORTAL_ID].refresh_token == "refresh-1"
        assert rig.cache.records == {}
        assert len(rig.server.asked) == 1


async def test_a_refresh_token_that_another_process_has_just_spent_is_no_dead_chain() -> None:
    """Vault and cache were away when the pair came; the other process asks before it can know of it."""
    async with a_rig(fresh(1), error(400, "invalid_grant")) as rig:
        one, other = rig.tokens(), rig.tokens()
        rig.vault.away = rig.cache.away = True
        with pytest.raises(ConnectionError):
            await one.refused(PORTAL, "access-0")
        rig.vault.away = False
        asking = asyncio.create_task(other.refused(PORTAL, "access-0"))
        async with asyncio.timeout(30):
            while len(rig.server.asked) < 2:
                await asyncio.sleep(0)
        rig.cache.away = False
        assert await asking == "access-1"
        assert rig.vault.pairs[PORTAL_ID].refresh_token == "refresh-1"


async def test_a_chain_that_is_dead_is_called_so() -> None:
    async with a_rig(error(400, "invalid_grant")) as rig:
        with pytest.raises(Unauthorized, match="invalid_grant"):
            await rig.tokens().refused(PORTAL, "access-0")
        assert len(rig.server.asked) == 1


async def test_a_pair_that_could_not_be_stored_gives_way_to_one_that_an_admin_gave() -> None:
    async with a_rig() as rig:
        tokens = rig.tokens()
        rig.vault.away = True
        with pytest.raises(ConnectionError):
            await tokens.refused(PORTAL, "access-0")
        rig.vault.away = False
        async with rig.vault.refreshing(PORTAL_ID):
            await rig.vault.save(
                PORTAL_ID,
                spent="refresh-0",
                access_token="access-of-the-admin",
                refresh_token="refresh-of-the-admin",
                expires_at=utc_now() + timedelta(hours=1),
            )
        assert await tokens.refused(PORTAL, "access-0") == "access-of-the-admin"


async def test_a_refresh_goes_on_when_the_one_who_asked_for_it_is_gone() -> None:
    async with a_rig() as rig:
        tokens = rig.tokens()
        asking = asyncio.create_task(tokens.token(PORTAL))
        async with asyncio.timeout(30):
            while not rig.server.asked:
                await asyncio.sleep(0)
            asking.cancel()
            while rig.vault.pairs[PORTAL_ID].refresh_token != "refresh-1":
                await asyncio.sleep(0)
        assert asking.cancelled() or asking.done()


async def test_while_the_oauth_server_is_away_a_token_is_used_to_its_end() -> None:
    async with a_rig(Reply(status=502, text="<html>")) as rig:
        assert await rig.tokens().token(PORTAL) == "access-0"
    async with a_rig(Reply(status=502, text="<html>"), lasts=timedelta(seconds=-1)) as rig:
        with pytest.raises(Unavailable):
            await rig.tokens().token(PORTAL)


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (error(400, "invalid_grant"), Unauthorized, "invalid_grant"),
        (error(400, "invalid_client"), Unauthorized, "invalid_client"),
        (error(200, "wrong_client"), Unauthorized, "wrong_client"),
        (error(401, "NOT_INSTALLED"), Unauthorized, "NOT_INSTALLED"),
        (error(401, "PAYMENT_REQUIRED"), Unauthorized, "PAYMENT_REQUIRED"),
        (error(500, "PAYMENT_REQUIRED"), Unauthorized, "PAYMENT_REQUIRED"),
        (error(400, "invalid_request"), Unauthorized, "invalid_request"),
        (error(503, "QUERY_LIMIT_EXCEEDED"), TooFast, "QUERY_LIMIT_EXCEEDED"),
        (error(503, "OVERLOAD_LIMIT"), TooFast, "OVERLOAD_LIMIT"),
        (error(500, "INTERNAL_SERVER_ERROR"), Unavailable, "INTERNAL_SERVER_ERROR"),
        (Reply(status=200, text="<html>"), Unavailable, "oauth_http_200"),
        (Reply(status=200, json={"access_token": "a"}), Unavailable, "oauth_http_200"),
        (Reply(status=200, json={}), Unavailable, "oauth_http_200"),
        (Reply(status=400, json=[]), Unavailable, "oauth_http_400"),
        (Reply(status=401, json={}), Unauthorized, "oauth_http_401"),
        (error(400, "CONNECTION_ERROR"), Unavailable, "CONNECTION_ERROR"),
        (error(200, "INTERNAL_SERVER_ERROR"), Unavailable, "INTERNAL_SERVER_ERROR"),
        (Reply(status=302, headers={"Location": "http://evil.example/"}), Unavailable, "oauth_http_302"),
        (Reply(drop=True), Unavailable, "oauth_no_answer"),
    ],
)
async def test_a_refusal_of_the_oauth_server_means_one_error_and_tells_no_secret(
    reply: Reply, kind: type[PlatformError], code: str
) -> None:
    async with a_rig(reply) as rig:
        with pytest.raises(kind) as refusal:
            await rig.oauth.refresh(a_pair())
        assert refusal.value.code == code
        assert not isinstance(refusal.value, Unauthorized) or refusal.value.scope is FailureScope.PORTAL
        assert not any(secret in repr(refusal.getrepr(chain=True)) for secret in SECRETS)


async def test_an_oauth_server_that_cannot_be_reached_tells_no_secret() -> None:
    async with a_rig(url="http://127.0.0.1:1") as rig:
        with pytest.raises(Unavailable, match="oauth_unreachable") as refusal:
            await rig.oauth.refresh(a_pair())
        assert refusal.value.__cause__ is None
        assert not any(secret in str(refusal.getrepr(chain=True, style="short")) for secret in SECRETS)


@pytest.mark.parametrize(
    ("oauth_host", "hosts"),
    [
        (None, list(OFFICIAL_HOSTS)),
        ("oauth.bitrix24.tech", ["oauth.bitrix24.tech", "oauth.bitrix.info"]),
        ("oauth.bitrix.info", ["oauth.bitrix.info", "oauth.bitrix24.tech"]),
        ("evil.example", list(OFFICIAL_HOSTS)),
    ],
)
async def test_both_official_hosts_are_tried_the_portals_own_first_and_no_other_ever(
    oauth_host: str | None, hosts: list[str]
) -> None:
    asked: list[str] = []

    class NoRoute:
        async def request(self, _method: str, url: str, **_options: object) -> None:
            asked.append(url)
            raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {url}")

    with pytest.raises(Unavailable):
        await OAuth(NoRoute(), url="", now=utc_now).refresh(a_pair(oauth_host=oauth_host))  # type: ignore[arg-type]
    assert asked == [f"https://{host}/oauth/token/" for host in hosts]
