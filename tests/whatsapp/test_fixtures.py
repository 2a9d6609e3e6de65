"""Captured webhooks of every kind: what each becomes, and that no bent copy of one is lost.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.inspect import type_info

from tests.variations import all_single, several
from tests.whatsapp.builders import journalled
from zaptrix.bitrix24.markup.markup import to_bbcode
from zaptrix.bitrix24.outbound.kinds import shown
from zaptrix.core.event import (
    CustomerMessage,
    CustomerMoved,
    EventState,
    Ignored,
    NewEvent,
    Receipt,
    Routed,
    TemplateChange,
    Unroutable,
)
from zaptrix.core.message.message import Content, kind_of
from zaptrix.core.portal import Locale
from zaptrix.whatsapp import wire
from zaptrix.whatsapp.inbound.translate import translate
from zaptrix.whatsapp.inbound.webhook import split

FILES = sorted((Path(__file__).parent / "fixtures").glob("*.json"))
POSTS: dict[str, Any] = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}
KINDS_PAGE = Path(__file__).parents[2] / "docs" / "KINDS.md"

# What each file becomes: one line an item.
BECOMES: dict[str, list[str]] = {
    "account_alert": ["ignored: account.account_alerts"],
    "account_review": ["ignored: account.account_review_update"],
    "account_update": ["ignored: account.account_update"],
    "audio": ["message audio"],
    "batch": ["message text", "message text", "receipt read", "message text"],
    "business_capability": ["ignored: account.business_capability_update"],
    "call": ["ignored: account.calls"],
    "contact_on_request": ["message contacts"],
    "contacts": ["message contacts"],
    "document": ["message document"],
    "echo": ["ignored: account.smb_message_echoes"],
    "edit": ["message edited"],
    "edit_caption": ["message edited"],
    "field_of_tomorrow": ["unroutable: nothing in it that we know"],
    "group_text": ["message group"],
    "image": ["message image"],
    "interactive_of_tomorrow": ["message unknown"],
    "kind_of_tomorrow": ["message unknown"],
    "location": ["message location"],
    "number_error": ["ignored: account.errors"],
    "number_name": ["ignored: account.phone_number_name_update"],
    "number_quality": ["ignored: account.phone_number_quality_update"],
    "order": ["message order"],
    "reaction": ["message reaction"],
    "reaction_taken_away": ["message reaction"],
    "reply_button": ["message reply"],
    "reply_call_permission": ["message reply"],
    "reply_form": ["message reply"],
    "reply_list": ["message reply"],
    "reply_template": ["message reply"],
    "request_welcome": ["ignored: messages.request_welcome"],
    "revoke": ["message revoked"],
    "security": ["ignored: account.security"],
    "standby": ["message text"],
    "status_delivered": ["receipt delivered"],
    "status_failed": ["receipt dead"],
    "status_of_a_group": ["ignored: a group's status"],
    "status_of_tomorrow": ["ignored: an unknown status"],
    "status_payment": ["ignored: a payment's status"],
    "status_played": ["receipt played"],
    "status_read": ["receipt read"],
    "status_sent": ["receipt sent"],
    "status_warning": ["ignored: statuses.warning"],
    "sticker": ["message sticker"],
    "system_identity": ["ignored: a system message that moves nobody"],
    "system_new_user_id": ["move to another user id"],
    "system_number_changed": ["move to another number"],
    "template_category": ["template category"],
    "template_category_soon": ["template category_soon"],
    "template_components": ["template components"],
    "template_quality": ["template quality"],
    "template_rejected": ["template status"],
    "text": ["message text"],
    "text_about_a_product": ["message text"],
    "text_answer": ["message text"],
    "text_forwarded": ["message text"],
    "text_from_an_ad": ["message text"],
    "text_of_a_hidden_number": ["message text"],
    "text_often_forwarded": ["message text"],
    "unsupported": ["message unsupported"],
    "unsupported_without_name": ["message unsupported"],
    "user_preferences": ["ignored: account.user_preferences"],
    "video": ["message video"],
    "voice": ["message voice"],
}


def told(routed: Routed) -> str:
    """An outcome in a word or two. What is no outcome of Meta's items fails."""
    match routed:
        case CustomerMessage(content=content):
            return f"message {kind_of(content)}"
        case CustomerMoved(number_changed=number_changed):
            return f"move to another {'number' if number_changed else 'user id'}"
        case Receipt(status=status):
            return f"receipt {status}"
        case TemplateChange(what=what):
            return f"template {what}"
        case Ignored(reason):
            return f"ignored: {reason}"
        case Unroutable(reason):
            return f"unroutable: {reason}"
        case _:
            raise AssertionError(routed)


def events_in(post: Any) -> list[NewEvent]:
    return split(json.dumps(post).encode(), "req-1")


def test_every_file_is_in_the_table() -> None:
    assert sorted(BECOMES) == sorted(POSTS)


@pytest.mark.parametrize("name", POSTS)
def test_a_captured_webhook_becomes_what_the_table_says(name: str) -> None:
    events = events_in(POSTS[name])
    assert {event.state for event in events} == {EventState.NEW}
    assert [told(translate(journalled(event))) for event in events] == BECOMES[name]


def test_every_inbound_kind_that_the_documents_promise_has_a_file() -> None:
    page = KINDS_PAGE.read_text(encoding="utf-8").partition("## Inbound")[2].partition("\n## ")[0]
    promised = {kind for cell in re.findall(r"^\|[^|]+\|([^|]+)\|", page, re.MULTILINE) for kind in _ticked(cell)}
    captured = {
        line.removeprefix("message ") for lines in BECOMES.values() for line in lines if line.startswith("message ")
    }
    assert "voice" in promised
    assert promised == captured


def _ticked(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


# --- variations ------------------------------------------------------------------------------------------------------


def check(post: Any) -> None:
    """Nothing raises; whatever was in the post is an event, and each event has a meaning or a reason."""
    events = events_in(post)
    assert events or not _has_changes(post)
    for event in events:
        # One that the door set aside has its reason already, and translation must bear it all the same.
        assert event.reason or event.state is EventState.NEW
        assert len(event.key) == 16
        msgspec.json.decode(event.body)
        _check_meaning(translate(journalled(event)))


def _check_meaning(routed: Routed) -> None:
    kind, _, reason = told(routed).partition(": ")
    assert reason or kind not in ("ignored", "unroutable")
    if isinstance(routed, CustomerMessage):
        # What was understood can be kept, read again, and shown to somebody.
        assert msgspec.json.decode(msgspec.json.encode(routed.content), type=Content) == routed.content
        assert to_bbcode(shown(routed.content, Locale.PT_BR)).strip() or told(routed) == "message text"


def _has_changes(post: Any) -> bool:
    """Whether anything is left in a post: without changes there is nothing that could be lost."""
    entries = post.get("entry")
    return not isinstance(entries, list) or any(_changes(entry) != [] for entry in entries)


def _changes(entry: Any) -> Any:
    return entry.get("changes") if isinstance(entry, dict) else entry


@pytest.mark.parametrize("name", POSTS)
def test_a_webhook_bent_at_one_place_is_never_lost(name: str) -> None:
    for bend, post in all_single(POSTS[name]):
        try:
            check(post)
        except Exception as exc:
            raise AssertionError(f"{name}, {bend}") from exc


@settings(max_examples=400)
@given(st.sampled_from(list(POSTS.values())).flatmap(several))
def test_a_webhook_bent_at_several_places_is_never_lost(post: Any) -> None:
    check(post)


@settings(max_examples=300)
@given(st.sampled_from([post["entry"][0] for post in POSTS.values()]).flatmap(several))
def test_a_bent_entry_costs_no_other_entry_of_its_post(entry: Any) -> None:
    post = {"object": "whatsapp_business_account", "entry": [entry, POSTS["text"]["entry"][0]]}
    last = events_in(post)[-1]
    assert msgspec.json.decode(last.body)["value"]["messages"][0]["id"] == "wamid.HBgTXT1"
    assert told(translate(journalled(last))) == "message text"


def test_shapes_are_described_once_however_many_items_are_bent(monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[type] = []

    def counted(shape: type) -> Any:
        described.append(shape)
        return type_info(shape)

    monkeypatch.setattr(wire, "type_info", counted)
    wire._described.cache_clear()
    for _, post in all_single(POSTS["text"]):
        check(post)
    assert len(described) == len(set(described)) == 1
