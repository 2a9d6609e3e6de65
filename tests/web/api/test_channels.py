"""`/api/channels`: numbers joined to lines."""

from uuid import UUID, uuid4

import pytest

from tests.web.gateway import Gateway, Json, a_channel, a_message, a_request_id, a_webhook
from tests.web.simulators import simulators


@pytest.fixture
async def portal(gateway: Gateway) -> Json:
    return await gateway.portal()


async def test_a_channel_is_there_even_when_its_portal_cannot_be_reached_yet(gateway: Gateway, portal: Json) -> None:
    body = a_channel(portal["id"], rate_per_s=20, crm_mode="gateway", operator_prefix=True, mark_read=False)
    simulators().faults({"side": "bitrix24", "where": "api", "kind": "status", "status": 503})
    reply = await gateway.call("POST", "/api/channels", body)
    simulators().heal()
    assert reply.status == 201
    channel = reply.json
    assert reply.headers["Location"] == f"/api/channels/{channel['id']}"
    assert channel["registration"]["done"] is False
    assert channel["registration"]["error"]
    shown = {name: value for name, value in body.items() if name != "access_token"}
    assert shown.items() <= channel.items()
    again = (await gateway.call("GET", f"/api/channels/{channel['id']}")).json
    assert again["registration"]["done"] is False
    assert again["registration"]["error"] == channel["registration"]["error"]


async def test_a_number_belongs_to_one_channel(gateway: Gateway, portal: Json) -> None:
    channel = await gateway.channel(portal["id"])
    body = a_channel(portal["id"], phone_number_id=channel["phone_number_id"])
    reply = await gateway.call("POST", "/api/channels", body)
    assert reply.status == 409
    assert reply.problem["errors"] == [
        {"field": "/phone_number_id", "message": "belongs to another channel already", "code": "taken"}
    ]


async def test_a_channel_of_no_portal_is_404(gateway: Gateway) -> None:
    assert (await gateway.call("POST", "/api/channels", a_channel(str(uuid4())))).status == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("portal_id", "nonsense"),
        ("name", ""),
        ("name", " "),
        ("name", "a\nb"),
        ("phone_number_id", "12"),
        ("phone_number_id", "+551191234"),
        ("phone_number_id", 210987654321098),
        ("display_phone_number", "call me"),
        ("access_token", "with space"),
        ("waba_id", "x"),
        ("line_id", 0),
        ("line_id", 2**31),
        ("line_id", "1"),
        ("rate_per_s", 0),
        ("rate_per_s", 1001),
        ("crm_mode", "somebody"),
        ("operator_prefix", 1),
        ("registered_at", "2031-01-01T00:00:00Z"),
    ],
)
async def test_what_cannot_be_used_is_refused_with_the_field_named(
    gateway: Gateway, portal: Json, field: str, value: object
) -> None:
    reply = await gateway.call("POST", "/api/channels", {**a_channel(portal["id"]), field: value})
    assert reply.status == 422
    assert {error["field"] for error in reply.problem["errors"]} == {f"/{field}"}


async def test_what_came_for_a_number_before_it_was_connected_is_routed_now(gateway: Gateway, portal: Json) -> None:
    body, request_id = a_channel(portal["id"]), a_request_id()
    webhook = a_webhook(a_message(f"wamid.{request_id}"), number=body["phone_number_id"])
    await gateway.meta(webhook, request_id=request_id)
    # What a worker writes when it finds nobody for it.
    await gateway.rows("UPDATE event SET state = 'unroutable', reason = 'x' WHERE request_id = $1", request_id)
    assert (await gateway.call("POST", "/api/channels", body)).status == 201
    (event,) = await gateway.events(request_id)
    assert (event["state"], event["reason"]) == ("new", None)


async def test_a_repair_takes_both_sides_out_of_their_pauses(gateway: Gateway, portal: Json) -> None:
    channel = await gateway.channel(portal["id"])
    await gateway.rows(
        """UPDATE channel SET whatsapp_paused_at = now(), whatsapp_paused_reason = '190', line_paused_at = now(),
        line_paused_reason = 'gone', registered_at = now() WHERE id = $1""",
        UUID(channel["id"]),
    )
    held = (await gateway.call("GET", f"/api/channels/{channel['id']}")).json
    assert (held["whatsapp_paused_reason"], held["line_paused_reason"]) == ("190", "gone")
    assert held["registration"] == {"done": True, "error": None}
    repaired = (await gateway.call("PUT", f"/api/channels/{channel['id']}", {"name": "Loja"})).json
    assert repaired["whatsapp_paused_at"] is repaired["line_paused_at"] is None
    assert repaired["registration"]["done"] is True  # it was registered anew


async def test_a_change_leaves_the_rest_as_it_was(gateway: Gateway, portal: Json) -> None:
    channel = await gateway.channel(portal["id"])
    reply = await gateway.call("PUT", f"/api/channels/{channel['id']}", {"name": "Filial", "waba_id": None})
    assert reply.status == 200
    changed = {name for name in channel if name != "registration" and channel[name] != reply.json[name]}
    assert changed == {"name", "waba_id"}


async def test_a_deleted_channel_is_gone(gateway: Gateway, portal: Json) -> None:
    channel = await gateway.channel(portal["id"])
    assert (await gateway.call("DELETE", f"/api/channels/{channel['id']}")).status == 204
    for method, body in (("GET", None), ("PUT", {"name": "x"}), ("DELETE", None)):
        assert (await gateway.call(method, f"/api/channels/{channel['id']}", body)).status == 404


async def test_channels_come_in_pages_and_by_portal(gateway: Gateway, portal: Json) -> None:
    made = sorted([(await gateway.channel(portal["id"]))["id"] for _ in range(3)])
    first = (await gateway.call("GET", f"/api/channels?portal_id={portal['id']}&limit=2")).json
    rest = (
        await gateway.call("GET", f"/api/channels?portal_id={portal['id']}&limit=2&cursor={first['next_cursor']}")
    ).json
    assert [channel["id"] for channel in first["items"] + rest["items"]] == made
    assert rest["next_cursor"] is None
