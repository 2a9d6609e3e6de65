"""The Bitrix24 simulator, driven by Bitrix24's own Python SDK: its requests, its refreshes, its errors, its events."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from b24pysdk import Client, errors
from b24pysdk.credentials import BitrixApp, BitrixToken, BitrixWebhook, OAuthEventData
from b24pysdk.errors import oauth
from requests.adapters import HTTPAdapter

from tests.simulator.stage import ANA, ANA_WA_ID, CONNECTOR, Json, Stage, an_element

OAUTH_HOST = "oauth.bitrix24.tech"
ICON: Json = {"DATA_IMAGE": "data:image/svg+xml,%3Csvg/%3E", "COLOR": "#25d366"}


class ToSimulator(HTTPAdapter):
    """What the SDK sends to a portal or to the OAuth server arrives at the simulator."""

    url = ""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        place = "oauth" if parts.hostname == OAUTH_HOST else str(parts.hostname).removesuffix(".bitrix24.test")
        path = parts.path.removeprefix("/oauth") if place == "oauth" else parts.path
        request.url = f"{self.url}/bitrix24/{place}{path}" + (f"?{parts.query}" if parts.query else "")
        return super().send(request, *args, **kwargs)


class RedirectedSession(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        self.mount("https://", ToSimulator())


@pytest.fixture(autouse=True)
def redirected(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK opens a session of its own for every call, over https only."""
    monkeypatch.setattr(ToSimulator, "url", stage.url)
    monkeypatch.setattr(requests.sessions, "Session", RedirectedSession)


@pytest.fixture
async def portal(stage: Stage) -> Json:
    demo: Json = (await stage.control("GET", "demo"))["portal"]
    return demo


def a_token(portal: Json, *, expires: datetime | None = None) -> BitrixToken:
    return BitrixToken(
        domain=portal["domain"],
        auth_token=portal["access_token"],
        refresh_token=portal["refresh_token"],
        expires=expires or datetime.now(UTC) + timedelta(hours=1),
        expires_in=3600,
        bitrix_app=BitrixApp(client_id=portal["client_id"], client_secret=portal["client_secret"]),
    )


async def asked(request: Callable[[], Any]) -> Any:
    """The SDK blocks, so it works in a thread of its own."""
    return await asyncio.to_thread(lambda: request().result)


def registered(client: Any) -> None:
    connector = client.imconnector
    assert connector.register(
        CONNECTOR, "WhatsApp", ICON, "https://gw.example.net/s", need_signature=False, chat_group=False
    ).result == {"result": True}
    assert connector.activate(CONNECTOR, 1, 1).result is True


async def test_the_sdk_refreshes_an_expired_token_and_goes_on(stage: Stage, portal: Json) -> None:
    token = a_token(portal)
    await stage.control("POST", "portals/demo/expire")

    profile = await asked(lambda: Client(token).profile())

    assert profile["ID"]
    assert token.auth_token != portal["access_token"]
    assert token.refresh_token != portal["refresh_token"]


async def test_the_sdk_reads_a_new_pair_and_whose_it_is(stage: Stage, portal: Json) -> None:
    token = a_token(portal)

    renewed = await asyncio.to_thread(token.refresh_oauth_token)
    token.auth_token = renewed.oauth_token.access_token
    info = await asyncio.to_thread(token.get_app_info)

    assert renewed.member_id == portal["member_id"]
    assert renewed.client_endpoint == portal["client_endpoint"]
    assert info.result.client_id == portal["client_id"]
    assert info.result.install.member_id == portal["member_id"]


async def test_the_sdk_knows_the_oauth_servers_refusals(stage: Stage, portal: Json) -> None:
    other = await stage.control("POST", "portals", {"portal": "p2"})
    token, strange, wrong = a_token(portal), a_token(portal | {"client_id": other["client_id"]}), a_token(portal)
    wrong.bitrix_app = BitrixApp(client_id=portal["client_id"], client_secret="wrong")

    with pytest.raises(oauth.BitrixOauthWrongClient):
        await asyncio.to_thread(strange.refresh_oauth_token)
    with pytest.raises(oauth.BitrixOAuthInvalidClient):
        await asyncio.to_thread(wrong.refresh_oauth_token)
    await asyncio.to_thread(token.refresh_oauth_token)
    with pytest.raises(oauth.BitrixOAuthInvalidGrant):
        await asyncio.to_thread(token.refresh_oauth_token)


async def test_the_sdk_registers_a_connector_and_reads_it_back(stage: Stage, portal: Json) -> None:
    client = Client(a_token(portal))

    await asyncio.to_thread(registered, client)

    assert await asked(client.imconnector.list) == {CONNECTOR: "WhatsApp"}
    status = await asked(lambda: client.imconnector.status(CONNECTOR, line=1))
    assert status == {"LINE": 1, "CONNECTOR": CONNECTOR, "ERROR": False, "CONFIGURED": True, "STATUS": True}
    assert await asked(lambda: client.imconnector.activate(CONNECTOR, 1, 0)) is True
    assert not (await asked(lambda: client.imconnector.status(CONNECTOR, line=1)))["STATUS"]


async def test_the_sdk_sends_texts_finds_them_in_the_history_and_confirms_an_answer(stage: Stage, portal: Json) -> None:
    client = Client(a_token(portal))
    await asyncio.to_thread(registered, client)
    wamid = await stage.ana_writes()

    sent = await asked(lambda: client.imconnector.send.messages(CONNECTOR, 1, [an_element(wamid, "Olá")]))
    session = sent["DATA"]["RESULT"][0]["session"]
    history = await asked(lambda: client.imopenlines.session.history.get(session_id=session["ID"]))
    dialog = await asked(lambda: client.imopenlines.dialog.get(chat_id=session["CHAT_ID"]))
    opened = await asked(lambda: client.imopenlines.session.open(dialog["entity_id"]))
    note = await stage.operator_writes(text="Bom dia")
    item = {"im": {"chat_id": 1767, "message_id": note}, "message": {"id": ["w"]}, "chat": {"id": ANA_WA_ID}}
    confirmed = await asked(lambda: client.imconnector.send.status.delivery(CONNECTOR, 1, [item]))

    assert sent["SUCCESS"]
    assert [one["params"] for one in history["message"].values()] == [{"connectorMid": [wamid]}]
    assert opened == {"chatId": 1767}
    assert confirmed == {"SUCCESS": True, "DATA": []}
    state = await stage.control("GET", "state")
    assert [one["status"] for one in state["chats"][0]["messages"]] == [None, "delivered"]


async def test_the_sdk_works_with_contacts_in_both_spellings(stage: Stage, portal: Json) -> None:
    client = Client(a_token(portal))
    fields = {"NAME": "Ana", "PHONE": [{"VALUE": f"+{ANA}", "VALUE_TYPE": "MOBILE"}]}

    nothing = await asked(lambda: client.crm.duplicate.findbycomm("PHONE", [f"+{ANA}"]))
    number = await asked(lambda: client.crm.contact.add(fields))
    found = await asked(lambda: client.crm.duplicate.findbycomm("PHONE", [f"+{ANA}"], entity_type="CONTACT"))
    contact = await asked(lambda: client.crm.contact.get(number))
    item = await asked(lambda: client.crm.item.get(3, number))

    assert not nothing
    assert found == {"CONTACT": [number]}
    assert (contact["ID"], contact["PHONE"][0]["VALUE"]) == (str(number), f"+{ANA}")
    assert item["item"]["name"] == "Ana"


async def test_the_sdk_reads_every_page_of_a_list(stage: Stage, portal: Json) -> None:
    client = Client(a_token(portal))
    for index in range(3):
        added = [client.crm.contact.add({"NAME": f"C{index}"}) for _ in range(40)]
        await asked(partial(client.call_batch, added))

    contacts = await asyncio.to_thread(lambda: list(client.crm.contact.list().as_list().result))

    assert len(contacts) == 120


async def made_contacts(stage: Stage, portal: Json, count: int) -> None:
    for first in range(0, count, 40):
        numbers = range(first, min(first + 40, count))
        commands = {f"c{number}": f"crm.contact.add?fields[NAME]=C{number}" for number in numbers}
        assert (await stage.rest(portal, "batch", {"cmd": commands}))[0] == 200


@pytest.mark.parametrize("descending", [False, True])
async def test_the_sdk_finds_all_of_many_the_fast_way(stage: Stage, portal: Json, descending: bool) -> None:
    await made_contacts(stage, portal, 121)
    client = Client(a_token(portal))

    old = client.crm.contact.list(select=["ID", "NAME"]).as_list_fast(descending=descending)
    new = client.crm.item.list(3, filter={"%name": "C"}).as_list_fast(descending=descending)

    contacts = await asyncio.to_thread(lambda: list(old.result))
    items = await asyncio.to_thread(lambda: list(new.result))
    assert len({contact["ID"] for contact in contacts}) == len(contacts) == 121
    assert [int(contact["ID"]) for contact in contacts] == [item["id"] for item in items]
    assert (int(contacts[0]["ID"]) > int(contacts[-1]["ID"])) == descending


async def test_the_sdk_calls_through_a_webhook(stage: Stage, portal: Json) -> None:
    webhook = BitrixWebhook(domain=portal["domain"], webhook_token=f"1/{portal['access_token']}")

    assert (await asked(lambda: Client(webhook).profile()))["ID"]


async def test_the_sdk_reads_a_batch_with_an_error_among_its_results(stage: Stage, portal: Json) -> None:
    client = Client(a_token(portal))
    commands = {"who": client.profile(), "none": client.crm.contact.get(999), "time": client.server.time()}

    answer = await asyncio.to_thread(lambda: client.call_batch(commands).response)

    assert answer.result.result["who"]["ID"] == "7"
    assert "time" in answer.result.result
    assert answer.result.result_error["none"]["error"] == "NOT_FOUND"


async def test_the_sdk_knows_a_portals_refusals(stage: Stage, portal: Json) -> None:
    client = Client(a_token(portal), max_retries=1)
    elements = [an_element("w1")]

    with pytest.raises(errors.BitrixAPIBadRequest) as refused:
        await asked(lambda: client.imconnector.send.messages("wagw_none", 1, elements))
    assert refused.value.error == "IMCONNECTOR_NOT_SPECIFIED_CORRECT_CONNECTOR"
    await stage.control("PUT", "faults", [{"side": "bitrix24", "where": "api", "kind": "throttle", "times": 1}])
    with pytest.raises(errors.BitrixAPIQueryLimitExceeded):
        await asked(client.profile)
    await stage.control("PUT", "options", {"operating_limit_s": 0})
    with pytest.raises(errors.BitrixAPIOperationTimeLimit):
        await asked(client.profile)
    await stage.control("PUT", "options", {"operating_limit_s": 480})
    await stage.control("POST", "portals/demo/revoke", {"what": "access_token"})
    with pytest.raises(errors.BitrixAPIInvalidToken):
        await asked(client.profile)


async def test_the_sdk_binds_an_event_and_understands_what_comes(stage: Stage, portal: Json) -> None:
    client = Client(a_token(portal))
    await asyncio.to_thread(registered, client)
    handler = f"{stage.gateway}/events"
    bound = await asked(lambda: client.event.bind("ONIMCONNECTORMESSAGEADD", handler))
    await asked(lambda: client.imconnector.send.messages(CONNECTOR, 1, [an_element("w1")]))
    await stage.operator_writes(text="Olá [b]Ana[/b]")
    await stage.until(stage.listener.events)
    handlers = await asked(client.event.get)

    event = OAuthEventData.from_dict(stage.listener.events()[0])

    assert bound is True
    assert [one["handler"] for one in handlers] == [handler]
    assert event.event == "ONIMCONNECTORMESSAGEADD"
    assert event.auth.application_token == portal["application_token"]
    assert event.auth.member_id == portal["member_id"]
    assert event.data is not None
