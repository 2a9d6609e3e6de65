"""How each act of a plan is done: by the simulators' remote control, or by the gateway's own API."""

import base64
from collections.abc import Awaitable, Callable
from typing import Any

from proof.acts import ACT_KINDS, Act, File
from proof.arena import Arena

Json = dict[str, Any]

# How the bytes of a file begin, its type, the ending of its name, and what either platform calls it.
_FILES: dict[str, tuple[bytes, str, str, str]] = {
    "jpeg": (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", "image/jpeg", "jpg", "image"),
    "png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png", "png", "image"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf", "pdf", "document"),
    "zip": (b"PK\x03\x04", "application/zip", "zip", "document"),
    "mp4": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video/mp4", "mp4", "video"),
    "mp3": (b"ID3\x04\0\0\0\0\0\0", "audio/mpeg", "mp3", "audio"),
    "voice": (b"OggS\0\x02" + bytes(20) + b"\x01\x13OpusHead\x01\x01", "audio/ogg", "ogg", "audio"),
    "sticker": (b"RIFF\x24\0\0\0WEBPVP8L", "image/webp", "webp", "sticker"),
}
_BODY = {"type": "BODY", "text": "Olá! O pedido {{1}} saiu para entrega."}
_BUTTONS = {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Confirmar"}]}
TEMPLATES: dict[str, list[Json]] = {
    "aviso": [_BODY],
    "foto": [{"type": "HEADER", "format": "IMAGE"}, _BODY],
    "botoes": [_BODY, _BUTTONS],
}
# How each is filled, with the id that the number's own picture has at Meta.
_FILLED: dict[str, Callable[[str], Json]] = {
    "aviso": lambda _picture: {},
    "foto": lambda picture: {"header": {"image": {"id": picture}}},
    "botoes": lambda _picture: {"buttons": [{"index": 0, "payload": "sim"}]},
}
_PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(2_000)
_ROWS = [{"title": "Manhã", "rows": [{"id": "s09", "title": "09:00"}]}]
# What a caller can ask for beside templates, with the key among the words: the path and the body.
_ASKED: dict[str, Callable[[str], tuple[str, Json]]] = {
    "text": lambda key: ("text", {"text": f"asks {key}"}),
    "buttons": lambda key: ("interactive", {"body": f"asks {key}", "buttons": [{"id": "1", "title": "Sim"}]}),
    "list": lambda key: ("interactive", {"body": f"asks {key}", "list": {"label": "Ver", "sections": _ROWS}}),
    "location": lambda key: ("location", {"latitude": -25.43, "longitude": -49.27, "name": f"asks {key}"}),
    "contacts": lambda key: ("contacts", {"contacts": [{"name": f"asks {key}", "phones": ["+551140041234"]}]}),
    "image": lambda key: ("image", {"caption": f"asks {key}"}),
}
# What a customer can tell beside texts and files.
_TOLD: dict[str, Json] = {
    "location": {"latitude": -25.43, "longitude": -49.27, "name": "Loja"},
    "contacts": {"name": "Maria Silva", "phone": "+55 41 99999-0000"},
    "button": {"title": "Sim"},
}


async def prepare(arena: Arena) -> None:
    """The templates that are sent later; all numbers of a world are of one account."""
    for name, components in TEMPLATES.items():
        number = {"phone_number_id": arena.tenants[0].number}
        await arena.control("POST", "templates", {**number, "name": name, "components": components})
    for tenant in arena.tenants:
        arena.pictures[tenant.number] = await arena.upload(tenant, _PICTURE)


async def do(arena: Arena, act: Act) -> None:
    """Do it. What is asked of the API is tried until it is answered."""
    await _BY_KIND[act.kind](arena, act)


def _phone(arena: Arena, act: Act) -> Json:
    person = arena.plan.people[act.who]
    return {"phone_number_id": arena.tenants[person.channel].number, "from": person.wa_id}


def _letter(arena: Arena, act: Act) -> Json:
    """What she says now, with the time that Meta tells of it."""
    return _phone(arena, act) | {"hours_ago": arena.plan.people[act.who].hours_ago}


def _chat(arena: Arena, act: Act) -> Json:
    tenant = arena.tenants[arena.plan.people[act.who].channel]
    return {"portal": tenant.key, "chat_id": arena.chats[act.who], "operator": "Bia", "text": act.text}


async def _writes(arena: Arena, act: Act) -> None:
    told = await arena.control("POST", "customers/write", _letter(arena, act) | {"text": act.text})
    arena.latest[act.who] = told["wamids"][-1]


async def _sends(arena: Arena, act: Act) -> None:
    (file,) = act.files
    media = _described(file) | {"voice": file.kind == "voice"}
    await arena.control("POST", "customers/write", _letter(arena, act) | {"text": act.text, "media": media})


async def _tells(arena: Arena, act: Act) -> None:
    """A reaction and a quote need something that she has said before; without it they are a card."""
    before = arena.latest.get(act.who)
    quoting = {
        "reaction": {"kind": "reaction", "to": before, "emoji": "👍"},
        "quote": {"kind": "text", "quotes": before, "text": act.text},
    }
    shape = "contacts" if act.shape in quoting and before is None else act.shape
    said = quoting.get(shape) or _TOLD[shape] | {"kind": shape}
    await arena.control("POST", "customers/send", _letter(arena, act) | said)


async def _reads(arena: Arena, act: Act) -> None:
    await arena.control("POST", "customers/read", _phone(arena, act))


async def _plays(arena: Arena, act: Act) -> None:
    """She listens to every voice note that she has by now."""
    phone = _phone(arena, act)
    filters = f"phone_number_id={phone['phone_number_id']}&customer={phone['from']}"
    for shown in (await arena.control("GET", f"state?{filters}"))["phones"]:
        for one in shown["messages"]:
            if one["from"] == "business" and (one["file"] or {}).get("voice"):
                await arena.control("POST", "customers/play", phone | {"to": one["id"]})


async def _ages(arena: Arena, act: Act) -> None:
    await arena.control("POST", "customers/age", _phone(arena, act) | {"hours": 30})


async def _answers(arena: Arena, act: Act) -> None:
    files = {"files": [_described(file) for file in act.files]} if act.files else {}
    await arena.control("POST", "operators/write", _chat(arena, act) | files)


async def _asks(arena: Arena, act: Act) -> None:
    person = arena.plan.people[act.who]
    tenant = arena.tenants[person.channel]
    name = {"key": act.key, "phone_number_id": tenant.number, "to": person.wa_id}
    await arena.control("POST", "callers", name)
    body: Json = {"channel_id": str(tenant.channel_id), "to": f"+{person.wa_id}"}
    path, asked = _asked(act, arena.pictures[tenant.number])
    file = _PICTURE + act.key.encode() if path == "image" else None
    await arena.ask(f"/api/messages/{path}", body | asked, act.key, file)
    await arena.control("POST", "callers", name | {"answered": True})


def _asked(act: Act, picture: str) -> tuple[str, Json]:
    """The path and the body of a call."""
    if act.shape in TEMPLATES:
        return "template", _FILLED[act.shape](picture) | {"name": act.shape, "body": [act.key]}
    return _ASKED[act.shape](act.key)


def _described(file: File) -> Json:
    start, mime, ending, kind = _FILES[file.kind]
    return {
        "type": kind,
        "mime": mime,
        "filename": f"arquivo{file.seed}.{ending}",
        "content_base64": base64.b64encode(start).decode(),
        "size": file.size,
        "seed": file.seed,
    }


_BY_KIND: dict[str, Callable[[Arena, Act], Awaitable[None]]] = {
    "customer": _writes,
    "operator": _answers,
    "reads": _reads,
    "ages": _ages,
    "plays": _plays,
    "sends": _sends,
    "tells": _tells,
    "attaches": _answers,
    "asks": _asks,
}
assert _BY_KIND.keys() == {*ACT_KINDS}
