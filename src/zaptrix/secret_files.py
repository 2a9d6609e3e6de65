"""The file that a secret stands in: what it holds, or why it cannot be used, in words that show neither."""

import stat
from pathlib import Path

from zaptrix.core.installation.variables import Bad

SECRET_FILE_BYTES_MAX = 65_536


def content_of(path: str) -> str:
    """What the file of a secret holds, without the end of its line. Raises Bad.

    Who else may read the file is not judged: the files in which containers get their secrets are open to all in there.
    """
    try:
        with _regular(Path(path).expanduser()).open("rb") as file:
            content = file.read(SECRET_FILE_BYTES_MAX + 1)
    except (OSError, RuntimeError) as exc:  # the latter: in the home of an account that does not exist
        reason = getattr(exc, "strerror", None) or "No such file or directory"
        raise Bad(
            f"cannot be read ({reason}); name one by its whole path that the account of zaptrix can read"
        ) from exc
    text = content.decode("utf-8-sig", errors="replace").strip()
    if not text:
        raise Bad("is empty; write the secret into it")
    if len(content) > SECRET_FILE_BYTES_MAX or "\0" in text or "\N{REPLACEMENT CHARACTER}" in text:
        raise Bad("is not plain text in UTF-8, or too long for a secret; write it again")
    return text


def _regular(path: Path) -> Path:
    """Asked before it is opened: to open a pipe that nobody writes to would never end."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise Bad("is a folder, as container engines make one where a file is missing; put the file there")
    if not stat.S_ISREG(mode):
        raise Bad("is not a regular file; write the secret into one")
    return path
