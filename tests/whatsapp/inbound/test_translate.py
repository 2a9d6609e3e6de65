"""What an item of Meta's means to the bridge."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.whatsapp.builders import NOW, NUMBER, a_post_of, events_of, journalled
from zaptrix.core.customer.customer import Customer
from zaptrix.core.event import CustomerMessage, Ignored, Pricing, Receipt, Routed, Unroutable
from zaptrix.core.ids import MessageId
from zaptrix.core.message.message import State, Words, is_overheard, opens_window
from zaptrix.core.message.text import Mark, Span
from zaptrix.whatsapp.inbound.translate import translate
from zaptrix.whatsapp.inbound.webhook import split

TEXT = {"from": "554188887777", "id": "wamid.1", "timestamp": "1794300010", "type": "text", "text": {"body": "oi"}}


def meaning_of(fixture: str) -> Routed:
    (event,) = events_of(fixture)
    return translate(event)


def message_of(*messages: Any, **value: Any) -> CustomerMessage:
    routed = routed_of(*messages, **value)
    assert isinstance(routed, CustomerMessage), routed
    return routed


def routed_of(*messages: Any, **value: Any) -> Routed:
    (event,) = split(a_post_of(*messages, **value), "r")
    return translate(journalled(event))


def receipt_of(**status: Any) -> Routed:
    return routed_of(statuses=[{"id": "wamid.1", "timestamp": "1794300201"} | status])


def words(message: CustomerMessage) -> str:
    assert isinstance(message.content, Words)
    return message.content.text.plain


def test_a_text_is_a_customers_message() -> None:
    message = meaning_of("text")
    assert isinstance(message, CustomerMessage)
    assert message.phone_number_id == NUMBER
    assert message.whatsapp_id == "wamid.HBgTXT1"
    assert message.written_at == datetime(2026, 11, 10, 8, 40, 10, tzinfo=UTC)
    assert message.customer == Customer(
        bsuid="BR.7391046285510937264",
        wa_id="554188887777",
        phone="+5541988887777",
        name="Ana Souza",
        username="anasouza",
    )
    assert isinstance(message.content, Words)
    assert message.content.text.spans == (
        Span("Olá, tem na cor "),
        Span("azul", (Mark.BOLD,)),
        Span("? 😀"),
    )


def test_a_customer_who_hides_the_number_is_known_by_the_user_id() -> None:
    message = meaning_of("text_of_a_hidden_number")
    assert isinstance(message, CustomerMessage)
    assert message.customer == Customer(bsuid="BR.5512009988776655", name="Caio", username="caio.b")
    assert message.customer.key == "BR.5512009988776655"


def test_a_click_on_an_ad_is_a_text_like_another() -> None:
    message = meaning_of("text_from_an_ad")
    assert isinstance(message, CustomerMessage)
    assert words(message) == "Quero saber mais"


def test_contacts_are_matched_by_id_and_not_by_place() -> None:
    ana = {"wa_id": "554188887777", "user_id": "BR.1", "profile": {"name": "Ana"}}
    bia = {"wa_id": "5511955554444", "user_id": "BR.2", "profile": {"name": "Bia"}}
    assert message_of(TEXT, contacts=[bia, ana]).customer.name == "Ana"
    assert message_of(TEXT, contacts=[bia, ana]).customer.bsuid == "BR.1"
    assert message_of(TEXT | {"from": "1202555", "from_user_id": "BR.2"}, contacts=[ana, bia]).customer.name == "Bia"
    assert message_of(TEXT | {"from": "12025550143"}, contacts=[ana, bia]).customer.name is None


def test_the_only_contact_lends_its_name_but_not_ids_of_somebody_else() -> None:
    only = {"wa_id": "5541988887777", "user_id": "BR.9", "profile": {"name": "Ana"}}
    customer = message_of(TEXT, contacts=[only]).customer
    assert (customer.name, customer.wa_id, customer.bsuid) == ("Ana", "554188887777", None)


def test_a_sender_that_only_the_contact_names_is_taken_from_there() -> None:
    item = {k: v for k, v in TEXT.items() if k != "from"}
    only = {"wa_id": "554188887777", "user_id": "BR.9"}
    assert message_of(item, contacts=[only]).customer.key == "BR.9"


@pytest.mark.parametrize(
    ("fixture", "reason"),
    [
        ("status_payment", "a payment's status"),
        ("account_update", "account.account_update"),
        ("number_error", "account.errors"),
    ],
)
def test_what_is_understood_and_asks_for_nothing_is_ignored(fixture: str, reason: str) -> None:
    assert meaning_of(fixture) == Ignored(reason)


def test_a_welcome_request_is_ignored_silently() -> None:
    assert routed_of({"from": "1", "id": "wamid.1", "type": "request_welcome"}) == Ignored("messages.request_welcome")


def test_a_field_that_nobody_knows_is_for_an_admin() -> None:
    assert meaning_of("field_of_tomorrow") == Unroutable("nothing in it that we know")


@pytest.mark.parametrize(
    "changes",
    [{"id": ""}, {"id": None}, {"from": None}, {"from": ""}, {"id": "w" * 256}, {"from": "1" * 21}],
)
def test_a_message_without_a_usable_id_or_sender_is_unroutable(changes: dict[str, Any]) -> None:
    assert isinstance(routed_of(TEXT | changes), Unroutable)


def test_a_message_for_no_number_is_unroutable() -> None:
    assert isinstance(routed_of(TEXT, metadata={}), Unroutable)


@pytest.mark.parametrize(
    "timestamp", [None, "", "yesterday", "-5", "0", "99999999999999", "1.5", "²", {"at": 1}, [], True]
)
def test_a_time_that_cannot_be_read_is_when_the_webhook_came(timestamp: Any) -> None:
    assert message_of(TEXT | {"timestamp": timestamp}).written_at == NOW


def test_numbers_as_text_and_texts_as_numbers_are_read_alike() -> None:
    message = message_of(TEXT | {"from": 554188887777, "timestamp": 1794300010})
    assert message.customer.wa_id == "554188887777"
    assert message.written_at == datetime(2026, 11, 10, 8, 40, 10, tzinfo=UTC)


@pytest.mark.parametrize("field", ["from_user_id", "group_id", "image", "interactive", "context", "referral", "errors"])
@pytest.mark.parametrize("wrong", [True, [], {}, [[]], {"a": {}}])
def test_an_optional_field_of_a_wrong_type_costs_no_text(field: str, wrong: Any) -> None:
    assert words(message_of(TEXT | {field: wrong})) == "oi"


@pytest.mark.parametrize("profile", [None, "Ana", [], {"name": ["Ana"]}, {"name": ""}, {}])
def test_a_profile_of_a_wrong_shape_costs_only_the_name(profile: Any) -> None:
    message = message_of(TEXT, contacts=[{"wa_id": "554188887777", "profile": profile}])
    assert (message.customer.name, words(message)) == (None, "oi")


def test_texts_come_without_nul_and_without_half_emoji() -> None:
    message = message_of(TEXT | {"text": {"body": "a\0b \\u0000 \ud83d"}}, contacts=[{"profile": {"name": "A\0na"}}])
    assert words(message) == "ab \\u0000 \N{REPLACEMENT CHARACTER}"
    assert message.customer.name == "Ana"


def test_a_name_is_cut_to_what_a_name_can_be() -> None:
    message = message_of(
        TEXT, contacts=[{"wa_id": "554188887777", "profile": {"name": "é" * 999, "username": "u" * 99}}]
    )
    assert (len(message.customer.name or ""), len(message.customer.username or "")) == (255, 64)


# --- receipts --------------------------------------------------------------------------------------------------------


def test_a_status_is_a_receipt_that_names_our_message() -> None:
    assert meaning_of("status_delivered") == Receipt(
        phone_number_id=NUMBER,
        whatsapp_id="wamid.HBgOUT1",
        message_id=MessageId(4711),
        status=State.DELIVERED,
        at=datetime(2026, 11, 10, 8, 43, 21, tzinfo=UTC),
        pricing=Pricing(category="service", type="regular", model="PMP", billable=True),
    )


def test_a_failure_carries_its_code_and_what_meta_says_of_it() -> None:
    receipt = meaning_of("status_failed")
    assert isinstance(receipt, Receipt)
    assert (receipt.status, receipt.code, receipt.message_id) == (State.DEAD, "131047", MessageId(4712))
    assert receipt.detail is not None
    assert receipt.detail.startswith("Message failed to send because more than 24 hours")


@pytest.mark.parametrize(
    ("status", "state"),
    [("sent", State.SENT), ("delivered", State.DELIVERED), ("read", State.READ), ("played", State.PLAYED)],
)
def test_each_status_proves_a_state(status: str, state: State) -> None:
    receipt = receipt_of(status=status)
    assert isinstance(receipt, Receipt)
    assert (receipt.status, receipt.code, receipt.message_id) == (state, None, None)


@pytest.mark.parametrize("status", ["deleted", "warning", "teleported", ""])
def test_a_status_without_meaning_is_ignored(status: str) -> None:
    assert isinstance(receipt_of(status=status), Ignored)


def test_a_payment_that_failed_is_no_message_that_failed() -> None:
    assert receipt_of(status="failed", type="payment") == Ignored("a payment's status")


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        (None, None),
        ([], None),
        ([None], None),
        (["x"], None),
        ([{"title": "Something went wrong"}], None),
        ([{"code": None}], None),
        ([{"code": ""}], None),
        ([{"code": "abc"}], None),
        ([{"code": False}], None),
        ([{"code": 0.5}], None),
        ([{"code": {}}], None),
        ([{"code": "٠"}], None),
        ([{"code": "1_9_0"}], None),
        ([{"code": "131026"}], "131026"),
        ([{"code": 131026, "error_data": "{}"}], "131026"),
        ([{"title": "no code"}, {"code": 131026}], "131026"),
        ([{"code": 0}], "0"),
    ],
)
def test_a_failure_is_a_failure_and_has_no_code_but_its_own(errors: Any, code: str | None) -> None:
    receipt = receipt_of(status="failed", errors=errors)
    assert isinstance(receipt, Receipt)
    assert receipt.status is State.DEAD
    assert receipt.code == code


def test_what_meta_says_of_a_failure_never_names_the_customer() -> None:
    details = "to +55 41 98888-7777 (554188887777, BR.7391046285510937264, ana@example.com, wamid.HBgX=) failed: 131026"
    receipt = receipt_of(status="failed", errors=[{"code": 131026, "error_data": {"details": details}}])
    assert isinstance(receipt, Receipt)
    assert receipt.detail == "to …, …, … … failed: 131026"


def test_a_status_without_id_is_unroutable() -> None:
    assert isinstance(receipt_of(id="", status="sent"), Unroutable)


@pytest.mark.parametrize("data", ["zx:", "zx:x", "t=17;m=9", "", None, 5, "zx:" + "9" * 40])
def test_callback_data_of_somebody_else_names_no_message(data: Any) -> None:
    receipt = receipt_of(status="sent", biz_opaque_callback_data=data)
    assert isinstance(receipt, Receipt)
    assert receipt.message_id is None


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"nonsense", b'{"raw_base64":"AA=="}', b'{"value":7}'])
@pytest.mark.parametrize("name", ["messages.text", "statuses.sent", "something.else"])
def test_a_journalled_body_that_says_nothing_is_unroutable(body: bytes, name: str) -> None:
    (event,) = events_of("text")
    routed = translate(journalled_as(event, name, body))
    assert isinstance(routed, Unroutable)


def journalled_as(event: Any, name: str, body: bytes) -> Any:
    return type(event)(
        **{field: getattr(event, field) for field in event.__struct_fields__} | {"name": name, "body": body}
    )


def test_a_reason_never_holds_what_a_customer_wrote() -> None:
    routed = routed_of(TEXT | {"from": None, "text": {"body": "segredo"}})
    assert "segredo" not in json.dumps(str(routed))


# --- while another app has the conversation --------------------------------------------------------------------------


def overheard(standby: Any, **value: Any) -> list[Routed]:
    """What a change of the field `standby` means, item by item."""
    told = {"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}, "standby": standby, **value}
    entry = {"id": "1", "changes": [{"field": "standby", "value": told}]}
    post = {"object": "whatsapp_business_account", "entry": [entry]}
    return [translate(journalled(event)) for event in split(json.dumps(post).encode(), "r")]


def test_what_is_said_while_another_app_has_the_conversation_is_a_customers_message_that_says_so() -> None:
    (message,) = overheard({"messages": [TEXT]})
    assert isinstance(message, CustomerMessage)
    assert (words(message), message.whatsapp_id, message.content.marks.standby) == ("oi", "wamid.1", True)
    assert not opens_window(message.content)
    assert not routed_is_overheard(routed_of(TEXT))


def routed_is_overheard(routed: Routed) -> bool:
    assert isinstance(routed, CustomerMessage)
    return is_overheard(routed.content)


@pytest.mark.parametrize("inside", [True, False])
def test_the_contact_of_what_is_overheard_is_found_at_either_level(inside: bool) -> None:
    contacts = {"contacts": [{"wa_id": "554188887777", "profile": {"name": "Ana"}}]}
    (message,) = overheard({"messages": [TEXT], **(contacts if inside else {})}, **({} if inside else contacts))
    assert isinstance(message, CustomerMessage)
    assert message.customer.name == "Ana"


def test_a_status_that_is_overheard_is_a_receipt_and_what_the_other_app_said_is_ignored() -> None:
    status = {"id": "wamid.1", "status": "read", "timestamp": "1794300201"}
    receipt, echo = overheard({"statuses": [status], "message_echoes": [TEXT]})
    assert isinstance(receipt, Receipt)
    assert echo == Ignored("account.message_echoes")


@pytest.mark.parametrize("standby", [{}, None, [], "x", {"messages": []}])
def test_nothing_overheard_is_for_an_admin_to_look_at(standby: Any) -> None:
    assert overheard(standby) == [Unroutable("nothing in it that we know")]


def test_an_overheard_message_is_the_same_as_the_one_that_comes_when_the_conversation_is_ours() -> None:
    post = {"metadata": {"phone_number_id": NUMBER}, "standby": {"messages": [TEXT]}}
    entry = {"id": "1", "changes": [{"field": "standby", "value": post}]}
    raw = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    (event,), (again,) = split(raw, "r"), split(a_post_of(TEXT), "r")
    assert (event.name, again.name) == ("standby.text", "messages.text")
    assert event.key == again.key


@pytest.mark.parametrize(
    ("ahead_s", "kept"), [(-86_400, True), (0, True), (60, True), (3_600, False), (40 * 86_400, False)]
)
def test_nothing_was_written_after_it_came(ahead_s: int, kept: bool) -> None:
    told = NOW + timedelta(seconds=ahead_s)
    message = routed_of(TEXT | {"timestamp": str(int(told.timestamp()))})
    assert isinstance(message, CustomerMessage)
    assert message.written_at == (told if kept else NOW)
    receipt = receipt_of(status="sent", timestamp=str(int(told.timestamp())))
    assert isinstance(receipt, Receipt)
    assert receipt.at == (told if kept else NOW)
