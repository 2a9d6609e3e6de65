"""The judge on pictures, templates and what is refused: histories without a fault, and the same ones with one in it."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.simulator.judge.test_ledger import ANA, BETO, OTHER_ROOM, ROOM, came, inbound, put, reached, wrote
from zaptrix_sim.judge.facts import (
    CallerAnswered,
    CallerAsked,
    EventDue,
    EventEnded,
    EventPosted,
    Fact,
    FileArrived,
    FileSent,
    Noticed,
    OperatorWrote,
    ReachedPhone,
    Refused,
)
from zaptrix_sim.judge.ledger import judge

LINE = "📷 Foto a caminho…"


def picture(wamid: str, sha256: str, thread: tuple[str, str] = ANA) -> list[Fact]:
    """A customer's picture whose webhook was acknowledged."""
    wrote_it, *rest = came(wamid, thread)
    return [wrote_it, FileSent(sha256, by_customer=True, thread=thread), *rest]


def in_chat(wamid: str, sha256: str, room: tuple[str, int] = ROOM) -> list[Fact]:
    return [*put(wamid, room), FileArrived(wamid, sha256, by_customer=True, room=room)]


def attached(note: int, text: str, *hashes: str, room: tuple[str, int] = ROOM) -> list[Fact]:
    """An operator's files; without words the message is known by its first file's name."""
    name = (room[0], note)
    sent: list[Fact] = [FileSent(sha256, by_customer=False, room=room) for sha256 in hashes]
    told: list[Fact] = [EventDue(name), EventPosted(name), EventEnded(name, delivered=True)]
    return [OperatorWrote(name, room, "Bia", text, files=hashes), *sent, *told]


def unheard(history: list[Fact], *, posted: bool = False) -> list[Fact]:
    """The same, and no gateway had the event."""
    told = [fact for fact in history if posted or not isinstance(fact, EventPosted)]
    return [EventEnded(fact.note, delivered=False) if isinstance(fact, EventEnded) else fact for fact in told]


def on_phone(text: str, sha256: str, thread: tuple[str, str] = ANA, mark: str = "") -> list[Fact]:
    return [
        ReachedPhone("out", thread, text, mark, sha256),
        FileArrived("out", sha256, by_customer=False, thread=thread),
    ]


def asked(key: str, thread: tuple[str, str] = ANA) -> list[Fact]:
    return [CallerAsked(key, thread), CallerAnswered(key)]


def shown(key: str, thread: tuple[str, str] = ANA) -> list[Fact]:
    return reached(f"Olá {key}, seu pedido saiu.", thread)


def refusal(text: str, mark: str = "m1", sha256: str = "") -> Refused:
    return Refused(ANA, text, 131047, mark, sha256)


TOLD = Noticed(ROOM, "Não foi entregue (código 131047)")

CLEAN: dict[str, Sequence[Fact]] = {
    "a picture each way": [
        *picture("a", "aa"),
        *in_chat("a", "aa"),
        *attached(1, "f1", "bb"),
        *on_phone("f1", "bb"),
    ],
    "a customer's picture follows the line in its place": [
        *picture("a", "aa"),
        *came("b"),
        *put("a"),
        *put("b"),
        FileArrived("", "aa", by_customer=True, room=ROOM),
    ],
    "an operator's picture with words follows the line in its place": [
        *inbound("x"),
        *attached(1, "a proposta", "aa"),
        *wrote(2, "dois"),
        *reached(f"{LINE}\na proposta"),
        *reached("dois"),
        *on_phone("f1", "aa"),
    ],
    "an operator's picture without words follows the line in its place": [
        *inbound("x"),
        *attached(1, "f1", "aa"),
        *wrote(2, "dois"),
        *reached(LINE, mark="m1"),
        *reached("dois"),
        *on_phone("f1", "aa"),
    ],
    "two pictures whose lines are the same words": [
        *inbound("x"),
        *attached(1, "f1", "aa"),
        *attached(2, "f2", "bb"),
        *reached(LINE, mark="m1"),
        *reached(LINE, mark="m2"),
        *on_phone("f2", "bb"),
        *on_phone("f1", "aa"),
    ],
    "three files of one message, the second one late": [
        *inbound("x"),
        *attached(1, "segue tudo", "aa", "bb", "cc"),
        *wrote(2, "dois"),
        *on_phone("segue tudo", "aa"),
        *reached(LINE, mark="m1"),
        *on_phone("f3", "cc"),
        *reached("dois"),
        *on_phone("f1", "bb"),
    ],
    "two late files with texts between their lines, the younger one first": [
        *inbound("x"),
        *attached(1, "f1", "aa"),
        *wrote(2, "dois"),
        *attached(3, "f3", "bb"),
        *wrote(4, "quatro"),
        *reached(LINE, mark="m1"),
        *reached("dois"),
        *reached(LINE, mark="m2"),
        *reached("quatro"),
        *on_phone("f3", "bb"),
        *on_phone("f1", "aa"),
    ],
    "the line of a file whose event reached nobody": [
        *inbound("x"),
        *unheard(attached(1, "segue tudo", "aa", "bb")),
        *unheard(wrote(2, "dois")),
        *on_phone("segue tudo", "aa"),
        *reached(LINE, mark="m1"),
        *reached("dois"),
        *on_phone("f2", "bb"),
    ],
    "the line of the younger of two messages": [
        *inbound("x"),
        *unheard(attached(1, "f1", "aa"), posted=True),
        *attached(2, "f2", "bb", "cc"),
        *reached(LINE, mark="m1"),
        *on_phone("f3", "cc"),
        *on_phone("f2", "bb"),
        *on_phone("f1", "aa"),
    ],
    "a line that its supposed owner did without": [
        *inbound("x"),
        *attached(1, "f1", "aa"),
        *unheard(attached(2, "f2", "bb")),
        *unheard(wrote(3, "tres")),
        *reached(LINE, mark="m1"),
        *on_phone("f1", "aa"),
        *reached("tres"),
        *on_phone("f2", "bb"),
    ],
    "a template and a text of a caller's": [*asked("k1"), *shown("k1"), *asked("k2"), *reached("k2")],
    "a caller who asks until she is answered": [
        CallerAsked("k1", ANA),
        *shown("k1"),
        CallerAsked("k1", ANA),
        CallerAnswered("k1"),
    ],
    "what is asked for at the same time knows no order": [
        CallerAsked("k1", ANA),
        *asked("k2"),
        CallerAnswered("k1"),
        *shown("k2"),
        *shown("k1"),
    ],
    "an operator's text to a closed window": [*inbound("a"), *wrote(1, "olá"), refusal("olá"), TOLD],
    "an operator's picture to a closed window": [
        *inbound("a"),
        *attached(1, "f1", "aa"),
        refusal("f1", sha256="aa"),
        TOLD,
    ],
    "a caller's text to a closed window": [*inbound("a"), *asked("k1"), refusal("oi k1")],
}

BROKEN: dict[str, tuple[str, Sequence[Fact]]] = {
    "a customer's picture in no chat": ("lost", picture("a", "aa")),
    "a customer's picture in the chat twice": ("doubled", [*picture("a", "aa"), *in_chat("a", "aa"), *put("a")]),
    "a late picture in the chat twice": (
        "doubled",
        [*picture("a", "aa"), *in_chat("a", "aa"), FileArrived("", "aa", by_customer=True, room=ROOM)],
    ),
    "a picture in the chat after a text that came later": (
        "disordered",
        [*picture("a", "aa"), *came("b"), *put("b"), *in_chat("a", "aa")],
    ),
    "an operator's picture on no phone": ("lost", [*inbound("x"), *attached(1, "f1", "aa")]),
    "an operator's picture after a text that was written later": (
        "disordered",
        [*inbound("x"), *attached(1, "f1", "aa"), *wrote(2, "dois"), *reached("dois"), *on_phone("f1", "aa")],
    ),
    "an operator's picture whose line comes too late": (
        "disordered",
        [
            *inbound("x"),
            *attached(1, "f1", "aa"),
            *wrote(2, "dois"),
            *reached("dois"),
            *reached(LINE, mark="m1"),
            *on_phone("f1", "aa"),
        ],
    ),
    "two files of one message that changed places": (
        "disordered",
        [
            *inbound("x"),
            *attached(1, "segue", "aa", "bb", "cc"),
            *on_phone("segue", "aa"),
            *on_phone("f3", "cc"),
            *on_phone("f1", "bb"),
        ],
    ),
    "a further file after a text that was written later": (
        "disordered",
        [
            *inbound("x"),
            *attached(1, "segue", "aa", "bb"),
            *wrote(2, "dois"),
            *on_phone("segue", "aa"),
            *reached("dois"),
            *on_phone("f1", "bb"),
        ],
    ),
    "one line for two late files": (
        "disordered",
        [
            *inbound("x"),
            *attached(1, "f1", "aa"),
            *attached(2, "f2", "bb"),
            *wrote(3, "tres"),
            *reached(LINE, mark="m1"),
            *reached("tres"),
            *on_phone("f2", "bb"),
            *on_phone("f1", "aa"),
        ],
    ),
    "a line on the phone twice": (
        "doubled",
        [
            *inbound("x"),
            *attached(1, "f1", "aa"),
            *attached(2, "f2", "bb"),
            *reached(LINE, mark="m1"),
            *reached(LINE, mark="m1"),
            *on_phone("f2", "bb"),
            *on_phone("f1", "aa"),
        ],
    ),
    "a template on no phone": ("lost", asked("k1")),
    "a template on the phone twice": ("doubled", [*asked("k1"), *shown("k1"), *shown("k1")]),
    "a template after one that was asked for later": (
        "disordered",
        [*asked("k1"), *asked("k2"), *shown("k2"), *shown("k1")],
    ),
    "a template on another phone": ("strange_conversation", [*asked("k1"), *shown("k1", BETO)]),
}


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_history_has_no_violation_and_nothing_is_left(name: str) -> None:
    verdict = judge(CLEAN[name])

    assert verdict["violations"] == []
    assert (verdict["drained"], verdict["files_left"], verdict["untold"]) == (True, 0, [])


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_history_has_its_violation_and_no_other(name: str) -> None:
    kind, history = BROKEN[name]

    verdict = judge(history)

    assert [one["kind"] for one in verdict["violations"]] == [kind]
    assert not verdict["ok"]


LEFT: dict[str, Sequence[Fact]] = {
    "a customer's picture whose line alone is there": [*picture("a", "aa"), *put("a")],
    "an operator's picture whose line alone is there": [
        *inbound("x"),
        *attached(1, "f1", "aa"),
        *reached(LINE, mark="m1"),
    ],
    "the second file of a message": [*inbound("x"), *attached(1, "segue", "aa", "bb"), *on_phone("segue", "aa")],
    "other bytes under the same name": [*inbound("x"), *attached(1, "f1", "aa"), *on_phone("f1", "zz")],
}


@pytest.mark.parametrize("name", LEFT)
def test_a_file_that_has_not_arrived_whole_is_left(name: str) -> None:
    assert judge(LEFT[name])["files_left"] == 1


def test_links_in_notices_stand_beside_the_customers_files_that_are_in_no_chat() -> None:
    given = Noticed(ROOM, "O arquivo não pôde ser mostrado: [URL]https://zx.example/media/1-a/foto.png[/URL]")
    elsewhere = Noticed(OTHER_ROOM, "https://zx.example/media/2-b/foto.png")
    history = [*inbound("x", BETO, OTHER_ROOM), *picture("a", "aa"), *put("a"), given, elsewhere]

    verdict = judge([*history, *picture("b", "bb"), *in_chat("b", "bb")])

    assert verdict["files_of_customers_left"] == [{"sha256": "aa", "links": ["https://zx.example/media/1-a/foto.png"]}]


UNTOLD: dict[str, Sequence[Fact]] = {
    "no notice": [],
    "a notice of something else": [Noticed(ROOM, "Enviado ao cliente pela integração: oi")],
    "a notice in another chat": [*inbound("b", BETO, OTHER_ROOM), Noticed(OTHER_ROOM, "código 131047")],
}


@pytest.mark.parametrize("name", UNTOLD)
def test_an_operator_who_was_not_told_of_a_refusal_is_named(name: str) -> None:
    verdict = judge([*inbound("a"), *wrote(1, "olá"), refusal("olá"), *UNTOLD[name]])

    assert verdict["untold"] == [list(ANA)]


def test_a_message_that_is_refused_twice_is_one_refusal() -> None:
    history: list[Any] = [*inbound("a"), *wrote(1, "olá"), refusal("olá"), refusal("olá"), TOLD, refusal("olá")]
    verdict = judge(history)

    assert (verdict["refused"], verdict["untold"]) == ({"131047": 1}, [])
