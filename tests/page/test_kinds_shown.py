"""Everything that can be said is shown, on the phone and in the chat; the simulator is alone."""

from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.page import samples
from tests.page.looking import bubbles, is_drawn, last_tick, on_phone, pick_on
from tests.page.running_simulator import Simulator

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORDER = [{"product_retailer_id": "SKU-77", "quantity": 2, "item_price": 79.9, "currency": "BRL"}]
FRAME = f"{'-' * 54}\nAna Souza [27.11.2026 09:00:00] #chat1767/%s\nTem azul?\n{'-' * 54}\n"


async def uploaded(simulator: Simulator, content: bytes, name: str, mime: str, **more: str) -> dict[str, Any]:
    told = {"name": name, "mime": mime} | more
    url = f"{simulator.url}/control/files"
    async with aiohttp.ClientSession() as session, session.post(url, params=told, data=content) as answer:
        file: dict[str, Any] = await answer.json()
        return file


async def sent(simulator: Simulator, content: bytes, name: str, mime: str, kind: str, **more: Any) -> str:
    """A file that the customer sends."""
    voice = {"voice": "1"} if more.pop("voice", False) else {}
    file = await uploaded(simulator, content, name, mime, type=kind, **voice)
    media = {"id": file["id"], "type": file["type"], "voice": bool(voice)}
    return await simulator.customer_sends("media", media=media, **more)


async def test_a_picture_is_a_thumbnail_that_opens_large(page: Page, simulator: Simulator) -> None:
    await sent(simulator, samples.jpeg(), "vista.jpg", "image/jpeg", "image", text="A vista *daqui*", forwarded=True)
    bubble = bubbles(page, "phone").last
    await expect(bubble.locator(".text strong")).to_have_text("daqui")
    await expect(bubble).to_contain_text("Encaminhada")
    assert await is_drawn(bubble.locator(".picture img"))

    await bubble.locator(".picture").click()

    large = page.get_by_test_id("sheet").locator("img")
    assert await is_drawn(large)
    await expect(page.get_by_test_id("sheet").get_by_role("link", name="Salvar")).to_have_attribute(
        "download", "vista.jpg"
    )
    await page.keyboard.press("Escape")
    await expect(large).to_have_count(0)


async def test_a_sticker_stands_without_a_bubble(page: Page, simulator: Simulator) -> None:
    await sent(simulator, samples.webp(), "s.webp", "image/webp", "sticker")
    await expect(bubbles(page, "phone").last).to_have_css("background-color", "rgba(0, 0, 0, 0)")
    assert await is_drawn(bubbles(page, "phone").last.locator(".sticker img"))


async def test_films_sounds_and_voice_notes_have_players_that_play(page: Page, simulator: Simulator) -> None:
    await sent(simulator, samples.mp4(), "sol.mp4", "video/mp4", "video")
    await sent(simulator, samples.mp3(), "som.mp3", "audio/mpeg", "audio")
    await sent(simulator, samples.wav(), "v.wav", "audio/wav", "audio", voice=True)
    film, sound = bubbles(page, "phone").locator("video"), bubbles(page, "phone").locator("audio")
    for player in (film, sound):
        await expect(player).to_have_attribute("preload", "metadata")
        assert await player.evaluate("(one) => { one.muted = true; return one.play().then(() => true) }")
    voice = bubbles(page, "phone").last.get_by_test_id("voice")
    await expect(voice.locator(".voice-time")).to_have_text("0:03")
    await expect(voice.locator(".wave i")).to_have_count(34)
    await voice.get_by_role("button", name="Ouvir").click()
    await expect(voice.locator(".wave i.heard")).not_to_have_count(0)


async def test_a_document_has_its_name_its_size_and_is_kept(page: Page, simulator: Simulator) -> None:
    await sent(simulator, samples.pdf(), "laudo.pdf", "application/pdf", "document", text="o laudo")
    card = bubbles(page, "phone").last.get_by_role("link")
    await expect(card).to_contain_text("laudo.pdf")
    await expect(card).to_contain_text(f"{len(samples.pdf())} B · application/pdf")
    async with page.expect_download() as download:
        await card.click()
    assert (await download.value).suggested_filename == "laudo.pdf"


async def test_places_contacts_orders_and_what_cannot_be_shown(page: Page, simulator: Simulator) -> None:
    await simulator.customer_sends("location", latitude=-25.4, longitude=-49.2, name="Praça Osório", address="Centro")
    await simulator.customer_sends("contacts", name="Beto Lima", phone="+55 41 97777-6666")
    await simulator.customer_sends("order", items=ORDER, text="para presente")
    await simulator.customer_sends("unsupported")
    shown = bubbles(page, "phone")
    await expect(shown).to_have_count(4)
    await expect(shown.nth(0).get_by_role("link")).to_have_attribute(
        "href", "https://www.google.com/maps/search/?api=1&query=-25.4%2C-49.2"
    )
    await expect(shown.nth(0)).to_contain_text("Praça Osório")
    await expect(shown.nth(1)).to_contain_text("Beto Lima+55 41 97777-6666")
    await expect(shown.nth(2)).to_contain_text("2 × SKU-77R$ 159,80TotalR$ 159,80para presente")
    await expect(shown.nth(3)).to_contain_text("não mostra a programas")


async def test_a_reaction_an_edit_and_a_deletion_change_the_bubble_that_they_name(
    page: Page, simulator: Simulator
) -> None:
    first = await simulator.customer_writes("Tem azul?")
    ours = await simulator.graph_sends("text", {"body": "Temos!"}, context={"message_id": first})
    await simulator.graph_sends("reaction", {"message_id": first, "emoji": "❤️"})
    await simulator.customer_sends("reaction", to=ours, emoji="👍")
    await simulator.customer_sends("edit", to=first, text="Tem verde?")
    gone = await simulator.customer_writes("ops")
    await simulator.customer_sends("revoke", to=gone)

    await expect(on_phone(page)).to_have_text(["Tem verde?", "Temos!", "Mensagem apagada"])
    shown = bubbles(page, "phone")
    await expect(shown.nth(0).locator(".edited")).to_have_text("editada")
    await expect(shown.nth(0).get_by_test_id("reactions")).to_have_text("❤️")
    await expect(shown.nth(1).get_by_test_id("reactions")).to_have_text("👍")
    await expect(shown.nth(1).locator(".quote")).to_have_text("VocêTem verde?")
    await simulator.customer_sends("reaction", to=ours)
    await expect(shown.nth(1).get_by_test_id("reactions")).to_have_count(0)


async def test_a_template_has_its_head_words_foot_and_buttons(page: Page, simulator: Simulator) -> None:
    number = simulator.world["number"]["phone_number_id"]
    buttons = [
        {"type": "QUICK_REPLY", "text": "Confirmo"},
        {"type": "URL", "text": "Ver", "url": "https://ex.com/p"},
        {"type": "PHONE_NUMBER", "text": "Ligar", "phone_number": "+551140041234"},
    ]
    parts = [
        {"type": "HEADER", "format": "TEXT", "text": "Visita"},
        {"type": "BODY", "text": "Olá *{{1}}*, confirma?", "example": {"body_text": [["Ana"]]}},
        {"type": "FOOTER", "text": "Até logo"},
        {"type": "BUTTONS", "buttons": buttons},
    ]
    template = {"name": "visita", "language": "pt_BR", "category": "UTILITY", "components": parts}
    await simulator.control("POST", "templates", template | {"phone_number_id": number})
    body = {"type": "body", "parameters": [{"type": "text", "text": "Ana"}]}
    await simulator.graph_sends("template", {"name": "visita", "language": {"code": "pt_BR"}, "components": [body]})

    bubble = bubbles(page, "phone").last
    await expect(bubble.locator(".headline")).to_have_text("Visita")
    await expect(bubble.locator(".text")).to_have_text("Olá Ana, confirma?")
    await expect(bubble.locator(".footnote")).to_have_text("Até logo")
    await expect(bubble.locator(".offer")).to_have_text(["Confirmo", "Ver", "Ligar"])
    await expect(bubble.get_by_role("link", name="Ver")).to_have_attribute("href", "https://ex.com/p")
    await bubble.get_by_role("button", name="Confirmo").click()
    await expect(on_phone(page).last).to_have_text("Confirmo")
    await expect(bubbles(page, "phone").last.locator(".quote")).to_contain_text("Olá Ana, confirma?")


def a_card(name: str) -> dict[str, Any]:
    """A card of a carousel's template."""
    buttons = [
        {"type": "QUICK_REPLY", "text": f"Quero {name}"},
        {"type": "URL", "text": "Ver", "url": "https://ex.com/{{1}}", "example": ["https://ex.com/1"]},
    ]
    return {
        "components": [
            {"type": "HEADER", "format": "IMAGE"},
            {"type": "BODY", "text": "Camisa {{1}}", "example": {"body_text": [["azul"]]}},
            {"type": "BUTTONS", "buttons": buttons},
        ]
    }


def filled_card(index: int, name: str, page: str) -> dict[str, Any]:
    picture = {"type": "image", "image": {"link": "https://ex.com/a.jpg"}}
    press = {"type": "button", "sub_type": "quick_reply", "index": "0"}
    suffix = {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": page}]}
    return {
        "card_index": index,
        "components": [
            {"type": "header", "parameters": [picture]},
            {"type": "body", "parameters": [{"type": "text", "text": name}]},
            press | {"parameters": [{"type": "payload", "payload": f"quero-{index}"}]},
            suffix,
        ],
    }


async def test_a_carousel_has_its_cards_and_each_its_own_buttons(page: Page, simulator: Simulator) -> None:
    number = simulator.world["number"]["phone_number_id"]
    carousel = {"type": "CAROUSEL", "cards": [a_card("azul"), a_card("verde")]}
    template = {"name": "vitrine", "language": "pt_BR", "category": "MARKETING", "phone_number_id": number}
    parts = [{"type": "BODY", "text": "Novidades"}, carousel]
    await simulator.control("POST", "templates", template | {"components": parts})
    cards = [filled_card(0, "azul", "a"), filled_card(1, "verde", "v")]
    sent = {"name": "vitrine", "language": {"code": "pt_BR"}, "components": [{"type": "carousel", "cards": cards}]}
    await simulator.graph_sends("template", sent)

    bubble = bubbles(page, "phone").last
    await expect(bubble.locator(".text")).to_have_text("Novidades")
    shown = bubble.locator(".carousel-card")
    await expect(shown).to_have_count(2)
    for card, name, address in ((shown.nth(0), "azul", "a"), (shown.nth(1), "verde", "v")):
        await expect(card.locator("span").first).to_have_text(f"Camisa {name}")
        await expect(card.locator(".offer")).to_have_text([f"Quero {name}", "Ver"])
        await expect(card.get_by_role("link", name="Ver")).to_have_attribute("href", f"https://ex.com/{address}")

    await shown.nth(1).get_by_role("button", name="Quero verde").click()
    await expect(on_phone(page).last).to_have_text("Quero verde")
    await expect(bubbles(page, "phone").last.locator(".quote")).to_contain_text("Novidades")
    pressed = (await simulator.control("GET", "state"))["phones"][0]["messages"][-1]
    assert pressed["button"] == {"payload": "quero-1", "text": "Quero verde"}


async def test_what_is_said_in_a_group_says_so(page: Page, simulator: Simulator) -> None:
    await simulator.customer_sends("group", text="Alguém vai?")
    await simulator.customer_writes("Oi!")
    await expect(on_phone(page)).to_have_text(["👥 Alguém vai?", "Oi!"])
    await expect(bubbles(page, "phone").nth(0).locator(".mark")).to_have_text("Num grupo")
    await expect(bubbles(page, "phone").nth(1).locator(".mark")).to_have_count(0)


async def test_while_the_business_types_the_phone_shows_it(page: Page, simulator: Simulator) -> None:
    wamid = await simulator.customer_writes("Oi!")
    await simulator.graph_calls({"status": "read", "message_id": wamid, "typing_indicator": {"type": "text"}})
    await expect(page.locator("#business-kind")).to_have_text("digitando…")
    await expect(bubbles(page, "phone").last.get_by_role("img", name="digitando…")).to_be_visible()
    await simulator.graph_send("554188887777", "Olá!")
    await expect(page.locator("#business-kind")).to_have_text("conta comercial")
    await expect(on_phone(page)).to_have_text(["Oi!", "Olá!"])
    await expect(bubbles(page, "phone")).to_have_count(2)


async def test_the_chat_shows_files_quotes_and_what_is_for_the_team_alone(page: Page, simulator: Simulator) -> None:
    wamid = await simulator.customer_writes("Tem azul?")
    await simulator.put_in_chat(wamid, "Tem [b]azul[/b]?")
    await simulator.put_in_chat("w2", ">>Cliente: Tem azul?\nReagiu com 👍")
    chat = (await simulator.control("GET", "state"))["chats"][0]
    picture = await uploaded(simulator, samples.jpeg(), "a.jpg", "image/jpeg", type="image")
    letter = {"portal": chat["portal"], "chat_id": "ana", "operator": "Bia"}
    quote = FRAME % chat["messages"][0]["id"]
    await simulator.control("POST", "operators/write", letter | {"text": f"{quote}Temos", "files": [picture]})
    await simulator.control("POST", "operators/write", letter | {"text": "cliente VIP", "hidden": True})

    shown = bubbles(page, "line")
    await expect(shown).to_have_count(4)
    await expect(shown.nth(1).locator(".quote")).to_have_text("ClienteTem azul?")
    await expect(shown.nth(1).locator(".text")).to_have_text("Reagiu com 👍")
    await expect(shown.nth(2).locator(".quote")).to_have_text("Ana SouzaTem azul?")
    await expect(shown.nth(2).locator(".text")).to_have_text("Temos")
    assert await is_drawn(shown.nth(2).locator(".picture img"))
    await expect(shown.nth(3)).to_contain_text("Só para a equipe")
    await expect(page.get_by_test_id("chat-row")).to_contain_text("cliente VIP")
    for quoting in (shown.nth(1), shown.nth(2)):
        await quoting.locator(".quote").click()
        await expect(page.get_by_test_id("line-messages").locator(".row.found")).to_contain_text("Tem azul?")


async def test_a_file_below_a_notice_is_a_link_and_nothing_of_it_is_loaded(page: Page, simulator: Simulator) -> None:
    await simulator.put_in_chat(await simulator.customer_writes("Oi!"), "Oi!")
    chat = (await simulator.control("GET", "state"))["chats"][0]["chat_id"]
    picture = {"NAME": "cardapio.jpg", "LINK": "https://gateway.example.com/media/1", "PREVIEW": "https://x.example/p"}
    note = {"DIALOG_ID": f"chat{chat}", "MESSAGE": "Enviado", "SYSTEM": "Y", "ATTACH": [{"IMAGE": [picture]}]}
    await simulator.rest("im.message.add", note)
    card = bubbles(page, "line").last.get_by_role("link")
    await expect(card).to_contain_text("cardapio.jpg")
    await expect(card).to_have_attribute("href", "https://gateway.example.com/media/1")


async def test_a_voice_note_that_was_heard_is_told_as_played(page: Page, simulator: Simulator) -> None:
    await simulator.customer_writes("Oi!")
    media = await simulator.graph_uploads(samples.wav(), "voz.ogg", "audio/ogg")
    await simulator.graph_sends("audio", {"id": media, "voice": True})
    voice = bubbles(page, "phone").last.get_by_test_id("voice")
    async with page.expect_response("**/control/customers/play"):
        await voice.get_by_role("button", name="Ouvir").click()
    state = await simulator.control("GET", "state")
    assert state["phones"][0]["messages"][-1]["status"] == "played"


@pytest.mark.parametrize("side", ["phone", "line"])
async def test_the_menu_of_a_message_is_walked_with_the_keyboard(page: Page, simulator: Simulator, side: str) -> None:
    await simulator.put_in_chat(await simulator.customer_writes("Oi!"), "Oi!")
    await bubbles(page, side).last.get_by_test_id("bubble-tools").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("menu").get_by_role("menuitem").first).to_be_focused()
    await page.keyboard.press("ArrowUp")
    await expect(page.get_by_test_id("menu").get_by_role("menuitem").last).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("menu")).to_have_count(0)
    await pick_on(page, bubbles(page, side).last, "Responder")
    await expect(page.get_by_test_id(f"{side}-input")).to_be_focused()


async def test_nothing_is_wider_than_a_small_phone(page: Page, simulator: Simulator) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await sent(simulator, samples.jpeg(), "v.jpg", "image/jpeg", "image", text="x" * 200)
    await sent(simulator, samples.mp4(), "v.mp4", "video/mp4", "video")
    await sent(simulator, samples.wav(), "v.wav", "audio/wav", "audio", voice=True)
    await sent(simulator, samples.pdf(), f"{'laudo' * 20}.pdf", "application/pdf", "document")
    await expect(last_tick(page, "phone")).to_be_visible()
    await expect(bubbles(page, "phone")).to_have_count(4)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    wide = await page.get_by_test_id("phone-messages").evaluate("(list) => list.scrollWidth - list.clientWidth")
    assert wide == 0
