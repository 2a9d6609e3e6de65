"""A send against an approved template: it fits and shows what the customer reads, or every field at fault is named."""

import pytest

from tests.core.templates import AUTHENTICATION, BUTTONS, CAROUSEL, NAMED, OFFER, a_definition
from zaptrix.core.message.template import (
    Button,
    ButtonFill,
    CardFill,
    Definition,
    Filling,
    Header,
    HeaderFill,
    Media,
    Place,
    ProductSection,
    VariableValue,
    sketch,
    variables,
)
from zaptrix.core.message.template_filling import fill
from zaptrix.core.message.validation import DoesNotFit
from zaptrix.core.wording.catalog import Locale, section

DOCUMENT = HeaderFill(document=Media(id="1037543291543636", filename="boleto.pdf"))
GOOD_BUTTONS = [ButtonFill(index=1, text="991"), ButtonFill(index=4, coupon_code="OFF10")]


def misfits(definition: Definition, filling: Filling) -> list[tuple[str, str]]:
    with pytest.raises(DoesNotFit) as caught:
        fill(definition, filling)
    return [(each.place, each.code) for each in caught.value.misfits]


def test_numbered_values_stand_in_their_order() -> None:
    message = fill(a_definition(), Filling(body=["Ana", "09:30"]))
    assert message.shown == "Olá Ana, sua consulta é às 09:30."
    assert message.body == (VariableValue("Ana"), VariableValue("09:30"))


def test_numbered_values_are_counted_by_their_numbers_and_not_by_where_they_stand() -> None:
    assert variables("{{2}} e {{1}}, de novo {{2}}") == ("1", "2")
    message = fill(a_definition(body="Às {{2}}, {{1}}. Até {{2}}!"), Filling(body=["Ana", "09:30"]))
    assert message.shown == "Às 09:30, Ana. Até 09:30!"


def test_named_values_may_come_in_any_order() -> None:
    filling = Filling(header=HeaderFill(text="Ana"), body={"hora": "09:30", "nome": "Ana"})
    message = fill(NAMED, filling)
    assert message.shown == "Oi, Ana\nAna, a consulta é às 09:30.\nClínica Azul"
    assert message.body == (VariableValue("Ana", "nome"), VariableValue("09:30", "hora"))
    assert message.header
    assert message.header.text == VariableValue("Ana", "nome")


def test_a_value_that_looks_like_a_variable_is_not_filled_again() -> None:
    assert fill(a_definition(), Filling(body=["{{2}}", "9h"])).shown == "Olá {{2}}, sua consulta é às 9h."


def test_header_file_and_buttons_are_shown() -> None:
    message = fill(BUTTONS, Filling(header=DOCUMENT, buttons=GOOD_BUTTONS))
    assert message.shown == (
        "[documento / document: boleto.pdf]\nSeu boleto.\n[Confirmar] [Ver: https://ex.com/991] "
        "[Site: https://ex.com] [Ligar: +551140041234] [Copiar] [Abrir]"
    )
    # The flow's component goes out although nothing goes into it.
    assert [(each.kind, each.fill.index) for each in message.buttons] == [("url", 1), ("copy_code", 4), ("flow", 5)]


def test_a_carousel_takes_its_cards_in_their_order() -> None:
    cards = [
        CardFill(
            header=HeaderFill(image=Media(link=f"https://ex.com/{name}.png")),
            body=[name],
            buttons=[ButtonFill(index=0, text=name)],
        )
        for name in ("azul", "preta")
    ]
    message = fill(CAROUSEL, Filling(body=["Ana"], cards=cards))
    assert message.shown == (
        "Novidades, Ana\n• [imagem / image] Camisa azul [Ver: https://ex.com/azul]\n"
        "• [imagem / image] Calça preta [Ver: https://ex.com/preta]"
    )


def test_an_authentication_code_goes_into_body_and_button_and_is_not_shown() -> None:
    message = fill(AUTHENTICATION, Filling(code="482913"))
    assert message.body == (VariableValue("482913"),)
    assert [(each.kind, each.fill.text) for each in message.buttons] == [("url", "482913")]
    assert "482913" not in message.shown
    assert message.shown.startswith("*••••••* é o seu código.")


def test_an_offer_names_its_end() -> None:
    assert fill(OFFER, Filling(offer_expires_at_ms=1_794_300_000_000)).offer_expires_at_ms == 1_794_300_000_000
    assert misfits(OFFER, Filling()) == [("/offer_expires_at_ms", "missing")]
    assert misfits(a_definition(body="oi"), Filling(offer_expires_at_ms=1)) == [("/offer_expires_at_ms", "unknown")]


@pytest.mark.parametrize("status", ["PENDING", "REJECTED", "PAUSED", "DISABLED", "SOMETHING_NEW"])
def test_only_an_approved_template_can_be_sent(status: str) -> None:
    assert misfits(a_definition(status=status, body="oi"), Filling()) == [("/name", "not_approved")]


@pytest.mark.parametrize(
    ("definition", "filling", "found"),
    [
        (a_definition(), Filling(), [("/body", "count")]),
        (a_definition(), Filling(body=["a", "b", "c"]), [("/body", "count")]),
        (a_definition(body="oi"), Filling(body=["a"]), [("/body", "count")]),
        (a_definition(), Filling(body={"1": "a"}), [("/body", "numbered")]),
        (a_definition(), Filling(body=["", "x\ny"]), [("/body/0", "empty"), ("/body/1", "line_or_tab")]),
        (a_definition(), Filling(body=["a     b", "x\ty"]), [("/body/0", "spaces"), ("/body/1", "line_or_tab")]),
        (a_definition(), Filling(body=["a    b", "x" * 1025]), [("/body/1", "too_long")]),
        (NAMED, Filling(body=["a"], header=HeaderFill(text="a")), [("/body", "named")]),
        (
            NAMED,
            Filling(body={"nome": "Ana", "a/b": "x"}),
            [("/header/text", "missing"), ("/body/hora", "missing"), ("/body/a~1b", "unknown")],
        ),
        (a_definition(body="oi"), Filling(header=HeaderFill(text="x")), [("/header/text", "unknown")]),
        (a_definition(body="oi", header=Header("text", "fixo")), Filling(header=HeaderFill(text="x")),
         [("/header/text", "unknown")]),
        (BUTTONS, Filling(buttons=GOOD_BUTTONS), [("/header/document", "missing")]),
        (BUTTONS, Filling(header=HeaderFill(image=Media(id="1")), buttons=GOOD_BUTTONS),
         [("/header/image", "unknown"), ("/header/document", "missing")]),
        (BUTTONS, Filling(header=HeaderFill(document=Media()), buttons=GOOD_BUTTONS), [("/header/document", "source")]),
        (BUTTONS, Filling(header=HeaderFill(document=Media(id="1", link="https://a")), buttons=GOOD_BUTTONS),
         [("/header/document", "source")]),
        (BUTTONS, Filling(header=HeaderFill(document=Media(link="http://a")), buttons=GOOD_BUTTONS),
         [("/header/document/link", "link")]),
        (BUTTONS, Filling(header=DOCUMENT), [("/buttons/1/text", "missing"), ("/buttons/4/coupon_code", "missing")]),
        (BUTTONS, Filling(header=DOCUMENT, buttons=[*GOOD_BUTTONS, ButtonFill(index=9)]),
         [("/buttons/2/index", "unknown")]),
        (BUTTONS, Filling(header=DOCUMENT, buttons=[*GOOD_BUTTONS, ButtonFill(index=-1)]),
         [("/buttons/2/index", "unknown")]),
        (BUTTONS, Filling(header=DOCUMENT, buttons=[*GOOD_BUTTONS, ButtonFill(index=1, text="x")]),
         [("/buttons/2/index", "twice")]),
        (BUTTONS, Filling(header=DOCUMENT, buttons=[*GOOD_BUTTONS, ButtonFill(index=2, text="x")]),
         [("/buttons/2/text", "kind")]),
        (BUTTONS, Filling(header=DOCUMENT, buttons=[*GOOD_BUTTONS, ButtonFill(index=0, payload="p" * 257)]),
         [("/buttons/2/payload", "too_long")]),
        (CAROUSEL, Filling(body=["Ana"]), [("/cards", "count")]),
        (CAROUSEL, Filling(body=["Ana"], cards=[CardFill(), CardFill()]),
         [(f"/cards/{n}/{field}", code) for n in (0, 1) for field, code in
          (("header/image", "missing"), ("body", "count"), ("buttons/0/text", "missing"))]),
        (AUTHENTICATION, Filling(), [("/code", "missing")]),
        (AUTHENTICATION, Filling(code="1" * 16), [("/code", "too_long")]),
        (AUTHENTICATION, Filling(code="1", body=["1"]), [("", "code_alone")]),
        (a_definition(body="oi"), Filling(code="1"), [("/code", "unknown")]),
        (a_definition(body="oi", header=Header("location")),
         Filling(header=HeaderFill(location=Place(latitude=91, longitude=-181))),
         [("/header/location/latitude", "degrees"), ("/header/location/longitude", "degrees")]),
    ],
)  # fmt: skip
def test_every_field_at_fault_is_named(definition: Definition, filling: Filling, found: list[tuple[str, str]]) -> None:
    assert misfits(definition, filling) == found


def test_a_catalogue_of_several_products_needs_its_sections() -> None:
    definition = a_definition(body="oi", buttons=(Button("mpm", "Ver"),))
    assert misfits(definition, Filling()) == [("/buttons/0/sections", "missing")]
    sections = [ProductSection(title="A", products=["SKU-77"])]
    assert fill(definition, Filling(buttons=[ButtonFill(index=0, sections=sections)])).buttons[0].kind == "mpm"


def test_every_fault_is_told_in_both_languages() -> None:
    for code, words in section("fields").items():
        assert set(words) == set(Locale), code
    with pytest.raises(DoesNotFit) as caught:
        fill(a_definition(), Filling(body=["x" * 1025]))
    told = [(each.told(Locale.PT_BR), each.told(Locale.EN)) for each in caught.value.misfits]
    assert told == [
        ("o modelo pede 2 valor(es), vieram 1", "the template asks for 2 value(s), 1 came"),
        ("passa de 1024 caracteres", "is longer than 1024 characters"),
    ]


def test_a_sketch_shows_the_variables_as_they_stand() -> None:
    assert sketch(a_definition()) == "Olá {{1}}, sua consulta é às {{2}}."
    assert sketch(a_definition(body="", header=Header("text", "Oi"))) == "Oi"
