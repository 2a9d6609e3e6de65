"""The door: who signed it, and who asks to verify it."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zaptrix.whatsapp.inbound.webhook import challenge, verify

SECRET = "gw_test_secret"
SIGNED = [
    (
        b'{"object":"whatsapp_business_account","entry":[]}',
        "sha256=9d945ee8ab2f90f8065eed5e37e5012905b33b568cf1b00963c946a06ef2b8f6",
    ),
    (
        '{"t":"ação"}'.encode(),
        "sha256=8e7bf14b0782a445c7380b7b6877831148dec1776b0ac1cfbb78e7e9b4cec276",
    ),
    (
        rb'{"t":"a\u00e7\u00e3o"}',
        "sha256=258d99119dd236071565d715c42c1c4aed0cc55921ffa5e3abc7e4b68d4f0a48",
    ),
]
BODY, HEADER = SIGNED[0]


@pytest.mark.parametrize(("body", "header"), SIGNED)
def test_the_signature_is_over_the_bytes_as_they_came(body: bytes, header: str) -> None:
    assert verify([SECRET], body, header)
    assert not verify([SECRET], body + b" ", header)


def test_while_secrets_rotate_each_of_them_opens() -> None:
    assert verify(["new_secret", SECRET], BODY, HEADER)
    assert not verify(["new_secret", "another"], BODY, HEADER)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        HEADER.removeprefix("sha256="),
        HEADER.replace("sha256", "sha1"),
        HEADER[:-1],
        HEADER + "0",
        HEADER[:-2] + "zz",
        HEADER[:-2] + "  ",
        HEADER[:-2] + "éé",
    ],
)
def test_a_header_of_another_shape_opens_nothing(header: str | None) -> None:
    assert not verify([SECRET], BODY, header)


def test_a_secret_that_was_left_empty_opens_nothing() -> None:
    forged = "sha256=" + hmac.new(b"", BODY, hashlib.sha256).hexdigest()
    assert not verify([""], BODY, forged)
    assert not verify([], BODY, forged)


@given(st.text())
def test_no_header_makes_it_raise(header: str) -> None:
    assert not verify([SECRET], BODY, header)


ASKED = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "tok"}


def test_meta_gets_its_challenge_back() -> None:
    assert challenge(ASKED, "tok") == "1158201444"


@pytest.mark.parametrize(
    ("query", "token"),
    [
        (ASKED, "other"),
        (ASKED | {"hub.mode": "unsubscribe"}, "tok"),
        ({}, "tok"),
        ({**ASKED, "hub.verify_token": ""}, ""),
        (ASKED | {"hub.verify_token": "\ud800"}, "tok"),
        ({k: v for k, v in ASKED.items() if k != "hub.challenge"}, "tok"),
    ],
)
def test_nobody_else_gets_a_challenge(query: dict[str, str], token: str) -> None:
    assert challenge(query, token) is None
