"""Everything is restarted under load: no webhook is refused, and nothing is lost, doubled or out of order."""

from pathlib import Path

from proof.rolling import Rolling, peopled, rolled

RATE = 8.0  # that any machine carries; `python -m proof.rolling --rate 100` is the figure


async def test_gateways_and_workers_on_hosts_of_their_own_are_restarted_one_by_one_and_nobody_notices(
    tmp_path: Path,
) -> None:
    world = Rolling(folder=tmp_path)
    try:
        await world.open()
        people = await peopled(world, 2.0)
        told = await rolled(world, people, RATE, rounds=1)
        assert told.restarts == 4
        assert told.refused == 0, told
        assert told.posts["meta_taken"] > 0
        assert told.posts["bitrix24_taken"] > 0
        assert told.arrived == told.written
        assert len(world.hosts) == 8
    finally:
        await world.stop()
