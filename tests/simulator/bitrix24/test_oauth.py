"""The OAuth server: pairs rotate, a used refresh token is dead at once, and errors come in their own ways."""

from typing import Any

from tests.simulator.stage import Json, Stage


async def refresh(stage: Stage, portal: Json, method: str = "GET", **more: Any) -> tuple[int, Json]:
    asked = {
        "grant_type": "refresh_token",
        "client_id": portal["client_id"],
        "client_secret": portal["client_secret"],
        "refresh_token": portal["refresh_token"],
    } | more
    query, form = (asked, None) if method == "GET" else (None, asked)
    async with stage.http.request(method, portal["oauth_url"], params=query, data=form) as response:
        return response.status, await response.json()


async def test_a_refresh_gives_a_new_pair_and_ends_the_old_one(stage: Stage) -> None:
    portal, _ = await stage.demo()

    status, pair = await refresh(stage, portal)
    again = await refresh(stage, portal)
    old = await stage.rest(portal, "profile")
    new = await stage.rest(portal | pair, "profile")

    assert status == 200
    assert pair["access_token"] != portal["access_token"]
    assert pair["refresh_token"] != portal["refresh_token"]
    assert (pair["expires_in"], pair["member_id"]) == (3600, portal["member_id"])
    assert pair["client_endpoint"] == portal["client_endpoint"]
    assert pair["server_endpoint"] == f"{stage.url}/bitrix24/oauth/rest/"
    assert pair["domain"] != "demo.bitrix24.test"
    assert "application_token" not in pair
    assert (again[0], again[1]["error"]) == (400, "invalid_grant")
    assert (old[0], old[1]["error"]) == (401, "expired_token")
    assert new[0] == 200


async def test_a_pair_may_be_asked_for_by_post_as_well(stage: Stage) -> None:
    portal, _ = await stage.demo()

    assert (await refresh(stage, portal, "POST"))[0] == 200


async def test_a_strange_client_is_told_with_a_200_and_a_wrong_secret_with_a_400(stage: Stage) -> None:
    portal, _ = await stage.demo()
    other = await stage.control("POST", "portals", {"portal": "p2"})

    strange = await refresh(stage, portal, client_id=other["client_id"])
    secret = await refresh(stage, portal, client_secret="wrong")
    unknown = await refresh(stage, portal, refresh_token="wrong")
    broken = await refresh(stage, portal, grant_type="guess")

    assert (strange[0], strange[1]["error"]) == (200, "wrong_client")
    assert (secret[0], secret[1]["error"]) == (400, "invalid_client")
    assert (unknown[0], unknown[1]["error"]) == (400, "invalid_grant")
    assert (broken[0], broken[1]["error"]) == (400, "invalid_request")
    assert (await refresh(stage, portal))[0] == 200


async def test_a_revoked_refresh_token_needs_an_administrator(stage: Stage) -> None:
    portal, _ = await stage.demo()
    await stage.control("POST", "portals/demo/revoke", {"what": "refresh_token"})

    dead = await refresh(stage, portal)
    repaired = await stage.control("POST", "portals/demo/tokens", {})

    assert (dead[0], dead[1]["error"]) == (400, "invalid_grant")
    assert (await refresh(stage, repaired))[0] == 200


async def test_a_code_gives_a_pair_once(stage: Stage) -> None:
    portal, _ = await stage.demo()
    code = (await stage.control("POST", "portals/demo/code"))["code"]

    first = await refresh(stage, portal, grant_type="authorization_code", code=code)
    second = await refresh(stage, portal, grant_type="authorization_code", code=code)

    assert first[0] == 200
    assert (second[0], second[1]["error"]) == (400, "invalid_grant")


async def test_a_short_life_can_be_chosen_for_a_portals_tokens(stage: Stage) -> None:
    portal = await stage.control("POST", "portals", {"portal": "p1", "token_life_s": 60})

    assert (await refresh(stage, portal))[1]["expires_in"] == 60


async def test_the_oauth_server_tells_whose_a_token_is(stage: Stage) -> None:
    portal, _ = await stage.demo()
    url = f"{stage.url}/bitrix24/oauth/rest/app.info"

    async with stage.http.get(url, params={"auth": portal["access_token"]}) as response:
        owner = (await response.json())["result"]
    async with stage.http.get(url, params={"auth": "wrong"}) as response:
        refused = (response.status, (await response.json())["error"])

    assert owner["client_id"] == portal["client_id"]
    assert owner["install"]["member_id"] == portal["member_id"]
    assert owner["install"]["client_endpoint"] == portal["client_endpoint"]
    assert refused == (401, "invalid_token")
