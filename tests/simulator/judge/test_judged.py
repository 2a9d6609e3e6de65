"""The ledger over HTTP: a careless gateway is caught, whatever it does wrong."""

import asyncio

from tests.simulator.stage import ANA_WA_ID, NUMBER, Json, Stage


async def kinds(stage: Stage, *, drained: bool = True) -> set[str]:
    return {one["kind"] for one in (await stage.ledger(drained=drained))["violations"]}


async def beto_writes(stage: Stage, text: str = "olá") -> str:
    body = {"phone_number_id": NUMBER, "from": "5511987654321", "text": text, "name": "Beto"}
    wamid: str = (await stage.control("POST", "customers/write", body))["wamids"][0]
    return wamid


async def acknowledged(stage: Stage, count: int) -> None:
    while (await stage.ledger())["counts"].get("webhooks_acknowledged", 0) < count:
        pass


async def a_talk(stage: Stage) -> tuple[Json, Json]:
    portal, number = await stage.demo()
    await stage.put_in_chat(portal, await stage.ana_writes("primeira"))
    return portal, number


async def test_a_text_acknowledged_and_forgotten_is_lost(stage: Stage) -> None:
    await stage.demo()
    await stage.ana_writes()
    await acknowledged(stage, 1)

    assert await kinds(stage, drained=False) == {"not_drained"}
    assert await kinds(stage) == {"lost"}


async def test_an_answer_taken_and_never_sent_is_lost(stage: Stage) -> None:
    await a_talk(stage)
    await stage.operator_writes(text="esquecido")
    await stage.until(stage.listener.events)
    while not (await stage.ledger())["counts"].get("events_delivered"):
        pass

    assert await kinds(stage) == {"lost"}


async def test_a_send_repeated_after_a_cut_answer_is_doubled(stage: Stage) -> None:
    _, number = await a_talk(stage)
    await stage.operator_writes(text="uma vez")
    await stage.until(stage.listener.events)
    await stage.answer(number, "uma vez", biz_opaque_callback_data="m1")
    await stage.answer(number, "uma vez", biz_opaque_callback_data="m1")

    assert await kinds(stage) == {"doubled"}


async def test_a_later_text_put_first_is_disordered(stage: Stage) -> None:
    portal, _ = await stage.demo()
    first = await stage.ana_writes("um")
    await acknowledged(stage, 1)
    second = await stage.ana_writes("dois")
    await acknowledged(stage, 2)
    await stage.put_in_chat(portal, second)
    await stage.put_in_chat(portal, first)

    assert await kinds(stage) == {"disordered"}


async def test_a_text_in_a_strangers_chat_is_caught(stage: Stage) -> None:
    portal, _ = await a_talk(stage)
    await stage.put_in_chat(portal, await beto_writes(stage), user=ANA_WA_ID, chat=ANA_WA_ID)

    assert await kinds(stage) == {"strange_conversation"}


async def test_a_text_in_a_strangers_portal_is_caught(stage: Stage) -> None:
    await a_talk(stage)
    other = await stage.control("POST", "portals", {"portal": "p2"})
    await stage.open_line(other)
    await stage.put_in_chat(other, await beto_writes(stage), user="beto", chat="beto")

    assert await kinds(stage) == {"strange_conversation"}


async def test_the_portal_of_a_number_can_be_said_beforehand(stage: Stage) -> None:
    portal, _ = await stage.demo()
    await stage.control("POST", "expect", {"phone_number_id": NUMBER, "portal": "p2"})
    await stage.put_in_chat(portal, await stage.ana_writes())

    assert await kinds(stage) == {"strange_conversation"}


async def test_an_answer_on_a_strangers_phone_is_caught(stage: Stage) -> None:
    portal, number = await a_talk(stage)
    await stage.put_in_chat(portal, await beto_writes(stage), user="beto", chat="beto")
    await stage.operator_writes(chat="beto", text="para Beto")
    await stage.answer(number, "para Beto")

    assert await kinds(stage) == {"strange_conversation"}


async def test_two_calls_at_once_for_one_chat_are_counted(stage: Stage) -> None:
    portal, _ = await a_talk(stage)
    await stage.control("PUT", "options", {"item_latency_s": 0.05})
    wamids = [await stage.ana_writes(text) for text in ("um", "dois")]

    await asyncio.gather(*(stage.put_in_chat(portal, wamid) for wamid in wamids))

    assert (await stage.ledger())["counts"]["parallel_calls_in_one_chat"] == 1
