"""Addresses of servers with a password inside: whether each part is where its reader will look for it.

A character that means something in an address, written as it is in a password, moves the rest of it into another
part, and the reader connects to a wrong host: https://www.rfc-editor.org/rfc/rfc3986#section-2.2
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

RAW = (
    "holds a character that means something else there: write @ : / ? # [ ] % inside a password "
    "as %40 %3A %2F %3F %23 %5B %5D %25"
)
_HOST = re.compile(r"(?:\[[\w:.%]+\]|[\w.%~-]*)(?::(\d{1,5}))?")
_PORT_MAX = 65535
_EXAMPLES = {
    "cluster": "redis+cluster://host1:6379,host2:6379",
    "sentinel": "redis+sentinel://host1:26379,host2:26379/service/0",
}


def postgres_slip(raw: str) -> str | None:
    """What is wrong with a PostgreSQL address, as the second half of a sentence; None: it can be read."""
    slip = _slip(raw, several_at=False)
    if slip is not None:
        return slip
    parts = urlsplit(raw)
    named = dict(parse_qsl(parts.query, keep_blank_values=True))
    hosts = [parts.netloc.rpartition("@")[2], named.get("host", "")]
    if any("" in each.split(",") for each in hosts if each):
        return "names an empty host beside a comma, which would be this machine; leave it out"
    ports = [port for port in named.get("port", "").split(",") if port]
    if not all(re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) <= _PORT_MAX for port in ports):
        return f"names a port that is not a whole number from 1 to {_PORT_MAX}"
    return None


def redis_slip(raw: str) -> str | None:
    """The same for a Redis address. Its reader takes the last @ for the one before the host, so others may stand."""
    slip = _slip(raw, several_at=True)
    if slip is not None:
        return slip
    parts = urlsplit(raw)
    form = parts.scheme.partition("+")[2]
    hosts, path = parts.netloc.rpartition("@")[2].split(","), parts.path.removeprefix("/")
    if form and not all(hosts):
        return f"names no host; for example {_EXAMPLES[form]}" if form in _EXAMPLES else None
    if len(hosts) > 1 and not form:
        return f"names several hosts; write {_EXAMPLES['cluster']} or {_EXAMPLES['sentinel']}"
    if form == "sentinel":
        service, _, path = path.partition("/")
        if not service:
            return f"does not name the service that the Sentinels watch; for example {_EXAMPLES[form]}"
    numbers = [value for name, value in parse_qsl(parts.query, keep_blank_values=True) if name == "db"]
    if parts.scheme != "unix":
        numbers.append(path or "0")
    if not all(re.fullmatch(r"[0-9]{1,9}", number) for number in numbers):
        return "names a database that is not a whole number, such as the 0 in redis://redis.example.com:6379/0"
    if form == "cluster" and any(int(number) for number in numbers):
        return "names a database, and a cluster has only one; leave the number out"
    return None


def passwords_in(raw: str) -> list[str]:
    """The passwords of an address, as they stand in it and as they are."""
    parts = urlsplit(raw)
    query = [part.partition("=") for part in parts.query.split("&")]
    found = [value for name, _, value in query if name.endswith("password")]
    return [word for each in (parts.password, *found) if each for word in {each, unquote(each)}]


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches that host."""
    if host.lower() in {"localhost", "localhost."}:
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _slip(raw: str, *, several_at: bool) -> str | None:
    if re.search(r"\s", raw):
        return "has a space inside; write it as %20"
    try:
        parts = urlsplit(raw)
    except ValueError:  # brackets that hold no IPv6 address
        return RAW
    if _is_torn(parts) or (parts.netloc.count("@") > 1 and not several_at):
        return RAW
    hosts = [_HOST.fullmatch(host) for host in parts.netloc.rpartition("@")[2].split(",")]
    if not all(hosts):
        return RAW
    if any(int(host[1] or 1) not in range(1, _PORT_MAX + 1) for host in hosts if host):
        return f"has a port that is not a number from 1 to {_PORT_MAX}"
    return None


def _is_torn(parts: SplitResult) -> bool:
    """Whether the host stands where none can be: behind the first of these characters, which was the password's."""
    behind_a_slash = bool(parts.netloc) and "@" in parts.path
    behind_a_question_mark = bool(parts.netloc) and not parts.path and "@" in parts.query
    return bool(parts.fragment) or behind_a_slash or behind_a_question_mark
