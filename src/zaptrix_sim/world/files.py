"""Files of both platforms: what a customer or an operator attaches, what is uploaded, and how each is served."""

import asyncio
import base64
import secrets
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from aiohttp import web

from zaptrix_sim.world.contents import PART, Content, drawn
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.world import StoredFile

UPLOADED: Final = ""  # the owner of what the page uploaded and nobody sent yet


def from_wanted(engine: Engine, owner: str, wanted: Mapping[str, Any]) -> StoredFile:
    """A file as a test describes it: `content_base64`, and behind it up to `size` zeros, or what `seed` draws; or the
    `id` of one that the page uploaded. KeyError when there is none."""
    if wanted.get("id"):
        return _uploaded(engine, owner, wanted)
    start, seed = base64.b64decode(str(wanted.get("content_base64") or "")), wanted.get("seed")
    content = drawn(start, int(wanted.get("size") or 0), None if seed is None else int(seed))
    file = keep(
        engine,
        owner,
        content,
        mime=str(wanted.get("mime") or "application/octet-stream"),
        name=str(wanted.get("filename") or ""),
        kind=str(wanted.get("type") or "document"),
    )
    file.link = str(wanted.get("link") or "")
    return file


def _uploaded(engine: Engine, owner: str, wanted: Mapping[str, Any]) -> StoredFile:
    """It belongs to whom it is sent by from now on, and can be sent once."""
    file = engine.world.files[str(wanted["id"])]
    if file.owner != UPLOADED:
        raise KeyError(file.id)
    file.owner, file.kind = owner, str(wanted.get("type") or file.kind)
    engine.world.changes += 1
    return file


def keep(engine: Engine, owner: str, content: Content, *, mime: str, name: str, kind: str = "") -> StoredFile:
    file = StoredFile(
        id=str(10**15 + secrets.randbelow(9 * 10**15)),
        owner=owner,
        name=name,
        mime=mime,
        kind=kind,
        content=content,
        sha256=content.sha256,
        at=engine.now(),
    )
    engine.world.files[file.id] = file
    engine.world.changes += 1
    return file


def told(file: StoredFile) -> dict[str, Any]:
    """A file for the page and for tests."""
    return {"id": file.id, "name": file.name, "mime": file.mime, "type": file.kind, "size": len(file.content)} | {
        "sha256": file.sha256
    }


def known_text(text: str, file: StoredFile | None) -> str:
    """By which words the ledger knows a message: a file without any by its name, which outlives what is made of it."""
    return text or (file.name.rpartition(".")[0] if file else "")


async def give(engine: Engine, request: web.Request, file: StoredFile, *, side: str, facts: dict[str, str]) -> Any:
    """The bytes, as slowly as the options say, and as the fault in force wants it."""
    fault = engine.faults.pick(side, "api", facts, frozenset({"status", "delay", "reset"}))
    if fault is not None and fault.kind == "status":
        return web.Response(status=fault.status, text="<html></html>", content_type="text/html")
    if fault is not None and fault.kind == "delay":
        await asyncio.sleep(fault.delay_s)
    with engine.transfer():
        return await _given(engine, request, file, cut=fault is not None and fault.kind == "reset")


async def _given(engine: Engine, request: web.Request, file: StoredFile, *, cut: bool) -> web.StreamResponse:
    await asyncio.sleep(engine.options.file_latency_s)
    response = web.StreamResponse(headers={"Content-Type": file.mime, "Content-Length": str(len(file.content))})
    await response.prepare(request)
    if cut:
        return await _cut(request, response, file)
    for part in file.content.parts():
        await response.write(part)
    return response


async def _cut(request: web.Request, response: web.StreamResponse, file: StoredFile) -> web.StreamResponse:
    """The connection breaks in the middle of the body."""
    await response.write(file.content[: len(file.content) // 2])
    if request.transport is not None:
        request.transport.abort()
    return response


async def fetched(engine: Engine, portal: str, wanted: Mapping[str, Any]) -> StoredFile | None:
    """A file of `imconnector.send.messages`, which the portal fetches inside the call; None when it does not come.

    https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/imconnector-send-messages.html
    """
    url = str(wanted.get("url") or "")
    try:
        async with (
            aiohttp.ClientSession(headers={"User-Agent": "Bitrix Connector Client"}) as session,
            session.get(url, timeout=aiohttp.ClientTimeout(total=engine.options.fetch_s)) as response,
        ):
            if response.status != 200:
                return None
            content, kind = Content(), response.content_type
            async for part in response.content.iter_chunked(PART):
                content.append(part)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None
    name = str(wanted.get("name") or "file")[-50:]
    return keep(engine, portal, content, mime=kind, name=name, kind=_kind_of(kind))


def _kind_of(mime: str) -> str:
    """https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/events/on-im-connector-message-add.html"""
    family = mime.partition("/")[0]
    return family if family in {"image", "video", "audio"} else "file"
