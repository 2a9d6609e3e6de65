"""The room against the simulated platform, which shares no code with it."""

import json
from typing import Any

import aiohttp

from tests.simulator.stage import NUMBER, Stage
from tests.whatsapp.builders import FreePace, NoneUnderWay, OneToken, a_channel, a_claim, a_conversation, journalled
from zaptrix.core.delivery.outcome import Accepted
from zaptrix.core.delivery.retry import Patience
from zaptrix.core.event import CustomerMessage, Receipt
from zaptrix.core.ids import MessageId
from zaptrix.core.message.message import Origin, State, Words
from zaptrix.whatsapp.client import GraphClient
from zaptrix.whatsapp.inbound.translate import translate
from zaptrix.whatsapp.inbound.webhook import split, verify
from zaptrix.whatsapp.platform import WhatsApp
from zaptrix_sim.settings import Options

OPTIONS = Options(meta_latency_s=0.0, status_sent_s=0.005, status_delivered_s=0.01)


def heard(stage: Stage, kind: type[Any]) -> list[Any]:
    """What the simulator's webhooks mean, each with a signature that holds."""
    found = []
    for one in stage.listener.heard:
        if one.path == "/webhooks/meta":
            assert verify([stage.options.app_secret], one.body, one.headers.get("X-Hub-Signature-256"))
            found += [translate(journalled(event)) for event in split(one.body, "r")]
    return [routed for routed in found if isinstance(routed, kind)]


async def test_a_talk_of_a_question_an_answer_and_its_receipts() -> None:
    async with Stage(OPTIONS) as stage, aiohttp.ClientSession() as session:
        _, number = await stage.demo()
        wamid = await stage.ana_writes("tem na cor *azul*?")
        (asked,) = await stage.until(lambda: heard(stage, CustomerMessage))
        assert (asked.whatsapp_id, asked.phone_number_id, asked.customer.name) == (wamid, NUMBER, "Ana Souza")
        assert isinstance(asked.content, Words)
        assert asked.content.text.plain == "tem na cor azul?"

        graph = GraphClient(
            session,
            graph_url=f"{stage.url}/meta",
            version="v26.0",
            tokens=OneToken(number["access_token"]),
            pace=FreePace(),
        )
        whatsapp = WhatsApp(graph, NoneUnderWay(), patience=Patience())
        talk = a_conversation(asked.customer)
        (sent,) = await whatsapp.send((a_claim("temos *sim*", message_id=4711, conversation=talk),))
        assert isinstance(sent, Accepted)
        assert sent.wa_id == asked.customer.wa_id

        def arrived() -> list[Receipt]:
            return [receipt for receipt in heard(stage, Receipt) if receipt.status is State.DELIVERED]

        (delivered,) = await stage.until(arrived)
        assert (delivered.message_id, delivered.whatsapp_id) == (MessageId(4711), sent.whatsapp_id)

        read = a_claim("x", conversation=talk, origin=Origin.CUSTOMER, whatsapp_id=wamid)
        assert await whatsapp.confirm([read]) == [Accepted()]
        number_of = await graph.phone_number(a_channel())
        assert number_of.id == NUMBER
        state = json.dumps(await stage.control("GET", "state"), ensure_ascii=False)
        assert "temos *\N{ZERO WIDTH SPACE}sim\N{ZERO WIDTH SPACE}*" in state
        assert '"read_by_business": true' in state
