"""Webhooks posted by hand to a world's real doors, as the platforms sign and vouch for them."""

import hashlib
import hmac

from proof.world import World

META = "/webhooks/meta"
BITRIX24 = "/webhooks/bitrix24/outbound"


async def post_to_meta(world: World, body: bytes, request_id: str = "") -> int:
    """Signed with the application's secret; the answer's status."""
    signature = hmac.new(b"demo-app-secret", body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json"}
    return await _post(world, META, body, headers | _named(request_id))


async def post_to_bitrix24(world: World, body: bytes, request_id: str = "") -> int:
    """The form vouches for itself, with its application token."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return await _post(world, BITRIX24, body, headers | _named(request_id))


def _named(request_id: str) -> dict[str, str]:
    return {"X-Request-Id": request_id} if request_id else {}


async def _post(world: World, path: str, body: bytes, headers: dict[str, str]) -> int:
    async with world.session.post(f"{world.url}{path}", data=body, headers=headers) as answer:
        return answer.status
