"""`/api/portals`: create, show, change, delete; secrets go in and never come out."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from tests.web.gateway import Gateway, Json, Reply, a_channel, a_conversation, a_letter, a_new_pair, a_portal

SECRETS = ("client_secret", "access_token", "refresh_token", "application_token")


async def stored(gateway: Gateway, portal_id: str) -> Json:
    (row,) = await gateway.rows("SELECT * FROM portal_config WHERE id = $1", UUID(portal_id))
    return row


def fields_of(reply: Reply) -> set[str]:
    return {error["field"].removeprefix("/") for error in reply.problem["errors"]}


async def test_a_portal_is_created_and_shown(gateway: Gateway) -> None:
    body = a_portal()
    reply = await gateway.call("POST", "/api/portals", body)
    assert reply.status == 201
    created = reply.json
    assert reply.headers["Location"] == f"/api/portals/{created['id']}"
    assert created["portal_url"] == body["portal_url"]
    assert created["client_endpoint"] == f"{body['portal_url']}/rest/"
    assert created["connector_id"].startswith("zaptrix_")
    assert (created["locale"], created["enterprise"], created["paused_at"]) == ("pt-BR", False, None)
    assert (await gateway.call("GET", f"/api/portals/{created['id']}")).json == created


async def test_secrets_are_stored_encrypted_and_are_in_no_answer(gateway: Gateway) -> None:
    body = a_portal()
    created = await gateway.call("POST", "/api/portals", body)
    portal_id = created.json["id"]
    channel = a_channel(portal_id)
    joined = await gateway.call("POST", "/api/channels", channel)
    answers = [
        created,
        joined,
        await gateway.call("GET", f"/api/portals/{portal_id}"),
        await gateway.call("PUT", f"/api/portals/{portal_id}", {"client_secret": body["client_secret"]}),
        await gateway.call("POST", "/api/portals", body),
        await gateway.call("GET", "/api/portals?limit=200"),
        await gateway.call("GET", f"/api/channels/{joined.json['id']}"),
        await gateway.call("GET", "/api/channels?limit=200"),
        await gateway.call("PUT", f"/api/channels/{joined.json['id']}", {"access_token": channel["access_token"]}),
    ]
    row = await stored(gateway, portal_id)
    secrets = [*(body[name] for name in SECRETS), *(row[name] for name in SECRETS), channel["access_token"]]
    for answer in answers:
        for secret in secrets:
            assert secret.encode() not in answer.body
    assert not any(body[name] in row[name] for name in SECRETS)
    assert not any(secret in gateway.log for secret in secrets)


async def test_the_pair_ends_when_it_was_told_to(gateway: Gateway) -> None:
    at = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    body = a_portal(expires_at=at.isoformat())
    del body["expires_in"]
    portal = (await gateway.call("POST", "/api/portals", body)).json
    assert (await stored(gateway, portal["id"]))["token_expiration_time"] == at
    await gateway.call("PUT", f"/api/portals/{portal['id']}", {"expires_in": 60})
    ends = (await stored(gateway, portal["id"]))["token_expiration_time"]
    assert timedelta(0) < ends - datetime.now(UTC) <= timedelta(seconds=60)


async def test_a_pair_of_unknown_age_is_refreshed_before_it_is_used(gateway: Gateway) -> None:
    body = a_portal()
    del body["expires_in"]
    portal = (await gateway.call("POST", "/api/portals", body)).json
    assert (await stored(gateway, portal["id"]))["token_expiration_time"] <= datetime.now(UTC)


@pytest.mark.parametrize("field", ["portal_url", "member_id"])
async def test_what_another_portal_has_is_a_conflict_that_names_it(gateway: Gateway, field: str) -> None:
    body = a_portal()
    await gateway.call("POST", "/api/portals", body)
    again = await gateway.call("POST", "/api/portals", a_portal(**{field: body[field]}))
    assert again.status == 409
    assert fields_of(again) == {field}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("portal_url", "ftp://company.bitrix24.com"),
        ("portal_url", "company.bitrix24.com"),
        ("portal_url", "https://"),
        ("portal_url", "https://user:password@company.bitrix24.com"),
        ("portal_url", "https://company.bitrix24.com/?a=1"),
        ("portal_url", "https://company.bitrix24.com:99999"),
        ("portal_url", "https://comp any.com"),
        ("portal_url", "https://company.com/\n"),
        ("portal_url", 7),
        ("portal_url", None),
        ("member_id", ""),
        ("member_id", "a b"),
        ("member_id", "x" * 65),
        ("client_id", "a\0b"),
        ("client_secret", ""),
        ("access_token", "with space"),
        ("refresh_token", "açaí"),
        ("client_endpoint", "https://elsewhere.example.com/rest/"),
        ("client_endpoint", "http://169.254.169.254/rest/"),
        ("oauth_host", "oauth.example.com"),
        ("locale", "fr"),
        ("enterprise", "yes"),
        ("rate_per_s", 0),
        ("rate_per_s", 10_001),
        ("rate_per_s", 2.5),
        ("expires_in", -1),
        ("expires_in", "60"),
        ("expires_at", "2031-05-06T07:08:09"),
        ("expires_at", "0001-01-01T00:00:00Z"),
        ("expires_at", "yesterday"),
        ("is_nice", True),
    ],
)
async def test_what_cannot_be_used_is_refused_with_the_field_named(gateway: Gateway, field: str, value: object) -> None:
    body = a_portal(**{field: value})
    if field == "expires_at":
        del body["expires_in"]
    reply = await gateway.call("POST", "/api/portals", body)
    assert reply.status == 422, reply
    assert fields_of(reply) == {field}


async def test_every_field_at_fault_is_told_at_once(gateway: Gateway) -> None:
    body = a_portal(portal_url="https://", client_secret="a b", access_token="c d")
    assert fields_of(await gateway.call("POST", "/api/portals", body)) == {
        "portal_url",
        "client_secret",
        "access_token",
    }


@pytest.mark.parametrize("field", ["portal_url", "member_id", "client_secret", "application_token"])
async def test_what_is_missing_is_named(gateway: Gateway, field: str) -> None:
    body = a_portal()
    del body[field]
    reply = await gateway.call("POST", "/api/portals", body)
    assert reply.status == 422
    assert reply.problem["errors"] == [{"field": f"/{field}", "message": "is missing", "code": "missing"}]


async def test_both_ways_to_tell_an_end_are_one_too_many(gateway: Gateway) -> None:
    reply = await gateway.call("POST", "/api/portals", a_portal(expires_at="2031-05-06T07:08:09Z", expires_in=60))
    assert fields_of(reply) == {"expires_in"}


async def test_a_simulated_endpoint_on_this_machine_may_have_another_host(gateway: Gateway) -> None:
    body = a_portal()
    simulated = f"{body['portal_url']}/rest"
    body |= {"portal_url": f"https://{uuid4().hex}.bitrix24.test", "client_endpoint": simulated}
    reply = await gateway.call("POST", "/api/portals", body)
    assert reply.json["client_endpoint"] == f"{simulated}/"


async def test_a_change_leaves_the_rest_as_it_was(gateway: Gateway) -> None:
    portal = await gateway.portal()
    before = await stored(gateway, portal["id"])
    reply = await gateway.call("PUT", f"/api/portals/{portal['id']}", {"locale": "en", "enterprise": True})
    assert reply.status == 200
    assert (reply.json["locale"], reply.json["enterprise"]) == ("en", True)
    after = await stored(gateway, portal["id"])
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"locale", "enterprise", "updated_at"}


async def test_a_self_hosted_portal_carries_its_own_rate_until_it_is_taken_back(gateway: Gateway) -> None:
    portal = await gateway.portal(rate_per_s=20)
    assert portal["rate_per_s"] == 20
    address = f"/api/portals/{portal['id']}"
    assert (await gateway.call("PUT", address, {"locale": "en"})).json["rate_per_s"] == 20
    assert (await gateway.call("PUT", address, {"rate_per_s": None})).json["rate_per_s"] is None


async def test_a_repair_takes_the_portal_out_of_its_pause(gateway: Gateway) -> None:
    portal = await gateway.portal()
    await gateway.rows(
        "UPDATE portal_config SET paused_at = now(), paused_reason = 'invalid_grant' WHERE id = $1", UUID(portal["id"])
    )
    shown = (await gateway.call("GET", f"/api/portals/{portal['id']}")).json
    assert shown["paused_reason"] == "invalid_grant"
    repaired = await gateway.call("PUT", f"/api/portals/{portal['id']}", a_new_pair(portal))
    assert (repaired.json["paused_at"], repaired.json["paused_reason"]) == (None, None)


async def test_a_new_application_token_is_the_one_that_events_carry(gateway: Gateway) -> None:
    portal = await gateway.portal(application_token="old")
    await gateway.call("PUT", f"/api/portals/{portal['id']}", {"application_token": "new"})
    form = {"event": "ONIMCONNECTORLINEDELETE", "data": "1", "auth[member_id]": portal["member_id"]}
    assert (await gateway.bitrix24({**form, "auth[application_token]": "new"})).status == 200
    assert (await gateway.bitrix24({**form, "auth[application_token]": "old"})).status == 401


async def test_a_moved_portal_takes_its_endpoint_along(gateway: Gateway) -> None:
    portal = await gateway.portal()
    moved = portal["portal_url"].replace("127.0.0.1", "localhost")
    reply = await gateway.call("PUT", f"/api/portals/{portal['id']}", {"portal_url": moved})
    assert reply.json["client_endpoint"] == f"{moved}/rest/"
    strange = {"client_endpoint": "https://elsewhere.example.com/rest/"}
    assert fields_of(await gateway.call("PUT", f"/api/portals/{portal['id']}", strange)) == {"client_endpoint"}


async def test_deleting_a_portal_deletes_all_that_is_its_own(gateway: Gateway) -> None:
    portal = await gateway.portal()
    channel = await gateway.channel(portal["id"])
    conversation = await a_conversation(gateway, channel)
    message = await a_letter(gateway, channel, conversation)
    key = await gateway.key_for(portal["id"])
    reply = await gateway.call("DELETE", f"/api/portals/{portal['id']}?confirm={portal['member_id']}")
    assert (reply.status, reply.body) == (204, b"")
    for path in (
        f"portals/{portal['id']}",
        f"channels/{channel['id']}",
        f"conversations/{conversation}/messages",
        f"messages/{message}",
    ):
        assert (await gateway.call("GET", f"/api/{path}")).status == 404
    assert (await gateway.call("GET", "/api/portals", key=key)).status == 401
    assert (await gateway.call("DELETE", f"/api/portals/{portal['id']}")).status == 404


async def test_changes_are_audited_without_values(gateway: Gateway) -> None:
    portal = await gateway.portal()
    await gateway.call("PUT", f"/api/portals/{portal['id']}", {"client_secret": "very-secret"})
    await gateway.call("DELETE", f"/api/portals/{portal['id']}?confirm={portal['member_id']}")
    lines = await gateway.rows("SELECT * FROM audit WHERE subject = $1 ORDER BY id", f"portal {portal['id']}")
    assert [line["action"] for line in lines] == ["portal.create", "portal.change", "portal.delete"]
    assert all(line["actor"].startswith("key ") for line in lines)
    assert "client_secret" in lines[1]["detail"]
    assert "very-secret" not in lines[1]["detail"]


async def test_portals_come_in_pages(gateway: Gateway) -> None:
    made = {(await gateway.portal())["id"] for _ in range(5)}
    seen: list[str] = []
    path = "/api/portals?limit=2"
    while True:
        page = (await gateway.call("GET", path)).json
        assert len(page["items"]) <= 2
        seen += [portal["id"] for portal in page["items"]]
        if page["next_cursor"] is None:
            break
        path = f"/api/portals?limit=2&cursor={page['next_cursor']}"
    assert made <= set(seen)
    assert len(seen) == len(set(seen))
    assert seen == sorted(seen)


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "limit=-1", "cursor=x", "cursor=%00", "cursor="])
async def test_a_page_that_is_none_is_refused(gateway: Gateway, query: str) -> None:
    reply = await gateway.call("GET", f"/api/portals?{query}")
    assert reply.status == 422
    assert fields_of(reply) == {query.partition("=")[0]}


@pytest.mark.parametrize("portal_id", ["00000000-0000-4000-8000-000000000000", "nonsense", "1", "%00"])
async def test_a_portal_that_is_not_there_is_404(gateway: Gateway, portal_id: str) -> None:
    for method, body in (("GET", None), ("PUT", {"locale": "en"}), ("DELETE", None)):
        reply = await gateway.call(method, f"/api/portals/{portal_id}", body)
        assert reply.status == 404
        assert reply.problem["type"] == "urn:zaptrix:problem:not-found"
