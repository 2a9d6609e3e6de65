"""From a form to items of the journal."""

import time
from typing import Any, get_args
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bitrix24.builders import PORTAL_ID, an_event
from tests.bitrix24.inbound.test_form import HOSTILE, http_build_query
from zaptrix.bitrix24.inbound.webhook import (
    Form,
    Name,
    as_posted,
    claimed_in,
    claimed_sender,
    parse_form,
    same_token,
    to_event,
)
from zaptrix.bitrix24.translate import translate
from zaptrix.bitrix24.wire import OURS_ALONE, OperatorItem
from zaptrix.core.delivery.lanes import outbound_lane
from zaptrix.core.event import EventState, NewEvent
from zaptrix.core.ids import PortalId

CHAT = "zx1-0000-0001"


def an_item(message_id: str = "86497", text: str = "Bom dia", chat: str = CHAT) -> dict[str, Any]:
    return {
        "im": {"chat_id": "1767", "message_id": message_id},
        "message": {"user_id": "27", "text": f"[b]Bia Lima:[/b] [br]{text}"},
        "chat": {"id": chat},
    }


def a_form(event: str = Name.MESSAGE_ADD, data: Any = None, ts: str = "1793000123") -> Form:
    return parse_form(
        http_build_query(
            {
                "event": event,
                "event_handler_id": "555",
                "data": {"CONNECTOR": "zaptrix_1", "LINE": "14", "MESSAGES": [an_item()]} if data is None else data,
                "ts": ts,
                "auth": {
                    "access_token": "token-of-the-operator",
                    "domain": "acme-demo.bitrix24.com",
                    "member_id": "0f6c3b7e9a1d4c5588aa77bb66cc55dd",
                    "application_token": "the-constant-token",
                },
            }
        )
    )


def events(form: Form, portal_id: PortalId = PORTAL_ID) -> list[NewEvent]:
    return to_event(form, portal_id, "request-1")


def messages(*items: dict[str, Any]) -> dict[str, Any]:
    return {"CONNECTOR": "zaptrix_1", "LINE": "14", "MESSAGES": list(items)}


def test_a_sender_is_claimed_by_the_auth_block() -> None:
    assert claimed_sender(a_form()) == ("0f6c3b7e9a1d4c5588aa77bb66cc55dd", "the-constant-token")


@pytest.mark.parametrize("body", [b"", b"auth=x", b"auth[member_id][x]=1&auth[application_token][]=2"])
def test_a_form_without_a_sender_claims_nothing(body: bytes) -> None:
    assert claimed_sender(parse_form(body)) == ("", "")


def test_only_the_stored_token_vouches_and_an_empty_one_never_does() -> None:
    assert same_token("the-constant-token", "the-constant-token")
    assert not same_token("the-constant-token", "another-token")
    assert not same_token("the-constant-token", "tökén😀")
    assert not same_token("", "")


def test_a_message_becomes_one_item_with_its_conversation_in_one_lane() -> None:
    (event,) = events(a_form())
    assert event.name == Name.MESSAGE_ADD
    assert event.state is EventState.NEW
    assert event.lane == outbound_lane(PORTAL_ID)
    assert event.request_id == "request-1"
    assert len(event.key) == 16
    assert msgspec.json.decode(event.body) == {
        "event": "ONIMCONNECTORMESSAGEADD",
        "data": {"CONNECTOR": "zaptrix_1", "LINE": "14", "MESSAGES": [an_item()]},
        "ts": "1793000123",
    }


def test_no_token_reaches_the_journal() -> None:
    for form in (a_form(), a_form("ONSOMETHINGELSE"), a_form(Name.LINE_DELETE, "14"), a_form(data="broken")):
        for event in events(form):
            assert b"token" not in event.body
            assert b"auth" not in event.body


def test_each_message_of_a_form_is_an_item_of_its_own() -> None:
    first, second = events(a_form(data=messages(an_item("1", "um"), an_item("2", "dois", "zx1-a-b"))))
    assert first.key != second.key
    assert msgspec.json.decode(first.body)["data"]["MESSAGES"] == [an_item("1", "um")]
    assert msgspec.json.decode(second.body)["data"]["MESSAGES"] == [an_item("2", "dois", "zx1-a-b")]
    assert second.lane == outbound_lane(PORTAL_ID)


def test_a_message_that_is_posted_again_has_the_same_key_even_later_and_another_one_has_not() -> None:
    (event,) = events(a_form())
    (again,) = events(a_form(ts="1793009999"))
    (other,) = events(a_form(data=messages(an_item("86498"))))
    (elsewhere,) = events(a_form(), PortalId(UUID(int=99)))
    assert event.key == again.key
    assert len({event.key, other.key, elsewhere.key}) == 3


def test_different_words_under_one_message_id_are_both_kept_and_equal_ones_once() -> None:
    form = a_form(data=messages(an_item("1", "um"), an_item("1", "dois"), an_item("1", "um")))
    found = events(form)
    assert len(found) == len({event.key for event in found}) == 2
    assert [event.key for event in events(form)] == [event.key for event in found]


@pytest.mark.parametrize("name", [Name.MESSAGE_UPDATE, Name.MESSAGE_DELETE])
def test_two_changes_of_one_message_are_two_items(name: Name) -> None:
    (event,) = events(a_form(name))
    (later,) = events(a_form(name, ts="1793009999"))
    assert event.key != later.key


def test_a_dialog_is_in_the_lane_of_its_chat() -> None:
    item = {"connector": {"chat_id": CHAT}, "session": {"id": "3282"}, "chat": {"id": CHAT}}
    (event,) = events(a_form(Name.DIALOG_START, {"CONNECTOR": "zaptrix_1", "LINE": "14", "DATA": [item]}))
    assert event.lane == outbound_lane(PORTAL_ID)
    assert msgspec.json.decode(event.body)["data"]["DATA"] == [item]


@pytest.mark.parametrize(
    ("name", "data"), [(Name.LINE_DELETE, "14"), (Name.STATUS_DELETE, {"connector": "zaptrix_1", "line": "14"})]
)
def test_an_event_of_the_line_is_one_item(name: Name, data: Any) -> None:
    (event,) = events(a_form(name, data))
    assert event.state is EventState.NEW
    assert event.lane == outbound_lane(PORTAL_ID)
    assert msgspec.json.decode(event.body)["data"] == data


def test_an_unknown_event_is_kept_and_unroutable_under_a_bounded_name() -> None:
    (event,) = events(a_form("ONCRMLEADADD", {"FIELDS": {"ID": "7"}}))
    assert (event.name, event.state, event.reason) == ("unknown", EventState.UNROUTABLE, "unknown event")
    assert msgspec.json.decode(event.body) == {
        "event": "ONCRMLEADADD",
        "data": {"FIELDS": {"ID": "7"}},
        "ts": "1793000123",
    }


@pytest.mark.parametrize("data", ["14", {"LINE": "14"}, {"MESSAGES": "x"}, {"MESSAGES": {"a": "b"}}])
def test_a_known_event_of_a_broken_shape_is_kept_and_unroutable(data: Any) -> None:
    (event,) = events(a_form(data=data))
    assert (event.name, event.state) == (Name.MESSAGE_ADD, EventState.UNROUTABLE)
    assert event.reason


def test_a_form_without_anything_is_unroutable() -> None:
    (event,) = events(parse_form(b""))
    assert event.state is EventState.UNROUTABLE


@given(
    name=st.sampled_from([*Name, "x"]),
    data=st.recursive(
        st.text("014zx-", max_size=5),
        lambda below: (
            st.lists(below, min_size=1, max_size=3)
            | st.dictionaries(
                st.sampled_from(["MESSAGES", "DATA", "im", "message", "chat", "id", "text", "chat_id", "message_id"]),
                below,
                min_size=1,
                max_size=4,
            )
        ),
        max_leaves=10,
    ),
)
def test_no_shape_raises_and_every_form_leaves_an_item_that_can_be_read(name: str, data: Any) -> None:
    found = events(a_form(name, data))
    assert found
    for event in found:
        translate(an_event(event.name, event.body))


def test_what_only_the_gateway_may_say_of_a_message_is_dropped_from_what_a_portal_posts() -> None:
    """By the types of its fields: one that is made of our own nouns is no word of a portal's."""

    def is_ours(kind: Any) -> bool:
        return any(getattr(each, "__module__", "").startswith("zaptrix.core") for each in (kind, *get_args(kind)))

    ours = {field.name for field in msgspec.structs.fields(OperatorItem) if is_ours(field.type)}
    assert ours == OURS_ALONE
    forged = {name: {"late": "1", "give_up": "x"} for name in ours}
    for data in (messages({**an_item(), **forged}), {"MESSAGES": {"x": {**an_item(), **forged}}}):
        form = as_posted(a_form(data=data))
        for event in events(form):
            assert not any(name.encode() in event.body for name in ours)
            assert b"Bom dia" in event.body


def test_what_stands_beside_many_messages_is_not_written_once_for_each() -> None:
    items = [an_item(str(number)) for number in range(1, 200)]
    (event,) = events(a_form(data={**messages(*items), "PADDING": "x" * 100_000}))
    assert (event.state, event.reason) == (EventState.UNROUTABLE, "too much beside the items")


CLAIM = "0f6c3b7e9a1d4c5588aa77bb66cc55dd", "the-constant-token"


@pytest.mark.parametrize(
    "body",
    [
        "auth%5Bmember_id%5D={0}&auth%5Bapplication_token%5D={1}",
        "a=1&auth[member_id]={0}&b=2&auth[application_token]={1}&c=3",
        "%61uth%5bmember_id%5d={0}&auth%5b%61pplication_token]={1}",
        "auth%5Bmember_id%5D=other&auth%5Bapplication_token%5D={1}&auth%5Bmember_id%5D={0}",
        "auth%5Bmember_id%5D={0}&auth%5Bapplication_token%5D={1}&x%5Bauth%5Bmember_id%5D=other",
    ],
)
def test_who_claims_to_send_is_told_alike_with_and_without_reading_the_form(body: str) -> None:
    form = body.format(*CLAIM).encode()
    assert claimed_in(form) == claimed_sender(parse_form(form)) == CLAIM


@pytest.mark.parametrize("name", HOSTILE)
def test_who_claims_to_send_is_found_in_linear_time(name: str) -> None:
    def took_s(body: bytes) -> float:
        began = time.process_time_ns()
        claimed_in(body)
        return (time.process_time_ns() - began) / 1e9

    small, large = (min(took_s(HOSTILE[name](size)) for _ in range(5)) for size in (500, 2_000))
    assert large < 9 * small + 0.002


@given(st.binary(max_size=200) | st.text("auth[]member_id%5BD&=a", max_size=200).map(str.encode))
def test_any_bytes_claim_something_or_nothing(body: bytes) -> None:
    member_id, token = claimed_in(body)
    assert isinstance(member_id, str)
    assert isinstance(token, str)
