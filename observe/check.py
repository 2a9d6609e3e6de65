"""`python -m observe.check`: play the load, compare, print the table; with `--picture`, draw the panels anew, too."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from observe.measured import Compared, check
from observe.picture import png

TOLERANCE = 0.05
PICTURE = Path(__file__).parents[1] / "docs" / "screenshots" / "panels.png"


def main(arguments: Sequence[str]) -> int:
    compared, pictures = asyncio.run(check())
    print(table(compared))
    if "--picture" in arguments:
        png(pictures, PICTURE)
    return int(any(each.off > TOLERANCE for each in compared))


def table(compared: Sequence[Compared]) -> str:
    """As Markdown."""
    lines = ["| panel | series | the load | the panel | off by |", "| --- | --- | ---: | ---: | ---: |"]
    lines += [
        f"| {each.panel} | {each.series} | {each.load:.4g} | {each.told:.4g} | {each.off:.1%} |" for each in compared
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
