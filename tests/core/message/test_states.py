"""Receipts move a message forward only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zaptrix.core.message.message import State
from zaptrix.core.message.states import RANK, STATUS_STATES, advance

PROVEN = st.sampled_from(sorted(set(STATUS_STATES.values())))


@pytest.mark.parametrize(
    ("current", "proven", "wanted"),
    [
        ("pending", "sent", "sent"),  # believed unsent, and Meta knows better
        ("sending", "delivered", "delivered"),  # the receipt overtook our own record
        ("verifying", "sent", "sent"),
        ("sent", "sent", None),
        ("sent", "delivered", "delivered"),
        ("sent", "read", "read"),  # a skipped receipt
        ("delivered", "sent", None),  # a late one
        ("read", "delivered", None),
        ("sending", "dead", "dead"),
        ("sent", "dead", "dead"),
        ("delivered", "dead", None),
        ("read", "dead", None),
        ("dead", "dead", None),
        ("dead", "sent", None),
        ("dead", "delivered", "delivered"),  # given up without a clear answer, and it had arrived all the same
        ("dead", "read", "read"),
        ("read", "played", "played"),
        ("delivered", "played", "played"),
        ("played", "read", None),
        ("played", "dead", None),
        ("dismissed", "read", None),
        ("dismissed", "dead", None),
    ],
)
def test_a_receipt_moves_a_message_as_the_table_says(current: str, proven: str, wanted: str | None) -> None:
    assert advance(State(current), State(proven)) == (State(wanted) if wanted else None)


@given(st.sampled_from(list(State)), st.lists(PROVEN, max_size=12))
def test_whatever_receipts_come_a_state_never_moves_back(current: State, receipts: list[State]) -> None:
    for proven in receipts:
        step = advance(current, proven)
        if step is not None and step is not State.DEAD:
            assert RANK[step] > RANK[current]
        if step is State.DEAD:
            assert current not in {State.DELIVERED, State.READ, State.DEAD, State.DISMISSED}
        current = step or current


GOOD = st.lists(PROVEN.filter(lambda proven: proven is not State.DEAD))


@given(GOOD.flatmap(lambda receipts: st.tuples(st.just(receipts), st.permutations(receipts))))
def test_without_a_failure_the_order_of_receipts_does_not_matter(orders: tuple[list[State], list[State]]) -> None:
    assert _after(orders[0]) == _after(orders[1])


def _after(receipts: list[State]) -> State:
    current = State.SENDING
    for proven in receipts:
        current = advance(current, proven) or current
    return current


def test_every_status_of_metas_that_means_something_has_its_state() -> None:
    assert set(STATUS_STATES) == {"sent", "delivered", "read", "played", "failed"}
