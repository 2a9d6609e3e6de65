"""What the events mean, and what goes to the portal."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from tests.bitrix24.builders import a_claim, a_customer, an_event, in_chat
from tests.bitrix24.inbound.test_webhook import CHAT, an_item, messages
from zaptrix.bitrix24.inbound.webhook import Name
from zaptrix.bitrix24.translate import to_delivery, to_elements, to_notice, translate
from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.event import ConnectorLost, DialogStarted, Ignored, OperatorMessage, Routed, Unroutable
from zaptrix.core.ids import ChannelId, ConversationId, PortalId
from zaptrix.core.message.interactive import Choice, Choices
from zaptrix.core.message.media import Attachment, AttachmentState, Blob
from zaptrix.core.message.message import Interactive, MediaContent, MediaKind, Notice, Words
from zaptrix.core.message.text import Mark, Span, Text, plain_text

FILES = [
    {"name": "Angebot-2026.pdf", "type": "file", "link": "https://acme-demo.bitrix24.com/~Q7xKd", "size": "182734"},
    {"name": "foto.jpg", "type": "image", "link": "https://acme-demo.bitrix24.com/~Zp0aB#img.jpg"},
]


def routed(name: Name, data: Any) -> Routed:
    return translate(an_event(name, msgspec.json.encode({"event": name, "data": data, "ts": "1"})))


def written(message: dict[str, Any], **more: Any) -> Routed:
    return routed(Name.MESSAGE_ADD, messages({**an_item(), "message": message, **more}))


def content(message: dict[str, Any]) -> Words:
    found = written(message)
    assert isinstance(found, OperatorMessage)
    assert isinstance(found.content, Words)
    return found.content


def test_an_operator_wrote() -> None:
    assert routed(Name.MESSAGE_ADD, messages(an_item(text="Bom [b]dia[/b]"))) == OperatorMessage(
        external_chat_id=CHAT,
        bitrix_chat_id=1767,
        bitrix_message_id=86497,
        content=Words(Text((Span("Bom "), Span("dia", (Mark.BOLD,)))), "Bia Lima"),
    )


def test_words_without_a_signature_have_no_author() -> None:
    assert content({"user_id": "0", "text": "Bem-vindo!"}) == Words(plain_text("Bem-vindo!"), None)


def test_every_file_is_a_message_and_the_words_go_with_the_first() -> None:
    found = written({"text": "[b]Bia:[/b] [br]Segue", "files": FILES})
    assert isinstance(found, OperatorMessage)
    first, second = found.content, found.more[0]
    assert isinstance(first, MediaContent)
    assert (first.kind, first.name, first.caption, first.size) == (
        MediaKind.DOCUMENT,
        "Angebot-2026.pdf",
        plain_text("Segue"),
        182734,
    )
    assert isinstance(second, MediaContent)
    assert (second.name, second.source, bool(second.caption), second.author) == (
        "foto.jpg",
        "https://acme-demo.bitrix24.com/~Zp0aB",
        False,
        "Bia",
    )


def test_files_alone_have_no_words() -> None:
    found = written({"text": "[b]Bia:[/b] ", "files": FILES})
    assert isinstance(found, OperatorMessage)
    assert [bool(each.caption) for each in (found.content, *found.more) if isinstance(each, MediaContent)] == [
        False,
        False,
    ]


@pytest.mark.parametrize("words", ["x" * 801, "ouça"])
def test_words_that_a_file_cannot_carry_go_before_it(words: str) -> None:
    files = {"0": {"name": "voz.ogg", "type": "audio" if len(words) < 10 else "image", "link": "https://a.test/~v"}}
    found = written({"text": words, "files": files})
    assert isinstance(found, OperatorMessage)
    assert found.content == Words(plain_text(words), None)
    assert len(found.more) == 1


def test_a_file_without_an_address_is_named() -> None:
    assert content({"files": [{"name": "perdido.pdf"}]}) == Words(plain_text("perdido.pdf"), None)


@pytest.mark.parametrize(
    "broken",
    [
        {"im": {"chat_id": "1767"}},
        {"im": {"chat_id": "0", "message_id": "1"}},
        {"im": {"chat_id": "1", "message_id": "9" * 30}},
        {"chat": {"id": ""}},
        {"chat": {}},
        {"message": "x"},
    ],
)
def test_a_message_without_its_ids_is_unroutable_and_its_content_untold(broken: dict[str, Any]) -> None:
    found = routed(Name.MESSAGE_ADD, messages({**an_item(text="segredo"), **broken}))
    assert isinstance(found, Unroutable)
    assert "segredo" not in found.reason


def test_a_dialog_started_and_tells_its_session() -> None:
    item = {"connector": {"chat_id": CHAT, "user_id": "585"}, "session": {"id": "3282"}, "chat": {"id": CHAT}}
    expected = DialogStarted(external_chat_id=CHAT, bitrix_session_id=3282)
    assert routed(Name.DIALOG_START, {"DATA": [item]}) == expected
    assert routed(Name.DIALOG_START, {"DATA": [{**item, "connector": {}}]}) == expected
    assert isinstance(routed(Name.DIALOG_START, {"DATA": [{"session": {"id": "1"}}]}), Unroutable)


def test_a_finished_dialog_is_ignored() -> None:
    assert isinstance(routed(Name.DIALOG_FINISH, {"DATA": [{}]}), Ignored)


def test_a_switched_off_connector_is_lost_on_its_line() -> None:
    found = routed(Name.STATUS_DELETE, {"connector": "zaptrix_1", "line": "14"})
    assert isinstance(found, ConnectorLost)
    assert (found.connector_id, found.line_id) == ("zaptrix_1", 14)


def test_a_deleted_line_takes_whatever_stood_there() -> None:
    found = routed(Name.LINE_DELETE, "14")
    assert isinstance(found, ConnectorLost)
    assert (found.connector_id, found.line_id) == (None, 14)


@pytest.mark.parametrize(("name", "data"), [(Name.STATUS_DELETE, "14"), (Name.LINE_DELETE, {"line": "14"})])
def test_a_lost_connector_that_is_not_named_is_unroutable(name: Name, data: Any) -> None:
    assert isinstance(routed(name, data), Unroutable)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"event":1}', b"\xff"])
def test_a_body_that_is_not_ours_is_unroutable(body: bytes) -> None:
    assert isinstance(translate(an_event(Name.MESSAGE_ADD, body)), Unroutable)


def a_conversation(customer: Customer) -> Conversation:
    return Conversation(
        id=ConversationId(UUID(int=7)),
        portal_id=PortalId(UUID(int=1)),
        channel_id=ChannelId(UUID(int=2)),
        customer=customer,
        bitrix_chat_id=1767,
    )


def test_a_customers_words_as_an_element() -> None:
    claim = a_claim(
        "[b]oi[/b]",
        conversation=a_conversation(a_customer()),
        whatsapp_id="wamid.X",
        created_at=datetime(2026, 9, 1, 12, 0, 0, 900, tzinfo=UTC),
    )
    assert isinstance(claim.content, Words)
    assert to_elements(claim, claim.content)[0].content == {
        "user": {
            "id": "00000000000000000000000000000007",
            "name": "Ana",
            "last_name": "Maria Silva",
            "phone": "+5541998765432",
        },
        "message": {"id": "wamid.X", "date": 1788264000, "text": "[\u200bb]oi[\u200b/b]"},
        "chat": {"id": "zx1-00000000000000000000000000000002-00000000000000000000000000000007"},
    }


@pytest.mark.parametrize(
    ("customer", "user"),
    [
        (a_customer(name="😀 123"), {"title": "+5541998765432", "phone": "+5541998765432"}),
        (
            a_customer(name="Ana", phone="+999123456"),
            {"name": "Ana", "phone": "+999123456", "skip_phone_validate": "Y"},
        ),
        (Customer(bsuid="BR.1", username="ana.silva"), {"title": "ana.silva"}),
        (Customer(bsuid="BR.1"), {}),
    ],
)
def test_a_customer_is_shown_by_what_is_known(customer: Customer, user: dict[str, str]) -> None:
    claim = a_claim(conversation=a_conversation(customer))
    assert isinstance(claim.content, Words)
    element = to_elements(claim, claim.content)[0].content
    assert element["user"] == {"id": "00000000000000000000000000000007", **user}
    assert msgspec.json.encode(element) == msgspec.json.encode(to_elements(claim, claim.content)[0].content)


def test_an_arrived_message_as_an_element_has_a_list_of_ids() -> None:
    claim = in_chat(
        a_claim(whatsapp_id="wamid.Y", bitrix_message_id=86497, conversation=a_conversation(a_customer())), 1767
    )
    element = to_delivery(claim)
    assert element["im"] == {"chat_id": 1767, "message_id": 86497}
    assert element["message"] == {"id": ["wamid.Y"], "date": int(claim.created_at.timestamp())}


def test_a_notice_is_kept_out_of_whatsapp_and_no_tag_in_it_acts() -> None:
    notice = Notice("sent_by_api", {"text": "[user=1]Ana[/user]"})
    assert to_notice(a_claim(content=notice), notice, 1767) == {
        "DIALOG_ID": "chat1767",
        "MESSAGE": "Enviado ao cliente pela integração: [\u200buser=1]Ana[\u200b/user]",
        "SYSTEM": "Y",
        "SKIP_CONNECTOR": "Y",
    }


@pytest.mark.parametrize(
    ("type_", "attached"),
    [
        ("image/png", {"IMAGE": [{"NAME": "a.png", "LINK": "https://gw.example/media/1"}]}),
        ("application/pdf", {"FILE": [{"NAME": "a.png", "LINK": "https://gw.example/media/1", "SIZE": 3}]}),
    ],
)
def test_a_line_that_shows_a_message_has_its_file_below(type_: str, attached: dict[str, Any]) -> None:
    about = Interactive(
        body=plain_text("[b]?[/b]"),
        ask=Choices((Choice(id="y", title="Sim"),)),
        file=MediaContent(kind=MediaKind.IMAGE, source="", name="a.png"),
    )
    notice = Notice("sent_by_api", about=about, about_id=7)
    blob = Blob(key="k", size=3, sha256="0", type=type_, name="a.png")
    file = Attachment(state=AttachmentState.READY, blob=blob, address="https://gw.example/media/1")
    told = to_notice(replace(a_claim(content=notice), attachment=file), notice, 1767)
    assert told["MESSAGE"] == ("Enviado ao cliente pela integração:\n[imagem] a.png\n[\u200bb]?[\u200b/b]\n🔘 Sim")
    assert told["ATTACH"] == [attached]


@pytest.mark.parametrize(
    ("media", "line"),
    [
        (
            MediaContent(kind=MediaKind.DOCUMENT, source="1", name="contrato.pdf", mime="application/pdf"),
            "[arquivo não recebido: o WhatsApp não o guarda mais] contrato.pdf (application/pdf)",
        ),
        (
            MediaContent(kind=MediaKind.DOCUMENT, source="1", mime="application/zip", caption=plain_text("as notas")),
            "[arquivo não recebido: o WhatsApp não o guarda mais] (application/zip)\nas notas",
        ),
        (
            MediaContent(kind=MediaKind.IMAGE, source="1", name="foto.jpg", mime="image/jpeg"),
            "[foto não recebida: o WhatsApp não o guarda mais] foto.jpg",
        ),
        (
            MediaContent(kind=MediaKind.AUDIO, source="1", voice=True),
            "[áudio não recebido: o WhatsApp não o guarda mais]",
        ),
    ],
)
def test_a_file_that_did_not_come_leaves_its_name_kind_and_words(media: MediaContent, line: str) -> None:
    (element,) = to_elements(a_claim(content=media), media)
    assert element.content["message"] | {"id": "", "date": 0} == {"id": "", "date": 0, "text": line}  # type: ignore[operator]


def test_a_name_that_the_portal_would_cut_stands_in_the_words() -> None:
    blob = Blob(key="k", size=1, sha256="0", type="application/pdf", name=f"{'n' * 60}.pdf")
    name = f"contrato de {'n' * 60}.pdf"
    media = MediaContent(kind=MediaKind.DOCUMENT, source="1", name=name)
    file = Attachment(state=AttachmentState.READY, blob=blob, address="https://gw.example/media/1")
    claim = replace(a_claim(content=media), attachment=file)
    (element,) = to_elements(claim, media)
    assert element.content["message"] == {
        "id": claim.whatsapp_id,
        "date": int(claim.created_at.timestamp()),
        "text": name,
        "files": [{"url": "https://gw.example/media/1", "name": f"{'n' * 46}.pdf"}],
    }
