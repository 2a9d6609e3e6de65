"""The simulator's page in a real browser with the whole of `zaptrix up` behind it: what a newcomer does first."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, FilePayload, Page, expect

from proof.ports import free_port
from tests.page import samples
from tests.page.looking import (
    LOOK_MS_MAX,
    attach,
    bubbles,
    is_drawn,
    last_tick,
    looking_at,
    on_line,
    on_phone,
    pick_on,
    picture_of_failure,
)
from tests.processes import POLL_S
from tests.running_up import House, asked, in_chats, started
from zaptrix_sim.meta.voice_notes import voice_note

# One house and one browser serve the whole file; each test has a customer of its own.
pytestmark = pytest.mark.asyncio(loop_scope="module")

MENDED_MS_MAX = 30_000
CUSTOMERS = count(554188880001)
PICTURE: FilePayload = {"name": "vista.jpg", "mimeType": "image/jpeg", "buffer": samples.jpeg()}
SOUND: FilePayload = {"name": "recado.wav", "mimeType": "audio/wav", "buffer": samples.wav()}
VOICE: FilePayload = {"name": "recado.ogg", "mimeType": "audio/ogg", "buffer": voice_note(samples.wav())}
BLUE = "rgb(11, 108, 184)"
NOTICE = "Mensagem não entregue no WhatsApp: faz mais de 24 horas que o cliente não escreve."

# How long after the next key the text stands on that side, by the clock of the page itself.
WATCH = """([side, text]) => {
    const list = document.querySelector(`[data-testid=${side}-messages]`);
    const stands = () => [...list.querySelectorAll(".bubble .text")].some((one) => one.textContent === text);
    let pressedAt = 0;
    document.addEventListener("keydown", () => { pressedAt = performance.now(); }, { capture: true, once: true });
    window.seenAfterMs = new Promise((tell) => {
        const observer = new MutationObserver(() => {
            if (!stands()) return;
            observer.disconnect();
            tell(performance.now() - pressedAt);
        });
        observer.observe(list, { subtree: true, childList: true, characterData: true });
    });
}"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with started(tmp_path_factory.mktemp("house"), (free_port(), free_port())) as house:
        assert house.process.poll() is None, house.said()
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, house: House, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Page]:
    """In the hands of a customer whom nobody has met yet."""
    async with looking_at(f"http://127.0.0.1:{house.sim_port}", browser) as opened:
        await meet(opened, "Ana Souza")
        yield opened
        await picture_of_failure(opened, request, tmp_path)


async def meet(page: Page, name: str) -> None:
    await page.get_by_test_id("customer-new").click()
    await page.get_by_test_id("customer-name").fill(name)
    await page.get_by_test_id("customer-wa").fill(str(next(CUSTOMERS)))
    await page.get_by_test_id("customer-wa").press("Enter")
    await expect(on_phone(page)).to_have_count(0)


async def write(page: Page, side: str, text: str) -> None:
    await page.get_by_test_id(f"{side}-input").fill(text)
    await page.get_by_test_id(f"{side}-input").press("Enter")


async def seen_after_ms(page: Page, text: str, *, wrote: str, reads: str) -> float:
    """How long after Enter on one side the text stood on the other."""
    await page.get_by_test_id(f"{wrote}-input").fill(text)
    await page.evaluate(WATCH, [reads, text])
    await page.get_by_test_id(f"{wrote}-input").press("Enter")
    await expect(page.get_by_test_id(f"{reads}-messages").locator(".bubble .text").last).to_have_text(text)
    return float(await page.evaluate("() => window.seenAfterMs"))


async def test_what_the_customer_writes_stands_on_the_line_and_turns_blue_on_the_phone(page: Page) -> None:
    took_ms = await seen_after_ms(page, "Oi, tem pão?", wrote="phone", reads="line")
    print(f"from Enter on the phone to the line: {took_ms:.0f} ms")

    await expect(on_line(page)).to_have_text(["Oi, tem pão?"])
    await expect(page.get_by_test_id("chat-title")).to_contain_text("Ana Souza")
    await expect(last_tick(page, "phone")).to_have_attribute("data-state", "read")
    await expect(last_tick(page, "phone")).to_have_css("color", BLUE)


async def test_the_ticks_stay_grey_until_the_message_is_in_the_chat(page: Page, house: House) -> None:
    closed = {"side": "bitrix24", "where": "api", "kind": "status", "match": {"method": "imconnector.send.messages"}}
    asked(house.sim_port, "PUT", "/control/faults", {"seed": 1, "faults": [closed]})
    await write(page, "phone", "Cadê?")
    await until(lambda: asked(house.sim_port, "GET", "/control/faults")["faults"][0]["fired"] > 0)
    await expect(last_tick(page, "phone")).to_have_attribute("data-state", "delivered")
    assert "Cadê?" not in in_chats(house)

    asked(house.sim_port, "DELETE", "/control/faults")

    await expect(last_tick(page, "phone")).to_have_attribute("data-state", "read", timeout=MENDED_MS_MAX)
    await expect(on_line(page)).to_have_text(["Cadê?"])


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LOOK_MS_MAX / 1000
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(POLL_S)


async def test_what_the_operator_answers_stands_on_the_phone_and_its_ticks_follow(page: Page) -> None:
    await write(page, "phone", "Tem *pão* de queijo?")
    await expect(on_line(page)).to_have_text(["Tem pão de queijo?"])
    await expect(on_line(page).locator("strong")).to_have_text("pão")
    await page.get_by_test_id("phone-reads").uncheck()

    took_ms = await seen_after_ms(page, "Temos, quentinho!", wrote="line", reads="phone")
    print(f"from Enter on the line to the phone: {took_ms:.0f} ms")

    await expect(last_tick(page, "line")).to_have_attribute("data-state", "delivered")
    await page.get_by_test_id("phone-reads").check()
    await expect(last_tick(page, "line")).to_have_attribute("data-state", "read")
    await expect(last_tick(page, "line")).to_have_css("color", BLUE)


async def test_bold_of_the_line_is_bold_on_the_phone(page: Page) -> None:
    await write(page, "phone", "Quanto é?")
    await expect(on_line(page)).to_have_text(["Quanto é?"])

    await write(page, "line", "São [b]R$ 12,00[/b]")

    await expect(on_phone(page).last).to_have_text("São R$ 12,00")
    await expect(on_phone(page).last.locator("strong")).to_have_text("R$ 12,00")


async def test_quick_messages_keep_their_order_both_ways(page: Page) -> None:
    asked = [f"pergunta {n}" for n in range(6)]
    for text in asked:
        await write(page, "phone", text)
    await expect(on_line(page)).to_have_text(asked)

    answers = [f"resposta {n}" for n in range(6)]
    for text in answers:
        await write(page, "line", text)
    await expect(on_phone(page)).to_have_text([*asked, *answers])


async def test_two_customers_have_two_chats(page: Page) -> None:
    await write(page, "phone", "Sou a primeira")
    await expect(on_line(page)).to_have_text(["Sou a primeira"])

    await meet(page, "Caio Lima")
    await write(page, "phone", "Sou o segundo")

    await expect(page.get_by_test_id("chat-title")).to_contain_text("Caio Lima")
    await expect(on_line(page)).to_have_text(["Sou o segundo"])
    await write(page, "line", "Oi, Caio")
    await expect(on_phone(page)).to_have_text(["Sou o segundo", "Oi, Caio"])


async def test_an_answer_after_24_hours_is_refused_and_the_chat_says_why_in_grey(page: Page) -> None:
    await write(page, "phone", "Volto amanhã")
    await expect(on_line(page)).to_have_text(["Volto amanhã"])
    await page.get_by_test_id("faults-open").click()
    await page.get_by_test_id("customer-ages").click()
    await expect(page.get_by_test_id("customer-ages")).to_have_text("Passaram 25 horas")
    await page.keyboard.press("Escape")

    await write(page, "line", "Ainda quer?")

    notice = page.get_by_test_id("line-messages").locator(".row.notice")
    await expect(notice).to_have_count(1)
    await expect(notice).to_contain_text(NOTICE)
    await expect(notice).to_contain_text("131047")
    await expect(notice.locator(".bubble")).to_have_css("color", "rgb(90, 104, 115)")
    await expect(notice).to_have_css("text-align", "center")
    assert await is_centred(page, ".row.notice")
    await expect(on_phone(page)).to_have_text(["Volto amanhã"])
    await expect(page.get_by_test_id("ledger")).to_contain_text("1 recusadas")
    await expect(page.get_by_test_id("ledger")).to_have_attribute("data-ok", "true")


async def is_centred(page: Page, selector: str) -> bool:
    script = """(selector) => {
        const middle = (one) => { const box = one.getBoundingClientRect(); return box.left + box.width / 2; };
        const list = document.querySelector("[data-testid=line-messages]");
        return Math.abs(middle(list) - middle(list.querySelector(selector + " .text"))) < 12;
    }"""
    return bool(await page.evaluate(script, selector))


async def test_in_english_everything_on_the_page_is_english(page: Page) -> None:
    await page.get_by_role("button", name="English").click()
    await expect(page.locator("html")).to_have_attribute("lang", "en")

    await write(page, "phone", "Do you deliver?")
    await expect(on_line(page)).to_have_text(["Do you deliver?"])
    await write(page, "line", "We do.")
    await expect(on_phone(page)).to_have_text(["Do you deliver?", "We do."])

    await expect(page.get_by_test_id("line-input")).to_have_attribute("placeholder", "Answer the customer")
    await expect(last_tick(page, "line")).to_have_attribute("aria-label", "Read")
    await expect(page.get_by_test_id("ledger")).to_contain_text("0 lost · 0 doubled · 0 disordered")


async def test_a_picture_from_the_phone_is_seen_in_the_chat_and_one_from_the_chat_on_the_phone(page: Page) -> None:
    await page.get_by_test_id("phone-input").fill("olha a vista")
    await attach(page, "phone", "Foto ou vídeo", PICTURE)
    there = page.get_by_test_id("line-messages").locator(".bubble .picture img")
    await expect(there).to_have_count(1)
    assert await is_drawn(there)
    await expect(on_line(page).last).to_contain_text("olha a vista")

    await page.get_by_test_id("line-input").fill("que bonita, e esta?")
    await attach(page, "line", "Foto ou vídeo", PICTURE)
    back = page.get_by_test_id("phone-messages").locator(".in .picture img")
    await expect(back).to_have_count(1, timeout=MENDED_MS_MAX)
    assert await is_drawn(back)
    await expect(on_phone(page).last).to_have_text("que bonita, e esta?")


async def test_a_voice_note_is_one_on_both_sides(page: Page) -> None:
    await attach(page, "phone", "Mensagem de voz (arquivo)", SOUND)
    there = page.get_by_test_id("line-messages").get_by_test_id("voice")
    await expect(there.locator(".wave i")).to_have_count(34)
    await attach(page, "line", "Áudio", VOICE)
    back = page.get_by_test_id("phone-messages").locator(".in").get_by_test_id("voice")
    await expect(back).to_have_count(1, timeout=MENDED_MS_MAX)
    await back.get_by_role("button", name="Ouvir").click()
    await expect(last_tick(page, "line")).to_have_attribute("data-state", "played", timeout=MENDED_MS_MAX)


async def test_a_quote_leads_to_the_same_message_on_the_other_side(page: Page) -> None:
    await write(page, "phone", "Tem azul?")
    await write(page, "phone", "E verde?")
    await expect(on_line(page)).to_have_text(["Tem azul?", "E verde?"])
    await pick_on(page, bubbles(page, "line").first, "Responder")
    await write(page, "line", "Azul, sim")

    answer = bubbles(page, "phone").last
    await expect(answer.locator(".quote")).to_have_text("VocêTem azul?")
    await expect(on_phone(page).last).to_have_text("Azul, sim")
    await pick_on(page, answer, "Responder")
    await write(page, "phone", "Quero dois")
    await expect(bubbles(page, "line").last.locator(".quote")).to_contain_text("Azul, sim")
    await bubbles(page, "line").last.locator(".quote").click()
    await expect(page.get_by_test_id("line-messages").locator(".row.found .text")).to_have_text("Azul, sim")
