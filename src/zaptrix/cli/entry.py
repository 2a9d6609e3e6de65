"""Entry: runs the command line and ends the process with its exit code, whatever threads still run."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from zaptrix.cli.main import app

_NOT_WRITTEN = 120  # as Python itself ends when its last words do not go out


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
        code = 1
    os._exit(code or 0 if _is_written() else _NOT_WRITTEN)


def _is_written() -> bool:
    """Whether all that was said has gone out. Who was started with a closed stream says nothing there."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):  # the reader is gone, the disk is full, or it was closed
        return False
    return True
