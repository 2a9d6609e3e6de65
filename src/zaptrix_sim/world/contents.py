"""The bytes of one file: small ones in memory, large ones on disk; written in parts, read in slices.

The largest files, several at a time, must not fill the memory.
"""

import hashlib
import os
import random
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO, Any, Final

PART: Final = 64 * 1024
MEMORY_MAX: Final = 1024 * 1024


class Content:
    """Grows until it is read. A slice of it is bytes, as with bytes themselves."""

    def __init__(self, start: bytes = b"") -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._near = bytearray()
        self._disk: IO[bytes] | None = None
        self.append(start)

    def append(self, part: bytes) -> None:
        self._sha256.update(part)
        self.size += len(part)
        if self._disk is None and self.size > MEMORY_MAX:
            # Without a name, so that it goes with us; without a buffer, so that anybody reads where she likes.
            self._disk = tempfile.TemporaryFile("w+b", buffering=0)  # noqa: SIM115  # closed in the next line
            weakref.finalize(self, self._disk.close)
            self._disk.write(self._near)
            self._near = bytearray()
        if self._disk is None:
            self._near += part
        else:
            self._disk.write(part)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def parts(self) -> Iterator[bytes]:
        for start in range(0, self.size, PART):
            yield self[start : start + PART]

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, wanted: slice) -> bytes:
        start, stop, _ = wanted.indices(self.size)
        if self._disk is None:
            return bytes(self._near[start:stop])
        return os.pread(self._disk.fileno(), max(0, stop - start), start)

    def __reduce__(self) -> tuple[Any, ...]:
        return Content, (self[:],)


def drawn(start: bytes, size: int, seed: int | None) -> Content:
    """`start`, and behind it zeros up to `size`, or what `seed` draws."""
    content = Content(start)
    dice = random.Random(seed)
    while (left := size - len(content)) > 0:
        part = min(left, PART)
        content.append(bytes(part) if seed is None else dice.randbytes(part))
    return content
