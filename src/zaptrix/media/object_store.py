"""Object stores elsewhere, S3 and what speaks like it above all: how one is opened, and what an error of it means.

Whatever is not given here comes from the environment by the provider's usual names:
https://developmentseed.org/obstore/latest/authentication/
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import ObjectStore, from_url

from zaptrix.core.installation.faults import Fault, FaultKind
from zaptrix.settings import Settings

if TYPE_CHECKING:  # the library has them for type checkers alone
    from obstore.store import ClientConfig, RetryConfig, S3Config

# By the library's own, a store that is away would be tried for three minutes. Who waits has an answer sooner, and is
# tried again by whoever asked: files by their own schedule, callers of the API by theirs.
_RETRY: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
_CONNECT_S, _STILL_S = "5s", "20s"
_WHOLE_FILE = "15 minutes"  # a hundred megabytes over a slow line; one that stands still is given up by _STILL_S


class S3Access(msgspec.Struct, frozen=True, kw_only=True):
    """How an S3 is reached, where it is not by the provider's own means (a role of the machine, for example)."""

    key_id: str = ""
    secret: str = ""
    token: str = ""
    region: str = ""
    endpoint: str = ""
    """Of a store that is not Amazon's; the bucket stands in the path."""
    ca_file: str = ""
    """Authorities that are trusted beside the usual ones, as PEM."""

    @classmethod
    def of(cls, settings: Settings) -> S3Access:
        return cls(
            key_id=settings.aws_access_key_id,
            secret=settings.aws_secret_access_key,
            token=settings.aws_session_token,
            region=settings.aws_region,
            endpoint=settings.aws_endpoint_url,
            ca_file=settings.aws_ca_bundle,
        )


class StoreUnfit(Exception):
    """The store cannot be opened as it is given."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def open_store(url: str, s3: S3Access) -> ObjectStore:
    """Nothing is dialled yet. Raises StoreUnfit."""
    client: ClientConfig = {"connect_timeout": _CONNECT_S, "read_timeout": _STILL_S, "timeout": _WHOLE_FILE}
    if not url.startswith("s3://"):
        return _opened(url, None, client)
    if s3.endpoint.startswith("http://"):
        client["allow_http"] = True
    if s3.ca_file:
        client["root_certificate"] = _read(s3.ca_file)
    given: S3Config = {
        "access_key_id": s3.key_id,
        "secret_access_key": s3.secret,
        "session_token": s3.token,
        "region": s3.region,
        "endpoint": s3.endpoint,
    }
    return _opened(url, cast("S3Config", {name: value for name, value in given.items() if value}), client)


def _opened(url: str, config: S3Config | None, client: ClientConfig) -> ObjectStore:
    try:
        return from_url(url, config=config, client_options=client, retry_config=_RETRY)
    except (BaseError, ValueError) as exc:
        raise StoreUnfit(fault_of(exc)) from exc


def _read(ca_file: str) -> bytes:
    try:
        found = Path(ca_file).read_bytes()
    except OSError as exc:
        raise StoreUnfit(Fault(FaultKind.MEDIA_CA_FILE, type(exc).__name__)) from exc
    if b"-----BEGIN CERTIFICATE-----" not in found:
        raise StoreUnfit(Fault(FaultKind.MEDIA_CA_FILE, "PEM"))
    return found


def fault_of(exc: Exception) -> Fault:
    """What an error means. Only its code or kind is shown: the library's own text may hold a signed address."""
    told = str(exc)
    code = _CODE.search(told)
    if code and code[1] in _CODES:
        return Fault(_CODES[code[1]], code[1])
    seen = code[1] if code else type(exc).__name__
    for kind, signs in _SIGNS:
        if any(sign in told.lower() for sign in signs):
            return Fault(kind, seen)
    if isinstance(exc, UnauthenticatedError):
        return Fault(FaultKind.MEDIA_LOGIN, seen)
    if isinstance(exc, PermissionDeniedError):
        return Fault(FaultKind.MEDIA_RIGHTS, seen)
    return Fault(FaultKind.MEDIA_AWAY, seen)


# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#ErrorCodeList
_CODE = re.compile(r"<Code>\s*(\w+)\s*</Code>")
_CODES = {
    code: kind
    for kind, codes in (
        (FaultKind.MEDIA_BUCKET, "NoSuchBucket InvalidBucketName"),
        (FaultKind.MEDIA_LOGIN, "InvalidAccessKeyId SignatureDoesNotMatch InvalidToken ExpiredToken InvalidSecurity"),
        (FaultKind.MEDIA_RIGHTS, "AccessDenied AllAccessDisabled AccountProblem MethodNotAllowed NotSignedUp"),
        (FaultKind.MEDIA_CLOCK, "RequestTimeTooSkewed RequestExpired"),
        (
            FaultKind.MEDIA_REGION,
            "AuthorizationHeaderMalformed PermanentRedirect IllegalLocationConstraintException InvalidRegionName",
        ),
    )
    for code in codes.split()
}
# What never reached the store, by the words of the library and of TLS.
_SIGNS = (
    (FaultKind.MEDIA_KEYLESS, ("/latest/api/token", "/latest/meta-data", "missing access key", "missing secret")),
    (FaultKind.MEDIA_TLS, ("certificate", "tls handshake", "unknownissuer", "corrupt message", "invalidcontenttype")),
    (FaultKind.MEDIA_REGION, ("incorrectly configured region", "redirect without location")),
    (FaultKind.MEDIA_URL, ("scheme is not allowed", "unable to parse url", "relative url", "invalid endpoint")),
)
