"""How claims are put together into calls, and what the answers mean: no portal needed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.bitrix24.answering import Reply
from tests.bitrix24.builders import a_channel, a_claim, a_customer, in_chat
from tests.bitrix24.rest.test_client import Rig, a_rig, error
from zaptrix.bitrix24.platform import Bitrix24
from zaptrix.core import limits
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import PlatformError, Refused, TooFast, Unauthorized, Unclear
from zaptrix.core.delivery.outcome import Absent, Accepted, Outcome, Proof
from zaptrix.core.delivery.retry import Patience
from zaptrix.core.message.message import Notice, Side
from zaptrix.core.ports import Platform

CHANNEL, OTHER = a_channel(14), a_channel(15)
NOTICE = Notice("window_closed", {"code": "131047"})


def the_platform(rig: Rig) -> Bitrix24:
    return Bitrix24(rig.client, patience=Patience(base_s=0.5), calls_at_once=4)


def at(rig: Rig, claim: Claim) -> Claim:
    return msgspec.structs.replace(claim, portal=rig.portal)


async def send(rig: Rig, *claims: Claim) -> list[Outcome]:
    return await the_platform(rig).send(tuple(at(rig, claim) for claim in claims))


async def prove(rig: Rig, claim: Claim) -> Proof:
    return await the_platform(rig).prove(at(rig, claim))


def kinds(outcomes: list[Outcome]) -> list[type]:
    return [type(outcome) for outcome in outcomes]


def results(*items: Any) -> Reply:
    return Reply(json={"result": {"SUCCESS": True, "DATA": {"RESULT": list(items)}}})


def posted(chat_id: Any = "1767", session_id: Any = "323") -> dict[str, Any]:
    return {"SUCCESS": True, "user": "585", "session": {"ID": session_id, "CHAT_ID": chat_id}}


async def test_it_is_a_platform() -> None:
    async with a_rig(results()) as rig:
        platform: Platform = the_platform(rig)
        assert platform.side is Side.BITRIX24
        assert (platform.calls_at_once, platform.claims_per_call) == (4, limits.BITRIX_TEXTS_PER_CALL)
        assert platform.patience.base_s == 0.5


async def test_words_of_one_line_go_together_in_order_and_notices_alone() -> None:
    async with a_rig(results()) as rig:
        claims = [a_claim(str(number), channel=CHANNEL) for number in range(12)]
        elsewhere, notice = a_claim(channel=OTHER), a_claim(channel=CHANNEL, content=NOTICE)
        stubborn = a_claim(channel=CHANNEL, attempts=2)
        calls = the_platform(rig).calls([*claims[:3], elsewhere, notice, stubborn, *claims[3:]])
        assert calls == [tuple(claims[:10]), (elsewhere,), (notice,), (stubborn,), tuple(claims[10:])]


async def test_results_are_matched_by_their_place() -> None:
    items = [posted(), {"SUCCESS": False, "ERRORS": ["Text of +55 41 99876-5432"]}, {"SUCCESS": True}, posted(7, 8)]
    async with a_rig(results(*items)) as rig:
        claims = [a_claim(channel=CHANNEL) for _ in range(5)]
        first, refused, nowhere, last, missing = await send(rig, *claims)
        assert first == Accepted(bitrix_chat_id=1767, bitrix_session_id=323)
        assert isinstance(refused, Refused)
        assert (refused.notice, "99876" in str(refused)) == ("inbound_lost", False)
        assert isinstance(nowhere, Unclear)
        assert last == Accepted(bitrix_chat_id=7, bitrix_session_id=8)
        assert isinstance(missing, Unclear)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(503, "QUERY_LIMIT_EXCEEDED"), TooFast),
        (error(400, "NOT_ACTIVE_LINE"), Unauthorized),
        (Reply(status=504, text=""), Unclear),
        (Reply(json={"result": []}), Unclear),
        (Reply(json={"result": {"SUCCESS": True, "DATA": {"RESULT": "?"}}}), Unclear),
    ],
)
async def test_what_befalls_a_call_befalls_each_of_its_claims(reply: Reply, kind: type[PlatformError]) -> None:
    async with a_rig(reply) as rig:
        assert kinds(await send(rig, a_claim(channel=CHANNEL), a_claim(channel=CHANNEL))) == [kind, kind]


async def test_a_notice_without_a_chat_is_refused_without_a_call() -> None:
    async with a_rig(results()) as rig:
        assert kinds(await send(rig, a_claim(content=NOTICE))) == [Refused]
        assert await prove(rig, a_claim(content=NOTICE)) == Absent()
        assert rig.server.asked == []


HISTORY = {"chatId": 1767, "sessionId": 323}


@pytest.mark.parametrize(
    "params",
    [
        {"connectorMid": ["wamid.A", "wamid.X"]},
        {"connectorMid": {"0": "wamid.X"}},
        {"connectorMid": "wamid.X"},
        {"CONNECTOR_MID": ["wamid.X"]},
    ],
)
async def test_the_id_is_found_in_every_shape_of_a_history(params: dict[str, Any]) -> None:
    noise: dict[str, Any] = {
        "1": {"id": 1, "senderid": 585, "params": []},
        "2": {"id": 2, "senderid": 585, "params": {"connectorMid": []}},
        "3": {"id": 3},
    }
    reply = Reply(json={"result": {**HISTORY, "message": {**noise, "4": {"id": 4, "params": params}}}})
    async with a_rig(reply) as rig:
        claim = in_chat(a_claim(whatsapp_id="wamid.X"), 1767)
        found = Accepted(bitrix_chat_id=1767, bitrix_session_id=323)
        assert await prove(rig, claim) == found


@pytest.mark.parametrize("message", [[], {}, None, {"1": {"params": {"connectorMid": ["wamid.Y"]}}}])
async def test_an_id_that_is_nowhere_is_absent(message: Any) -> None:
    async with a_rig(Reply(json={"result": {**HISTORY, "message": message}})) as rig:
        assert await prove(rig, in_chat(a_claim(whatsapp_id="wamid.X"), 1767)) == Absent()


async def test_a_history_that_cannot_be_read_proves_nothing() -> None:
    async with a_rig(error(403, "ACCESS_DENIED")) as rig:
        assert isinstance(await prove(rig, in_chat(a_claim(), 1767)), PlatformError)


async def test_without_chat_session_and_phone_nothing_can_be_asked_and_it_is_absent() -> None:
    async with a_rig(results()) as rig:
        assert await prove(rig, a_claim(customer=a_customer(phone=None))) == Absent()
        assert rig.server.asked == []


async def test_nothing_is_confirmed_that_no_operator_wrote() -> None:
    async with a_rig(results()) as rig:
        assert await the_platform(rig).confirm([a_claim(), in_chat(a_claim(), 5)]) == [Accepted(), Accepted()]
        assert rig.server.asked == []


async def test_a_confirmation_that_got_no_answer_may_be_repeated() -> None:
    async with a_rig(Reply(status=504, text="")) as rig:
        claims = [
            in_chat(a_claim(portal=rig.portal, channel=CHANNEL, bitrix_message_id=number), 5)
            for number in range(1, limits.BITRIX_CONFIRMS_PER_CALL + 2)
        ]
        outcomes = await the_platform(rig).confirm(claims)
        assert {type(outcome).__name__ for outcome in outcomes} == {"Unavailable"}
        assert len(rig.server.asked) == 2
