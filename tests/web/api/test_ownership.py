"""What is unique across tenants is taken only by whom the platform says that it is theirs, whoever calls."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet

from tests.web.gateway import (
    NOBODY,
    Gateway,
    Json,
    Reply,
    a_channel,
    a_message,
    a_new_pair,
    a_portal,
    a_request_id,
    a_webhook,
)
from tests.web.simulators import simulators
from zaptrix.store.encryption import SecretBox


@pytest.fixture
async def portal(gateway: Gateway) -> Json:
    return await gateway.portal()


@pytest.fixture
async def other(gateway: Gateway) -> Json:
    return await gateway.portal()


@pytest.fixture(autouse=True)
async def healed() -> AsyncIterator[None]:
    yield
    simulators().heal()


def fields_of(reply: Reply) -> set[str]:
    return {error["field"].removeprefix("/") for error in reply.problem["errors"]}


async def channels_of(gateway: Gateway, portal: Json) -> list[Json]:
    listed: list[Json] = (await gateway.call("GET", f"/api/channels?portal_id={portal['id']}")).json["items"]
    return listed


async def unroutable(gateway: Gateway, number: str) -> str:
    """A customer writes to a number that no channel has; the request's id."""
    request_id = a_request_id()
    await gateway.meta(a_webhook(a_message(f"wamid.{request_id}"), number=number), request_id=request_id)
    # What a worker writes when it finds nobody for it.
    await gateway.rows("UPDATE event SET state = 'unroutable', reason = 'x' WHERE request_id = $1", request_id)
    return request_id


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of_portal", [True, False])
async def test_a_number_is_not_taken_on_a_callers_word(gateway: Gateway, portal: Json, *, of_portal: bool) -> None:
    key = await gateway.key_for(portal["id"]) if of_portal else ""
    mine, theirs = a_channel(portal["id"]), a_channel(portal["id"])
    request_id = await unroutable(gateway, theirs["phone_number_id"])
    for token in ("garbage-not-a-meta-token", mine["access_token"]):
        reply = await gateway.call("POST", "/api/channels", theirs | {"access_token": token}, key=key)
        assert reply.status == 422
        assert reply.problem["type"] == "urn:zaptrix:problem:not-owned"
        assert fields_of(reply) == ({"access_token"} if token.startswith("garbage") else {"phone_number_id"})
    assert await channels_of(gateway, portal) == []
    assert [event["state"] for event in await gateway.events(request_id)] == ["unroutable"]


async def test_a_channel_does_not_get_another_number_on_a_callers_word(gateway: Gateway, portal: Json) -> None:
    key, channel, theirs = await gateway.key_for(portal["id"]), await gateway.channel(portal["id"]), a_channel("")
    path = f"/api/channels/{channel['id']}"
    for change, field in (
        ({"phone_number_id": theirs["phone_number_id"]}, "phone_number_id"),
        ({"phone_number_id": theirs["phone_number_id"], "access_token": "garbage"}, "access_token"),
        ({"access_token": "garbage"}, "access_token"),
        ({"access_token": theirs["access_token"]}, "phone_number_id"),
        ({"phone_number_id": "12345", "name": "x"}, "phone_number_id"),
    ):
        reply = await gateway.call("PUT", path, change, key=key)
        assert (reply.status, fields_of(reply)) == (422, {field}), change
    shown = (await gateway.call("GET", path)).json
    assert (shown["phone_number_id"], shown["name"]) == (channel["phone_number_id"], "Loja")
    # Its own it may give.
    reply = await gateway.call("PUT", path, {name: theirs[name] for name in ("phone_number_id", "access_token")})
    assert reply.status == 200
    assert reply.json["phone_number_id"] == theirs["phone_number_id"]
    assert reply.json["waba_id"] not in {None, channel["waba_id"]}


async def test_what_is_no_number_is_not_taken_for_one(gateway: Gateway, portal: Json) -> None:
    """Meta answers for other things, too, to whom they belong: an account, a file."""
    body = a_channel(portal["id"])
    account = simulators().number(body["phone_number_id"])["waba_id"]
    reply = await gateway.call("POST", "/api/channels", body | {"phone_number_id": account})
    assert (reply.status, fields_of(reply)) == (422, {"phone_number_id"})


async def test_an_account_is_the_numbers_own(gateway: Gateway, portal: Json) -> None:
    body, theirs = a_channel(portal["id"]), simulators().number()
    account = simulators().number(body["phone_number_id"])["waba_id"]
    reply = await gateway.call("POST", "/api/channels", body | {"waba_id": theirs["waba_id"]})
    assert (reply.status, fields_of(reply)) == (422, {"waba_id"})
    made = await gateway.call("POST", "/api/channels", body)
    assert made.json["waba_id"] == account
    path = f"/api/channels/{made.json['id']}"
    reply = await gateway.call("PUT", path, {"waba_id": theirs["waba_id"]})
    assert (reply.status, fields_of(reply)) == (422, {"waba_id"})
    assert (await gateway.call("PUT", path, {"waba_id": account})).json["waba_id"] == account


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 404},
        {"kind": "throttle"},
        {"kind": "refuse", "code": "2"},
    ],
)
async def test_nothing_is_kept_while_meta_cannot_be_asked(gateway: Gateway, portal: Json, fault: Json) -> None:
    body, channel = a_channel(portal["id"]), await gateway.channel(portal["id"])
    simulators().faults({"side": "meta", "where": "api", **fault})
    reply = await gateway.call("POST", "/api/channels", body, headers={"Accept-Language": "en"})
    assert reply.status == 503
    assert reply.headers["Retry-After"]
    assert "nothing is kept" in reply.problem["detail"]
    change = {"access_token": body["access_token"]}
    assert (await gateway.call("PUT", f"/api/channels/{channel['id']}", change)).status == 503
    assert [each["id"] for each in await channels_of(gateway, portal)] == [channel["id"]]


@pytest.mark.parametrize(("language", "words"), [("pt-BR", "A Meta recusa este token"), ("en", "Meta refuses")])
async def test_a_dead_token_is_told_in_the_callers_language(
    gateway: Gateway, portal: Json, language: str, words: str
) -> None:
    body = a_channel(portal["id"])
    simulators().control("POST", f"numbers/{body['phone_number_id']}/revoke")
    reply = await gateway.call("POST", "/api/channels", body, headers={"Accept-Language": language})
    assert reply.status == 422
    assert reply.problem["detail"].startswith(words)


async def test_a_portals_key_learns_nothing_of_others(gateway: Gateway, portal: Json, other: Json) -> None:
    channel = await gateway.channel(other["id"])
    body = a_channel(portal["id"], phone_number_id=channel["phone_number_id"])
    key = await gateway.key_for(portal["id"])
    reply = await gateway.call("POST", "/api/channels", body, key=key, headers={"Accept-Language": "en"})
    assert reply.status == 409
    assert reply.problem["detail"] == "/phone_number_id cannot be used"
    assert reply.problem["errors"] == [{"field": "/phone_number_id", "message": "cannot be used"}]
    # Without the number's token it is all the same whether another has it.
    free = a_channel(portal["id"])
    replies = [
        await gateway.call("POST", "/api/channels", each | {"access_token": "garbage"}, key=key)
        for each in (body, free)
    ]
    told = [(reply.status, reply.problem["detail"], reply.problem["errors"]) for reply in replies]
    assert told[0] == told[1]


# --- whose was it then -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["channel deleted", "portal deleted", "another number"])
async def test_what_came_while_a_number_was_anothers_stays_with_that_one(
    gateway: Gateway, portal: Json, other: Json, how: str
) -> None:
    body = a_channel(portal["id"])
    channel = (await gateway.call("POST", "/api/channels", body)).json
    before = await unroutable(gateway, body["phone_number_id"])
    if how == "channel deleted":
        await gateway.call("DELETE", f"/api/channels/{channel['id']}")
    elif how == "portal deleted":
        await gateway.rows("DELETE FROM portal_config WHERE id = $1", UUID(portal["id"]))
    else:
        next_one = a_channel(portal["id"])
        change = {name: next_one[name] for name in ("phone_number_id", "access_token")}
        assert (await gateway.call("PUT", f"/api/channels/{channel['id']}", change)).status == 200
    between = await unroutable(gateway, body["phone_number_id"])
    assert (await gateway.call("POST", "/api/channels", body | {"portal_id": other["id"]})).status == 201
    assert [event["state"] for event in await gateway.events(before)] == ["unroutable"]
    assert [event["state"] for event in await gateway.events(between)] == ["new"]


async def test_a_portal_that_connects_its_number_anew_gets_what_came_meanwhile(gateway: Gateway, portal: Json) -> None:
    body = a_channel(portal["id"])
    channel = (await gateway.call("POST", "/api/channels", body)).json
    before = await unroutable(gateway, body["phone_number_id"])
    await gateway.call("DELETE", f"/api/channels/{channel['id']}")
    assert (await gateway.call("POST", "/api/channels", body)).status == 201
    assert [event["state"] for event in await gateway.events(before)] == ["new"]


async def test_a_change_that_is_not_of_the_number_replays_nothing(gateway: Gateway, portal: Json) -> None:
    channel = await gateway.channel(portal["id"])
    request_id = await unroutable(gateway, channel["phone_number_id"])
    await gateway.call("PUT", f"/api/channels/{channel['id']}", {"name": "Filial"})
    assert [event["state"] for event in await gateway.events(request_id)] == ["unroutable"]


# --- accounts that send us their webhooks ----------------------------------------------------------------------------


async def test_creating_a_channel_subscribes_its_account_and_says_so(gateway: Gateway, portal: Json) -> None:
    channel = await gateway.channel(portal["id"])
    assert channel["subscription"] == {"done": True, "error": None}
    shown = (await gateway.call("GET", f"/api/channels/{channel['id']}")).json
    assert shown["subscription"] == {"done": True, "error": None}


async def test_a_subscription_that_fails_is_told_and_the_channel_is_there(gateway: Gateway, portal: Json) -> None:
    fault = {"side": "meta", "where": "api", "kind": "status", "status": 503}
    simulators().faults(fault | {"match": {"method": "subscribed_apps"}})
    channel = await gateway.channel(portal["id"])
    assert channel["subscription"]["done"] is False
    assert channel["subscription"]["error"]
    simulators().heal()
    again = (await gateway.call("PUT", f"/api/channels/{channel['id']}", {})).json
    assert again["subscription"] == {"done": True, "error": None}


# --- portals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"access_token": "garbage", "refresh_token": "garbage"}, "access_token"),
        ({"member_id": uuid4().hex}, "member_id"),
        ({"client_id": "local.another"}, "client_id"),
    ],
)
async def test_a_portal_is_not_taken_on_a_callers_word(gateway: Gateway, change: Json, field: str) -> None:
    body = a_portal(**change)
    reply = await gateway.call("POST", "/api/portals", body)
    assert (reply.status, fields_of(reply)) == (422, {field})
    assert await gateway.rows("SELECT 1 FROM portal_config WHERE member_id = $1", body["member_id"]) == []


async def test_a_portal_is_not_kept_while_nobody_answers_for_it(gateway: Gateway) -> None:
    reply = await gateway.call("POST", "/api/portals", a_portal(portal_url=f"{NOBODY}/{uuid4().hex}"))
    assert reply.status == 503
    elsewhere = f"{simulators().url}/nothing-{uuid4().hex}"
    reply = await gateway.call("POST", "/api/portals", a_portal(portal_url=elsewhere))
    assert (reply.status, fields_of(reply)) == (422, {"portal_url"})


@pytest.mark.parametrize(
    "url", ["http://acme.bitrix24.com", "http://10.1.2.3", "http://[2001:db8::1]", "http://8.8.8.8"]
)
async def test_tokens_do_not_go_by_plain_http(gateway: Gateway, portal: Json, url: str) -> None:
    reply = await gateway.call("POST", "/api/portals", a_portal(portal_url=url))
    assert reply.status == 422
    assert "portal_url" in fields_of(reply)
    reply = await gateway.call("PUT", f"/api/portals/{portal['id']}", {"portal_url": url})
    assert (reply.status, "portal_url" in fields_of(reply)) == (422, True)


async def test_an_access_token_that_has_run_out_is_refreshed_and_the_new_pair_is_kept(gateway: Gateway) -> None:
    body = a_portal()
    simulators().control("POST", f"portals/{body['portal_url'].rpartition('/')[2]}/expire")
    portal = (await gateway.call("POST", "/api/portals", body)).json
    channel = await gateway.channel(portal["id"])  # what was given first is spent
    assert channel["registration"] == {"done": True, "error": None}


async def test_a_repair_with_dead_tokens_changes_nothing(gateway: Gateway, portal: Json) -> None:
    path = f"/api/portals/{portal['id']}"
    await gateway.rows(
        "UPDATE portal_config SET paused_at = now(), paused_reason = 'x' WHERE id = $1", UUID(portal["id"])
    )
    for change in (
        {"access_token": "dead"},
        {"refresh_token": "dead"},
        {"access_token": "dead", "refresh_token": "dead"},
    ):
        reply = await gateway.call("PUT", path, change)
        assert (reply.status, fields_of(reply)) == (422, {"access_token"}), change
    assert (await gateway.call("GET", path)).json["paused_at"] is not None
    assert (await gateway.call("PUT", path, a_new_pair(portal))).json["paused_at"] is None


async def test_a_portal_whose_token_has_run_out_can_move(gateway: Gateway, portal: Json) -> None:
    """The pair that is stored is spent by nobody but its keeper: that the portal answers is enough."""
    simulators().control("POST", f"portals/{portal['portal_url'].rpartition('/')[2]}/expire")
    path, moved = f"/api/portals/{portal['id']}", portal["portal_url"].replace("127.0.0.1", "localhost")
    assert (await gateway.call("PUT", path, {"portal_url": moved})).json["portal_url"] == moved
    nowhere = f"{simulators().url}/nothing-{uuid4().hex}"
    reply = await gateway.call("PUT", path, {"portal_url": nowhere})
    assert (reply.status, fields_of(reply)) == (422, {"portal_url"})
    channel = await gateway.channel(portal["id"])
    assert channel["registration"] == {"done": True, "error": None}


async def test_another_portals_tokens_are_not_taken(gateway: Gateway, portal: Json, other: Json) -> None:
    reply = await gateway.call("PUT", f"/api/portals/{portal['id']}", a_new_pair(other))
    assert reply.status == 422


async def test_secrets_that_are_lost_are_given_anew_and_not_asked_for(gateway: Gateway, portal: Json) -> None:
    channel = await gateway.channel(portal["id"])
    lost = SecretBox([Fernet.generate_key().decode()]).seal("lost")
    await gateway.rows(
        "UPDATE portal_config SET client_secret = $2, access_token = $2, refresh_token = $2 WHERE id = $1",
        UUID(portal["id"]),
        lost,
    )
    await gateway.rows("UPDATE channel SET access_token = $2 WHERE id = $1", UUID(channel["id"]), lost)
    portal_path, channel_path = f"/api/portals/{portal['id']}", f"/api/channels/{channel['id']}"
    pair = a_new_pair(portal)
    for path, change in ((portal_path, pair), (channel_path, {"waba_id": channel["waba_id"]})):
        reply = await gateway.call("PUT", path, change)
        assert (reply.status, fields_of(reply)) == (422, {"access_token"})
    told = simulators().control("POST", f"portals/{portal['portal_url'].rpartition('/')[2]}/tokens")
    app = {name: told[name] for name in ("client_id", "client_secret")}
    assert (await gateway.call("PUT", portal_path, a_new_pair(portal) | app)).status == 200
    token = simulators().number(channel["phone_number_id"])["access_token"]
    repaired = await gateway.call("PUT", channel_path, {"access_token": token})
    assert repaired.json["registration"] == repaired.json["subscription"] == {"done": True, "error": None}


@pytest.mark.parametrize(
    "change",
    [{"member_id": "future-tenants-member-id"}, {"rate_per_s": 10_000}, {"enterprise": True}, {"oauth_host": None}],
)
async def test_who_a_portal_is_and_its_pace_are_an_admins(gateway: Gateway, portal: Json, change: Json) -> None:
    key = await gateway.key_for(portal["id"])
    reply = await gateway.call("PUT", f"/api/portals/{portal['id']}", change, key=key)
    assert reply.status == 403
    assert (await gateway.call("GET", f"/api/portals/{portal['id']}")).json == portal


async def test_a_portal_has_so_many_channels_and_no_more(gateway: Gateway, portal: Json) -> None:
    most = gateway.settings.portal_channels_max
    await gateway.rows(
        """INSERT INTO channel (portal_id, name, phone_number_id, display_phone_number, access_token, line_id)
        SELECT $1, 'x', 'n' || substr(md5($3), 1, 20) || n, '1', 'x', 1 FROM generate_series(2, $2::int) n""",
        UUID(portal["id"]),
        most,
        portal["id"],
    )
    await gateway.channel(portal["id"])
    reply = await gateway.call("POST", "/api/channels", a_channel(portal["id"]))
    assert reply.status == 409
    assert reply.problem["type"] == "urn:zaptrix:problem:limit-reached"
    assert len(await channels_of(gateway, portal)) <= most
