"""Media at Meta: uploads, what is told of a media id, and addresses that live for five minutes.

https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
"""

import asyncio
import hmac
from typing import Any, Final

from aiohttp import BodyPartReader, web

from zaptrix_sim.meta.errors import GraphError, bad_parameter, refusal, unknown_object
from zaptrix_sim.world import files
from zaptrix_sim.world.answers import ApiResponse
from zaptrix_sim.world.contents import PART, Content
from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.world import Number, StoredFile

MIB: Final = 1024 * 1024
FIELD_MAX: Final = 1024
DOCUMENT_MAX: Final = 100 * MIB
CAPTION_MAX: Final = 1024
# What an upload may be, and how large: by class.
CLASSES: Final[dict[str, tuple[tuple[str, ...], int]]] = {
    "audio": (("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"), 16 * MIB),
    "image": (("image/jpeg", "image/png"), 5 * MIB),
    "video": (("video/mp4", "video/3gpp"), 16 * MIB),
    "sticker": (("image/webp",), 500 * 1024),
    "document": (
        (
            "text/plain",
            "application/pdf",
            "application/msword",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ),
        DOCUMENT_MAX,
    ),
}
# Not in the documents' list, and known to pass all the same; a server that refuses them is an option.
PASSING: Final = (
    "application/zip",
    "application/octet-stream",
    "text/csv",
    "image/gif",
    "video/quicktime",
    "audio/wav",
)


class MetaMedia:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def upload(self, request: web.Request, number: Number) -> ApiResponse:
        """`file` in a multipart form; `messaging_product` and `type` there or in the query."""
        fields: dict[str, str] = dict(request.query)
        content, name, mime = Content(), "", ""
        try:
            async for part in await request.multipart():
                if not isinstance(part, BodyPartReader):
                    raise bad_parameter("The form is not understood.")
                if part.name != "file":
                    fields[str(part.name)] = (await part.read())[:FIELD_MAX].decode()
                    continue
                name, mime = part.filename or "", part.headers.get("Content-Type", "")
                while chunk := await part.read_chunk(PART):
                    content.append(chunk)
                    if len(content) > DOCUMENT_MAX:
                        raise refusal(131053, "The file is larger than 100 MB.")
        except (ValueError, AssertionError) as exc:
            raise bad_parameter("The body is no multipart form.") from exc
        if fields.get("messaging_product") != "whatsapp" or not name:
            raise bad_parameter("The parameters messaging_product and file are required.")
        with self._engine.transfer():
            await asyncio.sleep(self._engine.options.file_latency_s)
        self._judge(fields.get("type") or mime, len(content))
        told = (fields.get("type") or mime).partition(";")[0]
        file = files.keep(self._engine, number.id, content, mime=told, name=name)
        self._engine.world.ledger.books.counts["uploads"] += 1
        return ApiResponse({"id": file.id})

    def _judge(self, told: str, size: int) -> None:
        mime = told.partition(";")[0].strip()
        known = [types for types, _ in CLASSES.values()]
        if not any(mime in types for types in known) and (self._engine.options.strict_types or mime not in PASSING):
            raise bad_parameter("Param file must be a file with one of the following types: audio/aac, audio/mp4, ...")
        if not size:
            raise bad_parameter("The file is empty.")

    def info(self, media_id: str, number_id: str, token: str) -> ApiResponse:
        file = self._file(media_id, token)
        if number_id and number_id != file.owner:
            raise unknown_object(media_id)
        ends = int(self._engine.now() + self._engine.options.media_url_s)
        url = f"{self._engine.url}/meta/attachments/?mid={file.id}&source=getMedia&ext={ends}&hash={_hash(file, ends)}"
        told = {"url": url, "mime_type": file.mime, "sha256": file.sha256, "file_size": str(len(file.content))}
        return ApiResponse({"messaging_product": "whatsapp", "id": file.id, **told})

    def delete(self, media_id: str, token: str) -> ApiResponse:
        del self._engine.world.files[self._file(media_id, token).id]
        return ApiResponse({"success": True})

    async def give(self, request: web.Request, token: str) -> web.StreamResponse:
        """With the token of the account that it belongs to, and while the address lives."""
        query = request.query
        file = self._engine.world.files.get(query.get("mid", ""))
        ends = query.get("ext", "")
        good = (
            file is not None and ends.isdigit() and hmac.compare_digest(_hash(file, int(ends)), query.get("hash", ""))
        )
        if file is None or not good or int(ends) <= self._engine.now():
            return web.Response(status=404, text="URL signature expired")
        try:
            self._owner(file, token)
        except GraphError:
            return web.Response(status=401)
        self._engine.world.ledger.books.counts["media_downloads"] += 1
        facts = {"phone_number_id": file.owner, "method": "media_download"}
        response: web.StreamResponse = await files.give(self._engine, request, file, side="meta", facts=facts)
        return response

    def for_send(self, number: Number, kind: str, body: Any) -> tuple[StoredFile, str]:
        """What a send names, and its caption; raises the refusal."""
        if not isinstance(body, dict) or not isinstance(body.get("id") or body.get("link"), str):
            raise refusal(131008, f"Parameter of type {kind} is missing: id or link.")
        file = self._engine.world.files.get(body["id"]) if body.get("id") else self._elsewhere(number, kind, body)
        if file is None or file.owner != number.id:
            raise bad_parameter(f"Param {kind}['id'] is not a valid whatsapp business account media attachment ID")
        types, most = CLASSES[kind]
        if (kind != "document" and file.mime not in types) or len(file.content) > most:
            raise refusal(131053, f"Unsupported {kind} mime type {file.mime}, or too large.")
        caption = str(body.get("caption") or "")
        if caption and kind in {"audio", "sticker"}:
            raise bad_parameter(f'Unexpected key "caption" on param "{kind}".')
        if len(caption) > CAPTION_MAX:
            raise bad_parameter("Param caption must be at most 1024 characters long.")
        file.kind = kind
        return file, caption

    def _elsewhere(self, number: Number, kind: str, body: dict[str, Any]) -> StoredFile:
        """What stands for a file behind a link that the simulator does not follow."""
        name = str(body.get("filename") or str(body["link"]).rpartition("/")[2] or kind)
        return files.keep(self._engine, number.id, Content(), mime=CLASSES[kind][0][0], name=name, kind=kind)

    def held(self, number: Number, kind: str, body: dict[str, Any]) -> StoredFile | None:
        """The file of a template's header, if it is here: it may as well have been uploaded elsewhere."""
        file = self._engine.world.files.get(str(body.get("id") or ""))
        if file is None or file.owner != number.id:
            return None
        file.kind = kind
        return file

    def _file(self, media_id: str, token: str) -> StoredFile:
        file = self._engine.world.files.get(media_id)
        if file is None:
            raise unknown_object(media_id)
        self._owner(file, token)
        return file

    def _owner(self, file: StoredFile, token: str) -> None:
        world = self._engine.world
        owner = world.numbers.get(file.owner)
        mine = world.number_of_token.get(token, "")
        if owner is None or mine not in world.numbers or world.numbers[mine].waba_id != owner.waba_id:
            raise unknown_object(file.id)


def _hash(file: StoredFile, ends: int) -> str:
    return hmac.new(file.sha256.encode(), f"{file.id}{ends}".encode(), "sha256").hexdigest()
