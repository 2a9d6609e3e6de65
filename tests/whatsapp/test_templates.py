"""Definitions and webhooks of templates, from the shapes that Meta documents and from shapes that nobody does."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.templates import a_definition
from tests.whatsapp.builders import journalled
from zaptrix.core.event import TemplateChange, Unroutable
from zaptrix.core.message.template import Button, Filling, Header, ParameterFormat
from zaptrix.core.message.template_filling import fill
from zaptrix.whatsapp.inbound.translate import translate
from zaptrix.whatsapp.inbound.webhook import split
from zaptrix.whatsapp.templates import TemplatePage, definition_of, to_wire
from zaptrix.whatsapp.wire import read

TOLD: dict[str, Any] = {
    "id": "1387372356726668",
    "name": "lembrete_consulta",
    "language": "pt_BR",
    "status": "APPROVED",
    "category": "UTILITY",
    "parameter_format": "NAMED",
    "quality_score": {"score": "GREEN", "date": 1794000000},
    "components": [
        {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["https://scontent.whatsapp.net/x"]}},
        {"type": "BODY", "text": "Olá {{nome}}, sua consulta é às {{hora}}.", "example": {"body_text": []}},
        {"type": "FOOTER", "text": "Clínica Azul"},
        {
            "type": "BUTTONS",
            "buttons": [
                {"type": "QUICK_REPLY", "text": "Confirmar"},
                {"type": "URL", "text": "Ver", "url": "https://ex.com/{{1}}", "example": ["https://ex.com/991"]},
                {"type": "PHONE_NUMBER", "text": "Ligar", "phone_number": "+551140041234"},
            ],
        },
    ],
}


def page(*templates: Any, **paging: Any) -> TemplatePage:
    body = {"data": list(templates), "paging": {"cursors": {"before": "a", "after": "b"}} | paging}
    return read(json.dumps(body).encode(), TemplatePage)


def test_a_definition_is_read_whole() -> None:
    definition = definition_of(page(TOLD).data[0])
    assert definition
    assert (definition.name, definition.language, definition.quality) == ("lembrete_consulta", "pt_BR", "GREEN")
    assert definition.parameter_format is ParameterFormat.NAMED
    assert definition.header == Header("image")
    assert [button.kind for button in definition.buttons] == ["quick_reply", "url", "phone_number"]
    assert definition.buttons[2] == Button("phone_number", "Ligar", phone_number="+551140041234")


@pytest.mark.parametrize("strange", [
    {"id": 1387372356726668}, {"quality_score": None}, {"components": None}, {"parameter_format": 7},
    {"components": [{"type": 5}, None, {"type": "BODY", "text": "oi"}]}, {"something": {"new": [1]}},
])  # fmt: skip
def test_a_strange_field_costs_that_field_alone(strange: dict[str, Any]) -> None:
    found = [definition_of(one) for one in page(TOLD | strange, TOLD | {"id": "2"}).data]
    assert [one.id for one in found if one] == ["1387372356726668", "2"]


def test_the_last_page_is_the_one_without_next_whatever_its_cursors_say() -> None:
    assert page(TOLD, next="https://graph.facebook.com/x").after == "b"
    assert page(TOLD).after is None
    assert read(b'{"data":[]}', TemplatePage).after is None


def test_numbered_values_go_out_without_names() -> None:
    sent = to_wire(fill(a_definition(), Filling(body=["Ana", "09:30"])))
    assert sent == {
        "name": "lembrete_consulta",
        "language": {"code": "pt_BR"},
        "components": [
            {"type": "body", "parameters": [{"type": "text", "text": "Ana"}, {"type": "text", "text": "09:30"}]}
        ],
    }


def webhook(field: str, value: Any) -> Any:
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "108866333444555", "time": 1794300000, "changes": [{"field": field, "value": value}]}],
    }
    (event,) = split(json.dumps(body).encode(), "r")
    return translate(journalled(event))


WHO = {
    "message_template_id": 1689556908129835,
    "message_template_name": "aviso",
    "message_template_language": "pt-BR",
}


@pytest.mark.parametrize(
    ("field", "value", "what", "new"),
    [
        ("message_template_status_update", {"event": "REJECTED", "reason": "INVALID_FORMAT"}, "status", "REJECTED"),
        ("message_template_status_update", {"event": "APPROVED", "reason": None}, "status", "APPROVED"),
        ("message_template_quality_update", {"previous_quality_score": "GREEN", "new_quality_score": "YELLOW"},
         "quality", "YELLOW"),
        # Meta's own sample carries a quality under the status' field.
        ("message_template_status_update", {"previous_quality_score": "GREEN", "new_quality_score": "RED"},
         "quality", "RED"),
        ("template_category_update", {"previous_category": "UTILITY", "new_category": "MARKETING"},
         "category", "MARKETING"),
        ("template_category_update", {"new_category": "UTILITY", "correct_category": "MARKETING"},
         "category_soon", "MARKETING"),
        ("message_template_components_update", {"message_template_element": "oi"}, "components", ""),
    ],
)  # fmt: skip
def test_what_meta_changed_is_told_by_its_keys(field: str, value: dict[str, Any], what: str, new: str) -> None:
    told = webhook(field, WHO | value)
    assert isinstance(told, TemplateChange)
    assert (told.waba_id, told.template_id, told.language) == ("108866333444555", "1689556908129835", "pt_BR")
    assert (told.what, told.new) == (what, new)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["event", "reason", "new_quality_score", "new_category", "correct_category", *WHO])


@given(st.dictionaries(KEYS, ANYTHING))
def test_whatever_a_webhook_of_templates_holds_it_is_told_or_kept(value: dict[str, Any]) -> None:
    assert isinstance(webhook("message_template_status_update", value), TemplateChange | Unroutable)
