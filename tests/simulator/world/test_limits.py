from hypothesis import given
from hypothesis import strategies as st

from zaptrix_sim.world.limits import Bucket, OperatingTime

NOW = 1_793_000_000.0


def test_a_full_bucket_refuses_until_it_has_leaked() -> None:
    bucket = Bucket(rate=2, size=50)

    assert [bucket.take(NOW) for _ in range(51)] == [True] * 50 + [False]
    assert not bucket.take(NOW + 0.4)
    assert bucket.take(NOW + 0.5)
    assert not bucket.take(NOW + 0.5)


def test_a_refused_drop_is_not_counted() -> None:
    bucket = Bucket(rate=1, size=1)
    bucket.take(NOW)

    refused = [bucket.take(NOW + 0.5) for _ in range(100)]

    assert not any(refused)
    assert bucket.take(NOW + 1.0)


def test_what_is_poured_in_is_never_refused_and_fills_no_more_than_the_bucket() -> None:
    bucket = Bucket(rate=10, size=10)
    for _ in range(1000):
        bucket.pour(NOW)

    assert not bucket.take(NOW)
    assert bucket.take(NOW + 0.1)


@given(st.lists(st.floats(min_value=0, max_value=3), max_size=200))
def test_no_more_pass_than_the_size_and_what_leaked(pauses: list[float]) -> None:
    bucket, now, passed = Bucket(rate=2, size=5, at=NOW), NOW, 0
    for pause in pauses:
        now += pause
        passed += bucket.take(now)

    assert passed <= 5 + (now - NOW) * 2 + 1e-6


def test_operating_time_is_counted_for_ten_minutes() -> None:
    operating = OperatingTime()
    operating.add(NOW, 300.0)
    operating.add(NOW + 60, 1.2)

    assert operating.used(NOW + 60) == 301.2
    assert operating.reset_at(NOW + 60) == (int(NOW) // 60 + 10) * 60
    assert operating.used(NOW + 600) == 1.2
    assert operating.used(NOW + 720) == 0


def test_a_short_call_costs_no_operating_time() -> None:
    operating = OperatingTime()
    operating.add(NOW, 0.1)

    assert operating.used(NOW) == 0
