"""Files that the page uploads and shows.

Whoever sees the page may see them all, as with everything of /control; no script in one ever runs as the page.
"""

import asyncio
from typing import Final
from urllib.parse import quote

from aiohttp import web

from zaptrix_sim.meta.voice_notes import NoSound, voice_note
from zaptrix_sim.world import files
from zaptrix_sim.world.contents import PART, Content
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.world import StoredFile

UPLOAD_MAX: Final = 256 * 1024 * 1024
VOICE_MIME: Final = "audio/ogg; codecs=opus"
SHOWN: Final = frozenset({"image", "video", "audio"})
# What strangers sent is never a page of ours: no script in it runs, whatever it says that it is.
SAFE_HEADERS: Final = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, max-age=3600, immutable",
    "Accept-Ranges": "bytes",
}


class PageFiles:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def take(self, request: web.Request) -> web.Response:
        """The body is the file; `name`, `mime` and `type` tell of it. With `voice` it becomes what a phone records."""
        query, content = request.query, Content()
        async for part in request.content.iter_chunked(PART):
            content.append(part)
            if len(content) > UPLOAD_MAX:
                return web.json_response({"error": f"a file has at most {UPLOAD_MAX} bytes"}, status=413)
        if not len(content):
            return web.json_response({"error": "the file is empty"}, status=400)
        mime, kind = query.get("mime") or "application/octet-stream", query.get("type") or "document"
        if query.get("voice"):
            try:
                content, mime, kind = Content(await asyncio.to_thread(voice_note, content[:])), VOICE_MIME, "audio"
            except NoSound as exc:
                return web.json_response({"error": str(exc)}, status=400)
        file = files.keep(self._engine, files.UPLOADED, content, mime=mime, name=query.get("name", ""), kind=kind)
        return web.json_response(files.told(file))

    async def give(self, request: web.Request) -> web.StreamResponse:
        """The bytes, or the part that a player asks for; with `download`, to be kept."""
        file = self._engine.world.files.get(request.match_info["file"])
        if file is None:
            return web.json_response({"error": "there is no such file"}, status=404)
        wanted, size = _range(request), len(file.content)
        whole = wanted == slice(None)
        start, stop, _ = wanted.indices(size)
        headers = SAFE_HEADERS | _named(file, keep="download" in request.query) | {"Content-Type": file.mime}
        if not whole and start >= stop:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        if not whole:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        response = web.StreamResponse(status=200 if whole else 206, headers=headers)
        response.content_length = stop - start
        await response.prepare(request)
        for at in range(start, stop, PART):
            await response.write(file.content[at : min(at + PART, stop)])
        return response


def _range(request: web.Request) -> slice:
    """What is not understood is not asked for: then all of it."""
    try:
        return slice(request.http_range.start, request.http_range.stop)
    except ValueError:
        return slice(None)


def _named(file: StoredFile, *, keep: bool) -> dict[str, str]:
    shown = not keep and file.mime.partition("/")[0] in SHOWN
    name = quote(file.name or file.id, safe="")
    return {"Content-Disposition": f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{name}"}
