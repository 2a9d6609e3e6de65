"""The room as the rest of the house sees it."""

from __future__ import annotations

from dataclasses import dataclass

from zaptrix.media.blobs import Blobs
from zaptrix.media.fetch import Fetcher
from zaptrix.media.links import Links


@dataclass(frozen=True)
class MediaRoom:
    """Where files are kept, how they come, and the addresses by which others fetch them."""

    blobs: Blobs
    fetcher: Fetcher
    links: Links
