"""The parts of this package that the rest of the gateway uses: stored files, the fetcher and signed addresses."""

from __future__ import annotations

from dataclasses import dataclass

from zaptrix.media.blobs import Blobs
from zaptrix.media.fetch import Fetcher
from zaptrix.media.object_store import S3Access
from zaptrix.media.signed_links import Links
from zaptrix.settings import Settings


@dataclass(frozen=True)
class MediaRoom:
    """Where files are kept, how they come, and the addresses by which others fetch them."""

    blobs: Blobs
    fetcher: Fetcher
    links: Links

    @classmethod
    def of(cls, settings: Settings) -> MediaRoom:
        return cls(
            Blobs(settings.media_url, settings.data_dir / "media", S3Access.of(settings)),
            Fetcher(private=settings.media_private_networks, timeout_s=settings.media_timeout_s),
            Links(settings.public_url, settings.encryption_keys),
        )
