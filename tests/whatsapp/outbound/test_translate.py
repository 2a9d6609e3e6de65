"""Messages as the Graph API wants them, and what a message does whose file is not there yet."""

from typing import Any

import pytest
from msgspec.structs import replace

from tests.whatsapp.builders import a_claim
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import Refused, TooFast
from zaptrix.core.message.interactive import (
    Ask,
    Choice,
    Choices,
    FlowAction,
    Form,
    Link,
    Menu,
    PlaceWanted,
    Row,
    Section,
)
from zaptrix.core.message.kinds import Cards, Location, Marks, PersonCard, Quote, Reaction
from zaptrix.core.message.media import Attachment, AttachmentState, Blob
from zaptrix.core.message.message import Interactive, MediaContent, MediaKind, Origin
from zaptrix.core.message.text import plain_text
from zaptrix.whatsapp.outbound.translate import contacts, interactive, location, reaction
from zaptrix.whatsapp.outbound.upload import MediaToSend
from zaptrix.whatsapp.platform import message_of

BLOB = Blob(key="2026-11-27/0", size=3, sha256="0", type="image/jpeg", name="foto.jpg")
PICTURE = MediaContent(kind=MediaKind.IMAGE, source="1037543291543636", name="a.jpg")


def asking(ask: Ask, **more: Any) -> Interactive:
    return Interactive(body=plain_text("*?*"), ask=ask, **more)


def test_what_a_place_does_not_have_is_left_out() -> None:
    assert location(Location(latitude=1.5, longitude=-2.5)) == ("location", {"latitude": 1.5, "longitude": -2.5})


def test_a_card_has_one_part_of_its_name_beside_the_whole_and_a_number_without_country_no_whatsapp_id() -> None:
    card = PersonCard(
        name="Ana Souza", phones=("+55 41 98888-7777", "3333-4444"), addresses=("R. XV",), birthday="1990-05-17"
    )
    assert contacts(Cards(cards=(card,))) == (
        "contacts",
        [
            {
                "name": {"formatted_name": "Ana Souza", "first_name": "Ana Souza"},
                "phones": [{"phone": "+55 41 98888-7777", "wa_id": "5541988887777"}, {"phone": "3333-4444"}],
                "addresses": [{"street": "R. XV"}],
                "birthday": "1990-05-17",
            }
        ],
    )


@pytest.mark.parametrize(("emoji", "told"), [("👍", "👍"), (None, "")])
def test_a_reaction_names_its_message(emoji: str | None, told: str) -> None:
    marks = Marks(quote=Quote(whatsapp_id="wamid.1"))
    assert reaction(Reaction(emoji=emoji, marks=marks)) == ("reaction", {"message_id": "wamid.1", "emoji": told})


@pytest.mark.parametrize(
    ("ask", "kind", "action"),
    [
        (
            Choices((Choice(id="y", title="Sim"),)),
            "button",
            {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Sim"}}]},
        ),
        (
            Menu(label="Ver", sections=(Section(rows=(Row(id="1", title="A"),)),)),
            "list",
            {"button": "Ver", "sections": [{"rows": [{"id": "1", "title": "A"}]}]},
        ),
        (
            Link(label="Ver", url="https://ex.com"),
            "cta_url",
            {"name": "cta_url", "parameters": {"display_text": "Ver", "url": "https://ex.com"}},
        ),
        (PlaceWanted(), "location_request_message", {"name": "send_location"}),
        (
            Form(label="Abrir", name="cadastro", action=FlowAction.DATA_EXCHANGE, draft=True),
            "flow",
            {
                "name": "flow",
                "parameters": {
                    "flow_message_version": "3",
                    "flow_cta": "Abrir",
                    "flow_action": "data_exchange",
                    "flow_name": "cadastro",
                    "mode": "draft",
                },
            },
        ),
    ],
)
def test_what_is_asked_has_its_own_action_and_words_stay_words(ask: Ask, kind: str, action: dict[str, Any]) -> None:
    assert interactive(asking(ask), None) == (
        "interactive",
        {"type": kind, "body": {"text": "*\u200b?\u200b*"}, "action": action},
    )


def test_a_file_above_the_words_has_no_words_of_its_own() -> None:
    file = MediaToSend(MediaKind.DOCUMENT, "77", "", "boleto.pdf")
    _, told = interactive(asking(PlaceWanted(), footer="Loja"), file)
    assert isinstance(told, dict)
    assert told["header"] == {"type": "document", "document": {"id": "77", "filename": "boleto.pdf"}}
    assert told["footer"] == {"text": "Loja"}


# --- files -----------------------------------------------------------------------------------------------------------


def with_file(content: MediaContent | Interactive, **attachment: Any) -> Claim:
    claim = replace(a_claim(), content=content, origin=Origin.API)
    return replace(claim, attachment=Attachment(**attachment)) if attachment else claim


CONTENTS: list[MediaContent | Interactive] = [PICTURE, asking(PlaceWanted(), file=PICTURE)]


@pytest.mark.parametrize("content", CONTENTS, ids=["alone", "header"])
def test_a_message_of_a_program_waits_for_its_file(content: MediaContent | Interactive) -> None:
    with pytest.raises(TooFast) as waits:
        message_of(with_file(content, state=AttachmentState.WANTED, media_id="77"))
    assert (waits.value.code, waits.value.one_conversation) == ("file_under_way", True)


@pytest.mark.parametrize("content", CONTENTS, ids=["alone", "header"])
def test_what_meta_has_goes_by_its_id_also_when_we_could_not_fetch_it(content: MediaContent | Interactive) -> None:
    kind, told = message_of(with_file(content, state=AttachmentState.FAILED, media_id="77"))
    assert isinstance(told, dict)
    assert (told if kind == "image" else told["header"]["image"]) == {"id": "77"}


@pytest.mark.parametrize("content", CONTENTS, ids=["alone", "header"])
@pytest.mark.parametrize("attachment", [{}, {"state": AttachmentState.FAILED, "code": "gone", "notice": "file_gone"}])
def test_a_file_that_never_came_is_refused(content: MediaContent | Interactive, attachment: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        message_of(with_file(content, **attachment))
    assert refused.value.notice == "file_gone"


def test_a_header_is_sent_as_what_it_was_asked_to_be() -> None:
    ready = {"state": AttachmentState.READY, "blob": BLOB, "media_id": "77", "sent_as": MediaKind.IMAGE}
    _, told = message_of(with_file(CONTENTS[1], **ready))
    assert isinstance(told, dict)
    assert told["header"] == {"type": "image", "image": {"id": "77"}}
