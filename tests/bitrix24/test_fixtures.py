"""Captured events of every kind: what each becomes, and that no bent copy of one is lost.

https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/events/index.html
"""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bitrix24.builders import PORTAL_ID, an_event
from tests.bitrix24.captured import BODIES, CHAT, TREES, form_of
from tests.variations import all_single, several
from zaptrix.bitrix24.inbound.webhook import Name, claimed_sender, parse_form, to_event
from zaptrix.bitrix24.translate import translate
from zaptrix.core.event import (
    ConnectorLost,
    DialogStarted,
    EventState,
    Ignored,
    NewEvent,
    OperatorChange,
    OperatorMessage,
    Routed,
    Unroutable,
    Untold,
)
from zaptrix.core.message.message import Content, kind_of

# What each file becomes: one line an item.
BECOMES: dict[str, list[str]] = {
    "answer": ["message text, an answer"],
    "block": ["message text"],
    "delete": ["deleted"],
    "dialog_finish": ["ignored: a session was closed"],
    "dialog_start": ["session 3282"],
    "event_of_another_kind": ["unroutable: unknown event"],
    "file_alone": ["message document"],
    "file_without_address": ["message text, 1 lost"],
    "files": ["message document image video"],
    "keyboard_alone": ["untold: nothing in it that WhatsApp takes"],
    "line_delete": ["connector lost on line 14"],
    "picture_with_words": ["message image"],
    "rating_request": ["ignored: no text and no files"],
    "recording_with_words": ["message text audio"],
    "status_delete": ["connector zaptrix_1 lost on line 14"],
    "text": ["message text"],
    "text_of_the_line": ["message text"],
    "two_texts": ["message text", "message text"],
    "update": ["edited"],
}


def told(routed: Routed) -> str:
    """An outcome in a word or two. What is no outcome of Bitrix24's items fails."""
    match routed:
        case OperatorMessage(content=first, more=more):
            kinds = " ".join(map(kind_of, (first, *more)))
            answer = ", an answer" if routed.answering else ""
            return f"message {kinds}{answer}{f', {routed.lost_files} lost' if routed.lost_files else ''}"
        case OperatorChange(text=text):
            return "deleted" if text is None else "edited"
        case DialogStarted(bitrix_session_id=session_id):
            return f"session {session_id}"
        case ConnectorLost(connector_id=connector_id, line_id=line_id):
            return f"connector {connector_id or ''}".rstrip() + f" lost on line {line_id}"
        case Untold(reason=reason):
            return f"untold: {reason}"
        case Ignored(reason):
            return f"ignored: {reason}"
        case Unroutable(reason):
            return f"unroutable: {reason}"
        case _:
            raise AssertionError(routed)


def events_in(body: bytes) -> list[NewEvent]:
    return to_event(parse_form(body), PORTAL_ID, "req-1")


def meaning(event: NewEvent) -> Routed:
    return translate(an_event(event.name, event.body))


def test_every_file_is_in_the_table_and_every_event_has_a_file() -> None:
    assert sorted(BECOMES) == sorted(BODIES)
    assert {tree["event"] for tree in TREES.values()} >= set(Name)


@pytest.mark.parametrize("name", BODIES)
def test_a_captured_event_becomes_what_the_table_says(name: str) -> None:
    assert claimed_sender(parse_form(BODIES[name])) == ("0f6c3b7e9a1d4c5588aa77bb66cc55dd", "the-constant-token")
    assert [told(meaning(event)) for event in events_in(BODIES[name])] == BECOMES[name]


@pytest.mark.parametrize("name", BODIES)
def test_what_names_a_chat_names_that_of_the_form(name: str) -> None:
    for event in events_in(BODIES[name]):
        routed = meaning(event)
        if isinstance(routed, OperatorMessage | OperatorChange | DialogStarted | Untold):
            assert routed.external_chat_id == CHAT


# --- variations ------------------------------------------------------------------------------------------------------


def check(tree: Any) -> None:
    """Nothing raises; every form is at least one event, without a token in it, that has a meaning or a reason."""
    events = events_in(form_of(tree))
    assert events
    for event in events:
        assert event.reason or event.state is EventState.NEW
        assert len(event.key) == 16
        assert b"the-constant-token" not in event.body
        routed = meaning(event)
        kind, _, reason = told(routed).partition(": ")
        assert reason or kind not in ("ignored", "unroutable", "untold")
        if isinstance(routed, OperatorMessage):
            for content in (routed.content, *routed.more):
                assert msgspec.json.decode(msgspec.json.encode(content), type=Content) == content


@pytest.mark.parametrize("name", TREES)
def test_an_event_bent_at_one_place_is_never_lost(name: str) -> None:
    for bend, tree in all_single(TREES[name]):
        try:
            check(tree)
        except Exception as exc:
            raise AssertionError(f"{name}, {bend}") from exc


@settings(max_examples=300)
@given(st.sampled_from(list(TREES.values())).flatmap(several))
def test_an_event_bent_at_several_places_is_never_lost(tree: Any) -> None:
    check(tree)
