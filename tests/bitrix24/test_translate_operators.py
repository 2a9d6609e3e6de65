"""What an operator does in a chat beside writing: quotes, blocks, edits, deletions, and what nobody can carry."""

from typing import Any

import msgspec
import pytest

from tests.bitrix24.builders import an_event
from tests.bitrix24.inbound.test_webhook import CHAT, an_item, messages
from tests.bitrix24.test_translate import routed, written
from zaptrix.bitrix24.inbound.webhook import Name
from zaptrix.bitrix24.translate import translate
from zaptrix.core.event import Answering, Ignored, OperatorChange, OperatorMessage, Routed, Untold
from zaptrix.core.message.message import MediaContent, Words
from zaptrix.core.message.text import Mark, Span, Text, plain_text

DASHES = "-" * 54


def operators(text: str, **message: Any) -> OperatorMessage:
    found = written({"user_id": "27", "text": f"[b]Bia:[/b] [br]{text}", **message})
    assert isinstance(found, OperatorMessage)
    return found


def text_of(found: OperatorMessage) -> str:
    assert isinstance(found.content, Words)
    return found.content.text.plain


# --- quotes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quote", "words", "author", "message_id"),
    [
        (f"{DASHES}\nAna Souza [27.11.2026 10:15:22]\nQual o preço?\n{DASHES}\n", "Qual o preço?", "Ana Souza", None),
        (f"{DASHES}\nAna Souza [hoje, 10:15] #chat1767/86490\nQual o preço?\n{DASHES}\n",
         "Qual o preço?", "Ana Souza", 86490),
        (f"{DASHES}\nQual o preço?\nCom frete\n{DASHES}\n", "Qual o preço?\nCom frete", None, None),
        (f"{DASHES}[br]Ana [10:15][br]oi[br]{DASHES}[br]", "oi", "Ana", None),
        (">>Qual o preço?\n>> Com frete\n", "Qual o preço?\nCom frete", None, None),
        ("[quote]Qual o [b]preço[/b]?[/quote]", "Qual o preço?", None, None),
    ],
    ids=["frame", "frame with the portal's id", "frame without author", "line ends as tags", "arrows", "tag"],
)  # fmt: skip
def test_a_quote_at_the_head_is_an_answer(quote: str, words: str, author: str | None, message_id: int | None) -> None:
    found = operators(f"{quote}R$ 10")
    assert found.answering == Answering(
        words=words, author=author, bitrix_message_id=message_id, contents=(Words(plain_text("R$ 10"), "Bia"),)
    )
    assert text_of(found).endswith("\nR$ 10")
    assert isinstance(found.content, Words)
    assert found.content.text.spans[0].marks == (Mark.QUOTE,)


def test_the_portals_own_name_of_a_quoted_message_is_shown_to_nobody() -> None:
    found = operators(f"{DASHES}\nAna [10:15] #chat1767/86490\nQual o preço?\n{DASHES}\nR$ 10")
    assert text_of(found) == "Ana [10:15]\nQual o preço?\nR$ 10"


@pytest.mark.parametrize("text", ["R$ 10\n>>Qual o preço?", ">>Qual o preço?", f"{DASHES}\nsem fim\noi", "> oi\nR$ 10"])
def test_a_quote_elsewhere_or_alone_is_words(text: str) -> None:
    assert operators(text).answering is None


def test_a_quote_before_a_file_leaves_the_caption() -> None:
    files = [{"name": "a.jpg", "type": "image", "link": "https://acme-demo.bitrix24.com/~Q7xKd"}]
    found = operators(">>manda a foto\nsegue", files=files)
    assert found.answering is not None
    (media,) = found.answering.contents
    assert isinstance(media, MediaContent)
    assert media.caption == plain_text("segue")


def test_a_message_that_the_portal_names_is_looked_for_by_its_id() -> None:
    found = operators("R$ 10", params={"REPLY_ID": "86490"})
    assert found.answering == Answering(words="", bitrix_message_id=86490, contents=(found.content,))


# --- blocks ----------------------------------------------------------------------------------------------------------

BLOCKS = (
    '{"ID":1,"BLOCKS":[{"MESSAGE":"Sua [b]fatura[/b]"},{"DELIMITER":{"SIZE":200}},'
    '{"LINK":{"NAME":"Pagar","DESC":"até sexta","LINK":"https://pay.example/1"}},'
    '{"GRID":[{"NAME":"Valor","VALUE":"R$ 10","DISPLAY":"LINE"}]},'
    '{"FILE":[{"NAME":"fatura.pdf","LINK":"https://a.test/f"}]}]}'
)


def test_blocks_alone_go_as_text() -> None:
    found = written({"user_id": "27", "text": ""}, attachments_old=[BLOCKS])
    assert isinstance(found, OperatorMessage)
    assert text_of(found).split("\n") == [
        "Sua fatura", "Pagar", "até sexta", "https://pay.example/1", "Valor: R$ 10", "fatura.pdf", "https://a.test/f",
    ]  # fmt: skip


def test_beside_words_only_addresses_are_added_that_the_words_do_not_name() -> None:
    found = written({"text": "Pague em https://pay.example/1"}, attachments_old=[BLOCKS])
    assert isinstance(found, OperatorMessage)
    assert text_of(found) == "Pague em https://pay.example/1\nhttps://a.test/f"


@pytest.mark.parametrize("blocks", ['["x"', '{"BLOCKS":' * 50, '[{"SURPRISE":1}]', "7", '{"GRID":[7,null]}'])
def test_blocks_that_cannot_be_read_are_told_to_who_sent_them(blocks: str) -> None:
    assert isinstance(written({"user_id": "27"}, attachments_old=[blocks]), Untold)


# --- nothing to carry ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [{}, {"text": ""}, {"text": "[b]Bia:[/b] [br] "}, {"text": "[rating=5]"}, {"attachments": {"a": "b"}}],
)
def test_what_has_nothing_to_carry_is_told_to_who_sent_it(message: dict[str, Any]) -> None:
    assert written({"user_id": "27", **message}) == Untold(
        external_chat_id=CHAT, bitrix_chat_id=1767, bitrix_message_id=86497, reason="nothing in it that WhatsApp takes"
    )


def test_nothing_said_by_the_line_itself_is_ignored() -> None:
    assert written({"user_id": "0", "text": " \n"}) == Ignored("no text and no files")


def test_files_without_an_address_are_counted() -> None:
    assert operators("segue", files=[{"name": "a.pdf"}, {"name": "b.pdf"}]).lost_files == 2


# --- edits and deletions ---------------------------------------------------------------------------------------------


def changed(name: Name, message: dict[str, Any]) -> Routed:
    return translate(
        an_event(name, msgspec.json.encode({"event": name, "data": messages({**an_item(), "message": message})}))
    )


def test_an_edit_has_the_new_words_without_the_name() -> None:
    edit = {"id": ["wamid.HBgM"], "text": "[b]Bia Lima:[/b][br] Texto [i]novo[/i]"}
    assert changed(Name.MESSAGE_UPDATE, edit) == OperatorChange(
        external_chat_id=CHAT,
        bitrix_chat_id=1767,
        bitrix_message_id=86497,
        text=Text((Span("Texto "), Span("novo", (Mark.ITALIC,)))),
        author="Bia Lima",
    )


def test_an_edit_of_an_answer_knows_its_words_without_the_quote() -> None:
    found = changed(Name.MESSAGE_UPDATE, {"text": "[b]Bia:[/b][br] >>Qual o preço?\nR$ 11"})
    assert isinstance(found, OperatorChange)
    assert found.text is not None
    assert (found.text.plain, found.unquoted) == ("Qual o preço?\nR$ 11", plain_text("R$ 11"))


def test_a_deletion_has_no_words() -> None:
    found = changed(Name.MESSAGE_DELETE, {"id": "wamid.HBgM"})
    assert isinstance(found, OperatorChange)
    assert found.text is None


def test_a_change_without_its_ids_is_unroutable() -> None:
    found = routed(Name.MESSAGE_DELETE, messages({"im": {"chat_id": "1"}, "chat": {"id": CHAT}}))
    assert type(found).__name__ == "Unroutable"


# --- who signs -------------------------------------------------------------------------------------------------------


def test_what_the_line_says_by_itself_keeps_its_heading() -> None:
    text = "[b]Horário de atendimento:[/b][br]8h às 18h"
    found = written({"user_id": "0", "text": text})
    assert isinstance(found, OperatorMessage)
    assert text_of(found) == "Horário de atendimento:\n8h às 18h"
    change = changed(Name.MESSAGE_UPDATE, {"user_id": 0, "text": text})
    assert isinstance(change, OperatorChange)
    assert (change.author, change.text and change.text.plain) == (None, "Horário de atendimento:\n8h às 18h")


@pytest.mark.parametrize("text", ["[b]Bia Lima:[/b]", "[b]Bia Lima:[/b] ", "[b]Bia Lima:[/b] [br]"])
def test_a_file_alone_has_no_caption_but_an_author(text: str) -> None:
    found = written({"user_id": "27", "text": text, "files": [PICTURE]})
    assert isinstance(found, OperatorMessage)
    assert isinstance(found.content, MediaContent)
    assert (found.content.author, found.content.caption) == ("Bia Lima", Text())


# --- where a file is -------------------------------------------------------------------------------------------------

SHORT = "https://acme-demo.bitrix24.com/~Q7xKd"
PICTURE = {"name": "a.jpg", "type": "image", "link": SHORT}


@pytest.mark.parametrize(
    ("links", "source"),
    [
        ({"downloadLink": "/pub/im.file.php?FILE_ID=1", "link": f"{SHORT}#img.jpg"}, SHORT),
        ({"downloadLink": f"{SHORT}?x#y", "link": "/~Q7xKd"}, f"{SHORT}?x"),
        ({"downloadLink": "//acme-demo.bitrix24.com/x", "link": SHORT}, SHORT),
        ({"downloadLink": "", "link": SHORT}, SHORT),
        ({"downloadLink": SHORT.upper(), "link": ""}, SHORT.upper()),
        ({"downloadLink": "/pub/im.file.php?FILE_ID=1", "link": ""}, "/pub/im.file.php?FILE_ID=1"),
    ],
)
def test_the_link_of_a_file_is_the_one_that_names_its_host(links: dict[str, str], source: str) -> None:
    found = operators("", files=[PICTURE | links])
    assert isinstance(found.content, MediaContent)
    assert found.content.source == source


# --- what is too long ------------------------------------------------------------------------------------------------


def test_of_a_text_that_is_too_long_the_head_goes_and_it_is_told() -> None:
    found = operators("a" * 19_990 + "[b]" + "c" * 30_000 + "[/b]")
    assert found.cut
    assert len(text_of(found)) == 20_000
    assert not operators("a" * 20_000).cut
    assert not operators("a" * 20_000 + " \n" * 10).cut


def test_no_half_of_a_tag_is_shown() -> None:
    assert text_of(operators("a" * 19_995 + "[url=https://x.example/]loja[/url]")) == "a" * 19_995


def test_of_blocks_that_are_too_long_the_head_goes_and_it_is_told() -> None:
    links = [{"LINK": {"LINK": f"https://x.example/{number}"}} for number in range(5_000)]
    for text in ("", "veja"):
        found = written({"user_id": "27", "text": text}, attachments_old=links)
        assert isinstance(found, OperatorMessage)
        assert found.cut
        assert len(text_of(found)) <= 20_005


def test_an_edit_that_is_too_long_is_told() -> None:
    found = changed(Name.MESSAGE_UPDATE, {"text": "a" * 20_001})
    assert isinstance(found, OperatorChange)
    assert (found.cut, found.text and len(found.text.plain)) == (True, 20_000)
