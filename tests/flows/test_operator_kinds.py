"""Whatever an operator does in a chat, over HTTP, with both platforms at the far ends."""

from typing import Any

import pytest

from proof.world import Tenant, World, eventually
from tests.flows.test_files import JPEG, PDF, attached, got, notices, opened, sha

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 4096


async def does(tenant: Tenant, act: str, **wanted: Any) -> dict[str, Any]:
    """What an operator does, by the simulator's remote control."""
    chat = await tenant.chat()
    letter = {"portal": tenant.key, "chat_id": chat["chat_id"], "operator": "Bia", **wanted}
    return dict(await tenant.world.control("POST", f"operators/{act}", letter))


async def customers_message(tenant: Tenant, text: str) -> tuple[str, int]:
    """The wamid and the portal's id of a customer's message, once it is in the chat."""

    async def there() -> bool:
        return text in await tenant.said_in_chat("customer")

    await eventually(there, 30, f"{text!r} in the chat")
    chat = await tenant.chat()
    (message,) = [one for one in chat["messages"] if one["text"] == text]
    return message["connector_mids"][0], message["id"]


async def noticed(tenant: Tenant, words: str) -> list[str]:
    """The notices with these words, once there is one."""

    async def there() -> bool:
        return any(words in line for line in await notices(tenant))

    await eventually(there, 30, f"a notice that says {words!r}")
    return [line for line in await notices(tenant) if words in line]


async def confirmed(tenant: Tenant, note: int) -> dict[str, Any]:
    """An operator's message in the chat, once it is shown as delivered."""

    async def there() -> bool:
        return bool((await in_chat(tenant, note))["status"] == "delivered")

    await eventually(there, 30, "a message shown as delivered")
    return await in_chat(tenant, note)


async def in_chat(tenant: Tenant, note: int) -> dict[str, Any]:
    chat = await tenant.chat()
    return next(dict(one) for one in chat["messages"] if one["id"] == note)


async def nobody_sends(world: World, tenant: Tenant) -> None:
    """What operators write waits in the ledger."""
    away = {"side": "meta", "where": "api", "kind": "status", "status": 503}
    await world.faults(away | {"match": {"phone_number_id": tenant.number, "method": "messages"}})


async def waiting(world: World, tenant: Tenant, count: int) -> None:
    async def there() -> bool:
        held = await world.sql(
            "SELECT count(*) FROM message WHERE channel_id = $1 AND direction = 'outbound' AND state = 'pending'",
            tenant.channel_id,
        )
        return bool(held == count)

    await eventually(there, 30, f"{count} messages that wait")


async def resting(world: World, tenant: Tenant) -> None:
    """The first that waits is not tried in the next seconds: a change that meets a try under way comes too late."""

    async def there() -> bool:
        at_rest = await world.sql(
            "SELECT count(*) FROM message WHERE channel_id = $1 AND direction = 'outbound' AND state = 'pending'"
            " AND due_at > now() + interval '3 seconds'",
            tenant.channel_id,
        )
        return bool(at_rest)

    await eventually(there, 60, "a long back-off")


# --- long texts ------------------------------------------------------------------------------------------------------


async def test_a_long_text_reaches_the_phone_in_parts_and_is_confirmed_as_one(world: World) -> None:
    tenant = await opened(world, operator_prefix=True)
    paragraphs = [f"Cláusula {number}: " + "o cliente *paga* em dia 🚀 " * 40 for number in range(1, 10)]
    note = (await does(tenant, "write", text="\n\n".join(paragraphs)))["message_id"]
    await tenant.operator_writes("dúvidas?")
    parts = await got(tenant, 4)
    *parts, after = parts
    assert after["text"].endswith("dúvidas?")
    assert all(len(part["text"].encode("utf-16-le")) // 2 <= LIMIT for part in parts)
    assert [part["text"].startswith("*Bia:*\n") for part in parts] == [True, False, False]
    assert "".join(part["text"] for part in parts).count("🚀") == 9 * 40
    assert all(part["text"].rstrip().endswith("🚀") for part in parts)
    message = await confirmed(tenant, note)
    assert message["connector_mids"] == [part["id"] for part in parts]
    await world.drained()


async def test_a_long_text_with_files_goes_before_them(world: World) -> None:
    tenant = await opened(world)
    await tenant.operator_sends(
        attached(JPEG, "foto.jpg", "image", "image/jpeg"),
        attached(PDF, "contrato.pdf", "file", "application/pdf"),
        text="Leia com calma. " * 300,
    )
    messages = await got(tenant, 4)
    assert [(one["file"] or {}).get("type") for one in messages] == [None, None, "image", "document"]
    assert sum(one["text"].count("Leia com calma.") for one in messages[:2]) == 300


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["frame", "named", "arrows"])
async def test_an_answer_to_a_message_is_one_on_the_phone(world: World, way: str) -> None:
    tenant = await opened(world)
    await tenant.customer_writes("Qual o *preço*?\ne o frete?", "obrigada")
    wamid, note = await customers_message(tenant, "Qual o [b]preço[/b]?\ne o frete?")
    await customers_message(tenant, "obrigada")
    await does(tenant, "write", text="R$ 10, frete grátis", quotes=note, quote_as=way)
    (message,) = await got(tenant, 1)
    assert (message["text"], message["context"]) == ("R$ 10, frete grátis", {"message_id": wamid})
    await world.drained()


async def test_an_answer_to_an_own_message_with_a_file(world: World) -> None:
    tenant = await opened(world)
    first = (await does(tenant, "write", text="Segue a proposta em seguida"))["message_id"]
    await confirmed(tenant, first)
    files = [attached(PDF, "proposta.pdf", "file", "application/pdf")]
    await does(tenant, "write", text="aqui está", quotes=first, files=files)
    own, answer = await got(tenant, 2)
    assert answer["context"] == {"message_id": own["id"]}
    assert (answer["text"], answer["file"]["sha256"]) == ("aqui está", sha(PDF))


async def test_a_quote_of_what_is_not_there_stays_readable(world: World) -> None:
    tenant = await opened(world)
    await does(tenant, "write", text=">>isto ninguém disse\n>>nem isto\nR$ 10")
    (message,) = await got(tenant, 1)
    assert message["text"] == "> isto ninguém disse\n> nem isto\nR$ 10"
    assert "context" not in message


# --- edits and deletions ---------------------------------------------------------------------------------------------


async def test_the_edit_of_a_message_that_waits_is_what_the_phone_gets(world: World) -> None:
    tenant = await opened(world)
    await nobody_sends(world, tenant)
    note = (await does(tenant, "write", text="custa R$ 10"))["message_id"]
    await waiting(world, tenant, 1)
    await resting(world, tenant)
    assert (await does(tenant, "edit", message_id=note, text="custa R$ 100", anyway=True))["told"]

    async def rewritten() -> bool:
        said = "SELECT content::text FROM message WHERE bitrix_message_id = $1 AND channel_id = $2"
        return "R$ 100" in await world.sql(said, note, tenant.channel_id)

    await eventually(rewritten, 30, "the new words in the ledger")
    await world.heal()
    assert [one["text"] for one in await got(tenant, 1)] == ["custa R$ 100"]
    await world.drained()
    assert await notices(tenant) == []


async def test_what_is_deleted_while_it_waits_never_reaches_the_phone(world: World) -> None:
    tenant = await opened(world)
    await nobody_sends(world, tenant)
    note = (await does(tenant, "write", text="era para outra pessoa"))["message_id"]
    await does(tenant, "write", text="bom dia!")
    await waiting(world, tenant, 2)
    await resting(world, tenant)
    await does(tenant, "delete", message_id=note, anyway=True)
    await waiting(world, tenant, 1)
    await world.heal()
    assert [one["text"] for one in await got(tenant, 1)] == ["bom dia!"]
    await world.drained()
    assert await notices(tenant) == []


async def test_of_a_change_that_comes_too_late_the_operator_is_told_once(world: World) -> None:
    tenant = await opened(world)
    note = (await does(tenant, "write", text="custa R$ 10"))["message_id"]
    await confirmed(tenant, note)
    for _ in range(2):
        await does(tenant, "edit", message_id=note, text="custa R$ 100", anyway=True)
    (line,) = await noticed(tenant, "versão anterior de “custa R$ 10”")
    assert "nova mensagem" in line
    await does(tenant, "delete", message_id=note, anyway=True)
    (line,) = await noticed(tenant, "Apagar aqui não apaga no WhatsApp")
    assert len(await notices(tenant)) == 2
    assert [one["text"] for one in await got(tenant, 1)] == ["custa R$ 10"]
    await world.drained()


async def test_the_line_does_not_offer_what_whatsapp_cannot_do(world: World) -> None:
    tenant = await opened(world)
    note = (await does(tenant, "write", text="custa R$ 10"))["message_id"]
    await confirmed(tenant, note)
    chat = await tenant.chat()
    for act in ("edit", "delete"):
        letter = {"portal": tenant.key, "chat_id": chat["chat_id"], "message_id": note, "text": "x"}
        async with world.session.post(f"{world.sim}/control/operators/{act}", json=letter) as answer:
            assert answer.status == 400
            assert "registered without" in (await answer.json())["error"]


# --- what else there is ----------------------------------------------------------------------------------------------


async def test_blocks_alone_go_as_text(world: World) -> None:
    tenant = await opened(world)
    await does(
        tenant, "write", blocks=['[{"MESSAGE":"Sua fatura"},{"LINK":{"NAME":"Pagar","LINK":"https://p.test/1"}}]']
    )
    assert [one["text"] for one in await got(tenant, 1)] == ["Sua fatura\nPagar\nhttps://p.test/1"]


async def test_what_nobody_can_carry_is_told_to_who_sent_it(world: World) -> None:
    tenant = await opened(world)
    await does(tenant, "write", blocks=['[{"KEYBOARD":[]}]'])
    await noticed(tenant, "não há nela texto nem arquivo")
    assert await tenant.on_phone() == []


# --- typing ----------------------------------------------------------------------------------------------------------


async def typing_shown(tenant: Tenant) -> int:
    state = await tenant.world.control("GET", f"state?phone_number_id={tenant.number}")
    return int(state["phones"][0]["typing_shown"])


@pytest.mark.parametrize(("settings", "shown"), [({}, True), ({"typing": False}, False), ({"mark_read": False}, False)])
async def test_while_a_file_takes_its_time_the_customer_sees_that_an_answer_comes(
    world: World, settings: dict[str, bool], shown: bool
) -> None:
    tenant = await opened(world, **settings)
    slow = {"side": "bitrix24", "where": "api", "kind": "delay", "delay_s": 2.5, "match": {"method": "im.file.php"}}
    await world.faults(slow)
    await tenant.operator_sends(attached(PDF, "proposta.pdf", "file", "application/pdf"))
    await got(tenant, 1)
    assert bool(await typing_shown(tenant)) is shown
