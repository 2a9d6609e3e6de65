"""Until when a server's certificate is good, whoever signed it."""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime
from urllib.parse import urlsplit

from cryptography import x509

_ANSWER_S_MAX = 10.0


async def expires_at(url: str) -> datetime | None:
    """When the certificate at that https address ends; None for any other, and where nobody shows one."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return None
    # One that has ended, or that nobody we trust has signed, is to be read as well: nothing else is said to the server.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(_ANSWER_S_MAX):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or 443, ssl=context)
            try:
                shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            finally:
                writer.close()
    except (OSError, TimeoutError):  # also ssl.SSLError
        return None
    try:
        return x509.load_der_x509_certificate(shown).not_valid_after_utc if shown else None
    except ValueError:
        return None
