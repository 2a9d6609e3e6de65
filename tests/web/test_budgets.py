"""A portal that has used up its day: what its callers are told, and what its neighbours notice."""

from pathlib import Path

from tests.web.gateway import Gateway, Json, Reply, a_conversation, a_gateway

MEGABYTE = 1_000_000


async def upload(gateway: Gateway, conversation: str, key: str, size: int) -> Reply:
    body = (
        f'--b\r\nContent-Disposition: form-data; name="conversation_id"\r\n\r\n{conversation}\r\n'
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
        "Content-Type: application/pdf\r\n\r\n"
    ).encode()
    return await gateway.call(
        "POST",
        "/api/messages/document",
        key=key,
        data=body + b"%PDF-1.4" + b"x" * size + b"\r\n--b--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )


async def test_over_its_files_of_a_day_a_portal_is_told_to_wait_and_its_neighbour_is_not(
    database_url: str, redis_url: str, folder: Path
) -> None:
    gateway = await a_gateway(folder, database_url, redis_url, PORTAL_FILES_MB_PER_DAY="2")
    try:
        one, other = [await _tenant(gateway) for _ in range(2)]
        assert [(await upload(gateway, **one, size=size)).status for size in (MEGABYTE, MEGABYTE)] == [202, 202]
        refused = await upload(gateway, **one, size=10)
        assert refused.status == 429
        assert "PORTAL_FILES_MB_PER_DAY" in refused.problem["detail"]
        assert 0 < int(refused.headers["Retry-After"]) <= 86_400
        assert (await upload(gateway, **other, size=MEGABYTE)).status == 202
        text = {"conversation_id": one["conversation"], "text": "palavras ainda vão"}
        assert (await gateway.call("POST", "/api/messages/text", text, key=one["key"])).status == 202
    finally:
        gateway.stop()


async def _tenant(gateway: Gateway) -> Json:
    portal = await gateway.portal()
    channel = await gateway.channel(portal["id"])
    return {"conversation": await a_conversation(gateway, channel), "key": await gateway.key_for(portal["id"])}
