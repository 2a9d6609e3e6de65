"""The room against a whole portal: what it registers, sends, proves and confirms is there."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import msgspec
import pytest

from tests.bitrix24.builders import a_channel, a_customer, in_chat
from tests.bitrix24.stage import a_stage
from zaptrix.bitrix24.disknames import named
from zaptrix.bitrix24.inbound.webhook import Name
from zaptrix.bitrix24.portal.disk import PortalDisk
from zaptrix.bitrix24.portal.registration import EVENTS_PATH, register, unregister
from zaptrix.core.delivery.errors import FailureScope, Refused, TooFast, Unauthorized, Unavailable, Unclear
from zaptrix.core.delivery.outcome import Absent, Accepted
from zaptrix.core.event import ConnectorLost, DialogStarted, OperatorMessage
from zaptrix.core.ids import ChannelId
from zaptrix.core.message.message import Notice, Words
from zaptrix.core.message.text import Mark, Span, Text
from zaptrix.core.portal import CrmMode

SEND = "imconnector.send.messages"
HANGS_S = 3.0  # a call that is not answered by then never is; every other one has to be


def accepted(outcome: object) -> Accepted:
    assert isinstance(outcome, Accepted), outcome
    return outcome


async def test_a_channel_is_registered_twice_and_stands_once(simulator_url: str) -> None:
    async with a_stage(simulator_url) as stage:
        await register(stage.client, stage.portal, stage.channel, stage.door.url + "/")
        assert await stage.ask("imconnector.list") == {stage.portal.connector_id: "WhatsApp (Zaptrix)"}
        bound = await stage.ask("event.get")
        assert sorted(one["event"] for one in bound) == sorted(Name)
        assert {one["handler"] for one in bound} == {stage.door.url + EVENTS_PATH}


async def test_a_gateway_that_has_moved_takes_its_events_along_and_leaves_others_alone(simulator_url: str) -> None:
    async with a_stage(simulator_url) as stage:
        await stage.ask("event.bind", event="ONIMCONNECTORMESSAGEADD", handler="https://other.example/of-another-app")
        await register(stage.client, stage.portal, stage.channel, "https://new.example")
        handlers = {one["handler"] for one in await stage.ask("event.get")}
        assert handlers == {f"https://new.example{EVENTS_PATH}", "https://other.example/of-another-app"}


async def test_a_line_that_is_not_there_is_told_as_the_channels_trouble(simulator_url: str) -> None:
    async with a_stage(simulator_url, registered=False) as stage:
        with pytest.raises(Unauthorized) as refusal:
            await register(stage.client, stage.portal, a_channel(99), stage.door.url)
        assert refusal.value.scope is FailureScope.CHANNEL


async def test_a_file_that_is_not_on_the_disk_any_more_is_refused_and_no_mystery(simulator_url: str) -> None:
    async with a_stage(simulator_url) as stage:
        disk = PortalDisk(stage.client)
        address = "https://acme-demo.bitrix24.com/pub/im.file.php?FILE_ID=5437&SIGN=abc"
        assert await disk.fresh(stage.portal, address) is None
        with pytest.raises(Refused) as refused:
            await disk.address(stage.portal, named(5437))
        assert (refused.value.code, refused.value.notice) == ("file_not_given", "late_file")


async def test_an_unregistered_channel_is_off_its_line_and_told_as_lost(simulator_url: str) -> None:
    async with a_stage(simulator_url) as stage:
        await unregister(stage.client, stage.portal, stage.channel)
        lost = await stage.event(Name.STATUS_DELETE)
        assert isinstance(lost, ConnectorLost)
        assert (lost.connector_id, lost.line_id) == (stage.portal.connector_id, 14)
        (outcome,) = await stage.platform.send((stage.a_claim(),))
        assert isinstance(outcome, Unauthorized)
        assert outcome.scope is FailureScope.CHANNEL


async def test_customers_write_and_the_line_shows_them_as_they_look(simulator_url: str) -> None:
    async with a_stage(simulator_url) as stage:
        rich = Words(Text((Span("Preço: "), Span("10", (Mark.BOLD,)), Span("\n[user=1]Ana[/user] 😀"))))
        first, second = stage.a_claim(content=rich), stage.a_claim("Bom dia", customer=a_customer("Bia"))
        outcomes = [accepted(outcome) for outcome in await stage.platform.send((first, second))]
        chats = {chat["external_chat_id"]: chat for chat in await stage.chats()}
        shown = chats[first.conversation.external_chat_id]
        assert shown["messages"][0]["text"] == "Preço: [b]10[/b]\n[\u200buser=1]Ana[\u200b/user] 😀"
        assert shown["messages"][0]["name"] == "Ana Maria Silva"
        assert outcomes[0].bitrix_chat_id == shown["chat_id"]
        assert outcomes[1].bitrix_chat_id == chats[second.conversation.external_chat_id]["chat_id"]
        events = [await stage.event(Name.DIALOG_START) for _ in outcomes]
        started = {event.external_chat_id: event for event in events if isinstance(event, DialogStarted)}
        for claim, outcome in zip((first, second), outcomes, strict=True):
            assert started[claim.conversation.external_chat_id].bitrix_session_id == outcome.bitrix_session_id


async def test_an_operator_answers_and_the_answer_is_confirmed(simulator_url: str) -> None:
    async with a_stage(simulator_url) as stage:
        claim = stage.a_claim()
        await stage.platform.send((claim,))
        chat_id = claim.conversation.external_chat_id
        await stage.control(
            "operators/write", {"portal": stage.key, "chat_id": chat_id, "text": "Oi, [b]Ana[/b]!", "operator": "Bia"}
        )
        said = await stage.event(Name.MESSAGE_ADD)
        assert isinstance(said, OperatorMessage)
        assert said.external_chat_id == chat_id
        assert said.content == Words(Text((Span("Oi, "), Span("Ana", (Mark.BOLD,)), Span("!"))), "Bia")

        answer = msgspec.structs.replace(
            in_chat(claim, said.bitrix_chat_id), whatsapp_id="wamid.OUT", bitrix_message_id=said.bitrix_message_id
        )
        assert await stage.platform.confirm([answer]) == [Accepted()]
        ((chat,),) = [await stage.chats()]
        assert [message["status"] for message in chat["messages"]] == [None, "delivered"]


@pytest.mark.parametrize("kind", ["accept_then_hang", "accept_then_reset"])
async def test_a_send_without_an_answer_is_proven_by_the_chat_that_it_went_to(simulator_url: str, kind: str) -> None:
    async with a_stage(simulator_url, timeout_s=HANGS_S) as stage:
        opener = stage.a_claim("primeira")
        chat_id = accepted((await stage.platform.send((opener,)))[0]).bitrix_chat_id
        await stage.faults({"kind": kind, "match": {"method": SEND}})
        second = in_chat(stage.a_claim("segunda", conversation=opener.conversation), chat_id)
        (outcome,) = await stage.platform.send((second,))
        assert isinstance(outcome, Unclear)
        assert accepted(await stage.platform.prove(second)).bitrix_chat_id == chat_id
        third = in_chat(stage.a_claim("terceira", conversation=opener.conversation), chat_id)
        assert await stage.platform.prove(third) == Absent()


async def test_a_first_send_without_an_answer_is_proven_by_the_session_that_it_opened(simulator_url: str) -> None:
    async with a_stage(simulator_url, timeout_s=HANGS_S) as stage:
        await stage.faults({"kind": "accept_then_hang", "match": {"method": SEND}})
        claim = stage.a_claim("primeira", customer=a_customer(phone=None))
        (outcome,) = await stage.platform.send((claim,))
        assert isinstance(outcome, Unclear)
        assert await stage.platform.prove(claim) == Absent()  # nothing to ask by yet
        started = await stage.event(Name.DIALOG_START)
        assert isinstance(started, DialogStarted)
        proof = accepted(await stage.platform.prove(in_chat(claim, None, started.bitrix_session_id)))
        ((chat,),) = [await stage.chats()]
        assert (proof.bitrix_chat_id, proof.bitrix_session_id) == (chat["chat_id"], started.bitrix_session_id)


async def test_a_first_send_without_an_answer_is_proven_by_the_contact_of_the_line(simulator_url: str) -> None:
    async with a_stage(simulator_url, timeout_s=HANGS_S, line={"crm_create": "lead"}) as stage:
        await stage.faults({"kind": "accept_then_hang", "match": {"method": SEND}})
        claim = stage.a_claim("primeira")
        assert isinstance((await stage.platform.send((claim,)))[0], Unclear)
        ((chat,),) = [await stage.chats()]
        assert accepted(await stage.platform.prove(claim)).bitrix_chat_id == chat["chat_id"]


async def test_a_send_that_did_nothing_is_absent(simulator_url: str) -> None:
    async with a_stage(simulator_url, line={"crm_create": "lead"}) as stage:
        await stage.faults({"kind": "reset", "match": {"method": SEND}})
        claim = stage.a_claim("primeira")
        assert isinstance((await stage.platform.send((claim,)))[0], Unclear)
        assert await stage.platform.prove(claim) == Absent()
        assert await stage.texts() == []


async def test_a_notice_is_for_operators_only_and_proven_by_its_words(simulator_url: str) -> None:
    async with a_stage(simulator_url, timeout_s=HANGS_S) as stage:
        opener = stage.a_claim()
        chat_id = accepted((await stage.platform.send((opener,)))[0]).bitrix_chat_id
        notice = in_chat(
            stage.a_claim(content=Notice("window_closed", {"code": "131047"}), conversation=opener.conversation),
            chat_id,
        )
        assert await stage.platform.prove(notice) == Absent()
        await stage.faults({"kind": "accept_then_hang", "match": {"method": "im.message.add"}})
        assert isinstance((await stage.platform.send((notice,)))[0], Unclear)
        assert accepted(await stage.platform.prove(notice)).bitrix_chat_id == chat_id
        ((chat,),) = [await stage.chats()]
        assert [message["author"] for message in chat["messages"]] == ["customer", "system"]
        assert "faz mais de 24 horas" in chat["messages"][1]["text"]
        assert not [asked for asked in stage.door.asked if b"MESSAGEADD" in asked.body]


async def test_a_notice_is_not_proven_by_an_earlier_one_of_the_same_words(simulator_url: str) -> None:
    async with a_stage(simulator_url) as stage:
        opener = stage.a_claim()
        chat_id = accepted((await stage.platform.send((opener,)))[0]).bitrix_chat_id
        notice = Notice("window_closed", {"code": "131047"})
        first, second = (
            msgspec.structs.replace(
                in_chat(stage.a_claim(content=notice, conversation=opener.conversation), chat_id), twins=twins
            )
            for twins in range(2)
        )
        accepted((await stage.platform.send((first,)))[0])
        assert await stage.platform.prove(second) == Absent()
        accepted((await stage.platform.send((second,)))[0])
        assert accepted(await stage.platform.prove(second)).bitrix_chat_id == chat_id


async def test_the_gateway_makes_a_contact_once_for_both_forms_of_a_number(simulator_url: str) -> None:
    async with a_stage(simulator_url, crm_mode=CrmMode.GATEWAY) as stage:
        claims = [stage.a_claim(customer=a_customer()) for _ in range(3)]
        outcomes = [accepted(outcome) for outcome in await stage.platform.send(tuple(claims))]
        (contact_id,) = {outcome.bitrix_contact_id for outcome in outcomes}
        contact = await stage.ask("crm.contact.get", id=contact_id)
        assert isinstance(contact, dict)
        assert (contact["NAME"], contact["LAST_NAME"]) == ("Ana", "Maria Silva")
        assert [phone["VALUE"] for phone in contact["PHONE"]] == ["+5541998765432"]
        old = await stage.ask(
            "crm.contact.add", fields={"NAME": "Rui", "PHONE": [{"VALUE": "+554188776655", "VALUE_TYPE": "WORK"}]}
        )
        (outcome,) = await stage.platform.send((stage.a_claim(customer=a_customer("Rui", "+5541988776655")),))
        assert accepted(outcome).bitrix_contact_id == old


async def test_a_crm_that_refuses_does_not_hold_the_message_and_one_that_is_away_does(simulator_url: str) -> None:
    async with a_stage(simulator_url, crm_mode=CrmMode.GATEWAY) as stage:
        refusal = {"kind": "status", "status": 400, "code": "SOMETHING", "match": {"method": "crm.contact.add"}}
        await stage.faults(refusal)
        (outcome,) = await stage.platform.send((stage.a_claim("chegou"),))
        assert accepted(outcome).bitrix_contact_id is None
        await stage.faults({"kind": "throttle", "match": {"method": "crm.duplicate.findbycomm"}})
        rui = stage.a_claim("espera", customer=a_customer("Rui", "+5541988776655"))
        hidden = stage.a_claim("vai", customer=a_customer(phone=None))
        held, went = await stage.platform.send((rui, hidden))
        assert isinstance(held, TooFast)
        assert isinstance(went, Accepted)
        assert sorted(await stage.texts()) == ["chegou", "vai"]


async def test_an_expired_token_is_renewed_inside_of_the_call(simulator_url: str) -> None:
    async with a_stage(simulator_url) as stage:
        await stage.control(f"portals/{stage.key}/expire", {})
        assert isinstance((await stage.platform.send((stage.a_claim(),)))[0], Accepted)
        assert stage.vault.pairs[stage.portal.id].refresh_token != stage.record["refresh_token"]


async def test_many_calls_under_an_expired_token_spend_one_refresh_token(simulator_url: str) -> None:
    async with a_stage(simulator_url) as stage:
        await stage.control(f"portals/{stage.key}/expire", {})
        calls = [(stage.a_claim(str(number), customer=a_customer()),) for number in range(8)]
        outcomes = await asyncio.gather(*map(stage.platform.send, calls))
        assert all(isinstance(outcome, Accepted) for (outcome,) in outcomes)


async def test_a_revoked_refresh_token_holds_the_portal_until_an_admin_gives_new_ones(simulator_url: str) -> None:
    async with a_stage(simulator_url) as stage:
        await stage.control(f"portals/{stage.key}/revoke", {"what": "refresh_token"})
        await stage.control(f"portals/{stage.key}/expire", {})
        (outcome,) = await stage.platform.send((stage.a_claim(),))
        assert isinstance(outcome, Unauthorized)
        assert (outcome.scope, outcome.code) == (FailureScope.PORTAL, "invalid_grant")
        fresh = await stage.control(f"portals/{stage.key}/tokens", {})
        stage.vault.pairs[stage.portal.id] = msgspec.structs.replace(
            stage.vault.pairs[stage.portal.id],
            access_token=fresh["access_token"],
            refresh_token=fresh["refresh_token"],
        )
        await stage.cache.drop(stage.portal.id)
        assert isinstance((await stage.platform.send((stage.a_claim(),)))[0], Accepted)


async def test_a_portal_that_is_down_surely_did_not_act(simulator_url: str) -> None:
    async with a_stage(simulator_url) as stage:
        await stage.faults({"kind": "status", "status": 503, "match": {"method": SEND}})
        assert isinstance((await stage.platform.send((stage.a_claim(),)))[0], Unavailable)
        assert await stage.texts() == []


async def test_two_channels_of_one_customer_are_two_chats_under_one_contact(simulator_url: str) -> None:
    line = {"crm_create": "lead"}
    async with a_stage(simulator_url, line=line) as stage:
        other = msgspec.structs.replace(stage.channel, id=ChannelId(uuid4()))
        one, two = stage.a_claim("um"), stage.a_claim("dois", channel=other)
        outcomes = [accepted(outcome) for outcome in await stage.platform.send((one, two))]
        assert outcomes[0].bitrix_chat_id != outcomes[1].bitrix_chat_id
        # Neither knows its chat: both are found through the contact, each in its own.
        for claim, outcome in zip((one, two), outcomes, strict=True):
            assert accepted(await stage.platform.prove(claim)).bitrix_chat_id == outcome.bitrix_chat_id


@pytest.mark.parametrize(
    "text",
    [
        "palavra " * 3_125,
        "linha de um texto\n" * 4_000,
        "a" * 65_536,
        "[b]oi[/b] >>x\n" * 3_000,
        "👩‍👩‍👧" * 8_000,
    ],
)
async def test_a_text_longer_than_the_portals_goes_on_in_further_messages(simulator_url: str, text: str) -> None:
    async with a_stage(simulator_url) as stage:
        claim = stage.a_claim(text)
        (call,) = stage.platform.calls([claim])
        (outcome,) = await stage.platform.send(call)
        texts = [one for one in await stage.texts() if "(...)" not in one]
        assert "".join(texts).replace("\N{ZERO WIDTH SPACE}", "") == text
        assert len(texts) > 1
        claim = in_chat(claim, accepted(outcome).bitrix_chat_id)
        assert isinstance(await stage.platform.prove(claim), Accepted)


async def test_of_a_long_text_only_the_parts_that_are_missing_are_sent_again(simulator_url: str) -> None:
    """More of them than one call takes, and the second call fails."""
    async with a_stage(simulator_url) as stage:
        text = "".join(f"{n} {'x' * 19_000}\n" for n in range(13))
        claim = stage.a_claim(text)
        (first,) = await stage.platform.send((stage.a_claim("oi", conversation=claim.conversation),))
        claim = in_chat(claim, accepted(first).bitrix_chat_id)
        # The first call passes by the fault that touches it; the next one is cut off.
        await stage.faults(
            {"kind": "delay", "delay_s": 0.0, "match": {"method": SEND}}, {"kind": "reset", "match": {"method": SEND}}
        )
        (outcome,) = await stage.platform.send((claim,))
        assert isinstance(outcome, Unclear), outcome
        assert isinstance(await stage.platform.prove(claim), Absent)
        for attempts in (1, 0):  # and once more by an admin's hand
            (outcome,) = await stage.platform.send((msgspec.structs.replace(claim, attempts=attempts),))
            assert isinstance(outcome, Accepted)
        assert [one.split(" ")[0] for one in (await stage.texts())[1:]] == [str(n) for n in range(13)]
