"""The record of a number: what an admin would copy from Meta's pages."""

from typing import Any

from zaptrix_sim.world.engine import Engine
from zaptrix_sim.world.world import Number


def number_record(engine: Engine, number: Number) -> dict[str, Any]:
    return {
        "phone_number_id": number.id,
        "display_phone_number": number.display,
        "waba_id": number.waba_id,
        "mps": number.mps,
        "access_token": number.access_token,
        "app_secret": engine.options.app_secret,
        "verify_token": engine.options.verify_token,
    }
