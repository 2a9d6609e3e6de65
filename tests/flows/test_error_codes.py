"""Every error code that a platform documents, met by real processes: the verdict, the words in the chat, the API.

One house and one conversation a code, all at the same time. What is expected stands in `error_codes.py`, by hand.
"""

import pytest
import pytest_asyncio

from proof.world import World
from tests.flows.error_codes import BITRIX24, LATE, META, OAUTH, WORDS
from tests.flows.errors_driven import DELIVERED, SOON, Driven, Talk, drive

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(420)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def driven(shared_world: World) -> Driven:
    return await drive(shared_world)


def _said(talk: Talk, words: str, code: str) -> None:
    """Exactly one line, in the portal's language, with the code in it."""
    assert len(talk.said) == 1, talk.said
    assert WORDS[words][talk.locale == "en"] in talk.said[0]
    assert code in talk.said[0]


def _explained(talk: Talk, code: str) -> None:
    told = talk.story["explanation"]
    assert (told["code"], told["language"]) == (code, talk.locale)
    assert told["admin"]
    assert told["page"].startswith("https://")
    if talk.said:
        assert told["operator"] in talk.said[0]
    else:
        assert (told["operator"], told["notice"]) == (None, None)


@pytest.mark.parametrize("code", META)
async def test_a_code_of_meta_has_its_verdict_its_words_and_its_state(driven: Driven, code: str) -> None:
    talk, want = driven.meta[code], META[code]
    match want.verdict:
        case "bury":
            assert (talk.message["state"], talk.attempts) == ("dead", [("bury", code)])
        case "unexpected":
            assert (talk.message["state"], talk.attempts) == ("dead", [("retry", code)] * 2 + [("bury", code)])
        case "retry":
            assert talk.message["state"] in DELIVERED
            assert (talk.attempts, talk.said) == ([("retry", code)], [])
            assert talk.story["explanation"] is None
            return
        case "snooze":
            assert (talk.message["state"], talk.message["attempts"], talk.attempts) == ("pending", 0, [])
            assert talk.said == []
        case "pause":
            assert (talk.message["state"], talk.message["attempts"]) == ("pending", 0)
            channel = driven.channels[talk.at.channel_id]["whatsapp"]
            assert channel["whatsapp_paused_at"]
            assert channel["whatsapp_paused_reason"].startswith(code)
    assert talk.message["error_code"] == code
    assert talk.message["error_detail"] or want.verdict == "snooze"
    if want.said:
        _said(talk, want.said, code)
    _explained(talk, code)


@pytest.mark.parametrize("code", LATE)
async def test_a_code_that_whatsapp_tells_after_taking_the_message_is_told_in_the_chat(
    driven: Driven, code: str
) -> None:
    talk = driven.late[code]
    assert (talk.message["state"], talk.message["error_code"]) == ("dead", code)
    assert talk.message["whatsapp_id"]
    _said(talk, LATE[code], code)
    _explained(talk, code)


@pytest.mark.parametrize("code", BITRIX24)
async def test_a_code_of_bitrix24_has_its_verdict_its_words_and_its_state(driven: Driven, code: str) -> None:
    talk, want = driven.bitrix24[code], BITRIX24[code]
    portal, channel = driven.portals[talk.at.portal_id], driven.channels[talk.at.channel_id]
    match want.verdict:
        case "bury":
            assert (talk.message["state"], talk.attempts) == ("dead", [("bury", code)])
        case "unexpected":
            assert (talk.message["state"], talk.attempts) == ("dead", [("retry", code)] * 2 + [("bury", code)])
        case "retry" | "verify":
            assert talk.message["state"] in DELIVERED
            assert (talk.attempts[0], talk.said) == ((want.verdict, code), [])
            return
        case "snooze":
            assert (talk.message["state"], talk.message["attempts"], talk.attempts) == ("pending", 0, [])
        case "pause line":
            assert channel["line_paused_reason"].startswith(code)
        case "pause portal":
            assert portal["paused_reason"].startswith(code)
    assert talk.message["error_code"] == code
    assert bool(portal["paused_at"]) == (want.verdict == "pause portal")
    assert bool(channel["line_paused_at"]) == (want.verdict == "pause line")
    if want.said:
        _said(talk, want.said, code)
    else:
        assert (talk.message["state"], talk.message["attempts"], talk.said) == ("pending", 0, [])
    _explained(talk, code)


@pytest.mark.parametrize("code", OAUTH)
async def test_what_the_oauth_server_refuses_holds_the_portal(driven: Driven, code: str) -> None:
    talk = driven.oauth[code]
    assert driven.portals[talk.at.portal_id]["paused_reason"].startswith(code)
    assert (talk.message["state"], talk.message["error_code"], talk.message["attempts"]) == ("pending", code, 0)
    _explained(talk, code)


@pytest.mark.parametrize("code", SOON)
async def test_what_met_a_limit_goes_out_when_the_limit_is_over(driven: Driven, code: str) -> None:
    assert driven.resumed[code] == "sent"
