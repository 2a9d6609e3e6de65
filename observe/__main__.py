"""`python -m observe dashboard`: write the dashboard's file from its source."""

from __future__ import annotations

import sys

from observe.dashboard import FILE, written


def main(arguments: list[str]) -> int:
    if arguments != ["dashboard"]:
        print(__doc__, file=sys.stderr)
        return 2
    FILE.write_text(written(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
