"""Whose conversation it is: user id first, then WhatsApp id, then phone. Every number here is invented."""

from uuid import UUID

import pytest

from zaptrix.core.customer.conversation import Conversation
from zaptrix.core.customer.customer import Customer
from zaptrix.core.customer.identity import bereft, choose, merged
from zaptrix.core.ids import ChannelId, ConversationId, PortalId

ANA, BIA = "BR.1001", "BR.2002"
ANAS_ID, ANAS_PHONE = "554188887777", "+5541988887777"


def a_talk(number: int, **customer: str) -> Conversation:
    return Conversation(
        id=ConversationId(UUID(int=number)),
        portal_id=PortalId(UUID(int=900)),
        channel_id=ChannelId(UUID(int=901)),
        customer=Customer(**customer),
    )


@pytest.mark.parametrize(
    ("customer", "known", "chosen"),
    [
        # The user id wins over a WhatsApp id and a phone that stand in other rows.
        ({"bsuid": ANA, "wa_id": ANAS_ID}, [{"wa_id": ANAS_ID}, {"bsuid": ANA}], 1),
        ({"bsuid": ANA}, [{"bsuid": BIA}, {"bsuid": ANA}], 1),
        # Then the WhatsApp id, over the phone.
        ({"wa_id": ANAS_ID, "phone": ANAS_PHONE}, [{"phone": ANAS_PHONE}, {"wa_id": ANAS_ID}], 1),
        # A row from before there were user ids is this customer's.
        ({"bsuid": ANA, "wa_id": ANAS_ID}, [{"wa_id": ANAS_ID}], 0),
        # A webhook without a user id finds the row that has one.
        ({"wa_id": ANAS_ID}, [{"bsuid": ANA, "wa_id": ANAS_ID}], 0),
        # The same person under the ninth digit.
        ({"wa_id": "5541988887777", "phone": ANAS_PHONE}, [{"wa_id": ANAS_ID, "phone": ANAS_PHONE}], 0),
        # The number under another user id is somebody else's now.
        ({"bsuid": BIA, "wa_id": ANAS_ID, "phone": ANAS_PHONE}, [{"bsuid": ANA, "wa_id": ANAS_ID}], None),
        ({"bsuid": ANA}, [], None),
        # Nothing in common but what neither has.
        ({"wa_id": ANAS_ID}, [{"bsuid": ANA}], None),
        ({"bsuid": BIA}, [{"wa_id": ANAS_ID}], None),
        # A row that has no user id is meant before a row that has another one.
        ({"bsuid": BIA, "phone": ANAS_PHONE}, [{"bsuid": ANA, "phone": ANAS_PHONE}, {"phone": ANAS_PHONE}], 1),
    ],
)
def test_a_customer_is_found_by_the_strongest_identity(
    customer: dict[str, str], known: list[dict[str, str]], chosen: int | None
) -> None:
    rows = [a_talk(number, **each) for number, each in enumerate(known)]
    assert choose(Customer(**customer), rows) == (None if chosen is None else rows[chosen])


def test_a_number_that_was_given_to_somebody_else_leaves_its_old_conversation() -> None:
    old = a_talk(1, bsuid=ANA, wa_id=ANAS_ID, phone=ANAS_PHONE)
    by_phone = a_talk(2, bsuid="BR.3003", wa_id="5541988887777", phone=ANAS_PHONE)
    own = a_talk(3, bsuid=BIA)
    nobodys = a_talk(4, wa_id=ANAS_ID)
    newcomer = Customer(bsuid=BIA, wa_id=ANAS_ID, phone=ANAS_PHONE)
    assert bereft(newcomer, [old, by_phone, own, nobodys]) == [old, by_phone]


def test_a_webhook_without_a_user_id_takes_no_number_from_anybody() -> None:
    assert bereft(Customer(wa_id=ANAS_ID), [a_talk(1, bsuid=ANA, wa_id=ANAS_ID)]) == []


def test_a_hidden_phone_takes_no_number_from_others_whose_phone_is_hidden() -> None:
    assert bereft(Customer(bsuid=BIA), [a_talk(1, bsuid=ANA)]) == []


def test_what_was_known_is_kept_when_a_webhook_leaves_it_out() -> None:
    old = Customer(bsuid=ANA, wa_id=ANAS_ID, phone=ANAS_PHONE, name="Ana", username="ana")
    assert merged(old, Customer(bsuid=ANA)) == old
    assert merged(old, Customer(bsuid=ANA, name="Ana Lima")).name == "Ana Lima"


@pytest.mark.parametrize(
    ("customer", "key"), [({"bsuid": ANA, "wa_id": ANAS_ID}, ANA), ({"wa_id": ANAS_ID}, ANAS_ID), ({}, "")]
)
def test_the_key_is_the_strongest_identity(customer: dict[str, str], key: str) -> None:
    assert Customer(**customer).key == key
