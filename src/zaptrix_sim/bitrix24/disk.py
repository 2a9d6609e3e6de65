"""The method disk.file.get: a chat's file by its id, with an address for the application alone.

https://apidocs.bitrix24.com/api-reference/disk/file/disk-file-get.html
"""

from typing import Any, Final
from urllib.parse import quote

from zaptrix_sim.bitrix24.call import Call, Method
from zaptrix_sim.bitrix24.time_block import iso
from zaptrix_sim.world.bitrix24_errors import RestError, refusal

NO_DISK: Final = "no_disk"
"""A portal's feature: its application was installed without the right to the disk."""


async def file_get(call: Call) -> Any:
    if NO_DISK in call.portal.features:
        raise refusal("insufficient_scope")
    file = call.engine.world.files.get(str(call.need("id")))
    if file is None or file.owner != call.portal.key:
        raise RestError("ERROR_NOT_FOUND", "Could not find entity with id.", 400)
    root = f"{call.engine.url}/bitrix24/{call.portal.key}"
    address = f"{root}/disk/downloadFile/{file.id}/?&ncc=1&filename={quote(file.name)}&auth={call.token.value}"
    return {
        "ID": file.id,
        "NAME": file.name,
        "TYPE": "file",
        "SIZE": str(len(file.content)),
        "CREATE_TIME": iso(file.at),
        "DOWNLOAD_URL": address,
    }


METHODS: Final[dict[str, Method]] = {"disk.file.get": file_get}
