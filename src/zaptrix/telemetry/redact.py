"""Redaction of logs: secrets, what people wrote, and who they are never reach a line.

The last step before a line is written. Pure.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

MASK = "[redacted]"
DEPTH_MAX = 6
SECRET_LENGTH_MIN = 6
"""A shorter configured secret would mask ordinary words."""

# A key says what its value is. Matched by word, so `access_token` and `customerPhone` are found and `context` is not.
PRIVATE_WORDS = frozenset(
    {
        "token",
        "tokens",
        "secret",
        "secrets",
        "password",
        "authorization",
        "auth",
        "cookie",
        "cookies",
        "signature",
        "credentials",
        "text",
        "texts",
        "body",
        "phone",
        "phones",
        "msisdn",
        "caption",
        "username",
    }
)
PRIVATE_KEYS = frozenset({"api_key", "encryption_key", "encryption_keys", "wa_id", "recipient", "name"})
# Keys whose digits are not a phone's. Ids that may carry a phone inside, as `chat_id`, are not among them.
PLAIN_KEYS = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "logger",
        "request_id",
        "message_id",
        "event_id",
        "attempt_id",
        "portal_id",
        "channel_id",
        "conversation_id",
        "phone_number_id",
        "waba_id",
        "line_id",
        "session_id",
        "member_id",
        "job_id",
        "key_id",
        "bell_id",
        "lane",
        "queue",
        "pid",
        "port",
        "count",
    }
)
PLAIN_ENDINGS = ("_s", "_ms", "_us", "_ns", "_bytes", "_at", "_count", "_total")

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_PHONE_DIGITS = r"(?<!\d)\+?\d{8,15}(?!\d)"
_UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_ASSIGNED = r"(?:token|secret|password|passwd|authorization|auth|cookie|signature|api_key|text|body|phone|wa_id)"

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"://[^/\s@]+@"), f"://{MASK}@"),
    (re.compile(r"\?[^\s\"'<>]*"), f"?{MASK}"),
    (re.compile(r"\b(bearer|basic)\s+[^\s\"',;]+", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(rf"({_ASSIGNED}[\"']?\]?\s*[=:]\s*)(\"[^\"]*\"?|'[^']*'?|[^\s&,;}}]+)", re.IGNORECASE), rf"\1{MASK}"),
    # Meta's tokens and Fernet's keys are known by their looks.
    (re.compile(r"\bEAA[0-9A-Za-z]{16,}"), MASK),
    (re.compile(r"(?<![0-9A-Za-z_-])[0-9A-Za-z_-]{43}=(?![0-9A-Za-z_=-])"), MASK),
    # As people write phones, then as machines do.
    (re.compile(r"\+\d[\d ().-]{5,20}\d"), MASK),
    (re.compile(r"\(\d{2}\)\s?\d{4,5}[ -]?\d{4}"), MASK),
    (re.compile(_PHONE_DIGITS), MASK),
)
_SUSPECT = re.compile(r"\d{8}|[?@=:+(]|EAA|[0-9A-Za-z_-]{43}|bearer |basic ", re.IGNORECASE)


def redactor(secrets: Iterable[str] = ()) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """A function that gives an event without anything private; `secrets` are hidden wherever they turn up."""
    known = sorted({secret for secret in secrets if len(secret) >= SECRET_LENGTH_MIN}, key=len, reverse=True)
    exact = re.compile("|".join(map(re.escape, known))) if known else None

    def clean(key: str, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | float):
            return value
        if is_private(key):
            return MASK
        if isinstance(value, str):
            value = exact.sub(MASK, value) if exact is not None else value
            return value if is_plain(key) and key != "event" else redact_text(value)
        if isinstance(value, int):
            return value if is_plain(key) or not re.search(_PHONE_DIGITS, str(value)) else MASK
        if isinstance(value, bytes | bytearray | memoryview):
            return f"[{len(value)} bytes]"
        return inside(key, value, depth)

    def inside(key: str, value: Any, depth: int) -> Any:
        if depth >= DEPTH_MAX:
            return MASK
        if isinstance(value, Mapping):
            return {clean("", str(name), depth): clean(str(name), item, depth + 1) for name, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [clean(key, item, depth + 1) for item in value]
        return clean(key, str(value), depth + 1)

    return lambda event: {key: clean(key, value, 0) for key, value in event.items()}


def redact_text(text: str) -> str:
    """A sentence without secrets and phones, wherever they stand in it."""
    if not _SUSPECT.search(text):
        return text
    # An id's last group may be all digits; set apart, it is not taken for a phone.
    kept = _UUID.findall(text)
    for rule, instead in _RULES:
        text = rule.sub(instead, text) if rule.pattern != _PHONE_DIGITS or not kept else _outside_uuids(rule, text)
    return text


def _outside_uuids(rule: re.Pattern[str], text: str) -> str:
    done, parts = 0, []
    for found in _UUID.finditer(text):
        parts += [rule.sub(MASK, text[done : found.start()]), found[0]]
        done = found.end()
    return "".join([*parts, rule.sub(MASK, text[done:])])


def is_private(key: str) -> bool:
    """Whether the value under this key is private whatever it looks like."""
    if key in PLAIN_KEYS:
        return False
    if key in PRIVATE_KEYS:
        return True
    return not PRIVATE_WORDS.isdisjoint(word.lower() for word in _WORD.findall(key))


def is_plain(key: str) -> bool:
    """Whether digits under this key are a count, a time or an id of ours."""
    return key in PLAIN_KEYS or key.endswith(PLAIN_ENDINGS)
