"""Both platforms for the gateways of these tests: one process of simulators, which ends with the tests."""

from __future__ import annotations

import atexit
import functools
import itertools
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any
from uuid import uuid4

from proof.ports import free_port

Json = dict[str, Any]
START_S_MAX = 60.0
_numbers = itertools.count(1)


class Simulators:
    """What an admin and the world do at the platforms. It waits for the answer: one is there in a millisecond."""

    def __init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        environ = {"SIM_PORT": self.url.rpartition(":")[2], "GATEWAY_URL": "http://127.0.0.1:9"}
        quiet = subprocess.DEVNULL  # what runs tests side by side speaks with them by these
        process = subprocess.Popen(
            [sys.executable, "-m", "zaptrix_sim"], env=environ, stdin=quiet, stdout=quiet, stderr=quiet
        )
        atexit.register(process.kill)
        deadline = time.monotonic() + START_S_MAX
        while not self._answers():
            assert process.poll() is None, "the simulators ended while starting"
            assert time.monotonic() < deadline, "the simulators did not start"

    @property
    def environ(self) -> dict[str, str]:
        """What a gateway on them is told."""
        return {
            "META_GRAPH_URL": f"{self.url}/meta",
            "BITRIX_OAUTH_URL": f"{self.url}/bitrix24/oauth/token/",
            "MEDIA_PRIVATE_NETWORKS": "127.0.0.1/32",
        }

    def control(self, method: str, path: str, body: object = None) -> Any:
        data = json.dumps(body or {}).encode() if method != "GET" else None
        request = urllib.request.Request(f"{self.url}/control/{path}", data=data, method=method)  # noqa: S310
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read())

    def portal(self) -> Json:
        """A new account with one line, and the tokens of its application."""
        told: Json = self.control("POST", "portals", {"portal": f"p{next(_numbers)}-{uuid4().hex[:8]}"})
        return told

    def number(self, phone_number_id: str = "", waba_id: str = "", *, subscribed: bool = False) -> Json:
        """A number, new unless it is there, in an account of its own unless one is named."""
        wanted = {
            "phone_number_id": phone_number_id or f"{uuid4().int % 10**15:015d}",
            "waba_id": waba_id or f"{uuid4().int % 10**15:015d}",
            "subscribed": subscribed,
        }
        told: Json = self.control("POST", "numbers", wanted)
        return told

    def unsubscribe(self, waba_id: str, token: str) -> None:
        """Somebody takes an account's webhooks away from the app."""
        request = urllib.request.Request(f"{self.url}/meta/v26.0/{waba_id}/subscribed_apps", method="DELETE")  # noqa: S310
        request.add_header("Authorization", f"Bearer {token}")
        urllib.request.urlopen(request, timeout=30).close()  # noqa: S310

    def faults(self, *faults: Json) -> None:
        """Until `heal`."""
        self.control("PUT", "faults", {"seed": 1, "faults": list(faults)})

    def heal(self) -> None:
        self.control("DELETE", "faults")

    def _answers(self) -> bool:
        try:
            return bool(self.control("GET", "health"))
        except (urllib.error.URLError, OSError):
            return False


@functools.cache
def simulators() -> Simulators:
    """The ones of this test process."""
    return Simulators()
