"""A portal's credentials: what has to be answered before they are kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from tests.bitrix24.answering import Answering, Reply
from tests.bitrix24.builders import a_pair, a_portal, utc_now
from zaptrix.bitrix24.rest.credentials import RestCredentials
from zaptrix.bitrix24.rest.oauth import OAuth
from zaptrix.core.access.ownership import Denial, NotOwned
from zaptrix.core.delivery.errors import PlatformError
from zaptrix.core.portal import Portal
from zaptrix.core.ports import TokenPair

GOOD = Reply(json={"result": {"ID": 1, "INSTALLED": True}})
EXPIRED = Reply(status=401, json={"error": "expired_token", "error_description": "The access token has expired"})
NEW_PAIR = {"access_token": "new-access", "refresh_token": "new-refresh", "expires_in": 3600}


def owned(member_id: str = a_portal().member_id, client_id: str = a_pair().client_id) -> Reply:
    return Reply(json={"result": {"client_id": client_id, "install": {"member_id": member_id}}})


@dataclass
class Rig:
    portal_server: Answering
    oauth_server: Answering
    credentials: RestCredentials
    portal: Portal

    async def check(self, *, stored: bool = False, may_refresh: bool = True) -> TokenPair:
        return await self.credentials.check(self.portal, a_pair(), stored=stored, may_refresh=may_refresh)


@asynccontextmanager
async def a_rig(*replies: Reply, oauth: tuple[Reply, ...] = (owned(),)) -> AsyncIterator[Rig]:
    async with (
        Answering(*replies).running() as portal_server,
        Answering(*oauth).running() as oauth_server,
        aiohttp.ClientSession() as session,
    ):
        server = OAuth(session, url=f"{oauth_server.url}/oauth/token/", now=utc_now)
        credentials = RestCredentials(session, oauth=server, now=utc_now)
        yield Rig(portal_server, oauth_server, credentials, a_portal(f"{portal_server.url}/rest/"))


async def test_a_portal_that_answers_to_its_token_keeps_its_pair() -> None:
    async with a_rig(GOOD) as rig:
        pair = await rig.check()
        assert (pair.access_token, pair.refresh_token) == ("access-0", "refresh-0")
        (asked,) = rig.portal_server.asked
        assert (asked.path, asked.headers["Authorization"]) == ("/rest/app.info", "Bearer access-0")
        (whose,) = rig.oauth_server.asked
        assert (whose.method, whose.path, dict(whose.query)) == ("POST", "/rest/app.info", {})


@pytest.mark.parametrize(
    ("oauth", "denial"),
    [
        (owned("another"), Denial.MEMBER),
        (owned(client_id="local.2"), Denial.APPLICATION),
    ],
)
async def test_tokens_of_another_portal_or_application_are_not_kept(oauth: Reply, denial: Denial) -> None:
    async with a_rig(GOOD, oauth=(oauth,)) as rig:
        with pytest.raises(NotOwned) as caught:
            await rig.check()
    assert caught.value.denial is denial


@pytest.mark.parametrize(
    "oauth",
    [
        Reply(status=401, json={"error": "invalid_token"}),
        Reply(status=404, text="<html>"),
        Reply(json={"result": []}),
        Reply(json={"result": {"install": "x"}}),
        Reply(json={"result": {"client_id": 7, "install": {"member_id": 7}}}),
        Reply(json=[]),
        Reply(drop=True),
    ],
)
async def test_an_oauth_server_that_does_not_say_whose_they_are_is_no_denial(oauth: Reply) -> None:
    async with a_rig(GOOD, oauth=(oauth,)) as rig:
        assert (await rig.check()).access_token == "access-0"


async def test_a_pair_that_has_run_out_is_refreshed_and_kept_whatever_comes_then() -> None:
    async with a_rig(EXPIRED, Reply(status=503, text="later"), oauth=(Reply(json=NEW_PAIR), owned())) as rig:
        pair = await rig.check()
    assert (pair.access_token, pair.refresh_token) == ("new-access", "new-refresh")


async def test_a_stored_pair_is_not_spent_here() -> None:
    async with a_rig(EXPIRED) as rig:
        assert (await rig.check(stored=True, may_refresh=False)).refresh_token == "refresh-0"
        assert [asked.path for asked in rig.oauth_server.asked] == ["/rest/app.info"]
        with pytest.raises(NotOwned) as caught:
            await rig.check(stored=False, may_refresh=False)  # an access token that was given alone
    assert caught.value.denial is Denial.PORTAL_TOKEN


@pytest.mark.parametrize(
    ("reply", "denial"),
    [
        (Reply(status=404, text="<html>not found</html>"), Denial.ADDRESS),
        (Reply(status=403, text="<html>forbidden</html>"), Denial.ADDRESS),
        (Reply(status=302, headers={"Location": "https://elsewhere.example/login"}), Denial.ADDRESS),
        (Reply(status=302, headers={"Location": "https://elsewhere.example/rest/app.info"}), Denial.ADDRESS),
        (Reply(status=401, json={"error": "PAYMENT_REQUIRED"}), Denial.PORTAL_TOKEN),
        (Reply(status=503, text="maintenance"), None),
        (Reply(status=429, text="slow down"), None),
        (Reply(status=200, text="<html>welcome</html>"), None),
        (Reply(json={}), None),
        (Reply(json=[]), None),
        (Reply(json={"error": "bad\0thing", "error_description": "a NUL \0"}, status=400), Denial.ADDRESS),
        (Reply(text='{"result": {}, "time": {"operating": 1' + "0" * 400 + "}}"), None),
        (Reply(drop=True), None),
    ],
)
async def test_a_strange_answer_denies_or_says_nothing_and_breaks_nothing(reply: Reply, denial: Denial | None) -> None:
    async with a_rig(reply) as rig:
        ends = await asyncio.gather(rig.check(), return_exceptions=True)
    if denial is None:
        assert isinstance(ends[0], TokenPair | PlatformError)
        assert not isinstance(ends[0], NotOwned)
    else:
        assert isinstance(ends[0], NotOwned)
        assert ends[0].denial is denial
