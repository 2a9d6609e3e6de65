"""docs/SCALING.md: its figures are the benchmarks', and the settings that it names are there."""

import re
from pathlib import Path

import pytest

from zaptrix.settings import NAMES

DOCS = Path(__file__).resolve().parents[2] / "docs"
FIGURES = DOCS.parent / "benchmarks" / "README.md"
PARTS = 4  # gateway, worker, PostgreSQL, Redis


def rows(path: Path) -> dict[str, list[str]]:
    """The first cells behind each row's name."""
    found = re.findall(
        r"^\| (accept|inbound, [^|]+|outbound, [^|]+) \|(.+)\|$", path.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {name.strip(): [cell.strip() for cell in cells.split("|")[:PARTS]] for name, cells in reversed(found)}


@pytest.mark.parametrize("name", ["SCALING.md", "SCALING.pt-BR.md"])
def test_the_figures_are_the_benchmarks(name: str) -> None:
    told = rows(DOCS / name)
    assert len(told) == 4
    measured = rows(FIGURES)
    assert told == {row: measured[row] for row in told}
    # The plan for 1,000/s, half inbound, half outbound with receipts.
    halves = zip(told["inbound, 1,000 portals"], told["outbound, with receipts"], strict=True)
    cores = [(int(one) + int(other)) / 2_000 for one, other in halves]
    text = (DOCS / name).read_text(encoding="utf-8").replace(",", ".")
    for part, share in zip(("gateways", "workers", "PostgreSQL", "Redis"), cores, strict=True):
        planned = re.search(rf"^\| {part} \| (\d\.\d\d)", text, re.MULTILINE)
        assert planned is not None
        assert float(planned[1]) == pytest.approx(share, abs=0.006), part


@pytest.mark.parametrize("name", ["SCALING.md", "SCALING.pt-BR.md"])
def test_the_settings_are_there(name: str) -> None:
    named = set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)", (DOCS / name).read_text(encoding="utf-8")))
    assert len(named) > 12
    assert named <= NAMES
