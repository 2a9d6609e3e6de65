"""A few worlds under fire. Hundreds of them: `make sim SEEDS=1-200 JOBS=4`."""

from pathlib import Path

import pytest
import pytest_asyncio

from proof.arena import make_template
from proof.plan import plan_of
from proof.run import OPEN_TOO_LONG, run

# (seed, seconds): one that found a bug (proof/README.md), and two short ones that between them kill a worker, Redis,
# PostgreSQL and every gateway, revoke a portal, drop events and set a clock wrong. All send files both ways and
# templates; one kills a worker that has a file, one closes a window. In each somebody stands still.
SEEDS = ((11, 20.0), (24, 8.0), (37, 8.0))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Servers that were migrated once."""
    folder = tmp_path_factory.mktemp("proof") / "template"
    await make_template(folder)
    return folder


@pytest.mark.parametrize(("seed", "seconds"), SEEDS)
async def test_nothing_is_lost_doubled_or_disordered_under_fire(
    seed: int, seconds: float, template: Path, tmp_path: Path
) -> None:
    outcome = await run(plan_of(seed, seconds), tmp_path, template)
    # How soon it drained is for a machine that does nothing else: `make sim`.
    assert [one for one in outcome.violations if one["kind"] != OPEN_TOO_LONG] == [], "\n".join(outcome.timeline)
    assert outcome.counts["in_chats"] == outcome.counts["customers_wrote"] > 0
    refused = sum(outcome.refused.values())
    on_phones = outcome.counts["on_phones"]
    assert outcome.counts["operators_wrote"] - refused <= on_phones <= outcome.counts["operators_wrote"]
    assert outcome.counts["files_of_customers_arrived"] == outcome.counts["files_of_customers"] > 0
    assert outcome.counts["files_of_operators_arrived"] > 0
    assert outcome.counts["of_callers_on_phones"] > 0
