"""`python -m tests.page.screenshots`: plays the kinds of docs/KINDS.md through a gateway and takes their pictures.

They go to docs/screenshots. Each scene has a tenant of its own, so that both sides show that scene alone.
"""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, Page, async_playwright

from proof.world import Tenant, World, eventually
from tests.page import samples

FOLDER: Final = Path(__file__).parents[2] / "docs" / "screenshots"
ANA: Final = "554188887777"
WIDTH: Final = 1080
WAIT_S: Final = 60.0
SPINNER_MS: Final = 1500  # Chromium's own, on a film: it goes a moment after all is there, and tells nobody
AD: Final = {"source_type": "ad", "source_id": "1202", "source_url": "https://fb.me/3abc", "headline": "Fale conosco"}
TEMPLATE: Final[list[dict[str, Any]]] = [
    {"type": "HEADER", "format": "TEXT", "text": "Sua consulta"},
    {"type": "BODY", "text": "Olá *{{1}}*, confirma amanhã às {{2}}?", "example": {"body_text": [["Ana", "09:30"]]}},
    {"type": "FOOTER", "text": "Clínica Azul"},
    {
        "type": "BUTTONS",
        "buttons": [
            {"type": "QUICK_REPLY", "text": "Confirmo"},
            {"type": "URL", "text": "Ver no mapa", "url": "https://ex.com/mapa"},
        ],
    },
]
# Only the two threads, and as much of them as there is.
TRIM: Final = """
    .top, .ledger, .chats, .pickers, .device-bar, .composer, .line-head { display: none !important; }
    body { height: auto; display: block; } .stage { padding: 10px; gap: 12px; grid-template-columns: 372px 1fr; }
    .line-body { grid-template-columns: 1fr; } .device { border-width: 5px; border-radius: 24px; }
    .thread { position: static; overflow: visible; } * { animation: none !important; }
    .phone-side, .line-side { height: auto; } .thread-frame { display: flex; } .thread { flex: 1; }
    .thread > :first-child { margin-top: 0; }
"""


class Scene:
    """A tenant and its customer: what she sends, what the operator answers, both awaited on the other side."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant, self.world = tenant, tenant.world

    async def sends(self, kind: str, **what: Any) -> str:
        letter = {"phone_number_id": self.tenant.number, "from": ANA, "customer_name": "Ana Souza", "kind": kind}
        told = await self.world.control("POST", "customers/send", letter | what)
        return str(told["wamids"][0])

    async def sends_file(self, content: bytes, mime: str, kind: str, *, name: str = "", **what: Any) -> str:
        file = await self.upload(content, mime, kind, name, voice=kind == "voice")
        media = {"id": file["id"], "type": file["type"], "voice": kind == "voice"}
        return await self.sends("media", media=media, **what)

    async def upload(self, content: bytes, mime: str, kind: str, name: str, *, voice: bool = False) -> dict[str, Any]:
        query = {"name": name, "mime": mime, "type": kind} | ({"voice": "1"} if voice else {})
        async with self.world.session.post(f"{self.world.sim}/control/files", params=query, data=content) as answer:
            file: dict[str, Any] = await answer.json()
            return file

    async def answers(self, text: str = "", *files: dict[str, Any], **what: Any) -> int:
        chat = await self.tenant.chat()
        letter = {"portal": self.tenant.key, "chat_id": chat["chat_id"], "operator": "Bia", "text": text}
        told = await self.world.control("POST", "operators/write", letter | ({"files": files} if files else {}) | what)
        return int(told["message_id"])

    async def last_sent(self) -> str:
        return str((await self.tenant.on_phone())[-1]["id"])

    async def told_in_chat(self, count: int) -> None:
        """Wait for so many messages: what a program sent, or a notice, is no answer that the ledger waits for."""

        async def there() -> bool:
            return len((await self.tenant.chat())["messages"]) >= count

        await eventually(there, WAIT_S, "a line in the chat")

    async def settled(self) -> None:
        await self.world.drained(WAIT_S)


async def texts_and_pictures(scene: Scene) -> None:
    await scene.sends("text", text="Oi! Tem *pão de queijo*?")
    await scene.settled()
    await scene.sends_file(samples.jpeg(420, 250), "image/jpeg", "image", text="A vista daqui")
    await scene.settled()
    await scene.sends_file(samples.webp(), "image/webp", "sticker")
    await scene.settled()


async def sounds_and_files(scene: Scene) -> None:
    await scene.sends_file(samples.wav(), "audio/wav", "voice")
    await scene.settled()
    await scene.sends_file(samples.mp3(), "audio/mpeg", "audio", name="som.mp3")
    await scene.settled()
    await scene.sends_file(samples.pdf(), "application/pdf", "document", name="laudo.pdf", text="O laudo")
    await scene.settled()
    await scene.sends_file(samples.mp4(), "video/mp4", "video", text="O sol")
    await scene.settled()


async def places_and_cards(scene: Scene) -> None:
    await scene.sends(
        "location", latitude=-25.4296, longitude=-49.2719, name="Praça Osório", address="Centro, Curitiba"
    )
    await scene.sends("contacts", name="Beto Lima", phone="+55 41 97777-6666")
    item = {"product_retailer_id": "SKU-77", "quantity": 2, "item_price": 79.9, "currency": "BRL"}
    await scene.sends("order", items=[item], text="para presente")
    await scene.settled()


async def changes(scene: Scene) -> None:
    first = await scene.sends("text", text="Tem azul?")
    await scene.settled()
    await scene.answers("Temos, sim!")
    await scene.settled()
    ours = await scene.last_sent()
    await scene.sends("text", text="Quero dois", quotes=ours)
    await scene.sends("reaction", to=ours, emoji="👍")
    await scene.sends("edit", to=first, text="Tem verde?")
    gone = await scene.sends("text", text="ops")
    await scene.sends("revoke", to=gone)
    await scene.settled()


async def marks(scene: Scene) -> None:
    await scene.sends("text", text="Vi o anúncio", referral=AD)
    await scene.sends("text", text="Olha isto", forwarded="often")
    await scene.sends("unsupported", what="poll_creation")
    await scene.settled()


async def templates_and_answers(scene: Scene) -> None:
    template = {"name": "consulta", "language": "pt_BR", "category": "UTILITY", "components": TEMPLATE}
    await scene.world.control("POST", "templates", template | {"phone_number_id": scene.tenant.number})
    await scene.sends("text", text="Posso marcar?")
    await scene.settled()
    body = {"channel_id": str(scene.tenant.channel_id), "to": f"+{ANA}", "name": "consulta", "body": ["Ana", "09:30"]}
    await scene.world.api("POST", "/api/messages/template", body, status=202)

    await scene.told_in_chat(2)
    await scene.sends("template_button", title="Confirmo", quotes=await scene.last_sent())
    await scene.settled()


async def operators_files(scene: Scene) -> None:
    await scene.sends("text", text="Me manda o cardápio?")
    await scene.settled()
    await scene.answers("O cardápio", await scene.upload(samples.jpeg(420, 250), "image/jpeg", "image", "cardapio.jpg"))
    await scene.settled()
    await scene.answers("", await scene.upload(samples.pdf(), "application/pdf", "file", "precos.pdf"))
    await scene.settled()
    await scene.answers("", await scene.upload(samples.mp3(), "audio/mpeg", "audio", "recado.mp3"))
    await scene.settled()


async def interactive_and_answers(scene: Scene) -> None:
    await scene.sends("text", text="Quero marcar uma visita")
    await scene.settled()
    rows = [{"id": "s1", "title": "09:00", "description": "Dra. Paula"}, {"id": "s2", "title": "10:30"}]
    asked: tuple[dict[str, Any], ...] = (
        {"body": "Qual horário?", "list": {"label": "Ver horários", "sections": [{"title": "Manhã", "rows": rows}]}},
        {"body": "Confirma?", "buttons": [{"id": "y", "title": "Sim"}, {"id": "n", "title": "Não"}]},
        {"body": "Onde é a visita?", "location_request": True},
    )
    place: dict[str, Any] = {"latitude": -25.4296, "longitude": -49.2719, "name": "Minha casa"}
    for body, answer in zip(asked, ({"choice": "s1"}, {"choice": "y"}, place), strict=True):
        whole = {"channel_id": str(scene.tenant.channel_id), "to": f"+{ANA}", **body}
        before = len((await scene.tenant.chat())["messages"])
        await scene.world.api("POST", "/api/messages/interactive", whole, status=202)

        await scene.told_in_chat(before + 1)
        who: dict[str, Any] = {"phone_number_id": scene.tenant.number, "from": ANA}
        await scene.world.control("POST", "customers/answer", who | answer)
        await scene.settled()


async def operators_changes(scene: Scene) -> None:
    await scene.sends("text", text="Tem azul?")
    await scene.sends("text", text="E quanto custa?")
    await scene.settled()
    first = (await scene.tenant.chat())["messages"][0]["id"]
    await scene.answers("Temos, sim", quotes=first, quote_as="named")
    await scene.settled()
    note = await scene.answers("São [b]R$ 12,00[/b]")
    await scene.settled()
    chat = await scene.tenant.chat()
    letter = {"portal": scene.tenant.key, "chat_id": chat["chat_id"], "message_id": note, "text": "São R$ 13,00"}
    await scene.world.control("POST", "operators/edit", letter | {"anyway": True})
    await scene.told_in_chat(len(chat["messages"]) + 1)
    await scene.answers("cliente antiga, capricha", hidden=True)
    await scene.settled()


SCENES: Final[dict[str, Callable[[Scene], Awaitable[None]]]] = {
    "inbound-text-picture-sticker": texts_and_pictures,
    "inbound-voice-audio-document-video": sounds_and_files,
    "inbound-location-contact-order": places_and_cards,
    "inbound-quote-reaction-edit-delete": changes,
    "inbound-ad-forwarded-unsupported": marks,
    "outbound-template-and-its-answer": templates_and_answers,
    "outbound-text-files": operators_files,
    "outbound-quote-edit": operators_changes,
    "outbound-interactive-and-its-answers": interactive_and_answers,
}


async def take(browser: Browser, world: World, name: str, **how: Any) -> None:
    """Both threads, cropped to what they show."""
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": 700}, locale="pt-BR", bypass_csp=True, **how
    )
    page = await opened(await context.new_page(), world)
    await page.add_style_tag(content=TRIM)
    await page.wait_for_load_state("networkidle")
    await page.wait_for_timeout(SPINNER_MS)
    await page.locator(".stage").screenshot(path=FOLDER / f"{name}.png")
    await context.close()


async def take_whole(browser: Browser, world: World, name: str, **how: Any) -> None:
    context = await browser.new_context(locale="pt-BR", bypass_csp=True, **how)
    page = await opened(await context.new_page(), world)
    await page.screenshot(path=FOLDER / f"{name}.png")
    await context.close()


async def opened(page: Page, world: World) -> Page:
    """The page, when it is live and its players know how long they play."""
    await page.goto(world.sim)
    await page.locator("[data-testid=connection][data-state=live]").wait_for()
    await page.locator("[data-testid=line-messages] .bubble").first.wait_for()
    await page.wait_for_function(
        "[...document.querySelectorAll('video, audio')].every((one) => one.readyState > 1)"
        " && [...document.images].every((one) => one.complete)"
    )
    return page


async def main(wanted: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    world = World(folder=Path(tempfile.mkdtemp(prefix="zaptrix-screenshots-")))
    try:
        await world.start()
        async with async_playwright() as playwright:
            path = shutil.which("chromium") or shutil.which("google-chrome")
            browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            for name, play in SCENES.items():
                if wanted and name not in wanted:
                    continue
                await play(Scene(await world.tenant(own_account=True)))
                await take(browser, world, name)
                print(name, (FOLDER / f"{name}.png").stat().st_size)
            await take_whole(browser, world, "page-dark", viewport={"width": 1180, "height": 680}, color_scheme="dark")
            await take_whole(browser, world, "page-small", viewport={"width": 390, "height": 740})
            await browser.close()
    finally:
        await world.stop()
        shutil.rmtree(world.folder, ignore_errors=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
