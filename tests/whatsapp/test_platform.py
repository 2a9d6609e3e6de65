"""WhatsApp as delivery sees it: outcomes, never exceptions."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec.structs import replace

from tests.whatsapp.builders import ANA, FreePace, NoneUnderWay, OneToken, a_channel, a_claim, a_conversation
from zaptrix.core.delivery.errors import Refused, StaleUpload, Unexpected
from zaptrix.core.delivery.outcome import Absent, Accepted
from zaptrix.core.delivery.retry import Patience
from zaptrix.core.message.kinds import Marks, Quote
from zaptrix.core.message.media import Attachment, AttachmentState, Blob
from zaptrix.core.message.message import Content, MediaContent, MediaKind, Notice, Origin, Words
from zaptrix.core.message.text import Mark, Span, Text, plain_text
from zaptrix.core.portal import Locale
from zaptrix.core.ports import Platform
from zaptrix.core.wording.error_codes import notice_of
from zaptrix.core.wording.notices import notice_text
from zaptrix.whatsapp.client import GraphClient
from zaptrix.whatsapp.codes.codes import rule_of
from zaptrix.whatsapp.platform import WhatsApp


class Meta:
    """Takes everything, except what names a wamid or a text that it was told to refuse."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.refused: set[str] = set()
        self.stale: set[str] = set()
        self.files: dict[str, tuple[int, str]] = {}  # what it says of a file's id

    async def serve(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self.heard.append(body)
        if body.get("message_id") in self.refused or body.get("text", {}).get("body") in self.refused:
            return web.json_response({"error": {"code": 999999, "message": "no"}}, status=400)
        if {body.get("context", {}).get("message_id"), body.get("text", {}).get("body")} & self.stale:
            return web.json_response({"error": {"code": 131009, "message": "no such message"}}, status=400)
        if told := self.files.get(body.get("image", {}).get("id")):
            return web.json_response({"error": {"code": told[0], "message": f"(#{told[0]}) {told[1]}"}}, status=400)
        if body.get("status") == "read":
            return web.json_response({"success": True})
        number = len(self.heard)
        return web.json_response({"contacts": [{"wa_id": "554188887777"}], "messages": [{"id": f"wamid.{number}"}]})


@pytest.fixture
def meta() -> Meta:
    return Meta()


@pytest.fixture
async def whatsapp(meta: Meta) -> AsyncIterator[WhatsApp]:
    app = web.Application()
    app.router.add_post("/{tail:.*}", meta.serve)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = str(server.make_url("/"))
        graph = GraphClient(session, graph_url=url, version="v26.0", tokens=OneToken(), pace=FreePace())
        yield WhatsApp(graph, NoneUnderWay(), patience=Patience(verify_wait_s=1.0))


def test_the_room_keeps_the_contract_of_a_platform(whatsapp: WhatsApp) -> None:
    platform: Platform = whatsapp
    claims = [a_claim(message_id=number) for number in range(3)]
    assert platform.calls(claims) == [(claim,) for claim in claims]
    assert platform.claims_per_call == 1


async def test_an_answer_goes_out_with_the_messages_own_mark(meta: Meta, whatsapp: WhatsApp) -> None:
    assert await whatsapp.send((a_claim("Bom dia", message_id=4711),)) == [
        Accepted(whatsapp_id="wamid.1", wa_id="554188887777")
    ]
    assert meta.heard[0]["biz_opaque_callback_data"] == "zx:4711"
    assert meta.heard[0]["text"]["body"] == "Bom dia"


@pytest.mark.parametrize(
    ("author", "prefix", "body"),
    [
        ("Bia", True, "*Bia:*\n_oi_"),
        ("Bia *", True, "*Bia *:*\n_oi_"),
        ("Bia\nSilva ", True, "*Bia Silva:*\n_oi_"),
        ("Bia", False, "_oi_"),
        (None, True, "_oi_"),
    ],
)
async def test_the_operators_name_stands_above_the_text_where_the_channel_wants_it(
    meta: Meta, whatsapp: WhatsApp, author: str | None, prefix: bool, body: str
) -> None:
    content = Words(Text((Span("oi", (Mark.ITALIC,)),)), author=author)
    await whatsapp.send((a_claim(content=content, channel=a_channel(operator_prefix=prefix)),))
    assert meta.heard[0]["text"]["body"].replace("\N{ZERO WIDTH SPACE}", "") == body


@pytest.mark.parametrize(
    ("content", "notice"),
    [
        (Words(plain_text("x" * 4097)), "too_long"),
        (Words(plain_text("x" * 4096), author="Bia"), "too_long"),
        (Words(plain_text("  ")), "refused"),
        (Notice("refused"), "unsupported"),
    ],
)
async def test_what_whatsapp_would_never_take_is_refused_before_any_call(
    meta: Meta, whatsapp: WhatsApp, content: Content, notice: str
) -> None:
    (outcome,) = await whatsapp.send((a_claim(content=content, channel=a_channel(operator_prefix=True)),))
    assert isinstance(outcome, Refused)
    assert outcome.notice == notice
    assert not meta.heard


async def test_the_longest_text_still_goes(whatsapp: WhatsApp) -> None:
    (outcome,) = await whatsapp.send((a_claim("x" * 4096),))
    assert isinstance(outcome, Accepted)


async def test_the_operator_is_told_the_limit(whatsapp: WhatsApp) -> None:
    (outcome,) = await whatsapp.send((a_claim("x" * 5000),))
    assert isinstance(outcome, Refused)
    told = notice_text(outcome.notice, {"code": outcome.code, "limit": outcome.detail}, Locale.PT_BR)
    assert "passa de 4096 caracteres" in told


def answering(content: Content, wamid: str = "wamid.HBgASKED", gist: str = "Qual o preço?\nCom frete") -> Content:
    assert isinstance(content, Words)
    return replace(content, marks=Marks(quote=Quote(whatsapp_id=wamid, gist=gist)))


async def test_an_answer_to_one_message_names_it(meta: Meta, whatsapp: WhatsApp) -> None:
    claim = a_claim(content=answering(Words(plain_text("R$ 10"))))
    assert await whatsapp.send((claim,)) == [Accepted(whatsapp_id="wamid.1", wa_id="554188887777")]
    assert meta.heard[0]["context"] == {"message_id": "wamid.HBgASKED"}
    assert meta.heard[0]["text"]["body"] == "R$ 10"


async def test_what_quotes_nothing_has_no_context(meta: Meta, whatsapp: WhatsApp) -> None:
    await whatsapp.send((a_claim("R$ 10"),))
    assert "context" not in meta.heard[0]


async def test_a_quote_that_meta_will_not_have_goes_as_words(meta: Meta, whatsapp: WhatsApp) -> None:
    meta.stale.add("wamid.HBgASKED")
    claim = a_claim(content=answering(Words(plain_text("R$ 10"), "Bia")), channel=a_channel(operator_prefix=True))
    assert await whatsapp.send((claim,)) == [Accepted(whatsapp_id="wamid.2", wa_id="554188887777")]
    assert "context" not in meta.heard[1]
    assert meta.heard[1]["text"]["body"] == "*Bia:*\n> Qual o preço?\n> Com frete\nR$ 10"


async def test_a_quote_without_room_for_its_words_is_left_out(meta: Meta, whatsapp: WhatsApp) -> None:
    meta.stale.add("wamid.HBgASKED")
    body = "x" * 4096
    (outcome,) = await whatsapp.send((a_claim(content=answering(Words(plain_text(body)))),))
    assert isinstance(outcome, Accepted)
    assert meta.heard[1]["text"]["body"] == body


async def test_an_error_is_an_outcome_and_not_an_exception(meta: Meta, whatsapp: WhatsApp) -> None:
    meta.refused = {"oi"}
    (outcome,) = await whatsapp.send((a_claim("oi"),))
    assert isinstance(outcome, Unexpected)


GONE = "Param image['id'] is not a valid whatsapp business account media attachment ID"
PICTURE = Blob(key="2026-11-14/0", size=9, sha256="0", type="image/jpeg", name="foto.jpg")


def with_picture(source: str, **more: Any) -> Any:
    """A picture that was uploaded as 77; `source` is where its message says that it is."""
    file = Attachment(state=AttachmentState.READY, blob=PICTURE, sent_as=MediaKind.IMAGE, media_id="77")
    return replace(a_claim(content=MediaContent(kind=MediaKind.IMAGE, source=source, **more)), attachment=file)


@pytest.mark.parametrize(
    ("code", "words", "expected"),
    [
        (100, GONE, StaleUpload),
        (100, "Unexpected key", Refused),
        (131009, "", StaleUpload),
        (131053, "", StaleUpload),
        (131026, "", Refused),
        (131047, GONE, Refused),
    ],
)
async def test_an_upload_that_meta_will_not_have_is_told_apart(
    meta: Meta, whatsapp: WhatsApp, code: int, words: str, expected: type
) -> None:
    meta.files["77"] = (code, words)
    (outcome,) = await whatsapp.send((with_picture("https://portal.example/f"),))
    assert type(outcome) is expected
    assert isinstance(outcome, Refused)
    assert outcome.code == str(code)


async def test_of_a_files_own_id_and_of_words_it_is_only_a_refusal(meta: Meta, whatsapp: WhatsApp) -> None:
    """What a caller uploaded cannot be uploaded anew, and a text has no file."""
    meta.files["77"] = (100, GONE)
    (outcome,) = await whatsapp.send((with_picture("77"),))
    assert type(outcome) is Refused
    meta.stale.add("oi")
    (outcome,) = await whatsapp.send((a_claim("oi"),))
    assert type(outcome) is Refused


async def test_an_answer_with_a_stale_upload_is_tried_without_its_quote_first(meta: Meta, whatsapp: WhatsApp) -> None:
    meta.files["77"] = (131009, "")
    (outcome,) = await whatsapp.send((with_picture("x", marks=Marks(quote=Quote(whatsapp_id="wamid.HBgASKED"))),))
    assert type(outcome) is StaleUpload
    assert ["context" in body for body in meta.heard] == [True, False]


FAILED = Attachment(state=AttachmentState.FAILED, code="file_gone", notice="file_gone")


@pytest.mark.parametrize("file", [FAILED, None], ids=["failed", "unknown"])
async def test_words_outlive_their_file_in_its_place(meta: Meta, whatsapp: WhatsApp, file: Attachment | None) -> None:
    quote = Marks(quote=Quote(whatsapp_id="wamid.HBgASKED"))
    claim = with_picture("https://portal.example/f", caption=plain_text("a nota"), author="Bia", marks=quote)
    channel = a_channel(operator_prefix=True)
    (outcome,) = await whatsapp.send((replace(claim, attachment=file, channel=channel),))
    assert isinstance(outcome, Accepted)
    assert outcome.file_lost == ("file_gone" if file else "no_file")
    assert meta.heard[0]["text"]["body"] == "*Bia:*\na nota"
    assert meta.heard[0]["context"] == {"message_id": "wamid.HBgASKED"}


async def test_words_outlive_a_file_that_was_refused_under_a_second_id(meta: Meta, whatsapp: WhatsApp) -> None:
    meta.files["77"] = (131053, "")
    claim = with_picture("https://portal.example/f", caption=plain_text("a nota"))
    assert claim.attachment is not None
    again = replace(claim, attachment=replace(claim.attachment, reuploaded=True))
    (outcome,) = await whatsapp.send((again,))
    assert isinstance(outcome, Accepted)
    assert outcome.file_lost == "131053"
    assert [body["type"] for body in meta.heard] == ["image", "text"]


async def test_a_program_gets_its_words_through_without_their_file(meta: Meta, whatsapp: WhatsApp) -> None:
    claim = with_picture("77", caption=plain_text("boleto"))
    (outcome,) = await whatsapp.send((replace(claim, attachment=FAILED, origin=Origin.API),))
    assert isinstance(outcome, Accepted)
    assert meta.heard[0]["text"]["body"] == "boleto"


async def test_a_file_without_words_leaves_nothing(meta: Meta, whatsapp: WhatsApp) -> None:
    (outcome,) = await whatsapp.send((replace(with_picture("https://portal.example/f"), attachment=FAILED),))
    assert isinstance(outcome, Refused)
    assert not meta.heard


async def test_no_proof_can_be_asked_for_so_it_is_absent(whatsapp: WhatsApp) -> None:
    assert await whatsapp.prove(a_claim()) == Absent()


# --- blue ticks ------------------------------------------------------------------------------------------------------


def an_inbound(number: int, *, conversation: int = 3, **more: Any) -> Any:
    return a_claim(
        message_id=number,
        whatsapp_id=f"wamid.IN{number}",
        conversation=a_conversation(ANA, conversation),
        **({"origin": Origin.CUSTOMER} | more),
    )


async def test_the_newest_message_of_each_conversation_is_marked_for_all(meta: Meta, whatsapp: WhatsApp) -> None:
    claims = [an_inbound(1), an_inbound(7), an_inbound(5), an_inbound(6, conversation=4)]
    assert await whatsapp.confirm(claims) == [Accepted()] * 4
    assert sorted(body["message_id"] for body in meta.heard) == ["wamid.IN6", "wamid.IN7"]


async def test_one_conversations_trouble_is_its_own(meta: Meta, whatsapp: WhatsApp) -> None:
    meta.refused = {"wamid.IN2"}
    outcomes = await whatsapp.confirm([an_inbound(1), an_inbound(2), an_inbound(3, conversation=4)])
    assert [type(outcome) for outcome in outcomes] == [Unexpected, Unexpected, Accepted]


@pytest.mark.parametrize(
    "claim",
    [an_inbound(1, channel=a_channel(mark_read=False)), an_inbound(1, origin=Origin.GATEWAY), a_claim(message_id=1)],
)
async def test_where_there_is_nothing_to_mark_nothing_is_called(meta: Meta, whatsapp: WhatsApp, claim: Any) -> None:
    assert await whatsapp.confirm([claim]) == [Accepted()]
    assert not meta.heard


@pytest.mark.parametrize(
    ("code", "notice"),
    [
        ("131047", "window_closed"),
        ("131026", "unreachable"),
        ("131030", "test_number"),
        ("130403", "blocked"),
        ("131042", "billing"),
        ("190", "account"),
        ("190/463", "account"),
        ("131016", "failed_later"),
        ("130429", "failed_later"),
        ("999999", "refused"),
        ("unknown", "refused"),
    ],
)
def test_a_late_failure_has_the_notice_of_its_code(code: str, notice: str) -> None:
    assert notice_of(rule_of(code), late=True) == notice
