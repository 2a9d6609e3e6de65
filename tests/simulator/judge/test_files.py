"""The judge of files: each arrives once, where it belongs, as it was sent."""

from typing import Any

from zaptrix_sim.judge.facts import CustomerWrote, Fact, FileArrived, FileSent, PutInChat, Room, Thread
from zaptrix_sim.judge.ledger import Ledger

ANA: Thread = ("2109", "5541")
BEA: Thread = ("2109", "5542")
CHAT: Room = ("demo", 1767)
OTHER: Room = ("demo", 1768)

OPENED: tuple[Fact, ...] = (
    CustomerWrote("w1", ANA),
    PutInChat("w1", CHAT, "zx|1"),
    CustomerWrote("w2", BEA),
    PutInChat("w2", OTHER, "zx|1"),
)
FROM_ANA = FileSent("aa", by_customer=True, thread=ANA)
IN_CHAT = FileArrived("w1", "aa", by_customer=True, room=CHAT)
FROM_CHAT = FileSent("bb", by_customer=False, room=CHAT)
ON_PHONE = FileArrived("w3", "bb", by_customer=False, thread=ANA)


def told(*facts: Fact) -> tuple[list[str], dict[str, Any], int]:
    """The kinds of violations, the counts, and how many files have not arrived."""
    ledger = Ledger()
    for fact in (*OPENED, *facts):
        ledger.record(fact)
    verdict = ledger.verdict()
    kinds = [one["kind"] for one in verdict["violations"] if one["kind"] != "not_drained"]
    return kinds, verdict["counts"], verdict["files_left"]


def test_files_that_arrive_both_ways_are_counted_and_none_is_left() -> None:
    kinds, counts, left = told(FROM_ANA, FROM_CHAT, IN_CHAT, ON_PHONE)
    assert (kinds, left) == ([], 0)
    assert (counts["files_of_customers_arrived"], counts["files_of_operators_arrived"]) == (1, 1)


def test_a_file_that_has_not_arrived_is_left() -> None:
    assert told(FROM_ANA, FROM_CHAT, IN_CHAT)[2] == 1


def test_a_file_that_arrives_twice_is_doubled_but_one_that_was_sent_twice_is_not() -> None:
    assert told(FROM_ANA, IN_CHAT, IN_CHAT)[0] == ["doubled"]
    assert told(FROM_ANA, FROM_ANA, IN_CHAT, IN_CHAT)[0] == []
    assert told(FROM_CHAT, ON_PHONE, ON_PHONE)[0] == ["doubled"]


def test_a_file_in_another_conversation_is_a_violation() -> None:
    assert told(FROM_ANA, FileArrived("w1", "aa", by_customer=True, room=OTHER))[0] == ["strange_conversation"]
    assert told(FROM_CHAT, FileArrived("w3", "bb", by_customer=False, thread=BEA))[0] == ["strange_conversation"]


def test_bytes_that_nobody_sent_are_foreign() -> None:
    kinds, counts, _ = told(FileArrived("w3", "cc", by_customer=False, thread=ANA))
    assert (kinds, counts["foreign_files"]) == ([], 1)
