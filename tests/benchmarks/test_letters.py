"""The benchmark's webhooks are what the platforms post, as the gateway's own eyes see them."""

from benchmarks import letters
from benchmarks.letters import APP_SECRET, Chat, Conversation
from benchmarks.tenants import Tenant
from zaptrix.bitrix24.inbound import webhook as bitrix24
from zaptrix.bitrix24.translate import translate as from_bitrix24
from zaptrix.core.event import CustomerMessage, Event, NewEvent, OperatorMessage
from zaptrix.core.ids import EventId, PortalId
from zaptrix.core.message.message import Words
from zaptrix.whatsapp.inbound import webhook as meta
from zaptrix.whatsapp.inbound.translate import translate as from_whatsapp

TALKS = letters.conversations([Tenant(place=place, far_side="http://127.0.0.1:1") for place in range(2)], 3)


CHATS = [Chat(external_id=f"chat-{place}", id=place + 1) for place in range(len(TALKS))]


def journaled(event: NewEvent) -> Event:
    from datetime import UTC, datetime

    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Event(
        id=EventId(1),
        received_on=at.date(),
        received_at=at,
        source=event.source,
        name=event.name,
        lane=event.lane,
        body=event.body,
        request_id=event.request_id,
    )


def parts(data: bytes) -> tuple[dict[str, str], bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body


def test_a_customers_message_is_signed_and_holds_one_text() -> None:
    (request,) = letters.customers_write(TALKS, [7])
    headers, body = parts(request.data)
    assert meta.verify([APP_SECRET], body, headers["x-hub-signature-256"])
    (event,) = meta.split(body, "request")
    said = from_whatsapp(journaled(event))
    assert isinstance(said, CustomerMessage)
    assert isinstance(said.content, Words)
    assert said.whatsapp_id == letters.wamid_of(7)
    assert letters.number_of("".join(span.text for span in said.content.text.spans)) == 7
    assert said.customer.wa_id == TALKS[1].wa_id


def test_an_operators_message_is_admitted_and_holds_one_text() -> None:
    (request,) = letters.operators_write(TALKS, CHATS, [8])
    _, body = parts(request.data)
    form = bitrix24.parse_form(body)
    tenant = TALKS[2].tenant
    assert bitrix24.claimed_sender(form) == (tenant.member_id, tenant.application_token)
    (event,) = bitrix24.to_event(form, PortalId(tenant.portal_id), "request")
    said = from_bitrix24(journaled(event))
    assert isinstance(said, OperatorMessage)
    assert isinstance(said.content, Words)
    assert (said.external_chat_id, said.bitrix_chat_id, said.bitrix_message_id) == ("chat-2", 3, 9)
    assert letters.number_of("".join(span.text for span in said.content.text.spans)) == 8


def test_requests_of_one_conversation_share_a_line() -> None:
    lines = [request.line for request in letters.customers_write(TALKS, range(12))]
    assert lines == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]


def test_every_message_has_an_id_of_its_own() -> None:
    bodies = [parts(request.data)[1] for request in letters.customers_write(TALKS, range(100))]
    assert len({meta.split(body, "request")[0].key for body in bodies}) == 100


def test_a_text_that_was_changed_names_no_message() -> None:
    assert letters.number_of(letters.text_of(3) + "!") == -1


def test_conversations_take_turns_over_the_tenants() -> None:
    assert [talk.tenant.place for talk in TALKS] == [0, 1, 0, 1, 0, 1]
    assert TALKS[3] == Conversation(line=3, tenant=TALKS[1].tenant)
