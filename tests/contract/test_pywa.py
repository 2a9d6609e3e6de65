"""The Graph API simulator, driven and understood by pywa's own client: its requests, its errors, its updates."""

from collections.abc import AsyncIterator

import httpx
import pytest
from pywa_async import errors
from pywa_async.client import WhatsApp
from pywa_async.handlers import MessageHandler, MessageStatusHandler
from pywa_async.types.message import Message
from pywa_async.types.message_status import MessageStatus
from pywa_async.types.templates import TemplateStatus

from tests.simulator.stage import ANA, ANA_WA_ID, NUMBER, Json, Stage

GRAPH_HOST = "graph.facebook.com"


class ToSimulator(httpx.AsyncBaseTransport):
    """What pywa sends to Meta arrives at the simulator."""

    def __init__(self, url: str) -> None:
        self._url = httpx.URL(url)
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == self._url.host:  # where a list goes on is told as a whole address
            return await self._inner.handle_async_request(request)
        assert request.url.host == GRAPH_HOST
        path = b"/meta" + request.url.raw_path
        request.url = request.url.copy_with(
            scheme=self._url.scheme, host=self._url.host, port=self._url.port, raw_path=path
        )
        request.headers["Host"] = f"{self._url.host}:{self._url.port}"
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def a_client(stage: Stage, session: httpx.AsyncClient, token: str, number: str = NUMBER) -> WhatsApp:
    return WhatsApp(
        phone_id=number,
        token=token,
        session=session,
        server=None,
        verify_token="demo-verify-token",
        app_secret="demo-app-secret",
        waba_id="108866333444555",
    )


@pytest.fixture
async def session(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=ToSimulator(stage.url)) as one:
        yield one


@pytest.fixture
async def number(stage: Stage) -> Json:
    return (await stage.demo())[1]


@pytest.fixture
def wa(stage: Stage, session: httpx.AsyncClient, number: Json) -> WhatsApp:
    return a_client(stage, session, number["access_token"])


async def test_pywa_sends_a_text_and_reads_the_answer(stage: Stage, wa: WhatsApp) -> None:
    await stage.ana_writes()

    sent = await wa.send_message(to=f"+{ANA}", text="Olá *Ana*", tracker="m=1")

    state = await stage.control("GET", "state")
    message = state["phones"][0]["messages"][-1]
    assert sent.id == message["id"]
    assert (message["text"], message["biz_opaque_callback_data"]) == ("Olá *Ana*", "m=1")
    assert (sent.to, sent.input) == (ANA_WA_ID, f"+{ANA}")


async def test_pywa_answers_somebody_by_her_user_id(stage: Stage, wa: WhatsApp) -> None:
    await stage.control("POST", "customers/write", {"phone_number_id": NUMBER, "user_id": "BR.777", "text": "oi"})

    sent = await wa.send_message(to="BR.777", text="Olá")

    assert sent.to == "BR.777"


async def test_pywa_marks_a_text_as_read(stage: Stage, wa: WhatsApp) -> None:
    wamid = await stage.ana_writes()

    assert (await wa.mark_message_as_read(wamid)).success

    state = await stage.control("GET", "state")
    assert state["phones"][0]["messages"][0]["read_by_business"]


async def test_pywa_reads_the_number_behind_its_id(stage: Stage, wa: WhatsApp) -> None:
    number = await wa.get_business_phone_number()

    assert number.id == NUMBER
    assert number.display_phone_number == "+551140041234"


async def test_pywa_knows_each_refusal_by_its_class(stage: Stage, session: httpx.AsyncClient, wa: WhatsApp) -> None:
    with pytest.raises(errors.ReEngagementMessage, match="Re-engagement"):
        await wa.send_message(to=f"+{ANA}", text="cedo demais")
    await stage.ana_writes()
    with pytest.raises(errors.InvalidParameter):
        await wa.mark_message_as_read("wamid.unknown")
    with pytest.raises(errors.WhatsAppError) as too_long:
        await wa.send_message(to=f"+{ANA}", text="x" * 4097)
    assert too_long.value.code == 100
    for index in range(45):
        await wa.send_message(to=f"+{ANA}", text=f"texto {index}")
    with pytest.raises(errors.TooManyMessages):
        await wa.send_message(to=f"+{ANA}", text="um a mais")
    await stage.control("PUT", "faults", [{"side": "meta", "where": "api", "kind": "throttle", "times": 1}])
    with pytest.raises(errors.RateLimitHit):
        await wa.send_message(to=f"+{ANA}", text="outro")
    await stage.control("POST", f"numbers/{NUMBER}/revoke")
    with pytest.raises(errors.ExpiredAccessToken) as revoked:
        await wa.send_message(to=f"+{ANA}", text="sem chave")
    assert revoked.value.raw_response is not None
    assert revoked.value.raw_response.status_code == 401
    assert revoked.value.fbtrace_id


async def test_pywa_takes_the_signed_post_of_a_text_for_a_message(stage: Stage, wa: WhatsApp) -> None:
    heard: list[Message] = []

    async def keep(_: WhatsApp, message: Message) -> None:
        heard.append(message)

    wa.add_handlers(MessageHandler(keep))  # type: ignore[arg-type]  # typed for the client that blocks
    wamid = await stage.ana_writes("Olá João 😀", username="anasouza")
    (post,) = await stage.until(lambda: stage.listener.heard)

    assert await wa.webhook_update_validator(post.body, post.headers["X-Hub-Signature-256"]) is None
    assert await wa.webhook_update_validator(post.body + b" ", post.headers["X-Hub-Signature-256"]) is not None
    await wa.webhook_update_handler(post.body)

    (message,) = heard
    assert (message.id, message.text) == (wamid, "Olá João 😀")
    assert (message.from_user.wa_id, message.from_user.name) == (ANA_WA_ID, "Ana Souza")
    assert message.from_user.username == "anasouza"
    assert message.metadata.phone_number_id == NUMBER


async def test_pywa_takes_the_posts_of_statuses_for_statuses(stage: Stage, wa: WhatsApp) -> None:
    heard: list[MessageStatus[str]] = []

    async def keep(_: WhatsApp, status: MessageStatus[str]) -> None:
        heard.append(status)

    wa.add_handlers(MessageStatusHandler(keep))  # type: ignore[arg-type]  # as above
    await stage.ana_writes()
    sent = await wa.send_message(to=f"+{ANA}", text="Olá", tracker="m=1")
    await stage.control("POST", "customers/read", {"phone_number_id": NUMBER, "from": ANA})
    await stage.until(lambda: len(stage.listener.values("statuses")) == 3)
    for post in stage.listener.heard:
        await wa.webhook_update_handler(post.body)

    assert [status.status.value for status in heard] == ["sent", "delivered", "read"]
    assert {status.tracker for status in heard} == {"m=1"}
    assert {status.id for status in heard} == {sent.id}
    assert {status.from_user.wa_id for status in heard} == {ANA_WA_ID}
    assert heard[0].pricing is not None


async def test_pywa_knows_the_error_of_a_failed_status(stage: Stage, wa: WhatsApp) -> None:
    """The error alone: Meta leaves the contact out of a failed status, and this client cannot do without."""
    await stage.ana_writes()
    await stage.control("PUT", "faults", [{"side": "meta", "where": "webhook", "kind": "fail", "times": 1}])
    await wa.send_message(to=f"+{ANA}", text="nunca")
    (failed,) = await stage.until(lambda: stage.listener.values("statuses"))

    error = errors.WhatsAppError.from_dict(failed["errors"][0])

    assert isinstance(error, errors.MessageUndeliverable)
    assert error.details


async def test_pywa_lists_templates_and_reads_one(stage: Stage, wa: WhatsApp) -> None:
    body = [{"type": "BODY", "text": "Seu pedido saiu."}]
    for number in range(30):
        wanted = {"phone_number_id": NUMBER, "name": f"aviso_{number}", "components": body}
        await stage.control("POST", "templates", wanted)

    first = await wa.get_templates(statuses=[TemplateStatus.APPROVED])
    rest = await first.next()  # type: ignore[misc]  # told as if it did not wait
    one = await wa.get_template(rest[0].id)

    assert len({each.id for each in [*first, *rest]}) == first.total_count == 30
    assert (one.name, one.status) == (rest[0].name, TemplateStatus.APPROVED)
    assert [getattr(each, "text", None) for each in one.components] == ["Seu pedido saiu."]
    assert (await wa.delete_template(one.name)).success


async def test_pywa_reads_the_account(stage: Stage, wa: WhatsApp) -> None:
    assert (await wa.get_business_account()).name == "Loja Azul"


async def test_pywa_sends_a_file_by_its_link(stage: Stage, wa: WhatsApp) -> None:
    await stage.ana_writes()

    sent = await wa.send_document(f"+{ANA}", "http://127.0.0.1:9/boleto.pdf", filename="boleto.pdf", caption="Boleto")

    await stage.until(lambda: bool(stage.listener.values("statuses")))
    (told,) = stage.listener.values("statuses")
    assert (told["id"], told["status"], told["errors"][0]["code"]) == (sent.id, "failed", 131053)
