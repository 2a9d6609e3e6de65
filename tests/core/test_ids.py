"""Ids that we hand out come back to what they were made from, and nobody else's are taken for ours."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zaptrix.core.ids import (
    ChannelId,
    ConversationId,
    MessageId,
    PortalId,
    callback_data,
    connector_id,
    external_chat_id,
    parse_callback_data,
    parse_external_chat_id,
)

CHANNEL = ChannelId(UUID("0b8f9f1e-7c1b-4b53-9d0e-5f7a5f6f1a01"))
TALK = ConversationId(UUID("c2b3a1d4-0001-4c5d-8e9f-aabbccddeeff"))
CHAT = "zx1-0b8f9f1e7c1b4b539d0e5f7a5f6f1a01-c2b3a1d400014c5d8e9faabbccddeeff"


def test_a_chat_id_names_channel_and_conversation_and_is_the_same_for_ever() -> None:
    assert external_chat_id(CHANNEL, TALK) == CHAT
    assert parse_external_chat_id(CHAT) == (CHANNEL, TALK)


@given(st.uuids(), st.uuids())
def test_every_chat_id_comes_back_to_its_conversation(channel: UUID, talk: UUID) -> None:
    text = external_chat_id(ChannelId(channel), ConversationId(talk))
    assert parse_external_chat_id(text) == (channel, talk)
    assert "|" not in text
    assert len(text) <= 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "zx1",
        "zx1--",
        "zx2" + CHAT[3:],
        CHAT + "-",
        CHAT[:-1],
        CHAT + "0",
        CHAT.upper(),
        CHAT.replace("a", "g"),
        f"zx1-{CHANNEL}-{TALK}",
        "zx1-{0b8f9f1e7c1b4b539d0e5f7a5f6f1a01}-c2b3a1d400014c5d8e9faabbccddeeff",
        "zx1-urn:uuid:0b8f9f1e7c1b4b539d0e5f7a5f6f1a01-c2b3a1d400014c5d8e9faabbccddeeff",
        "zx1-0b8f9f1e_c1b4b539d0e5f7a5f6f1a01-c2b3a1d400014c5d8e9faabbccddeeff",
        "zx1- b8f9f1e7c1b4b539d0e5f7a5f6f1a01-c2b3a1d400014c5d8e9faabbccddeeff",
        "zx1-\N{ARABIC-INDIC DIGIT ONE}b8f9f1e7c1b4b539d0e5f7a5f6f1a01-c2b3a1d400014c5d8e9faabbccddeeff",
        CHAT + "\n",
        "554188887777",
        "zx1-\x00",
    ],
)
def test_a_chat_id_that_is_not_exactly_ours_is_nobodys(text: str) -> None:
    assert parse_external_chat_id(text) is None


@given(st.text(max_size=90))
def test_no_chat_id_is_too_strange_to_be_refused(text: str) -> None:
    ids = parse_external_chat_id(text)
    assert ids is None or external_chat_id(*ids) == text


@given(st.integers(1, 10**18 - 1))
def test_callback_data_comes_back_to_its_message(number: int) -> None:
    assert parse_callback_data(callback_data(MessageId(number))) == number


@pytest.mark.parametrize(
    "text", [None, "", "zx", "zx:", "zx:-1", "zx:1.0", "zx: 1", "zy:1", "1", "zx:\N{SUPERSCRIPT TWO}", "zx:" + "9" * 19]
)
def test_callback_data_of_others_is_not_ours(text: str | None) -> None:
    assert parse_callback_data(text) is None


def test_a_connector_id_is_stable_and_names_its_portal() -> None:
    portal = PortalId(UUID("9f1e0b8f-7c1b-4b53-9d0e-5f7a5f6f1a01"))
    assert connector_id(portal) == "zaptrix_9f1e0b8f7c1b4b53"
