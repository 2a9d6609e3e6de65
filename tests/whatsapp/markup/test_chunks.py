"""What a bank, a site or a login takes crosses byte for byte, in both directions, beside every mark."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.whatsapp import phone
from zaptrix.bitrix24.markup.markup import from_bbcode, to_bbcode
from zaptrix.core.message.text import Mark, Span, Text, plain_text, rich_text
from zaptrix.whatsapp.markup.markup import from_whatsapp, to_whatsapp

PIX = "00020126580014br.gov.bcb.pix0136aae2196f-5f97-4c0b-8df1-bafb0e11f7ad5204000053039865802BR62070503***63041D3D"
CHUNKS = [
    PIX,
    "00020126360014BR.GOV.BCB.PIX0114+55519987654325802BR5913MP *LOJA _A_6009SAO PAULO62070503***6304A1b2",
    "000201010212268800142566qrcodes.example/v2/a_b5802BR5920JOAO *DA* SILVA ME6009SAO *JOSE62070503***6304ABCD",
    "00020126360014BR.GOV.BCB.PIX0114+55519987654325802BR5913FULANO DE TAL6008BRASILIA62070503***63041D3D",
    "00020126360014BR.GOV.BCB.PIX0114+5551998765432520400005303986540510.005802BR5913MARIA_*SILVA~6009SAO*PAULO62070503***6304A1B2",
    "instagram.com/_maria_silva_",
    "www.loja.com.br/_promo_/item_x",
    "WWW.LOJA.COM.BR/_promo_/item",
    "HTTPS://Loja.Example/_a_/*b*?c=~d~&e=_f_",
    "http://x.example/~maria/",
    "@_maria_silva_",
    "_maria_silva_",
    "maria_de_souza",
    "@maria__",
    "_maria.silva_",
    "loja/~promo~/*",
    "*144*4#",
    "*123*456#",
    "C:\\_dados_\\*temp*\\~x~",
    "/var/_tmp_/*.log",
    "**PROMO*10**",
    "_x9*Kp~2_",
    "S3nh@*_2024_*",
    "a`b`c1",
    "__init__",
    "____",
    "*_*",
    "maria_silva_@example.com",
    "~K9~z_Z*1",
    "=_x_=",
    "user_name:*pass*word",
    "*PROMO10*",
    "_AB12CD_",
]
WORDS = [
    "*oi*",
    "_tudo bem_",
    "~não~",
    "`x`",
    "```y```",
    "*Pix:*",
    "*_a_*",
    "(*b*),",
    "*sim* e *não*",
    "* item",
    "- item",
]


@pytest.mark.parametrize("chunk", CHUNKS)
def test_a_customers_chunk_reaches_the_operator_beside_every_mark(chunk: str) -> None:
    for text in (text for word in WORDS for text in around(chunk, word)):
        assert chunk in to_bbcode(from_whatsapp(text)), text


@pytest.mark.parametrize("chunk", CHUNKS)
def test_a_customers_chunk_reaches_the_operator_within_every_mark(chunk: str) -> None:
    code = chunk if "`" in chunk else f"```{chunk}```"
    texts = (f"*veja {chunk} aqui*", f"_é {chunk}_", f"~{chunk} não~", code, f"> {chunk}", f"- {chunk}", f"({chunk})")
    for text in (*texts, f"{chunk}, {chunk}."):
        assert chunk in to_bbcode(from_whatsapp(text)), text


def around(chunk: str, word: str) -> list[str]:
    return [
        chunk, f"{word} {chunk}", f"{chunk} {word}", f"{word} {chunk} {word}", f"{chunk} {word} {chunk}",
        f"> {word} {chunk}", f"1. {word}\n{chunk}\n{word}", f"{word}\n> {chunk} {word}", f"{word} ({chunk}) {word}",
    ]  # fmt: skip


def looks(chunk: str) -> list[Text]:
    bold, italic, strike, code, quote = Mark.BOLD, Mark.ITALIC, Mark.STRIKE, Mark.CODE, Mark.QUOTE
    texts = [plain_text(chunk)]
    for marks in ((bold,), (italic,), (strike,), (code,), (quote,), (bold, italic, strike), (bold, quote)):
        word, own = Span("Pix:", marks), Span(chunk, marks)
        texts += [
            rich_text([word, Span(" "), Span(chunk)]),
            rich_text([Span(chunk), Span(" "), word]),
            rich_text([word, Span(f" {chunk} "), word, Span(f" {chunk}")]),
            rich_text([Span("veja "), own, Span(" aqui")]),
            rich_text([Span(f"veja {chunk} aqui", marks)]),
            rich_text([own]),
            rich_text([word, Span(f"\n{chunk}\n"), word]),
            rich_text([Span(f"({chunk}), *oi* "), word]),
        ]
    return texts


@pytest.mark.parametrize("chunk", CHUNKS)
def test_an_operators_chunk_reaches_the_customer_beside_and_within_every_mark(chunk: str) -> None:
    for text in looks(chunk):
        assert chunk in to_whatsapp(text), text


SOURCES = [
    "[b]Pix:[/b] {}", "{} [b]Pix[/b]", "[i]a[/i] {} [s]b[/s]", "[b]{}[/b]", "[b]x {} y[/b]", "[u]{}[/u]", ">>{}",
    "[code]{}[/code]", "[url]{}[/url]", "[url={}]loja[/url]", "[url=https://x.example/]a[/url] {}",
    "[list][*]{}[*][b]dois[/b][/list]", "[quote]{}[/quote]", "*oi* {} *tchau*", "[b]a[/b][br]{}[br][b]c[/b]",
]  # fmt: skip


@pytest.mark.parametrize("chunk", CHUNKS)
def test_an_operators_chunk_reaches_the_customer_out_of_bbcode(chunk: str) -> None:
    for source in SOURCES:
        assert chunk in to_whatsapp(from_bbcode(source.replace("{}", chunk))), source


EMV = st.text(string.ascii_uppercase + string.digits + "*_~", min_size=1, max_size=12).map(
    lambda value: f"000201265802BR{value}62070503***6304" + "1D3D"
)
HANDLE = st.text(string.ascii_lowercase + "_.", min_size=1, max_size=12).map(lambda name: f"@_{name}_")
LINK = st.tuples(
    st.sampled_from(["https://", "HTTP://", "www.", "instagram.com/"]), st.text("ab1*_~/-.=&", max_size=12)
).map(lambda parts: f"{parts[0]}x{parts[1]}/_promo_z")
PASSWORD = st.text(string.ascii_letters + string.digits + "*_~@#=/", min_size=1, max_size=8).map(
    lambda middle: f"_{middle}*a1~{middle}_"
)
ANY_CHUNK = EMV | HANDLE | LINK | PASSWORD
MARKED = st.sets(st.sampled_from(list(Mark)), min_size=1, max_size=3).map(lambda marks: tuple(sorted(marks)))


@settings(max_examples=300)
@given(ANY_CHUNK, ANY_CHUNK, st.sampled_from(WORDS))
def test_any_code_handle_or_link_of_a_customer_crosses(one: str, other: str, word: str) -> None:
    for text in (*around(one, word), f"{one} {word} {other}", f"*veja {one}* {other}", f"_{word} {one} {other}_"):
        told = to_bbcode(from_whatsapp(text))
        assert one in told, text


@settings(max_examples=300)
@given(ANY_CHUNK, ANY_CHUNK, MARKED)
def test_any_code_handle_or_link_of_an_operator_crosses_and_no_mark_goes_astray(
    one: str, other: str, marks: tuple[Mark, ...]
) -> None:
    word = Span("Pix:", marks)
    for spans in (
        [word, Span(f" {one} {other}")],
        [Span(f"{one} "), word, Span(f" {other} "), word],
        [Span(f"veja {one} e {other} já", marks)],
        [Span("veja "), Span(one, marks), Span(f" ou *oi* {other}")],
    ):
        text = rich_text(spans)
        sent = to_whatsapp(text)
        assert one in sent
        assert other in sent
        # A sign of ours that binds nothing would show beside the words.
        assert from_whatsapp(sent).plain.replace("\N{ZERO WIDTH SPACE}", "") == text.plain
        if Mark.CODE not in marks and Mark.QUOTE not in marks:
            assert our_own(sent, text.plain) <= phone.marked(sent), "every sign of ours binds on a phone"


def our_own(sent: str, plain: str) -> set[int]:
    """Where `sent` has signs that `plain` has not."""
    own: set[int] = set()
    at = 0
    for place, character in enumerate(sent):
        if at < len(plain) and character == plain[at]:
            at += 1
        elif character != "\N{ZERO WIDTH SPACE}":
            own.add(place)
    return own


@pytest.mark.parametrize("text", ["*oi*", "_muito bom_", "diga ~isso~!", "*R$ 50,00*", "```x```", "`a` e `b`", "> oi"])
def test_what_an_operator_writes_for_itself_is_no_mark(text: str) -> None:
    assert not phone.marked(to_whatsapp(plain_text(text)))


@pytest.mark.parametrize(
    ("written", "marks"),
    [
        ("*Total: R$ 50,00*", {Mark.BOLD}),
        ("*Pedido 123*", {Mark.BOLD}),
        ("*Cupom: PROMO10*", {Mark.BOLD}),
        ("_veja https://x.example/a_b aqui_", {Mark.ITALIC}),
        ("*www.loja.com.br*", {Mark.BOLD}),
        ("*\N{PARTY POPPER} oi \N{PARTY POPPER}*", {Mark.BOLD}),
        ("*15h30*", {Mark.BOLD}),
        ("*_~oi~_*", {Mark.BOLD, Mark.ITALIC, Mark.STRIKE}),
    ],
)
def test_what_a_customer_emphasises_is_marked(written: str, marks: set[Mark]) -> None:
    (span,) = from_whatsapp(written).spans
    assert set(span.marks) == marks


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("```a\nb```", "a\nb"),
        ("```\nx = 1\n\ny = 2\n```", "\nx = 1\n\ny = 2\n"),
        ("```> a\n*b*\n- c```", "> a\n*b*\n- c"),
    ],
)
def test_a_block_of_code_goes_over_lines(written: str, code: str) -> None:
    assert from_whatsapp(f"veja:\n{written}\nok") == rich_text(
        [Span("veja:\n"), Span(code, (Mark.CODE,)), Span("\nok")]
    )
    assert to_bbcode(from_whatsapp(written)) == f"[code]{code}[/code]"
