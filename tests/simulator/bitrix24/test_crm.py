"""Lists of crm.*: filters, order, select and pages, as the platform's documentation has them."""

import itertools
from typing import Any

import pytest

from tests.simulator.stage import Json, Stage
from zaptrix_sim.bitrix24 import crm_query as query
from zaptrix_sim.bitrix24.crm_book import phone_of

NAMES = ["Ana", "Bia", "Caio", "Davi", "Eva"]


@pytest.fixture
async def portal(stage: Stage) -> Json:
    demo: Json = (await stage.demo())[0]
    for number, name in enumerate(NAMES):
        fields = {"NAME": name, "SOURCE_ID": "WEB" if number % 2 else "CALL", "OPPORTUNITY": number * 100,
                  "PHONE": [{"VALUE": f"+551199999000{number}", "VALUE_TYPE": "WORK"}]}  # fmt: skip
        status, _ = await stage.rest(demo, "crm.contact.add", {"fields": fields})
        assert status == 200
    return demo


async def names(stage: Stage, portal: Json, method: str = "crm.contact.list", **asked: Any) -> list[str]:
    status, answer = await stage.rest(portal, method, asked)
    assert status == 200, answer
    rows = answer["result"] if isinstance(answer["result"], list) else answer["result"]["items"]
    return [row.get("NAME") or row["name"] for row in rows]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"NAME": "Ana"}, ["Ana"]),
        ({"=NAME": "ana"}, ["Ana"]),
        ({"NAME": ["Ana", "Eva"]}, ["Ana", "Eva"]),
        ({"@NAME": ["Bia", "Nobody"]}, ["Bia"]),
        ({"!@NAME": ["Bia", "Ana"]}, ["Caio", "Davi", "Eva"]),
        ({"!NAME": "Ana"}, ["Bia", "Caio", "Davi", "Eva"]),
        ({"!=NAME": "Ana", "SOURCE_ID": "CALL"}, ["Caio", "Eva"]),
        ({"%NAME": "a"}, ["Ana", "Bia", "Caio", "Davi", "Eva"]),
        ({"%NAME": "ai"}, ["Caio"]),
        ({"!%NAME": "ai"}, ["Ana", "Bia", "Davi", "Eva"]),
        ({"=%NAME": "%va"}, ["Eva"]),
        ({"%=NAME": "C%"}, ["Caio"]),
        ({"!=%NAME": "%a"}, ["Caio", "Davi"]),
        ({">OPPORTUNITY": 200}, ["Davi", "Eva"]),
        ({">=OPPORTUNITY": "200", "<OPPORTUNITY": 400}, ["Caio", "Davi"]),
        ({"<=OPPORTUNITY": 0}, ["Ana"]),
        ({"PHONE": "+5511999990001"}, ["Bia"]),
        ({"LAST_NAME": ""}, NAMES),
        ({"!LAST_NAME": ""}, []),
        ({"NOT_A_FIELD": "x"}, []),
        ({"LOGIC": "OR", "0": {"NAME": "Ana"}, "1": {"SOURCE_ID": "WEB", ">OPPORTUNITY": 200}}, ["Ana", "Davi"]),
    ],
)
async def test_each_prefix_of_a_filter_does_what_it_says(
    stage: Stage, portal: Json, wanted: Json, expected: list[str]
) -> None:
    assert await names(stage, portal, filter=wanted) == expected


async def test_the_universal_methods_know_the_same_under_their_own_names(stage: Stage, portal: Json) -> None:
    asked = {"entityTypeId": 3, "filter": {">=opportunity": 200}, "order": {"name": "desc"}, "select": ["id", "name"]}
    status, answer = await stage.rest(portal, "crm.item.list", asked)
    assert status == 200
    assert [sorted(item) for item in answer["result"]["items"]] == [["id", "name"]] * 3
    assert [item["name"] for item in answer["result"]["items"]] == ["Eva", "Davi", "Caio"]
    assert answer["total"] == 3


async def test_an_order_may_have_several_fields(stage: Stage, portal: Json) -> None:
    order = {"SOURCE_ID": "ASC", "ID": "DESC"}
    assert await names(stage, portal, order=order) == ["Eva", "Caio", "Ana", "Davi", "Bia"]


async def test_phones_come_only_when_they_are_selected(stage: Stage, portal: Json) -> None:
    _, plain = await stage.rest(portal, "crm.contact.list")
    _, chosen = await stage.rest(portal, "crm.contact.list", {"select": ["NAME", "PHONE"]})
    _, masked = await stage.rest(portal, "crm.contact.list", {"select": ["*", "PHONE"]})
    assert "PHONE" not in plain["result"][0]
    assert sorted(chosen["result"][0]) == ["ID", "NAME", "PHONE"]
    assert {"NAME", "PHONE", "SOURCE_ID"} <= set(masked["result"][0])


@pytest.mark.parametrize("kind", ["contact", "lead", "deal", "company"])
async def test_a_card_of_each_kind_is_made_found_changed_and_deleted(stage: Stage, kind: str) -> None:
    portal, _ = await stage.demo()
    _, made = await stage.rest(portal, f"crm.{kind}.add", {"fields": {"TITLE": "A", "UF_CRM_1": "x"}})
    number = made["result"]
    _, changed = await stage.rest(portal, f"crm.{kind}.update", {"id": number, "fields": {"TITLE": "B"}})
    _, found = await stage.rest(portal, f"crm.{kind}.list", {"filter": {"UF_CRM_1": "x"}, "select": ["TITLE", "UF_*"]})
    assert changed["result"] is True
    assert found["result"] == [{"ID": str(number), "TITLE": "B", "UF_CRM_1": "x"}]
    assert (await stage.rest(portal, f"crm.{kind}.delete", {"id": number}))[1]["result"] is True
    assert (await stage.rest(portal, f"crm.{kind}.get", {"id": number}))[0] == 400


def test_a_page_without_a_count_has_neither_total_nor_next() -> None:
    cards = list(range(121))
    assert query.page(cards, -1) == (cards[:50], None, None)
    assert query.page(cards, 0) == (cards[:50], 121, 50)
    assert query.page(cards, 100) == (cards[100:], 121, None)


async def test_all_of_many_are_found_by_ids_above_the_last_and_by_pages(stage: Stage) -> None:
    portal, _ = await stage.demo()
    for first in range(0, 121, 40):
        commands = {
            f"c{number}": f"crm.deal.add?fields[TITLE]=T{number}" for number in range(first, min(first + 40, 121))
        }
        assert (await stage.rest(portal, "batch", {"cmd": commands}))[0] == 200
    last, above = 0, []
    while True:
        asked = {"order": {"ID": "ASC"}, "filter": {">ID": last}, "select": ["ID"], "start": -1}
        _, answer = await stage.rest(portal, "crm.deal.list", asked)
        assert not {"total", "next"} & set(answer)
        if not answer["result"]:
            break
        above += [row["ID"] for row in answer["result"]]
        last = int(above[-1])
    paged = []
    for start in itertools.count(0, 50):
        _, answer = await stage.rest(portal, "crm.deal.list", {"start": start})
        paged += [row["ID"] for row in answer["result"]]
        if "next" not in answer:
            break
    assert len(set(above)) == len(above) == 121
    assert paged == above


def test_bitrix24_puts_the_ninth_digit_back_but_not_into_landlines() -> None:
    assert phone_of("554188887777") == "5541988887777"
    assert phone_of("554132221100") == "554132221100"
