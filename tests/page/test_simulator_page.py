"""The simulator's page in a real browser, with the simulator alone: what is done to it is done as a gateway would."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page, Route, expect

from tests.page.looking import is_live, is_ready, last_tick, on_line, on_phone
from tests.page.running_simulator import Simulator

# One browser serves the whole file, so its tests share the event loop that it lives on; each has its own simulator.
pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script> & [url=javascript:1]x[/url]'


async def a_chat_with_ana(simulator: Simulator, text: str = "Oi, tem pão?") -> None:
    await simulator.put_in_chat(await simulator.customer_writes(text), text)


async def test_a_customer_writes_and_the_bubble_appears_on_the_phone(page: Page, simulator: Simulator) -> None:
    await expect(page.get_by_test_id("phone-customer")).to_contain_text("Ana Souza")

    await page.get_by_test_id("phone-input").fill("Oi, tem pão?")
    await page.get_by_test_id("phone-input").press("Enter")

    await expect(on_phone(page)).to_have_text(["Oi, tem pão?"])
    await expect(page.get_by_test_id("phone-input")).to_have_value("")
    phone = (await simulator.control("GET", "state"))["phones"][0]
    assert phone["customer"]["wa_id"] == "554188887777"
    assert [message["text"] for message in phone["messages"]] == ["Oi, tem pão?"]


async def test_quick_messages_leave_in_the_order_they_were_typed(page: Page, simulator: Simulator) -> None:
    texts = [f"linha {n}" for n in range(8)]
    for text in texts:
        await page.get_by_test_id("phone-input").fill(text)
        await page.get_by_test_id("phone-send").click()
    await expect(on_phone(page)).to_have_text(texts)


async def test_nobody_writes_before_the_page_knows_whose_phone_it_is(page: Page, simulator: Simulator) -> None:
    known = asyncio.Event()

    async def hold(route: Route) -> None:
        await known.wait()
        await route.continue_()

    await page.route("**/control/state", hold)
    await page.reload()
    await is_live(page)
    await page.get_by_test_id("phone-input").focus()
    await page.keyboard.type("cedo demais")
    await page.keyboard.press("Enter")

    known.set()
    await is_ready(page)
    await page.get_by_test_id("phone-input").fill("Oi")
    await page.get_by_test_id("phone-input").press("Enter")
    await expect(on_phone(page)).to_have_text(["Oi"])


async def test_shift_enter_breaks_the_line_and_enter_sends(page: Page) -> None:
    await page.get_by_test_id("phone-input").focus()
    await page.keyboard.type("um")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("dois")
    await page.keyboard.press("Enter")
    await expect(on_phone(page)).to_have_text(["um\ndois"], use_inner_text=True)


async def test_the_chat_of_the_customer_opens_by_itself(page: Page, simulator: Simulator) -> None:
    await a_chat_with_ana(simulator)

    await expect(on_line(page).last).to_have_text("Oi, tem pão?")
    await expect(page.get_by_test_id("chat-title")).to_contain_text("Ana Souza")
    await expect(page.get_by_test_id("line-portal")).to_have_value("demo")


async def test_an_operator_message_appears_live_on_the_open_line(page: Page, simulator: Simulator) -> None:
    await a_chat_with_ana(simulator)
    await expect(on_line(page).last).to_have_text("Oi, tem pão?")

    await simulator.operator_writes("Temos, [b]quentinho[/b]!")

    await expect(on_line(page).last).to_have_text("Temos, quentinho!")
    await expect(on_line(page).last.locator("strong")).to_have_text("quentinho")
    await expect(last_tick(page, "line")).to_have_attribute("data-state", "sending")


async def test_the_operator_answers_from_the_page(page: Page, simulator: Simulator) -> None:
    await a_chat_with_ana(simulator)
    await page.get_by_test_id("operator-name").fill("Caio")
    await page.get_by_test_id("line-input").fill("Temos!")
    await page.get_by_test_id("line-send").click()

    await expect(on_line(page).last).to_have_text("Temos!")
    chat = (await simulator.control("GET", "state"))["chats"][0]
    assert (chat["messages"][-1]["author"], chat["messages"][-1]["text"]) == ("operator", "Temos!")
    await expect(page.get_by_test_id("line-messages").locator(".out .author")).to_have_text("Caio")


async def test_ticks_of_an_operator_message_follow_the_phone(page: Page, simulator: Simulator) -> None:
    await a_chat_with_ana(simulator)
    await page.get_by_test_id("phone-reads").uncheck()
    message_id = await simulator.operator_writes("Temos, [b]quentinho[/b]!")
    await expect(last_tick(page, "line")).to_have_attribute("data-state", "sending")

    wamid = await simulator.graph_send("554188887777", "Temos, *quentinho*!")
    await simulator.confirm(message_id, wamid)
    await expect(last_tick(page, "line")).to_have_attribute("data-state", "delivered")
    await expect(on_phone(page).last.locator("strong")).to_have_text("quentinho")

    await page.get_by_test_id("phone-reads").check()
    await expect(last_tick(page, "line")).to_have_attribute("data-state", "read")


async def test_the_customers_ticks_turn_blue_when_the_business_read(page: Page, simulator: Simulator) -> None:
    wamid = await simulator.customer_writes("Oi!")
    await expect(last_tick(page, "phone")).to_have_attribute("data-state", "delivered")

    number = simulator.world["number"]
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
    key = {"Authorization": f"Bearer {number['access_token']}"}
    url = f"{simulator.url}/meta/v26.0/{number['phone_number_id']}/messages"
    async with aiohttp.ClientSession() as session, session.post(url, json=read, headers=key) as response:
        assert response.status == 200

    await expect(last_tick(page, "phone")).to_have_attribute("data-state", "read")


async def test_the_phone_reads_what_it_shows_once(page: Page, simulator: Simulator) -> None:
    await simulator.customer_writes("Oi!")
    await expect(on_phone(page)).to_have_text(["Oi!"])
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if one.url.endswith("/customers/read") else None)

    await simulator.graph_send("554188887777", "Olá!")

    async with page.expect_response("**/control/customers/read"):
        await expect(on_phone(page)).to_have_text(["Oi!", "Olá!"])
    await simulator.customer_writes("Tudo bem?")  # another change, nothing new to read
    await expect(on_phone(page)).to_have_text(["Oi!", "Olá!", "Tudo bem?"])
    message = (await simulator.control("GET", "state"))["phones"][0]["messages"][1]
    assert message["status"] == "read"
    assert len(asked) <= 3  # at most once for each of accepted, sent, delivered


@pytest.mark.parametrize("side", ["phone", "line"])
async def test_markup_becomes_marks_and_html_stays_text(page: Page, simulator: Simulator, side: str) -> None:
    text = f"*forte* _leve_ ~fora~ ```x=1``` [b]B[/b] [i]I[/i] [s]S[/s] [code][b][/code] {HOSTILE}"
    await a_chat_with_ana(simulator, text)
    shown = (on_phone(page) if side == "phone" else on_line(page)).last
    await expect(shown).to_contain_text("<script>document.title=2</script>")

    marks = await shown.evaluate(
        "(text) => [...text.querySelectorAll('*')].map((one) => [one.localName, one.textContent])"
    )
    assert (
        marks
        == {
            "phone": [["strong", "forte"], ["em", "leve"], ["s", "fora"], ["code", "x=1"]],
            "line": [["strong", "B"], ["em", "I"], ["s", "S"], ["code", "[b]"]],
        }[side]
    )
    await expect(shown).to_contain_text(HOSTILE)
    await expect(page).to_have_title("Zaptrix · simulador")


@pytest.mark.parametrize(
    ("function", "text", "html"),
    [
        ("whatsappNodes", "2*3*4 e a_b_c", "2*3*4 e a_b_c"),
        ("whatsappNodes", "* não * e *aberto", "* não * e *aberto"),
        ("whatsappNodes", "*um _dois_*, ~três~!", "<strong>um <em>dois</em></strong>, <s>três</s>!"),
        ("whatsappNodes", "*a\nb*", "*a\nb*"),
        ("whatsappNodes", "`*a*` ```b\n*c*```", "<code>*a*</code> <code>b\n*c*</code>"),
        ("bbcodeNodes", "[b]a[i]b[/b]c[/i]", "<strong>a[i]b</strong>c[/i]"),
        ("bbcodeNodes", "[B]a[/b][br]b #[/s]", "<strong>a</strong>\nb #[/s]"),
        ("bbcodeNodes", "[code]a", "[code]a"),
        ("bbcodeNodes", "[user=1]Bia[/user]", "[user=1]Bia[/user]"),
        ("bbcodeNodes", "[b]" * 20000 + "x", "[b]" * 20000 + "x"),
    ],
)
async def test_marks_bind_as_the_platforms_bind_them(page: Page, function: str, text: str, html: str) -> None:
    # The module is loaded by the page itself, so that the strict policy stands; only the reading happens here.
    script = """async ([name, text]) => {
        const holder = document.createElement("p");
        holder.append((await import("/page/markup.js"))[name](text));
        return holder.innerHTML;
    }"""
    assert await page.evaluate(script, [function, text]) == html


async def test_english_by_address_is_remembered_and_switched_back(page: Page, simulator: Simulator) -> None:
    await expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    await expect(page.get_by_test_id("ledger")).to_contain_text("0 perdidas · 0 duplicadas · 0 fora de ordem")

    await page.goto(f"{simulator.url}/?lang=en")
    await expect(page.get_by_test_id("ledger")).to_contain_text("0 lost · 0 doubled · 0 disordered")
    await expect(page.get_by_test_id("phone-input")).to_have_attribute("placeholder", "Message")

    await page.goto(simulator.url)
    await expect(page.locator("html")).to_have_attribute("lang", "en")

    await page.get_by_role("button", name="Português").click()
    await expect(page.get_by_test_id("phone-input")).to_have_attribute("placeholder", "Mensagem")
    await expect(page.get_by_test_id("connection")).to_have_text("ao vivo")


async def test_both_languages_say_the_same_things(page: Page) -> None:
    script = """async () => {
        const { WORDS } = await import("/page/words.js");
        const asked = [...document.querySelectorAll("*")].flatMap((one) => Object.entries(one.dataset ?? {}))
            .filter(([name]) => name.startsWith("word")).map(([, key]) => key);
        return { words: WORDS, asked };
    }"""
    found: dict[str, Any] = await page.evaluate(script)
    portuguese, english = found["words"]["pt-BR"], found["words"]["en"]
    assert portuguese.keys() == english.keys()
    assert set(found["asked"]) <= portuguese.keys()
    assert all(portuguese.values())
    assert all(english.values())


async def test_a_new_customer_is_met_on_the_page(page: Page, simulator: Simulator) -> None:
    await page.get_by_test_id("customer-new").click()
    await page.get_by_test_id("customer-name").fill("Caio Lima")
    await page.get_by_test_id("customer-wa").fill("+55 41 98888-6666")
    await page.get_by_test_id("customer-wa").press("Enter")
    await page.get_by_test_id("phone-input").fill("Sou novo")
    await page.get_by_test_id("phone-input").press("Enter")

    await expect(on_phone(page)).to_have_text(["Sou novo"])
    # WhatsApp knows Curitiba's numbers without the ninth digit: the page follows the message, not what was typed.
    await expect(page.get_by_test_id("phone-customer")).to_have_value("554188886666")


async def test_a_refused_message_comes_back_to_its_field(page: Page, simulator: Simulator) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=400, json={"error": "no such number"})

    await page.route("**/control/customers/write", refuse)
    await page.get_by_test_id("phone-input").fill("não se perca")
    await page.get_by_test_id("phone-input").press("Enter")

    await expect(page.get_by_test_id("alert")).to_contain_text("no such number")
    await expect(page.get_by_test_id("phone-input")).to_have_value("não se perca")


async def test_faults_are_turned_on_and_off(page: Page, simulator: Simulator) -> None:
    await page.get_by_test_id("faults-open").click()
    await page.get_by_test_id("fault-kind").select_option("status")
    await page.get_by_test_id("fault-times").fill("2")
    await page.get_by_test_id("fault-add").click()
    await expect(page.get_by_test_id("fault-list").locator("li")).to_have_count(1)

    fault = (await simulator.control("GET", "faults"))["faults"][0]
    wanted = {"side": "meta", "where": "api", "kind": "status", "times": 2, "status": 503}
    assert {name: fault[name] for name in wanted} == wanted

    await page.get_by_test_id("faults-clear").click()
    await expect(page.get_by_test_id("fault-list").locator("li")).to_have_count(0)
    assert (await simulator.control("GET", "faults"))["faults"] == []
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("faults")).to_be_hidden()


async def test_a_fault_that_is_used_up_leaves_the_list(page: Page, simulator: Simulator) -> None:
    once = {"side": "bitrix24", "where": "api", "kind": "delay", "delay_s": 0.01, "times": 1}
    await simulator.control("PUT", "faults", {"seed": 1, "faults": [once]})
    await page.get_by_test_id("faults-open").click()
    await expect(page.get_by_test_id("fault-list").locator("li")).to_have_count(1)

    await a_chat_with_ana(simulator)

    await expect(page.get_by_test_id("fault-list").locator("li")).to_have_count(0)


async def test_the_ledger_is_green_and_turns_red(page: Page, simulator: Simulator) -> None:
    await expect(page.get_by_test_id("ledger")).to_have_attribute("data-ok", "true")

    wamid = await simulator.customer_writes("uma vez")
    await simulator.put_in_chat(wamid, "uma vez")
    await simulator.put_in_chat(wamid, "uma vez")

    await expect(page.get_by_test_id("ledger")).to_have_attribute("data-ok", "false")
    await expect(page.get_by_test_id("ledger")).to_contain_text("1 duplicadas")


async def test_a_lost_connection_is_said_and_mends_itself(page: Page, simulator: Simulator) -> None:
    await simulator.customer_writes("antes")
    await expect(on_phone(page)).to_have_text(["antes"])

    simulator.stop()
    await expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "lost")
    await expect(page.get_by_test_id("connection")).to_contain_text("tentando de novo")

    await simulator.start()
    await simulator.customer_writes("depois")
    await expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "live", timeout=30_000)
    await expect(on_phone(page)).to_have_text(["antes", "depois"])


async def test_the_policy_is_strict_and_holds_for_every_file(page: Page, simulator: Simulator) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/page/page.js", "/page/page.css"):
            async with session.get(simulator.url + path) as response:
                policy = response.headers["Content-Security-Policy"]
                text = await response.text()
            assert "default-src 'self'" in policy
            assert "unsafe" not in policy
            assert "innerHTML" not in text
            assert "style=" not in text


async def test_a_narrow_screen_stacks_both_sides(page: Page, simulator: Simulator) -> None:
    await a_chat_with_ana(simulator, "palavra" * 40)
    await expect(on_line(page).last).to_contain_text("palavra")
    await page.set_viewport_size({"width": 360, "height": 740})

    widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1], json.dumps(widths)
    phone = await page.get_by_test_id("phone-messages").bounding_box()
    line = await page.get_by_test_id("line-messages").bounding_box()
    assert phone is not None
    assert line is not None
    assert line["y"] > phone["y"] + phone["height"]


async def test_new_messages_are_announced_to_screen_readers(page: Page) -> None:
    for side in ("phone", "line"):
        log = page.get_by_test_id(f"{side}-messages")
        await expect(log).to_have_attribute("role", "log")
        await expect(log).to_have_attribute("aria-live", "polite")
