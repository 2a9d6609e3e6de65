"""The judge alone, on histories written by hand: each kind of violation, and the clean history beside it."""

from collections.abc import Sequence

import pytest

from zaptrix_sim.judge.facts import (
    CustomerWrote,
    EventDue,
    EventEnded,
    EventPosted,
    Fact,
    LimitExceeded,
    MarkedRead,
    Noticed,
    OperatorWrote,
    PutInChat,
    Rank,
    ReachedPhone,
    Refused,
    StateMoved,
    ToldDelivered,
    WebhookAcknowledged,
    WebhookPosted,
)
from zaptrix_sim.judge.ledger import judge

ANA = ("n1", "ana")
BETO = ("n1", "beto")
ANA_ON_TWO = ("n2", "ana")
ROOM = ("p1", 1)
OTHER_ROOM = ("p1", 2)
STRANGE_ROOM = ("p2", 1)
PLACE = "wagw|14"


def came(wamid: str, thread: tuple[str, str] = ANA) -> list[Fact]:
    """A customer's text whose webhook was acknowledged."""
    return [CustomerWrote(wamid, thread), WebhookPosted(wamid), WebhookAcknowledged(wamid)]


def put(wamid: str, room: tuple[str, int] = ROOM) -> list[Fact]:
    return [PutInChat(wamid, room, PLACE)]


def inbound(wamid: str, thread: tuple[str, str] = ANA, room: tuple[str, int] = ROOM) -> list[Fact]:
    return came(wamid, thread) + put(wamid, room)


def wrote(note: int, text: str, room: tuple[str, int] = ROOM, *, delivered: bool = True) -> list[Fact]:
    """An operator's text and the one event that told of it."""
    name = (room[0], note)
    return [OperatorWrote(name, room, "Bia", text), EventDue(name), EventPosted(name), EventEnded(name, delivered)]


def reached(text: str, thread: tuple[str, str] = ANA, wamid: str = "out", mark: str = "") -> list[Fact]:
    return [ReachedPhone(wamid, thread, text, mark)]


CLEAN: dict[str, Sequence[Fact]] = {
    "nothing happened": [],
    "a text each way": [*inbound("a"), *wrote(1, "olá"), *reached("olá")],
    "an answer with the operator's name in front": [*inbound("a"), *wrote(1, "olá"), *reached("*Bia:*\nolá")],
    "an answer with its markup translated": [
        *inbound("a"),
        *wrote(1, "[b]Preço[/b]: [i]dez[/i]"),
        *reached("*Preço*: _dez_"),
    ],
    "an answer with a link written anew": [
        *inbound("a"),
        *wrote(1, "veja [url=https://example.com/x]a loja[/url]"),
        *reached("veja a loja (https://example.com/x)"),
    ],
    "a long answer in two parts": [
        *inbound("a"),
        *wrote(1, "a" * 4000 + " " + "b" * 2000),
        *reached("a" * 4000, wamid="1"),
        *reached("b" * 2000, wamid="2"),
    ],
    "the same words twice, written twice": [
        *inbound("a"),
        *wrote(1, "sim"),
        *wrote(2, "sim"),
        *reached("sim", wamid="1"),
        *reached("sim", wamid="2"),
    ],
    "a webhook that came twice and was put once": [*came("a"), WebhookPosted("a"), WebhookAcknowledged("a"), *put("a")],
    "two texts that were both under way may change places": [
        CustomerWrote("a", ANA),
        CustomerWrote("b", ANA),
        WebhookPosted("a"),
        WebhookPosted("b"),
        WebhookAcknowledged("a"),
        WebhookAcknowledged("b"),
        *put("b"),
        *put("a"),
    ],
    "two answers that were both under way may change places": [
        *inbound("x"),
        OperatorWrote(("p1", 1), ROOM, "Bia", "um"),
        OperatorWrote(("p1", 2), ROOM, "Bia", "dois"),
        EventDue(("p1", 1)),
        EventDue(("p1", 2)),
        EventPosted(("p1", 1)),
        EventPosted(("p1", 2)),
        EventEnded(("p1", 2), True),
        EventEnded(("p1", 1), True),
        *reached("dois"),
        *reached("um"),
    ],
    "a text that was told late is put where it belongs": [
        CustomerWrote("a", ANA),
        *came("b"),
        WebhookPosted("a"),
        WebhookAcknowledged("a"),
        *put("a"),
        *put("b"),
    ],
    "an answer that was told late is put where it belongs": [
        *inbound("x"),
        OperatorWrote(("p1", 1), ROOM, "Bia", "um"),
        *wrote(2, "dois"),
        EventDue(("p1", 1)),
        EventPosted(("p1", 1)),
        EventEnded(("p1", 1), True),
        *reached("um"),
        *reached("dois"),
    ],
    "two conversations know no order between them": [
        *came("a", ANA),
        *came("b", BETO),
        *put("b", OTHER_ROOM),
        *put("a", ROOM),
    ],
    "an answer that was taken by a gateway that died before it said so, and one that was told to nobody": [
        *inbound("x"),
        *wrote(1, "um", delivered=False),
        OperatorWrote(("p1", 2), ROOM, "Bia", "dois"),
        EventDue(("p1", 2)),
        EventPosted(("p1", 2)),
        EventEnded(("p1", 2), delivered=False, unclear=True),
        *reached("dois"),
        *reached("um"),
    ],
    "an answer whose event was lost and that arrived all the same": [
        *inbound("a"),
        *wrote(1, "um", delivered=False),
        *wrote(2, "dois"),
        *reached("dois"),
        *reached("um"),
    ],
    "an answer that the platform refuses for good": [*inbound("a"), *wrote(1, "olá"), Refused(ANA, "olá", 131047)],
    "a text sent by API without an operator": [*inbound("a"), *reached("lembrete", mark="m1")],
    "read after it was in the chat": [*inbound("a"), MarkedRead("a")],
    "told delivered after the phone had it": [
        *inbound("a"),
        *wrote(1, "olá"),
        *reached("olá"),
        ToldDelivered(("p1", 1)),
    ],
    "one customer on two numbers has two chats": [
        *inbound("a", ANA, ROOM),
        *inbound("b", ANA_ON_TWO, OTHER_ROOM),
    ],
    "a state goes forward": [StateMoved("m", Rank.SENT, Rank.DELIVERED)],
    "a notice is no message": [*inbound("a"), Noticed(ROOM)],
    "a text with no customer behind it": [PutInChat("unknown", ROOM, PLACE)],
}

BROKEN: dict[str, tuple[str, Sequence[Fact]]] = {
    "acknowledged and in no chat": ("lost", came("a")),
    "delivered and on no phone": ("lost", [*inbound("a"), *wrote(1, "olá")]),
    "half of a long answer": ("lost", [*inbound("a"), *wrote(1, "a" * 4000 + "b" * 2000), *reached("a" * 4000)]),
    "told to nobody and on no phone": ("lost", [*inbound("a"), *wrote(1, "olá", delivered=False)]),
    "two late answers that changed places": (
        "disordered",
        [
            *inbound("a"),
            *wrote(1, "um", delivered=False),
            *wrote(2, "dois", delivered=False),
            *reached("dois"),
            *reached("um"),
        ],
    ),
    "put twice": ("doubled", [*inbound("a"), *put("a")]),
    "an answer on the phone twice": ("doubled", [*inbound("a"), *wrote(1, "olá"), *reached("olá"), *reached("olá")]),
    "an API text on the phone twice": ("doubled", [*reached("oi", mark="m1"), *reached("oi", mark="m1")]),
    "a part of an answer twice": (
        "doubled",
        [
            *inbound("a"),
            *wrote(1, "a" * 4000 + "b" * 2000),
            *reached("a" * 4000),
            *reached("a" * 4000),
            *reached("b" * 2000),
        ],
    ),
    "in the chat after one that came later": ("disordered", [*came("a"), *came("b"), *put("b"), *put("a")]),
    "on the phone after one written later": (
        "disordered",
        [*inbound("x"), *wrote(1, "um"), *wrote(2, "dois"), *reached("dois"), *reached("um")],
    ),
    "in another customer's chat": ("strange_conversation", [*inbound("a", ANA), *came("b", BETO), *put("b", ROOM)]),
    "in the chat of another number": (
        "strange_conversation",
        [*inbound("a", ANA), *came("b", ANA_ON_TWO), *put("b", ROOM)],
    ),
    "in another portal": ("strange_conversation", [*inbound("a", ANA), *came("b", BETO), *put("b", STRANGE_ROOM)]),
    "one conversation in two chats": ("strange_conversation", [*inbound("a"), *came("b"), *put("b", OTHER_ROOM)]),
    "an answer on another phone": (
        "strange_conversation",
        [*inbound("a"), *inbound("b", BETO, OTHER_ROOM), *wrote(1, "olá"), *reached("olá", BETO)],
    ),
    "on the phone after one that had to wait for it": (
        "disordered",
        [
            *inbound("x"),
            OperatorWrote(("p1", 1), ROOM, "Bia", "um"),
            EventDue(("p1", 1)),
            OperatorWrote(("p1", 2), ROOM, "Bia", "dois"),
            EventDue(("p1", 2)),
            EventPosted(("p1", 1)),
            EventEnded(("p1", 1), True),
            EventPosted(("p1", 2)),
            EventEnded(("p1", 2), True),
            *reached("dois"),
            *reached("um"),
        ],
    ),
    "a state goes back": ("state_backward", [StateMoved("m", Rank.READ, Rank.DELIVERED)]),
    "read before it was in the chat": ("state_ahead", [*came("a"), MarkedRead("a"), *put("a")]),
    "told delivered before the phone had it": (
        "state_ahead",
        [*inbound("a"), *wrote(1, "olá"), ToldDelivered(("p1", 1)), *reached("olá")],
    ),
    "a limit run into": ("limit_exceeded", [LimitExceeded("meta", "130429", "n1")]),
}


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_history_has_no_violation(name: str) -> None:
    verdict = judge(CLEAN[name])

    assert verdict["violations"] == []
    assert verdict["ok"]
    assert verdict["drained"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_history_has_its_violation_and_no_other(name: str) -> None:
    kind, history = BROKEN[name]

    verdict = judge(history)

    assert {one["kind"] for one in verdict["violations"]} == {kind}
    assert not verdict["ok"]
    assert verdict["counts"]["violations"][kind] == 1


@pytest.mark.parametrize("name", [name for name, (kind, _) in BROKEN.items() if kind == "lost"])
def test_what_has_not_arrived_yet_is_not_drained_until_somebody_says_that_it_is(name: str) -> None:
    verdict = judge(BROKEN[name][1], drained=False)

    assert {one["kind"] for one in verdict["violations"]} == {"not_drained"}
    assert verdict["ok"]
    assert not verdict["drained"]


def test_a_webhook_that_was_never_acknowledged_is_not_lost_for_meta_tries_again() -> None:
    verdict = judge([CustomerWrote("a", ANA), WebhookPosted("a")], drained=True)

    assert {one["kind"] for one in verdict["violations"]} == {"not_drained"}
    assert verdict["ok"]


def test_an_event_under_way_is_not_drained() -> None:
    verdict = judge([*inbound("a"), OperatorWrote(("p1", 1), ROOM, "Bia", "olá"), EventDue(("p1", 1))])

    assert not verdict["drained"]


def test_portals_with_the_same_message_numbers_are_told_apart() -> None:
    history = [
        *inbound("a", ("n1", "ana"), ("p1", 7)),
        *inbound("b", ("n2", "ana"), ("p2", 7)),
        *wrote(1, "do primeiro", ("p1", 7)),
        *wrote(1, "do segundo", ("p2", 7)),
        *reached("do segundo", ("n2", "ana")),
        *reached("do primeiro", ("n1", "ana")),
    ]

    assert judge(history)["ok"]


def test_each_refused_limit_is_one_violation_with_its_number_of_calls() -> None:
    verdict = judge([LimitExceeded("bitrix24", "QUERY_LIMIT_EXCEEDED", "p1")] * 3)

    assert verdict["violations"] == [
        {"kind": "limit_exceeded", "detail": "bitrix24: QUERY_LIMIT_EXCEEDED refused 3 calls", "ids": ["p1"]}
    ]
    assert verdict["counts"]["limits_exceeded"] == 3


def test_the_counts_tell_what_truly_happened() -> None:
    verdict = judge([*inbound("a"), *came("b"), *wrote(1, "um"), *reached("um"), Noticed(ROOM)])

    assert (verdict["customers_wrote"], verdict["in_chats"]) == (2, 1)
    assert (verdict["operators_wrote"], verdict["on_phones"]) == (1, 1)
    assert verdict["counts"]["notices"] == 1
