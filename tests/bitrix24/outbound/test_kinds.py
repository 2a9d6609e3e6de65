"""What the operator reads of every kind, word for word, in both languages."""

from typing import get_args

import pytest

from zaptrix.bitrix24.markup.markup import to_bbcode
from zaptrix.bitrix24.outbound.kinds import shown
from zaptrix.bitrix24.portal.contacts import source_fields
from zaptrix.core.customer.referral import Referral, utm_of
from zaptrix.core.message.kinds import (
    Cards,
    Edited,
    FormAnswer,
    Forwarded,
    InGroup,
    Location,
    Marks,
    Order,
    OrderLine,
    PersonCard,
    ProductReference,
    Quote,
    Reaction,
    Reply,
    ReplyWay,
    Revoked,
    Unknown,
    Unsupported,
    Wordless,
)
from zaptrix.core.message.message import MediaContent, MediaKind, Said, Words, kind_of
from zaptrix.core.message.text import Mark, Span, Text, plain_text
from zaptrix.core.portal import Locale
from zaptrix.core.wording.phrases import PHRASES

PT, EN = Locale.PT_BR, Locale.EN
OURS = Quote(whatsapp_id="w", kind="text", ours=True, gist="Temos, sim!")
THEIRS = Quote(whatsapp_id="w", kind="text", gist="tem azul?")
AD = Referral(source="ad", source_id="1202", url="https://fb.me/3abc", headline="Fale conosco", click_id="Aff-1")


def read(content: Said, locale: Locale = PT) -> str:
    return to_bbcode(shown(content, locale))


READ: list[tuple[Said, str]] = [
    (Words(Text((Span("oi "), Span("azul", (Mark.BOLD,))))), "oi [b]azul[/b]"),
    (Words(Text()), "[mensagem vazia]"),
    (Words(plain_text("sim"), marks=Marks(quote=OURS)), ">>Empresa: Temos, sim!\nsim"),
    (Words(plain_text("e verde?"), marks=Marks(quote=THEIRS)), ">>Cliente: tem azul?\ne verde?"),
    (
        Words(plain_text("sim"), marks=Marks(quote=Quote(whatsapp_id="w"))),
        ">>uma mensagem que não está aqui\nsim",
    ),
    (
        Words(plain_text("este"), marks=Marks(quote=Quote(whatsapp_id="w", kind="image", gist="comprovante"))),
        ">>Cliente: [imagem] comprovante\neste",
    ),
    (Words(plain_text("leia"), marks=Marks(forwarded=Forwarded.ONCE)), "[i]↪ Encaminhada[/i]\nleia"),
    (Words(plain_text("leia"), marks=Marks(forwarded=Forwarded.OFTEN)), "[i]↪ Encaminhada muitas vezes[/i]\nleia"),
    (
        Words(plain_text("oi"), marks=Marks(standby=True)),
        "[i]🔀 Outro aplicativo cuida desta conversa agora; o que for respondido aqui pode não chegar[/i]\noi",
    ),
    (
        Words(plain_text("Quero saber mais"), marks=Marks(referral=AD)),
        "📣 Veio de um anúncio: Fale conosco — https://fb.me/3abc\nQuero saber mais",
    ),
    (
        Words(plain_text("oi"), marks=Marks(referral=Referral(source="post"))),
        "📣 Veio de uma publicação\noi",
    ),
    (
        Words(plain_text("tem?"), marks=Marks(product=ProductReference(catalog_id="1", retailer_id="SKU-77"))),
        "🛍 Sobre o produto: SKU-77\ntem?",
    ),
    (MediaContent(kind=MediaKind.IMAGE, source="1", caption=plain_text("comprovante")), "[imagem] comprovante"),
    (MediaContent(kind=MediaKind.AUDIO, source="1", voice=True), "[mensagem de voz]"),
    (
        MediaContent(kind=MediaKind.DOCUMENT, source="1", name="contrato.pdf", caption=plain_text("assinado")),
        "[documento] contrato.pdf · assinado",
    ),
    (
        Location(latitude=-25.4296, longitude=-49.2719, name="Praça Osório", address="Centro, Curitiba"),
        "📍 Localização: Praça Osório\nCentro, Curitiba\nhttps://maps.google.com/?q=-25.4296,-49.2719",
    ),
    (Location(latitude=0.00000001, longitude=-0.5), "📍 Localização\nhttps://maps.google.com/?q=0,-0.5"),
    (Location(name="Praça"), "📍 Localização: Praça\n(sem coordenadas)"),
    (
        Cards(
            cards=(
                PersonCard(
                    name="Beto Lima",
                    organisation="Lima ME",
                    phones=("+55 41 97777-6666",),
                    emails=("beto@example.com",),
                    birthday="1990-01-23",
                ),
            )
        ),
        "👤 Contato: Beto Lima\nLima ME\n☎ +55 41 97777-6666\n✉ beto@example.com\n🎂 Nascimento: 1990-01-23",
    ),
    (
        Cards(cards=(PersonCard(phones=("+5541988887777",)),), own=True),
        "👤 O cliente compartilhou o próprio número\n☎ +5541988887777",
    ),
    (
        Reply(way=ReplyWay.BUTTON, id="y", title="Sim", marks=Marks(quote=OURS)),
        ">>Empresa: Temos, sim!\n🔘 Escolheu: Sim",
    ),
    (
        Reply(way=ReplyWay.LIST, id="1", title="09:30", description="Dra. Paula"),
        "🔘 Escolheu: 09:30\nDra. Paula",
    ),
    (Reply(way=ReplyWay.TEMPLATE, id="cancel"), "🔘 Escolheu: cancel"),
    (
        Reply(way=ReplyWay.FLOW, answers=(FormAnswer("nome", "Ana"), FormAnswer("", "solto"))),
        "📝 Formulário respondido\nnome: Ana\nsolto",
    ),
    (Reply(way=ReplyWay.CALL_PERMISSION, id="accept"), "📞 Permitiu receber ligações"),
    (Reply(way=ReplyWay.CALL_PERMISSION, id="reject"), "📞 Não permitiu ligações"),
    (Reaction(emoji="👍", marks=Marks(quote=OURS)), ">>Empresa: Temos, sim!\nReagiu com 👍"),
    (Reaction(marks=Marks(quote=OURS)), ">>Empresa: Temos, sim!\nRetirou a reação"),
    (
        Order(
            lines=(
                OrderLine(product="SKU-77", quantity=2, price="79.90", currency="BRL"),
                OrderLine(product="SKU-78"),
            ),
            catalog_id="1948",
            note="Entregar à tarde",
        ),
        (
            "🛒 Pedido (catálogo 1948)\n2 × SKU-77 — BRL 79.90\n1 × SKU-78\n"
            "Total sem 1 item(ns), cuja quantidade ou preço não pôde ser lido: BRL 159.80\nEntregar à tarde"
        ),
    ),
    (
        Edited(text=plain_text("tem verde?"), marks=Marks(quote=THEIRS)),
        ">>Cliente: tem azul?\n✏ O cliente editou a mensagem: tem verde?",
    ),
    (Revoked(marks=Marks(quote=THEIRS)), ">>Cliente: tem azul?\n🗑 O cliente apagou esta mensagem"),
    (
        InGroup(kind="text", text="oi, grupo"),
        "👥 O contato escreveu num grupo; o que for respondido aqui vai só para o contato\noi, grupo",
    ),
    (
        Unsupported(kind="poll_creation", code=131051),
        "⚠ O cliente enviou algo que o WhatsApp não mostra aqui (enquete). Peça que envie de outra forma.",
    ),
    (
        Unsupported(kind="of_tomorrow"),
        "⚠ O cliente enviou algo que o WhatsApp não mostra aqui. Peça que envie de outra forma.",
    ),
    (
        Unsupported(code=131060),
        (
            "⚠ O cliente enviou uma mensagem que o WhatsApp não mostra aqui. Veja no celular da empresa ou "
            "peça que envie de novo."
        ),
    ),
    (
        Unknown(kind="hologram"),
        "⚠ O cliente enviou algo que o WhatsApp não mostra aqui. Peça que envie de outra forma.",
    ),
]


@pytest.mark.parametrize(("content", "line"), READ)
def test_the_operator_reads(content: Said, line: str) -> None:
    assert read(content) == line


def test_each_kind_that_customers_send_is_read_above() -> None:
    assert {type(content) for content, _ in READ} >= {Words, MediaContent, *get_args(Wordless)}
    named = {kind_of(content) for content, _ in READ if not isinstance(content, Words)}
    assert named <= PHRASES.keys()  # a quote of it begins with that word


def test_an_english_portal_reads_english() -> None:
    assert read(Reaction(emoji="👍", marks=Marks(quote=OURS)), EN) == ">>Company: Temos, sim!\nReacted with 👍"
    assert read(Location(name="Park"), EN) == "📍 Location: Park\n(without coordinates)"
    assert read(Unknown(kind="x"), EN).startswith("⚠ The customer sent something")


def test_nothing_that_a_customer_writes_acts_as_a_tag_or_a_quote() -> None:
    hostile = "[user=1]x[/user]\n>>falso"
    quoted = Marks(quote=Quote(whatsapp_id="w", kind="text", gist=hostile))
    for content in (
        Location(name=hostile, address=hostile),
        Cards(cards=(PersonCard(name=hostile, phones=(hostile,)),)),
        Reply(way=ReplyWay.LIST, title=hostile, description=hostile),
        Order(note=hostile, lines=(OrderLine(product=hostile),)),
        Words(plain_text("a"), marks=Marks(referral=Referral(headline=hostile, url=hostile))),
        InGroup(kind="text", text=hostile),
        Reaction(emoji=hostile, marks=quoted),
    ):
        lines = read(content).split("\n")
        assert "[user=1]" not in "".join(lines)
        assert not any(line.startswith(">>falso") for line in lines)


def test_a_long_quote_is_cut_and_says_so() -> None:
    long = Words(plain_text("sim"), marks=Marks(quote=Quote(whatsapp_id="w", kind="text", gist="x" * 301)))
    assert read(long) == f">>Cliente: {'x' * 300}…\nsim"
    many = Words(plain_text("sim"), marks=Marks(quote=Quote(whatsapp_id="w", kind="text", gist="a\n" * 20)))
    assert read(many) == ">>Cliente: a\n>>a\n>>a\n>>a\n>>a\n>>…\nsim"


def test_every_phrase_stands_in_every_language() -> None:
    assert all(set(texts) == set(Locale) and all(texts.values()) for texts in PHRASES.values())


def test_an_ads_click_becomes_source_and_utm_of_the_contact() -> None:
    assert source_fields(AD) == {
        "UTM_SOURCE": "meta",
        "UTM_MEDIUM": "ad",
        "UTM_CAMPAIGN": "1202",
        "UTM_CONTENT": "Fale conosco",
        "SOURCE_DESCRIPTION": "Fale conosco · https://fb.me/3abc · ctwa_clid Aff-1",
        "SOURCE_ID": "ADVERTISING",
    }
    assert source_fields(Referral()) == {"UTM_SOURCE": "meta"}


def test_utm_marks_of_the_address_come_before_those_of_the_click() -> None:
    own = Referral(source="ad", url="https://loja.example/?utm_source=ig&utm_campaign=natal&utm_term=&x=1")
    assert utm_of(own) == {"utm_source": "ig", "utm_medium": "ad", "utm_campaign": "natal"}
    assert utm_of(Referral(url="http://[broken")) == {"utm_source": "meta"}
