"""Bodies that can be sent: one or more of each operation, which Swagger UI fills in and a test sends.

Ids and tokens are the caller's to replace. The files that they name are this gateway's own: who sends a link to one
needs no server of files, and the gateway no internet.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

from zaptrix.core.ids import EXAMPLE_CHANNEL, EXAMPLE_PORTAL

Body = dict[str, Any]

PORTAL_ID: Final = str(EXAMPLE_PORTAL)
CHANNEL_ID: Final = str(EXAMPLE_CHANNEL)
CONVERSATION_ID: Final = "5f0c8f5e-8c1b-4d55-9d5d-0c8a0f6b1a03"
MESSAGE_ID: Final = 1
CUSTOMER: Final = "+55 41 98888-7777"

FILES_PATH: Final = "/docs/files/"
_FOLDER: Final = Path(__file__).parent / "example_files"
_TYPES: Final = {
    "photo.jpg": "image/jpeg",
    "film.mp4": "video/mp4",
    "invoice.pdf": "application/pdf",
    "voice.ogg": "audio/ogg",
    "sticker.webp": "image/webp",
}


class ExampleFile(NamedTuple):
    """A file to try a link with."""

    name: str
    type: str
    content: bytes


def example_files() -> list[ExampleFile]:
    return [ExampleFile(name, told, (_FOLDER / name).read_bytes()) for name, told in _TYPES.items()]


def example_file(link: str, public_url: str) -> ExampleFile | None:
    """The example that a link names; None for every other link. It is never fetched from outside."""
    name = link.removeprefix(f"{public_url}{FILES_PATH}")
    if name == link or name not in _TYPES:
        return None
    return ExampleFile(name, _TYPES[name], (_FOLDER / name).read_bytes())


def examples(public_url: str) -> dict[str, dict[str, Body]]:
    """Bodies by the operation's id and a short title."""
    files = f"{public_url}{FILES_PATH}"
    return {
        **_accounts(),
        **_messages(),
        **_with_files(files),
        **_interactive(files),
        **_templates(),
        **_dead_letters(),
    }


def _accounts() -> dict[str, dict[str, Body]]:
    return {
        "createPortal": {
            "A portal": {
                "portal_url": "https://company.bitrix24.com.br",
                "member_id": "a223c6b3710f85df22e9377d6c4f7553",
                "client_id": "local.5c8bb1b0891cf2.87252039",
                "client_secret": "the-applications-secret",
                "access_token": "the-access-token",
                "refresh_token": "the-refresh-token",
                "application_token": "the-application-token",
                "expires_in": 3600,
                "locale": "pt-BR",
            }
        },
        "changePortal": {
            "Language and plan": {"locale": "en", "enterprise": True},
            "A new pair of tokens": {"access_token": "new", "refresh_token": "newer", "expires_in": 3600},
        },
        "createChannel": {
            "A number on an open line": {
                "portal_id": PORTAL_ID,
                "name": "Vendas",
                "phone_number_id": "210987654321098",
                "display_phone_number": "+55 11 4004-1234",
                "access_token": "the-numbers-access-token",
                "line_id": 1,
            }
        },
        "changeChannel": {
            "Name and pace": {"name": "Vendas 2", "rate_per_s": 20},
            "What customers and operators see": {"operator_prefix": True, "mark_read": True, "typing": True},
        },
    }


def _sent(**body: Any) -> Body:
    return {"channel_id": CHANNEL_ID, "to": CUSTOMER, **body}


def _messages() -> dict[str, dict[str, Body]]:
    return {
        "sendText": {
            "To a number": _sent(text="Olá! Seu pedido saiu."),
            "Into a conversation": {"conversation_id": CONVERSATION_ID, "text": "Olá! Seu pedido saiu."},
            "As an answer": {"conversation_id": CONVERSATION_ID, "text": "Sim, temos.", "reply_to": MESSAGE_ID},
        },
        "sendLocation": {
            "A place": _sent(latitude=-25.4296, longitude=-49.2719, name="Loja Azul", address="R. XV de Novembro, 100")
        },
        "sendContacts": {
            "A person": _sent(
                contacts=[
                    {
                        "name": "Suporte",
                        "organisation": "Loja Azul",
                        "phones": ["+551140041234"],
                        "emails": ["suporte@example.com"],
                        "birthday": "1990-05-17",
                    }
                ]
            )
        },
        "sendReaction": {
            "An emoji": {"message_id": MESSAGE_ID, "emoji": "👍"},
            "Taken away again": {"message_id": MESSAGE_ID, "emoji": ""},
        },
    }


def _with_files(files: str) -> dict[str, dict[str, Body]]:
    return {
        "sendImage": {"From an address": _sent(link=f"{files}photo.jpg", caption="Chegou!")},
        "sendVideo": {"From an address": _sent(link=f"{files}film.mp4", caption="Como montar")},
        "sendDocument": {
            "From an address": _sent(link=f"{files}invoice.pdf", caption="Seu boleto", file_name="boleto.pdf")
        },
        "sendAudio": {
            "A sound": _sent(link=f"{files}voice.ogg"),
            "A voice note": _sent(link=f"{files}voice.ogg", voice=True),
        },
        "sendSticker": {"From an address": _sent(link=f"{files}sticker.webp")},
    }


def _interactive(files: str) -> dict[str, dict[str, Body]]:
    rows = [{"id": "s09", "title": "09:00", "description": "Dra. Paula"}, {"id": "s10", "title": "10:30"}]
    return {
        "sendInteractive": {
            "Reply buttons": _sent(
                body="Confirma a visita?",
                header={"text": "Visita"},
                footer="Loja Azul",
                buttons=[{"id": "yes", "title": "Sim"}, {"id": "no", "title": "Não"}],
            ),
            "Reply buttons below a picture": _sent(
                body="Gostou?",
                header={"image": {"link": f"{files}photo.jpg"}},
                buttons=[{"id": "yes", "title": "Sim"}],
            ),
            "A list": _sent(
                body="Escolha um horário",
                list={"label": "Ver horários", "sections": [{"title": "Manhã", "rows": rows}]},
            ),
            "A link": _sent(
                body="Seu pedido saiu", link={"label": "Acompanhar", "url": "https://example.com/pedido/1"}
            ),
            "A request for a place": _sent(body="Onde entregamos?", location_request=True),
            "A form": _sent(
                body="Seus dados",
                flow={
                    "label": "Abrir",
                    "id": "1234567890",
                    "token": "pedido-1",
                    "screen": "START",
                    "data": {"nome": "Ana"},
                },
            ),
        }
    }


def _templates() -> dict[str, dict[str, Body]]:
    return {
        "createTemplate": {
            "A notice": {
                "channel_id": CHANNEL_ID,
                "name": "lembrete_consulta",
                "language": "pt_BR",
                "category": "UTILITY",
                "components": [
                    {
                        "type": "BODY",
                        "text": "Olá {{1}}, sua consulta é às {{2}} h.",
                        "example": {"body_text": [["Ana", "09:30"]]},
                    },
                    {"type": "FOOTER", "text": "Loja Azul"},
                ],
            }
        },
        "sendTemplate": {
            "To a number": _sent(name="lembrete_consulta", language="pt_BR", body=["Ana", "09:30"]),
            "Into a conversation": {
                "conversation_id": CONVERSATION_ID,
                "name": "lembrete_consulta",
                "body": ["Ana", "09:30"],
            },
        },
    }


def _dead_letters() -> dict[str, dict[str, Body]]:
    chosen: dict[str, Body] = {
        "Some": {"ids": [MESSAGE_ID]},
        "All": {"all": True},
        "All of a portal": {"all": True, "portal_id": PORTAL_ID},
    }
    return {"reviveDeadLetters": chosen, "dismissDeadLetters": chosen}
