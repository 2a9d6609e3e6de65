"""The delivery check notices what it is there for."""

import pytest

from benchmarks.delivery import check
from benchmarks.far_record import Arrivals

LINES = 2  # conversations take turns: even numbers are one's, odd numbers the other's


def arrivals(*numbers: int, threads: tuple[int, ...] = (), faults: dict[str, int] | None = None) -> Arrivals:
    return Arrivals(
        numbers=list(numbers),
        times=[float(place) for place in range(len(numbers))],
        threads=list(threads or [number % LINES for number in numbers]),
        names=["a", "b"],
        calls={},
        faults=faults or {},
        confirmed=[],
    )


def found(told: Arrivals, accepted: int = 4) -> dict[str, int]:
    delivery = check(range(accepted), told, lambda number: number % LINES)
    names = ("lost", "doubled", "disordered", "strange")
    return {name: getattr(delivery, name) for name in names if getattr(delivery, name)}


def test_messages_that_are_there_once_and_in_order_are_good() -> None:
    assert check(range(4), arrivals(1, 0, 3, 2), lambda number: number % LINES).is_good


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        (arrivals(0, 1, 2), {"lost": 1}),
        (arrivals(0, 1, 1, 2, 3), {"doubled": 1}),
        (arrivals(2, 1, 0, 3), {"disordered": 1}),
        (arrivals(0, 1, 2, 3, threads=(0, 1, 1, 1)), {"strange": 1}),
        (arrivals(0, 1, 2, 3, 4), {"strange": 1}),
        (arrivals(0, 1, 2, -1), {"lost": 1, "strange": 1, "disordered": 1}),
    ],
    ids=["lost", "doubled", "disordered", "in a strange conversation", "never accepted", "another text"],
)
def test_what_is_wrong_is_counted(told: Arrivals, wrong: dict[str, int]) -> None:
    assert found(told) == wrong


def test_a_fault_that_the_far_side_saw_spoils_a_run() -> None:
    told = arrivals(0, 1, 2, 3, faults={"a portal's wrong token": 1})
    assert not check(range(4), told, lambda number: number % LINES).is_good
