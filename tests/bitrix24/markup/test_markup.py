"""BBCode both ways."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zaptrix.bitrix24.markup.markup import ZWSP, from_bbcode, split_signature, to_bbcode
from zaptrix.bitrix24.outbound.split_text import GROWTH_MAX
from zaptrix.core.message.text import Mark, Span, Text, plain_text, rich_text

B, IT, S, C, Q = Mark.BOLD, Mark.ITALIC, Mark.STRIKE, Mark.CODE, Mark.QUOTE
FRAME = "-" * 54

TAGS = [
    "b", "i", "s", "u", "url", "user", "chat", "dialog", "context", "call", "send", "put", "img", "icon", "timestamp",
    "disk", "rating", "attach", "pch", "like", "quote", "br", "code", "*", "list",
]  # fmt: skip
BB_TEXT = st.lists(
    st.sampled_from([f"[{tag}]" for tag in TAGS] + [f"[/{tag}]" for tag in TAGS])
    | st.sampled_from(
        ["[url=http://a]", "[timestamp=9e9 x]", "[icon=u title=a b=c]", "\n", ">>", FRAME, "#BR#", "&amp;"]
    )
    | st.text("ab []/=>-&;#\n*", max_size=6),
    max_size=25,
).map("".join)


@pytest.mark.parametrize(
    ("source", "author", "text"),
    [
        ("[b]Mia Lang:[/b] [br]Guten Tag", "Mia Lang", "Guten Tag"),
        ("[b]Mia Lang:[/b][br] Guten Tag", "Mia Lang", "Guten Tag"),
        ("[B]Mia: chefe:[/B] [BR]Oi", "Mia: chefe", "Oi"),
        ("[b]Mia Lang:[/b] ", "Mia Lang", ""),
        ("[b]Mia &amp; Bia:[/b] [br]\nOi", "Mia & Bia", "Oi"),
        ("[b]Mia:[/b] [br][b]Total:[/b] [br]10", "Mia", "[b]Total:[/b] [br]10"),
        ("[b]Total:[/b] 10", None, "[b]Total:[/b] 10"),
        ("[b]Atenção:[/b]", None, "[b]Atenção:[/b]"),
        ("[b]Mia Lang:[/b]\n", "Mia Lang", ""),
        ("oi [b]Mia:[/b] [br]oi", None, "oi [b]Mia:[/b] [br]oi"),
        ("", None, ""),
    ],
)
def test_the_operators_name_is_told_from_what_the_operator_wrote(source: str, author: str | None, text: str) -> None:
    assert split_signature(source) == (author, text)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Oi", "Oi"),
        ("[u]a[/u][size=8]b[/size][color=#f00]c[/color]", "abc"),
        ("[url]http://a[/url]", "http://a"),
        ("[url=http://a]loja[/url]", "loja (http://a)"),
        ("[URL=http://a?x=1&amp;y=2]http://a?x=1&y=2[/URL]", "http://a?x=1&y=2"),
        ("[url=http://a][/url]", "http://a"),
        ("[user=27]Mia[/user], [user=all]todos[/user]", "Mia, todos"),
        ("[chat=imol|x|1]t[/chat][dialog=1]u[/dialog][context=chat1/2]v[/context]", "tuv"),
        ("[call=+49]ligue[/call] [send=/ajuda][/send] [put]x[/put]", "ligue (+49) /ajuda x"),
        ("[img size=small]http://a/b.png [/img]", "http://a/b.png"),
        ("[icon=http://a size=16 title=muito bem x=1]![icon=http://a]", "muito bem!"),
        ("em [timestamp=1793000000 format=x]", "em 26/10/2026 07:33 UTC"),
        ("[timestamp=99999999999999999999]", "99999999999999999999"),
        ("[disk=5437]a[rating=5]b[attach=1]c[pch=1]d[/pch]", "abcd"),
        ("[like] [dislike]", "👍 👎"),
        ("a[br]b[BR]c#BR#d\r\ne", "a\nb\nc\nd\ne"),
        ("[*]um\n[*]dois", "- um\n- dois"),
        ("&quot;&amp;lt;&#39;&lt;&gt;", "\"&lt;'<>"),
        ("x[i] = y[b=2] [/s] [foo] [", "x[i] = y[b=2] [/s] [foo] ["),
        ("a\0b", "ab"),
    ],
)
def test_what_has_no_look_on_whatsapp_becomes_plain_words(source: str, text: str) -> None:
    assert from_bbcode(source) == plain_text(text)


def test_beside_a_file_a_name_alone_is_a_signature() -> None:
    assert split_signature("[b]Mia Lang:[/b]", with_files=True) == ("Mia Lang", "")
    assert split_signature("[b]Mia Lang[/b]", with_files=True) == (None, "[b]Mia Lang[/b]")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("veja:[list]\n[*]a\n[*]b\n[/list]\nfim", "veja:\n- a\n- b\nfim"),
        ("[list][*]a[*]b[/list]", "- a\n- b"),
        ("[LIST=1][*]a[*]b[/LIST]fim", "1. a\n2. b\nfim"),
        ("[list][*]a[list=1][*]b[/list][*]c[/list]", "- a\n1. b\n- c"),
        ("[ul][li]a[/li][li]b[/li][/ul]x", "- a\n- b\nx"),
        ("[table][tr][td]a[/td][td]b[/td][/tr][tr][td]c[/td][td]d[/td][/tr][/table]fim", "a | b\nc | d\nfim"),
        ("x[TABLE]\n[TR]\n[TH]a[/TH]\n[TD]b[/TD]\n[/TR]\n[/TABLE]\nfim", "x\na | b\nfim"),
        ("oi [spoiler]x[/spoiler] [spoiler=Fim]y[/spoiler]", "oi x Fim: y"),
        ("[email]a@b.example[/email] [email=a@b.example]Ana[/email]", "a@b.example Ana (a@b.example)"),
        ("[url=mailto:a@b.example]a@b.example[/url]", "a@b.example"),
        ("[url=mailto:a@b.example?subject=Oi]A@b.example[/url]", "A@b.example"),
        ("[url=mailto:a@b.example]escreva[/url] [url=tel:+5551]ligue[/url]", "escreva (a@b.example) ligue (+5551)"),
        ("[url=tel:+5551998765432]+55 51 99876-5432[/url]", "+55 51 99876-5432"),
        (
            "[call=+5551998765432]ligue[/call] [call=+5551998765432]+55 51 99876-5432[/call]",
            "ligue (+5551998765432) +55 51 99876-5432",
        ),
        ("[call=+5551998765432][/call] [call]+5551998765432[/call]", "+5551998765432 +5551998765432"),
        ("[url=https://loja.example/]loja.example[/url]", "https://loja.example/"),
        ("[url=https://loja.example/a/b/c]https://loja.example/a...[/url]", "https://loja.example/a/b/c"),
        ("[p]a[/p][p]b[/p][center]c[/center]d", "a\nb\nc\nd"),
        ("[video]https://v.example/1[/video]", "https://v.example/1"),
        ("[td]x [list]y", "[td]x [list]y"),
    ],
)
def test_lists_tables_and_addresses_are_readable_words_once(source: str, text: str) -> None:
    assert from_bbcode(source).plain == text


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("/me", f"{ZWSP}/me"),
        ("/menu do dia", f"{ZWSP}/menu do dia"),
        ("/LOUD oi", f"{ZWSP}/LOUD oi"),
        (" \ufeff\u2060/me", f" \ufeff\u2060{ZWSP}/me"),
        ("\xad/me", f"\xad{ZWSP}/me"),
        ("\u3164\ufe0f\u034f\U000e0001/me", f"\u3164\ufe0f\u034f\U000e0001{ZWSP}/me"),
        ("oi\n\t/ajuda x", f"oi\n\t{ZWSP}/ajuda x"),
        ("a /me 1/2 https://x.example/me", "a /me 1/2 https://x.example/me"),
    ],
)
def test_no_order_of_a_customer_acts(text: str, source: str) -> None:
    assert to_bbcode(plain_text(text)) == source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("https://x.example/?filter[b]=1&o[i]=2 [b]", f"https://x.example/?filter[b]=1&o[i]=2 [{ZWSP}b]"),
        ("www.x.example/?list[user]=1", "www.x.example/?list[user]=1"),
        ("https://x.example/?a[b]=1 x[/b]", f"https://x.example/?a[{ZWSP}b]=1 x[{ZWSP}/b]"),
        ("https://x.example/?a[br]=1&b[/i]", f"https://x.example/?a[{ZWSP}br]=1&b[{ZWSP}/i]"),
    ],
)
def test_a_link_is_broken_only_where_it_would_act(text: str, source: str) -> None:
    assert to_bbcode(plain_text(text)) == source


def test_a_link_with_a_tag_is_broken_where_our_own_mark_would_close_it() -> None:
    text = rich_text([Span("https://x.example/?a[b]=1&c[i]=2 "), Span("oi", (B,))])
    assert to_bbcode(text) == f"https://x.example/?a[{ZWSP}b]=1&c[i]=2 [b]oi[/b]"


def test_an_order_that_is_set_does_not_act_either_and_code_stays_as_it_is() -> None:
    text = rich_text([Span("/me", (B,)), Span("\n/me", (Q,)), Span("\n"), Span("/usr/bin", (C,))])
    assert to_bbcode(text) == f"[b]{ZWSP}/me[/b]\n>>{ZWSP}/me\n[code]/usr/bin[/code]"


def test_a_block_of_code_keeps_its_empty_lines() -> None:
    assert to_bbcode(Text((Span("a\n\n\nb\n", (C,)),))) == "[code]a\n\n\nb\n[/code]"
    assert from_bbcode("[code]a\n\nb[/code]") == Text((Span("a\n\nb", (C,)),))


@pytest.mark.parametrize(
    ("source", "spans"),
    [
        ("[b]a[/b] [I]b[/I] [s]c[/s]", [Span("a", (B,)), Span(" "), Span("b", (IT,)), Span(" "), Span("c", (S,))]),
        ("[b]a[i]b[/b]c[/i]", [Span("a", (B,)), Span("b", (B, IT)), Span("c", (IT,))]),
        ("[b]a[b]b[/b]c[/b]d", [Span("abc", (B,)), Span("d")]),
        ("[code][b]a[/b]\nb[/code]c", [Span("[b]a[/b]\nb", (C,)), Span("c")]),
        ("[code]a[/code][b]b[/b][code]c", [Span("a", (C,)), Span("b", (B,)), Span("[code]c")]),
        (">>a [b]b[/b]\nc", [Span("a ", (Q,)), Span("b", (B, Q)), Span("\nc")]),
        (f"{FRAME}\nAna [hoje]\noi\n{FRAME}\ntchau", [Span("Ana [hoje]\noi", (Q,)), Span("\ntchau")]),
        ("a[quote]\nb\n[/quote]c", [Span("a\n"), Span("b", (Q,)), Span("\nc")]),
        (f"{FRAME}\na", [Span(f"{FRAME}\na")]),
    ],
)
def test_marks_and_quotes_are_kept(source: str, spans: list[Span]) -> None:
    assert from_bbcode(source) == Text(tuple(spans))


@pytest.mark.parametrize(
    ("spans", "source"),
    [
        ([Span("a"), Span("b", (B,)), Span("c", (B, IT)), Span("d", (S,))], "a[b]b[/b][b][i]c[/i][/b][s]d[/s]"),
        ([Span("x = 1\ny", (C,))], "[code]x = 1\ny[/code]"),
        ([Span("a\nb", (Q,)), Span("\nc")], ">>a\n>>b\nc"),
        ([Span("a", (B, Q)), Span("b\nc")], ">>[b]a[/b]b\nc"),
        ([Span("["), Span("b]x")], f"[{ZWSP}b]x"),
        ([Span("[/code][b]x", (C,))], f"[code][{ZWSP}/code][{ZWSP}b]x[/code]"),
        ([Span("a\n>>b")], f"a\n{ZWSP}>>b"),
        ([Span("-" * 54)], f"{'-' * 53}{ZWSP}-"),
        ([Span("[USER=1]Ana[/USER] [bom] #br#")], f"[{ZWSP}USER=1]Ana[{ZWSP}/USER] [bom] #{ZWSP}br#"),
        ([], ""),
    ],
)
def test_neutral_text_as_bbcode(spans: list[Span], source: str) -> None:
    assert to_bbcode(Text(tuple(spans))) == source


@given(st.text(st.characters(exclude_characters="[&#>-"), max_size=60))
def test_plain_words_read_the_same_with_and_without_a_tag_among_them(text: str) -> None:
    assert from_bbcode(text) == from_bbcode(f"[b][/b]{text}")


@given(BB_TEXT)
def test_no_text_of_an_operator_raises(source: str) -> None:
    text = from_bbcode(source)
    assert from_bbcode(to_bbcode(text)).plain.count("\0") == 0
    split_signature(source)


@given(BB_TEXT | st.text(max_size=40))
def test_a_customers_characters_all_show(text: str) -> None:
    assert to_bbcode(plain_text(text)).replace(ZWSP, "") == text.replace(ZWSP, "").replace("\0", "")


ACTS = re.compile(
    rf"\[/?(?:{'|'.join(map(re.escape, TAGS))})(?:[=\s][^\]]*)?\]|#br#|^>>|{FRAME}", re.IGNORECASE | re.MULTILINE
)


@given(BB_TEXT)
def test_no_tag_of_a_customer_acts(text: str) -> None:
    assert not ACTS.search(to_bbcode(plain_text(text)))


MARKED = st.lists(
    st.builds(
        Span,
        st.text("abc [b]/>-\n", min_size=1, max_size=6),
        st.sets(st.sampled_from([B, IT, S]), max_size=3).map(lambda marks: tuple(sorted(marks))) | st.just((C,)),
    ),
    max_size=8,
)


@given(MARKED)
def test_only_our_own_tags_act_and_the_look_comes_back(spans: list[Span]) -> None:
    text = rich_text(spans)
    source = to_bbcode(text)
    back = from_bbcode(source)
    assert back.plain.replace(ZWSP, "") == text.plain
    assert looks(back) == looks(text)


@given(MARKED | BB_TEXT.map(lambda text: [Span(text)]))
def test_a_short_text_is_a_part_whole_without_being_written_first(spans: list[Span]) -> None:
    text = rich_text(spans)
    assert len(to_bbcode(text)) <= len(text.plain) * GROWTH_MAX


def test_marks_at_each_character_are_the_longest() -> None:
    all_of_them = (Mark.BOLD, Mark.ITALIC, Mark.QUOTE, Mark.STRIKE)
    text = Text(tuple(span for _ in range(50) for span in (Span("[", all_of_them), Span("\n"), Span("/", all_of_them))))
    assert len(to_bbcode(text)) <= len(text.plain) * GROWTH_MAX


def looks(text: Text) -> list[tuple[str, tuple[Mark, ...]]]:
    """Every character that shows, with its marks; what a blank looks like is nobody's business."""
    return [(character, span.marks) for span in text.spans for character in span.text if character not in f" \n{ZWSP}"]


def test_a_long_hostile_text_takes_no_time() -> None:
    for piece in ("[b]", "[code]", "[url=", "[quote]\n", "[img]", "[icon= ", "&amp", "[/b]", "\n", f"{FRAME}\n"):
        from_bbcode(piece * 20_000)
    to_bbcode(plain_text("[b]-" * 50_000))
