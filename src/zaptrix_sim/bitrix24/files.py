"""Files of a portal's chats: how events name them, and where they are fetched, by anybody who knows the address.

https://apidocs.bitrix24.com/api-reference/imopenlines/imconnector/events/on-im-connector-message-add.html
"""

from typing import Any, Final

from aiohttp import web

from zaptrix_sim.world import files
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.world import Portal, StoredFile

CODE_LENGTH: Final = 8


def file_item(engine: Engine, portal: Portal, file: StoredFile) -> dict[str, Any]:
    """A file in an event. The short link of an image carries a hint behind it."""
    root = f"{engine.url}/bitrix24/{portal.key}"
    kind = file.kind if file.kind in {"image", "video", "audio"} else "file"
    return {
        "name": file.name,
        "type": kind,
        "mime": file.mime,
        "link": file.link or f"{root}/~{_code(file)}" + ("#img.jpg" if kind == "image" else ""),
        "downloadLink": file.link or f"{root}/pub/im.file.php?FILE_ID={file.id}&SIGN={file.secret}",
        "size": len(file.content),
        "sizef": f"{len(file.content) / 1024:.2f} KB",
    }


def _code(file: StoredFile) -> str:
    return f"{file.id}{file.secret[:CODE_LENGTH]}"


class PortalFiles:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def short(self, request: web.Request) -> web.StreamResponse:
        code, portal = request.match_info["code"], request.match_info["portal"]
        file = self._engine.world.files.get(code[:-CODE_LENGTH])
        if file is None or file.owner != portal or _code(file) != code:
            return web.Response(status=404)
        to = f"{self._engine.url}/bitrix24/{portal}/pub/im.file.php?FILE_ID={file.id}&SIGN={file.secret}"
        return web.Response(status=301, headers={"Location": to})

    async def by_token(self, request: web.Request) -> web.StreamResponse:
        """The application's own address of a file, which `disk.file.get` tells: good as long as its token."""
        portal, token = (
            request.match_info["portal"],
            self._engine.world.access_tokens.get(request.query.get("auth", "")),
        )
        file = self._engine.world.files.get(request.match_info["file"])
        if token is None or token.revoked or token.portal != portal or token.expires <= self._engine.now():
            return web.Response(status=401)
        if file is None or file.owner != portal:
            return web.Response(status=404)
        facts = {"portal": portal, "method": "disk.download"}
        response: web.StreamResponse = await files.give(self._engine, request, file, side="bitrix24", facts=facts)
        return response

    async def whole(self, request: web.Request) -> web.StreamResponse:
        portal = request.match_info["portal"]
        file = self._engine.world.files.get(request.query.get("FILE_ID", ""))
        if file is None or file.owner != portal or request.query.get("SIGN") != file.secret:
            return web.Response(status=403, headers={"BX-File-Error": "ACCESS_DENIED"})
        facts = {"portal": portal, "method": "im.file.php"}
        response: web.StreamResponse = await files.give(self._engine, request, file, side="bitrix24", facts=facts)
        return response
