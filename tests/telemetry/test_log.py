"""Logs say what happened and to which id; never a secret, a text or a phone."""

import asyncio
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from zaptrix.telemetry import log
from zaptrix.telemetry.redact import MASK, redact_text, redactor

SECRET = "s3cret-Value-77"

PHONES = st.from_regex(r"\+?[1-9][0-9]{7,14}", fullmatch=True)
TOKENS = st.from_regex(r"[A-Za-z][A-Za-z0-9._~-]{11,60}", fullmatch=True)
WORDS = st.sampled_from(["", "sent to ", "answer: ", "could not reach", "(", "["])
PRIVATE_KEYS = st.sampled_from(
    ["access_token", "client_secret", "Authorization", "appSecret", "text", "body", "phone", "customer_phone", "wa_id"]
)
# How a secret gets into a sentence, and the part of it that must not come out.
SENTENCES: list[Callable[[str], str]] = [
    lambda token: f"Authorization: Bearer {token}",
    lambda token: f"GET https://company.bitrix24.com.br/rest/profile?auth={token}&x=1 failed",
    lambda token: f"POST /rest/im.message.add?auth={token}",
    lambda token: f"cannot connect to postgresql://zaptrix:{token}@db.example.com/zaptrix",
    lambda token: f'{{"error": "x", "access_token": "{token}"}}',
    lambda token: f"client_secret={token}&grant_type=refresh_token",
    lambda token: f"{{'refresh_token': '{token}'}}",
]


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What was logged since, as JSON; the process's own logging is put back afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    log.configure(secrets=[SECRET], stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    root.handlers[:], root.level = before
    logging.captureWarnings(capture=False)


@given(key=PRIVATE_KEYS, value=st.one_of(PHONES, TOKENS), depth=st.integers(0, 9))
def test_what_a_private_key_holds_never_comes_out(key: str, value: str, depth: int) -> None:
    event: Any = {key: value}
    for _ in range(depth):
        event = {"part": [event]}
    assert value not in json.dumps(redactor()(event))


@given(token=TOKENS, sentence=st.sampled_from(SENTENCES), before=WORDS)
def test_a_token_in_a_sentence_never_comes_out(token: str, sentence: Callable[[str], str], before: str) -> None:
    assert token not in json.dumps(redactor()({"error": f"{before}{sentence(token)}"})).replace(MASK, "")


@given(phone=PHONES, before=WORDS, after=st.sampled_from(["", " now", ")", ".", "@s.whatsapp.net", "|7"]))
def test_a_phone_in_a_sentence_never_comes_out(phone: str, before: str, after: str) -> None:
    assert phone.lstrip("+") not in redact_text(f"{before}{phone}{after}")


@given(phone=PHONES.map(int))
def test_a_phone_as_a_number_never_comes_out(phone: int) -> None:
    assert str(phone) not in json.dumps(redactor()({"customer": phone, "seen": [phone]}))


@given(secret=TOKENS, key=st.sampled_from(["event", "message_id", "lane", "error", "x"]), around=st.text(max_size=20))
def test_a_configured_secret_never_comes_out_wherever_it_stands(secret: str, key: str, around: str) -> None:
    told = redactor([secret])({key: f"{around}{secret}{around}", "more": {secret: [secret]}})
    assert secret not in json.dumps(told, ensure_ascii=False).replace(MASK, "")


@pytest.mark.parametrize("phone", ["+55 41 99999-8888", "+55 (41) 99999-8888", "(41) 99999-8888", "(41)3333 4444"])
def test_a_phone_as_people_write_it_never_comes_out(phone: str) -> None:
    assert redact_text(f"call {phone} now") == f"call {MASK} now"


def test_ids_counts_and_times_stay_readable() -> None:
    event = {
        "event": "delivered",
        "message_id": "0198f2b4-1111-7abc-8123-123456789012",
        "phone_number_id": "210987654321098",
        "lane": "inbound:12345678:3",
        "took_ms": 123456789,
        "due_at": "2026-11-22T12:00:00+00:00",
        "attempts": 2,
        "error": "no row for 0198f2b4-1111-7abc-8123-123456789012 in chat 77",
    }
    assert redactor()(event) == event


def test_bytes_are_counted_and_not_shown() -> None:
    assert redactor()({"raw": b"oi, tudo bem?"}) == {"raw": "[13 bytes]"}


def test_a_line_is_json_with_its_level_time_and_what_is_bound(lines: Callable[[], list[dict[str, Any]]]) -> None:
    async def step() -> None:
        await asyncio.sleep(0)
        log.logger(queue="meta-messages").info("delivered", message_id="m1")

    with log.bound(request_id="r1"):
        asyncio.run(step())
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "delivered",
        "level": "info",
        "queue": "meta-messages",
        "message_id": "m1",
        "request_id": "r1",
    }


def test_a_librarys_line_goes_the_same_way(lines: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("some.library").warning("retry of %s with Bearer %s", "https://x.example/a?auth=abc", "abcdef")
    (line,) = lines()
    assert (line["event"], line["logger"], line["level"]) == (
        f"retry of https://x.example/a?{MASK} with Bearer {MASK}",
        "some.library",
        "warning",
    )


def test_a_traceback_is_redacted_too(lines: Callable[[], list[dict[str, Any]]]) -> None:
    try:
        raise ValueError(f"refused {SECRET} of 5541999998888")
    except ValueError:
        log.logger().exception("failed")
    (line,) = lines()
    assert "ValueError: refused" in line["exception"]
    assert SECRET not in line["exception"]
    assert "5541999998888" not in line["exception"]


def test_a_line_below_the_level_is_not_written(lines: Callable[[], list[dict[str, Any]]]) -> None:
    log.logger().debug("detail")
    logging.getLogger("some.library").debug("detail")
    assert lines() == []


def test_text_is_for_people() -> None:
    stream = io.StringIO()
    log.configure(style="text", stream=stream)
    log.logger().info("delivered", text="oi")
    structlog.reset_defaults()
    assert "delivered" in stream.getvalue()
    assert f"text={MASK}" in stream.getvalue()
