"""The Bitrix24 simulator, driven by fast_bitrix24, which lists by pages and batches."""

import pytest
from fast_bitrix24 import BitrixAsync  # type: ignore[import-untyped]

from tests.contract.test_b24pysdk import made_contacts
from tests.simulator.stage import Json, Stage


@pytest.fixture
async def portal(stage: Stage) -> Json:
    demo: Json = (await stage.control("GET", "demo"))["portal"]
    await made_contacts(stage, demo, 121)
    return demo


@pytest.fixture
def client(portal: Json) -> BitrixAsync:
    return BitrixAsync(f"{portal['client_endpoint']}1/{portal['access_token']}/", verbose=False)


async def test_all_of_many_are_got(client: BitrixAsync) -> None:
    old = await client.get_all("crm.contact.list", {"select": ["ID", "NAME"]})
    new = await client.get_all("crm.item.list", {"entityTypeId": 3})
    assert len({contact["ID"] for contact in old}) == len(old) == 121
    assert {item["id"] for item in new} == {int(contact["ID"]) for contact in old}


async def test_a_filter_narrows_the_list(client: BitrixAsync) -> None:
    ids = sorted(int(contact["ID"]) for contact in await client.get_all("crm.contact.list"))
    above = await client.get_all("crm.contact.list", {"filter": {">ID": ids[20]}, "select": ["ID"]})
    assert sorted(int(contact["ID"]) for contact in above) == ids[21:]


async def test_what_is_listed_is_got_by_its_ids(client: BitrixAsync) -> None:
    ids = [contact["ID"] for contact in await client.get_all("crm.contact.list", {"select": ["ID"]})]
    cards = await client.get_by_ID("crm.contact.get", ids)
    assert len(cards) == 121
    assert {card["NAME"] for card in cards.values()} == {f"C{number}" for number in range(121)}


async def test_a_token_is_taken_as_well_as_a_webhook(portal: Json) -> None:
    async def token() -> str:
        return str(portal["access_token"])

    client = BitrixAsync(portal["client_endpoint"], token_func=token, verbose=False)
    assert len(await client.get_all("crm.contact.list")) == 121
