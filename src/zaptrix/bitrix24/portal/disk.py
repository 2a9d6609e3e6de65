"""The files of a portal by their ids on its disk: an address that is good for a moment, for the application alone.

https://apidocs.bitrix24.com/api-reference/disk/file/disk-file-get.html
"""

from __future__ import annotations

from urllib.parse import urljoin

from zaptrix.bitrix24 import wire
from zaptrix.bitrix24.disknames import linked_in, named_in
from zaptrix.bitrix24.rest.client import PortalClient
from zaptrix.core.delivery.errors import Refused, Unexpected
from zaptrix.core.portal import Portal

_NOT_THERE = "ERROR_NOT_FOUND"  # of the disk: somebody deleted the file. Elsewhere it would be a riddle.


class PortalDisk:
    """Implements `core.ports.PortalFiles`."""

    def __init__(self, client: PortalClient) -> None:
        self._client = client

    async def address(self, portal: Portal, source: str) -> str:
        """Where `source` can be fetched right now. Raises PlatformError."""
        file_id = named_in(source)
        if file_id is None:
            # Behind a proxy a portal may not know its own name.
            return urljoin(portal.portal_url, source) if source.startswith("/") else source
        try:
            return await self._ask(portal, file_id)
        except Refused as error:
            raise Refused("file_not_given", error.code, notice="late_file") from error

    async def fresh(self, portal: Portal, source: str) -> str | None:
        """Another address of the same file; None when the portal tells none. Raises PlatformError."""
        file_id = linked_in(source)
        try:
            return await self._ask(portal, file_id) if file_id else None
        except Refused:
            return None

    async def _ask(self, portal: Portal, file_id: int) -> str:
        """It holds a token: it goes into no table and no log."""
        try:
            url = await self._client.ask(portal, "disk.file.get", {"id": file_id}, _download_url)
        except Unexpected as error:
            if error.code != _NOT_THERE:
                raise
            raise Refused("no_result", error.code) from error
        if not url:
            raise Refused("no_result", "disk.file.get")
        return url


def _download_url(told: object) -> str:
    url = wire.dig(told, "DOWNLOAD_URL")
    return url if isinstance(url, str) else ""
