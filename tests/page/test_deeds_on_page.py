"""Everything that a customer or an operator can do beside writing is done with the page's own hands; no gateway."""

import pytest
from playwright.async_api import FilePayload, Page, expect

from tests.page import samples
from tests.page.looking import attach, bubbles, on_line, on_phone, pick, pick_on
from tests.page.running_simulator import Simulator, connector

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURE: FilePayload = {"name": "vista.jpg", "mimeType": "image/jpeg", "buffer": samples.jpeg()}
SOUND: FilePayload = {"name": "som.mp3", "mimeType": "audio/mpeg", "buffer": samples.mp3()}
PAPER: FilePayload = {"name": "laudo.pdf", "mimeType": "application/pdf", "buffer": samples.pdf()}
FILM: FilePayload = {"name": "sol.mp4", "mimeType": "video/mp4", "buffer": samples.mp4()}
REPLIES = [
    {"type": "reply", "reply": {"id": name, "title": title}} for name, title in (("y", "Confirmo"), ("n", "Não"))
]
ROWS = [{"id": "1", "title": "09:00", "description": "Dra. Paula"}, {"id": "2", "title": "10:00"}]
ASKED = {
    "button": {"buttons": REPLIES},
    "list": {"button": "Ver horários", "sections": [{"title": "Manhã", "rows": ROWS}]},
    "location_request_message": {"name": "send_location"},
    "flow": {
        "name": "flow",
        "parameters": {"flow_message_version": "3", "flow_token": "t", "flow_id": "1", "flow_cta": "Abrir cadastro"},
    },
}


async def last_of_ana(simulator: Simulator) -> dict[str, object]:
    state = await simulator.control("GET", "state")
    message: dict[str, object] = state["phones"][0]["messages"][-1]
    return message


@pytest.mark.parametrize(
    ("entry", "file", "kind", "mime"),
    [
        ("Foto ou vídeo", PICTURE, "image", "image/jpeg"),
        ("Foto ou vídeo", FILM, "video", "video/mp4"),
        ("Documento", PAPER, "document", "application/pdf"),
        ("Áudio", SOUND, "audio", "audio/mpeg"),
        ("Mensagem de voz (arquivo)", SOUND, "audio", "audio/ogg; codecs=opus"),
        ("Figurinha", PICTURE, "sticker", "image/webp"),
    ],
    ids=["picture", "film", "document", "sound", "voice", "sticker"],
)
async def test_the_customer_sends_a_file(
    page: Page, simulator: Simulator, entry: str, file: FilePayload, kind: str, mime: str
) -> None:
    await page.get_by_test_id("phone-input").fill("olha")
    await attach(page, "phone", entry, file)
    await expect(bubbles(page, "phone")).to_have_count(1)
    message = await last_of_ana(simulator)
    assert isinstance(message["file"], dict)
    assert (message["type"], message["file"]["mime"], message["text"]) == (kind, mime, "olha")
    assert message["file"]["voice"] is (entry == "Mensagem de voz (arquivo)")
    await expect(page.get_by_test_id("phone-input")).to_have_value("")


async def test_a_voice_note_is_recorded_and_sent_or_given_up(page: Page, simulator: Simulator) -> None:
    await page.get_by_test_id("phone-record").click()
    await page.get_by_role("button", name="Cancelar").click()
    await expect(page.get_by_test_id("record-send")).to_have_count(0)
    await expect(bubbles(page, "phone")).to_have_count(0)

    await page.get_by_test_id("phone-record").click()
    await expect(page.get_by_role("timer")).to_have_text("0:01")
    await page.get_by_test_id("record-send").click()

    await expect(bubbles(page, "phone").get_by_test_id("voice")).to_have_count(1)
    file = (await last_of_ana(simulator))["file"]
    assert isinstance(file, dict)
    assert (file["mime"], file["voice"]) == ("audio/ogg; codecs=opus", True)


async def test_a_place_and_a_contact_are_sent_from_their_forms(page: Page, simulator: Simulator) -> None:
    await pick(page, page.get_by_test_id("phone-attach"), "Localização")
    sheet = page.get_by_test_id("sheet")
    await sheet.get_by_label("Nome").fill("Minha casa")
    await sheet.get_by_role("button", name="Enviar").click()
    await expect(bubbles(page, "phone").last).to_contain_text("Minha casa")
    await pick(page, page.get_by_test_id("phone-attach"), "Contato")
    await sheet.get_by_label("Nome").fill("Caio Reis")
    await sheet.get_by_role("button", name="Enviar").click()
    await expect(bubbles(page, "phone").last).to_contain_text("Caio Reis")
    assert (await last_of_ana(simulator))["type"] == "contacts"


async def test_the_customer_reacts_takes_it_back_and_quotes(page: Page, simulator: Simulator) -> None:
    await simulator.customer_writes("Oi!")
    await simulator.graph_send("554188887777", "Bom dia!")
    theirs = bubbles(page, "phone").last
    await expect(theirs).to_contain_text("Bom dia!")
    await pick_on(page, theirs, "Reagir com 👍")
    await expect(theirs.get_by_test_id("reactions")).to_have_text("👍")
    await theirs.get_by_role("button", name="Retirar a reação 👍").click()
    await expect(theirs.get_by_test_id("reactions")).to_have_count(0)

    await pick_on(page, theirs, "Responder")
    await page.get_by_test_id("phone-input").fill("quero dois")
    await page.get_by_test_id("phone-input").press("Enter")

    await expect(bubbles(page, "phone").last.locator(".quote")).to_contain_text("Bom dia!")
    await expect(on_phone(page).last).to_have_text("quero dois")
    await bubbles(page, "phone").last.locator(".quote").click()
    await expect(page.get_by_test_id("phone-messages").locator(".row.found")).to_contain_text("Bom dia!")


async def test_the_customer_edits_and_deletes(page: Page) -> None:
    await page.get_by_test_id("phone-input").fill("Tem azul?")
    await page.get_by_test_id("phone-input").press("Enter")
    await expect(on_phone(page)).to_have_text(["Tem azul?"])
    await pick_on(page, bubbles(page, "phone").last, "Editar")
    await expect(page.get_by_test_id("phone-input")).to_have_value("Tem azul?")
    await page.get_by_test_id("phone-input").fill("Tem verde?")
    await page.get_by_test_id("phone-input").press("Enter")
    await expect(on_phone(page)).to_have_text(["Tem verde?"])
    await pick_on(page, bubbles(page, "phone").last, "Apagar")
    await expect(on_phone(page)).to_have_text(["Mensagem apagada"])


@pytest.mark.parametrize("kind", list(ASKED))
async def test_the_customer_answers_what_she_is_asked(page: Page, simulator: Simulator, kind: str) -> None:
    await simulator.customer_writes("Oi!")
    body = {"type": kind, "body": {"text": "Pode responder?"}, "action": ASKED[kind]}
    await simulator.graph_sends("interactive", body)
    offer, sheet = bubbles(page, "phone").last.locator("button.offer"), page.get_by_test_id("sheet")
    await offer.first.click()
    if kind == "list":
        await sheet.get_by_text("09:00").click()
    if kind == "flow":
        await sheet.get_by_label("Nome").fill("Ana")
    if kind != "button":
        await sheet.get_by_role("button", name="Enviar").click()

    said = {
        "button": "Confirmo",
        "list": "09:00\nDra. Paula",
        "location_request_message": "Praça Osório",
        "flow": "Formulário enviado\nnome: Ana",
    }
    await expect(bubbles(page, "phone")).to_have_count(3)
    answer = bubbles(page, "phone").last
    await expect(answer).to_contain_text(said[kind], use_inner_text=True)
    await expect(answer.locator(".quote")).to_contain_text("Pode responder?")


async def test_the_operator_sends_files_and_what_stands_in_the_field_is_the_caption(
    page: Page, simulator: Simulator
) -> None:
    await simulator.put_in_chat(await simulator.customer_writes("Oi!"), "Oi!")
    await expect(on_line(page)).to_have_text(["Oi!"])
    await page.get_by_test_id("line-input").fill("O cardápio")
    await attach(page, "line", "Documento", PICTURE, PAPER)
    await expect(bubbles(page, "line")).to_have_count(3)
    await expect(bubbles(page, "line").nth(1).locator(".picture")).to_have_count(1)
    await expect(bubbles(page, "line").nth(1).locator(".text")).to_have_text("O cardápio")
    await expect(bubbles(page, "line").nth(2)).to_contain_text("laudo.pdf")


async def test_the_operator_edits_and_deletes_where_the_line_lets_them(page: Page, simulator: Simulator) -> None:
    await simulator.put_in_chat(await simulator.customer_writes("Oi!"), "Oi!")
    await simulator.operator_writes("São R$ 12,00")
    await expect(on_line(page)).to_have_text(["Oi!", "São R$ 12,00"])
    await pick_on(page, bubbles(page, "line").last, "Editar")
    await page.get_by_test_id("line-input").fill("São R$ 13,00")
    await page.get_by_test_id("line-input").press("Enter")
    await expect(on_line(page)).to_have_text(["Oi!", "São R$ 13,00"])
    await expect(bubbles(page, "line").last.locator(".edited")).to_have_text("editada")
    await pick_on(page, bubbles(page, "line").last, "Apagar")
    await expect(on_line(page)).to_have_text(["Oi!", "Mensagem apagada"])

    await simulator.rest("imconnector.register", connector(EDIT_INTERNAL_MESSAGES=False, DEL_INTERNAL_MESSAGES=False))
    await simulator.operator_writes("Até logo")
    await expect(on_line(page).last).to_have_text("Até logo")
    tools = bubbles(page, "line").last.get_by_test_id("bubble-tools")
    await tools.focus()
    await tools.press("Enter")
    await expect(page.get_by_test_id("menu").get_by_role("menuitem")).to_have_text(["Responder"])


async def test_a_file_that_is_dropped_on_the_field_is_sent(page: Page) -> None:
    await page.get_by_test_id("phone-input").evaluate(
        """(field) => {
            const data = new DataTransfer();
            data.items.add(new File(["nota"], "nota.txt", { type: "text/plain" }));
            field.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }"""
    )
    await expect(bubbles(page, "phone").last).to_contain_text("nota.txt")


async def test_a_file_that_is_no_sound_is_no_voice_note(page: Page) -> None:
    await attach(page, "phone", "Mensagem de voz (arquivo)", PAPER)
    await expect(page.get_by_test_id("alert")).to_contain_text("cannot be read as sound")
    await expect(bubbles(page, "phone")).to_have_count(0)
