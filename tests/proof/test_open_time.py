"""How long a world that has healed may still have something open."""

import pytest

from proof.run import HELD_S_MAX, NO_BURST_S, open_s_max

LONG_AGO = -1000.0


@pytest.mark.parametrize(
    ("redis_lost_at", "silences", "more_s"),
    [
        (LONG_AGO, [], 0),
        (97, [], NO_BURST_S - 3),
        (LONG_AGO, [(10, 20), (80, 82)], 0),  # Meta has tried again since
        (LONG_AGO, [(10, 20), (66, 99)], 32),  # seed 70: a PostgreSQL that hung while it was told to stop
        (97, [(66, 99)], 32),  # both pass at the same time
    ],
)
def test_what_waits_for_a_platform_is_given_its_time(
    redis_lost_at: float, silences: list[tuple[float, float]], more_s: float
) -> None:
    assert open_s_max(100, redis_lost_at, silences) == HELD_S_MAX + more_s
