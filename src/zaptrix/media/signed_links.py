"""Signed addresses of files: public, and good for a while.

    /media/<until>-<signature>/<day>/<random>/<name>

Nothing is looked up for one: what may be fetched, under which name and until when, is what was signed. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote, unquote

import msgspec

PREFIX = "/media/"
_PATH = re.compile(r"/media/(\d{1,12})-([A-Za-z0-9_-]{43})/(\d{4}-\d\d-\d\d/[0-9a-f]{32})/([^/]{1,600})")
_PURPOSE = b"zaptrix: address of a file"


class SignedFile(msgspec.Struct, frozen=True):
    """A file that may be fetched now."""

    key: str
    name: str


class Links:
    """Makes addresses and judges them. The first of `secrets` signs; all of them are good, so that secrets rotate."""

    def __init__(self, public_url: str, secrets: Sequence[str]) -> None:
        self._public_url = public_url
        # A key of their own: a signature of ours says nothing about what else the secret protects.
        self._keys = [hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256) for secret in secrets]

    def address(self, key: str, name: str, until: datetime) -> str:
        """Where `key` can be fetched by anybody who knows the address, until then."""
        end = int(until.timestamp())
        signature = _signature(self._keys[0], key, name, end)
        return f"{self._public_url}{PREFIX}{end}-{signature}/{key}/{quote(name, safe='')}"

    def opened(self, path: str, now: datetime) -> SignedFile | None:
        """What `path` leads to; None when it was not made here, was changed, or has run out.

        `path` as it came, or with its escapes resolved: servers differ.
        """
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        end, signature, key, name = int(found[1]), found[2], found[3], unquote(found[4])
        # All are compared, each in constant time.
        good = [hmac.compare_digest(_signature(each, key, name, end), signature) for each in self._keys]
        return SignedFile(key, name) if any(good) and end > now.timestamp() else None


def _signature(secret: bytes, key: str, name: str, end: int) -> str:
    told = f"{end}\n{key}\n{name}".encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(hmac.digest(secret, told, hashlib.sha256)).rstrip(b"=").decode()
