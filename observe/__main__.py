"""`python -m observe`: a Prometheus beside a running gateway; `... dashboard`: write the dashboard's file anew."""

from __future__ import annotations

import os
import sys

from observe.beside import observe
from observe.dashboard import FILE, written


def main(arguments: list[str]) -> int:
    if not arguments:
        return observe(os.environ)
    if arguments != ["dashboard"]:
        print(__doc__, file=sys.stderr)
        return 2
    FILE.write_text(written(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
