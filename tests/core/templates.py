"""Approved templates of every make, for tests."""

from zaptrix.core.message.template import Button, Card, Definition, Header, ParameterFormat


def a_definition(**changes: object) -> Definition:
    """A positional one with two values in its body."""
    fields: dict[str, object] = {
        "id": "1387372356726668",
        "name": "lembrete_consulta",
        "language": "pt_BR",
        "status": "APPROVED",
        "category": "UTILITY",
        "body": "Olá {{1}}, sua consulta é às {{2}}.",
    }
    return Definition(**(fields | changes))  # type: ignore[arg-type]


NAMED = a_definition(
    parameter_format=ParameterFormat.NAMED,
    header=Header("text", "Oi, {{nome}}"),
    body="{{nome}}, a consulta é às {{hora}}.",
    footer="Clínica Azul",
)
BUTTONS = a_definition(
    header=Header("document"),
    body="Seu boleto.",
    buttons=(
        Button("quick_reply", "Confirmar"),
        Button("url", "Ver", url="https://ex.com/{{1}}"),
        Button("url", "Site", url="https://ex.com"),
        Button("phone_number", "Ligar", phone_number="+551140041234"),
        Button("copy_code", "Copiar"),
        Button("flow", "Abrir"),
    ),
)
CAROUSEL = a_definition(
    category="MARKETING",
    body="Novidades, {{1}}",
    cards=(
        Card(Header("image"), "Camisa {{1}}", (Button("url", "Ver", url="https://ex.com/{{1}}"),)),
        Card(Header("image"), "Calça {{1}}", (Button("url", "Ver", url="https://ex.com/{{1}}"),)),
    ),
)
AUTHENTICATION = a_definition(
    name="codigo",
    category="AUTHENTICATION",
    body="*{{1}}* é o seu código.",
    buttons=(Button("url", "Copiar código", url="https://www.whatsapp.com/otp/code/?code=otp{{1}}"),),
)
OFFER = a_definition(name="oferta", category="MARKETING", body="Só hoje.", offer_expires=True)
