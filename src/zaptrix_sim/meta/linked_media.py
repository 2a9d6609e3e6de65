"""Media that a send names by an address: Meta fetches it after it has taken the message.

What cannot be fetched, or is not what it should be, is told afterwards, as a `failed` status with 131053. The simulator
fetches from this machine alone and never goes out: a link to elsewhere is taken for good, and its file is empty.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/image-messages
"""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import aiohttp

from zaptrix_sim.meta.errors import bad_parameter
from zaptrix_sim.meta.media import CLASSES
from zaptrix_sim.world import files
from zaptrix_sim.world.contents import PART, Content
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.world import Number

FETCH_S: Final = 10.0
NOT_FETCHED: Final = "131053"

Json = dict[str, Any]


async def with_files(engine: Engine, number: Number, body: Json) -> tuple[Json, bool]:
    """The body with an id wherever it named a link of this machine, and whether all of them could be had.

    Raises the refusal.
    """
    if not any(_linked(body)):
        return body, True
    body, all_came = deepcopy(body), True
    for kind, media in _linked(body):
        if "id" in media:
            raise bad_parameter(f"Only one of id and link may be given on param '{kind}'.")
        link = str(media["link"])
        if not _is_here(link, kind):
            continue
        del media["link"]
        content, mime = await _fetched(link, kind)
        all_came = all_came and content is not None
        name = str(media.get("filename") or PurePosixPath(unquote(urlsplit(link).path)).name or kind)
        media["id"] = files.keep(engine, number.id, content or Content(), mime=mime, name=name, kind=kind).id
    return body, all_came


def _is_here(link: str, kind: str) -> bool:
    """Whether the server is on this machine. Raises the refusal of what is no address."""
    try:
        scheme, host = urlsplit(link).scheme, urlsplit(link).hostname or ""
    except ValueError:
        scheme, host = "", ""
    if not host or scheme not in {"http", "https"}:
        raise bad_parameter(f"Param {kind}['link'] is not a valid URL.")
    return host == "localhost" or host.startswith("127.") or host == "::1"


def _linked(body: Any) -> Iterator[tuple[str, Json]]:
    """Every file that is named by a link, in headers, parameters and cards, too."""
    if isinstance(body, list):
        for each in body:
            yield from _linked(each)
    elif isinstance(body, dict):
        for name, value in body.items():
            if name in CLASSES and isinstance(value, dict) and value.get("link"):
                yield name, value
            else:
                yield from _linked(value)


async def _fetched(link: str, kind: str) -> tuple[Content | None, str]:
    """The file and its type; None instead of it when it does not come as one of its kind."""
    types, most = CLASSES[kind]
    content = Content()
    try:
        async with (
            aiohttp.ClientSession(headers={"User-Agent": "WhatsApp/2.25.1"}) as session,
            session.get(link, timeout=aiohttp.ClientTimeout(total=FETCH_S)) as response,
        ):
            mime = response.content_type
            if response.status != 200 or (kind != "document" and mime not in types):
                return None, types[0]
            async for part in response.content.iter_chunked(PART):
                content.append(part)
                if len(content) > most:
                    return None, types[0]
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None, types[0]
    return (content, mime) if len(content) else (None, types[0])
