"""Entry: runs the command line and ends the process with its exit code, whatever threads still run."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from zaptrix.cli.main import app


def run() -> NoReturn:
    """End without Python's own finalization. Everything is closed by then; but threads of extension modules (the S3
    client's) that wake up in it abort the process, and a backup that was made ended with SIGABRT.

    https://docs.python.org/3/c-api/init.html#c.Py_FinalizeEx
    """
    try:
        app()
        code: object = 0
    except SystemExit as exc:
        code = exc.code
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
