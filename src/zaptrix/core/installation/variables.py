"""How the value of a variable is read: one reader for each kind of value, with an example that would do."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network

HTTP = ("https", "http")


class Bad(Exception):
    """Why one value cannot be used, as the second half of a sentence."""


class Variable(NamedTuple):
    """How a variable is read: its reader, a value that would do, and whether the value may be shown."""

    read: Callable[[str], object]
    example: str
    secret: bool = False


def whole(least: int, most: int, example: int) -> Variable:
    def read(raw: str) -> int:
        if not re.fullmatch(r"\d{1,12}", raw) or not least <= int(raw) <= most:
            raise Bad(f"is not a whole number from {least} to {most}")
        return int(raw)

    return Variable(read, str(example))


def seconds(least: float, most: float, example: float) -> Variable:
    def read(raw: str) -> float:
        if not re.fullmatch(r"\d+(\.\d+)?", raw) or not least <= float(raw) <= most:
            raise Bad(f"is not a number of seconds from {least:g} to {most:g}")
        return float(raw)

    return Variable(read, f"{example:g}")


def text(
    example: str, pattern: str = r".+", told: str = "is not of the right form", *, secret: bool = False
) -> Variable:
    def read(raw: str) -> str:
        if not re.fullmatch(pattern, raw):
            raise Bad(told)
        return raw

    return Variable(read, example, secret)


def secret() -> Variable:
    return text("the value that the platform shows", r"\S+", "has a space inside", secret=True)


def phone() -> Variable:
    return text("+55 11 91234-5678", r"\+?[\d ()-]{6,24}", "is not a phone number", secret=True)


def choice(*values: str) -> Variable:
    by_lower = {value.lower(): value for value in values}

    def read(raw: str) -> str:
        if raw.lower() not in by_lower:
            raise Bad(f"is not one of {', '.join(values)}")
        return by_lower[raw.lower()]

    return Variable(read, values[0])


def url(example: str, *schemes: str, secret: bool = False) -> Variable:
    def read(raw: str) -> str:
        parts = urlsplit(raw)
        if parts.scheme not in schemes or not (parts.netloc or parts.path):
            raise Bad(f"is not an address that starts with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        return raw

    return Variable(read, example, secret)


def server(example: str, *schemes: str, slip: Callable[[str], str | None]) -> Variable:
    """The address of a server, with a password inside."""
    plain = url(example, *schemes, secret=True)

    def read(raw: str) -> str:
        if (fault := slip(raw)) is not None:
            raise Bad(fault)
        return str(plain.read(raw))

    return Variable(read, example, secret=True)


def origin(example: str) -> Variable:
    """An address that paths are put after: its closing slash goes."""
    return Variable(lambda raw: str(url(example, *HTTP).read(raw)).rstrip("/"), example)


def split_list(raw: str) -> list[str]:
    """Parts with commas between them, or, as people write files, one a line."""
    return [part for part in (piece.strip() for piece in re.split(r"[,\n]", raw)) if part]


def secret_list() -> Variable:
    return Variable(lambda raw: tuple(split_list(raw)), "newest-secret,older-secret", secret=True)


def fernet_keys() -> Variable:
    def read(raw: str) -> tuple[str, ...]:
        keys = tuple(split_list(raw))
        for place, key in enumerate(keys, start=1):
            try:
                good = len(base64.urlsafe_b64decode(key)) == 32
            except (binascii.Error, ValueError):
                good = False
            if not good:
                raise Bad(f"holds a key (number {place}) that is not 32 bytes in url-safe base64")
        return keys

    return Variable(read, "the output of: zaptrix new-encryption-key", secret=True)


def origins() -> Variable:
    def read(raw: str) -> tuple[str, ...]:
        return tuple(str(url("https://files.example.com", *HTTP).read(part)).rstrip("/") for part in split_list(raw))

    return Variable(read, "https://files.example.com:8443")


def networks() -> Variable:
    def read(raw: str) -> tuple[Network, ...]:
        try:
            return tuple(ip_network(part, strict=False) for part in split_list(raw))
        except ValueError as exc:
            raise Bad(f"is not a list of networks ({exc})") from exc

    return Variable(read, "10.0.0.0/8,192.168.1.7/32")
