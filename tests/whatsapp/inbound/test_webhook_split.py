"""One event for each item: nothing lost, nothing harmed by its neighbours."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.whatsapp.builders import NUMBER, a_post, a_post_of, journalled
from zaptrix.core.delivery.lanes import incoming_lane
from zaptrix.core.event import Event, EventState, NewEvent
from zaptrix.core.message.message import Side
from zaptrix.whatsapp.inbound import webhook
from zaptrix.whatsapp.inbound.single_item import lone_item
from zaptrix.whatsapp.inbound.translate import translate
from zaptrix.whatsapp.inbound.webhook import split

BSUID = "BR.7391046285510937264"


def the_event(body: bytes) -> NewEvent:
    (event,) = split(body, "req-1")
    return event


def test_a_text_becomes_one_event_with_the_item_verbatim() -> None:
    body = a_post("text")
    event = the_event(body)
    assert (event.source, event.name, event.request_id) == (Side.WHATSAPP, "messages.text", "req-1")
    assert event.lane == incoming_lane(NUMBER)
    assert len(event.key) == 16
    change = json.loads(event.body)
    sent = json.loads(body)["entry"][0]["changes"][0]["value"]
    assert change["field"] == "messages"
    assert change["entry_id"] == "108866333444555"
    assert change["value"]["metadata"] == sent["metadata"]
    assert change["value"]["contacts"] == sent["contacts"]
    assert change["value"]["messages"] == sent["messages"]
    assert json.dumps(sent["messages"][0]).encode() in event.body, "byte by byte"


def test_a_batch_of_two_numbers_is_split_with_each_its_own_contact() -> None:
    events = split(a_post("batch"), "req-1")
    assert [event.name for event in events] == ["messages.text", "messages.text", "statuses.read", "messages.text"]
    names = [[c["profile"]["name"] for c in json.loads(e.body)["value"]["contacts"]] for e in events]
    assert names == [["Bia"], ["Ana Souza"], [], ["Ana Souza"]]
    assert [event.lane.name.partition(".")[0] for event in events] == [NUMBER, NUMBER, NUMBER, "310987654321098"]
    assert events[1].lane == events[2].lane, "a customer's words and receipts share a lane"
    assert len({event.key for event in events}) == 4


@pytest.mark.parametrize(
    ("fixture", "name", "state"),
    [
        ("image", "messages.image", EventState.NEW),
        ("unsupported", "messages.unsupported", EventState.NEW),
        ("system_number_changed", "messages.system", EventState.NEW),
        ("status_delivered", "statuses.delivered", EventState.NEW),
        ("status_failed", "statuses.failed", EventState.NEW),
        ("status_payment", "statuses.payment", EventState.NEW),
        ("account_update", "account.account_update", EventState.NEW),
        ("field_of_tomorrow", "account.unknown", EventState.NEW),
        ("number_error", "account.errors", EventState.NEW),
    ],
)
def test_every_item_gets_a_name_from_a_closed_list(fixture: str, name: str, state: EventState) -> None:
    event = the_event(a_post(fixture))
    assert (event.name, event.state) == (name, state)


@pytest.mark.parametrize("kind", ["x" * 500, "poll", "", None, 7, {"a": 1}])
def test_a_type_that_nobody_knows_is_named_unknown(kind: Any) -> None:
    assert the_event(a_post_of({"id": "wamid.1", "type": kind})).name == "messages.unknown"


def test_the_same_item_has_the_same_key_however_it_is_packed() -> None:
    item = {"from": "554188887777", "id": "wamid.1", "timestamp": "1", "type": "text", "text": {"body": "oi"}}
    alone = the_event(a_post_of(item))
    again = split(a_post_of(item, item | {"id": "wamid.2"}, contacts=[{"wa_id": "554188887777"}]), "req-2")
    assert alone.key == again[0].key != again[1].key


def test_each_status_of_a_message_is_an_item_of_its_own() -> None:
    statuses = [{"id": "wamid.1", "status": status} for status in ("sent", "delivered", "read", "failed")]
    payment = {"id": "wamid.1", "status": "failed", "type": "payment"}
    events = split(a_post_of(statuses=[*statuses, payment]), "r")
    assert len({event.key for event in events}) == 5


def test_the_same_message_id_on_two_numbers_is_two_items() -> None:
    item = {"id": "wamid.1", "type": "text"}
    one = the_event(a_post_of(item))
    other = the_event(a_post_of(item, metadata={"phone_number_id": "310987654321098"}))
    assert one.key != other.key


POISON: list[Any] = [None, 7, "text", [], [{}]]


@pytest.mark.parametrize("poison", POISON)
def test_a_poisonous_item_harms_no_other(poison: Any) -> None:
    good = [{"from": "554188887777", "id": f"wamid.{n}", "type": "text", "text": {"body": "oi"}} for n in range(999)]
    events = split(a_post_of(*good[:500], poison, *good[500:]), "r")
    assert len(events) == 1000
    (bad,) = [event for event in events if event.state is EventState.UNROUTABLE]
    assert events.index(bad) == 500
    assert json.loads(bad.body)["value"]["messages"] == [poison]
    assert bad.reason == "a message of a strange shape"


def test_half_an_emoji_in_one_text_costs_nothing() -> None:
    good = {"from": "1202555", "id": "wamid.1", "type": "text", "text": {"body": r"a \ud83d \\ud83d 😀"}}
    cut = {"from": "1202555", "id": "wamid.2", "type": "text", "text": {"body": "cut \ud83d"}}
    first, second = split(a_post_of(good, cut), "r")
    assert (first.state, second.state) == (EventState.NEW, EventState.NEW)
    assert json.loads(first.body)["value"]["messages"] == [good]
    assert json.loads(second.body)["value"]["messages"][0]["text"]["body"] == "cut \N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "body", [b"", b"not json", b'{"entry":[', b"\xff\xfe\x00", rb'{"a":"\ud83d', b'{"entry":' + b"[" * 100_000]
)
def test_a_body_that_is_no_json_is_kept_byte_by_byte(body: bytes) -> None:
    event = the_event(body)
    assert event.state is EventState.UNROUTABLE
    assert event.reason == "not JSON"
    assert base64.b64decode(json.loads(event.body)["raw_base64"]) == body


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[1]", "not a webhook of Meta: no list of entries"),
        (b'{"entry":{}}', "not a webhook of Meta: no list of entries"),
        (b'{"object":"page","entry":[]}', "not of a WhatsApp business account"),
        (b'{"entry":[3]}', "an entry without a list of changes"),
        (b'{"entry":[{"changes":[3]}]}', "a change of a strange shape"),
        (b'{"entry":[{"changes":[{"field":"messages","value":{"messages":{}}}]}]}', "messages is not a list"),
        (b'{"entry":[{"changes":[{"field":"messages","value":{"statuses":"x"}}]}]}', "statuses is not a list"),
    ],
)
def test_a_wrong_shape_is_kept_with_a_reason_that_holds_no_content(body: bytes, reason: str) -> None:
    event = the_event(body)
    assert (event.state, event.reason) == (EventState.UNROUTABLE, reason)
    json.loads(event.body)


def test_a_list_of_contacts_or_metadata_of_a_wrong_type_costs_no_message() -> None:
    item = {"from": "554188887777", "id": "wamid.1", "type": "text", "text": {"body": "oi"}}
    event = the_event(a_post_of(item, contacts=[], metadata=[1]))
    assert event.state is EventState.NEW
    broken = json.dumps({"entry": [{"changes": [{"field": "messages", "value": {"contacts": 5, "messages": [item]}}]}]})
    assert the_event(broken.encode()).name == "messages.text"


def test_what_comes_after_a_thousand_items_is_kept_as_one() -> None:
    body = a_post_of(*({"id": f"wamid.{n}", "type": "text"} for n in range(1500)))
    events = split(body, "r")
    assert len(events) == 1001
    assert events[-1].state is EventState.UNROUTABLE
    assert events[-1].body == body
    assert events[-1].reason == "more than 1000 items in one post"


@pytest.mark.parametrize("number", ["a:b|c", "x" * 40, "\0", "", "ação"])
def test_no_strange_character_reaches_a_lane(number: str) -> None:
    event = the_event(a_post_of({"id": "wamid.1", "type": "text"}, metadata={"phone_number_id": number}))
    assert event.lane.name.partition(".")[0] in {"unknown", "1"}


# --- whatever comes --------------------------------------------------------------------------------------------------

ANY_TEXT = st.text(st.characters(categories=None), max_size=12)  # half surrogates and NUL too
ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)


def objects(*keys: str) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(keys), ANY_JSON, max_size=len(keys))


MESSAGES = objects("id", "from", "from_user_id", "timestamp", "type", "text", "group_id", "image", "errors") | ANY_JSON
STATUSES = objects("id", "status", "type", "timestamp", "recipient_id", "errors", "biz_opaque_callback_data") | ANY_JSON
CONTACTS = objects("wa_id", "user_id", "profile") | ANY_JSON
VALUES = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGES, max_size=4), "statuses": st.lists(STATUSES, max_size=4)},
    optional={
        "metadata": st.just({"phone_number_id": NUMBER}) | ANY_JSON,
        "contacts": st.lists(CONTACTS, max_size=4) | ANY_JSON,
        "errors": st.lists(ANY_JSON, max_size=2),
    },
)


def translated(event: NewEvent) -> Any:
    assert event.reason is None or len(event.reason) < 80
    journal: Event = journalled(event)
    routed = translate(journal)
    said = repr(routed)
    assert "\\x00" not in said
    said.encode()
    return routed


@given(st.lists(VALUES, max_size=3))
def test_every_item_gives_exactly_one_event_whatever_it_is(values: list[Any]) -> None:
    changes = [{"field": "messages", "value": value} for value in values]
    events = split(json.dumps({"entry": [{"id": "1", "changes": changes}]}).encode(), "r")
    items = [sum(len(value.get(kind, [])) for kind in ("messages", "statuses", "errors")) for value in values]
    assert len(events) == sum(count or 1 for count in items)  # a value without items is one event
    for event in events:
        json.loads(event.body)
        translated(event)


@given(ANY_JSON)
def test_any_json_is_split_without_raising_and_nothing_of_it_vanishes(content: Any) -> None:
    events = split(json.dumps(content).encode(), "r")
    assert [event.state for event in events] == [EventState.UNROUTABLE]
    translated(events[0])


@given(st.binary())
def test_any_bytes_are_split_without_raising(body: bytes) -> None:
    for event in split(body, "r"):
        translated(event)


def agrees(body: bytes) -> bool:
    """Whether the post has one item in the common shape, which the quick way then took as the careful way does."""
    lone = lone_item(body, "r")
    if lone is None:
        return False
    (careful,) = webhook._post(body, "r")
    same = ("source", "name", "key", "lane", "request_id", "state", "reason")
    assert [getattr(lone, name) for name in same] == [getattr(careful, name) for name in same]
    assert translated(lone) == translated(careful)
    return True


@pytest.mark.parametrize(
    "fixture",
    [
        "text",
        "text_from_an_ad",
        "text_of_a_hidden_number",
        "group_text",
        "image",
        "system_number_changed",
        "unsupported",
        "status_delivered",
        "status_failed",
        "status_payment",
    ],
)
def test_the_quick_way_takes_the_common_posts_as_the_careful_way_does(fixture: str) -> None:
    assert agrees(a_post(fixture))


@pytest.mark.parametrize("fixture", ["batch", "account_update", "field_of_tomorrow", "number_error"])
def test_the_quick_way_leaves_the_others_alone(fixture: str) -> None:
    assert not agrees(a_post(fixture))


@given(VALUES)
def test_both_ways_of_reading_a_post_agree_whatever_it_holds(value: Any) -> None:
    change = {"field": "messages", "value": value}
    agrees(json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}).encode())


def test_another_body_under_one_id_is_another_item_and_the_same_one_is_not() -> None:
    """Alone in a post or among others: Meta does not promise to repeat a post as it was."""
    base = {"from": "554188887777", "id": "wamid.1", "timestamp": "1794300010"}
    bodies = [
        base | {"type": "unsupported", "errors": [{"code": 131060}]},
        base | {"type": "text", "text": {"body": "oi"}},
        base | {"type": "text", "text": {"body": "olá"}},
        base | {"type": "revoke"},
    ]
    alone = [split(a_post_of(body), "r")[0].key for body in bodies]
    together = [event.key for event in split(a_post_of(*bodies, *bodies), "r")]
    assert together == alone * 2
    assert len(set(alone)) == len(bodies)
