"""Whether the process of this container answers: the image's health check, by the standard library alone.

It asks `/health/live`, which looks at no server: of a gateway (and `zaptrix up`) at PORT, of a worker at METRICS_PORT.
"""

import http.client
import os
import sys

WAIT_S = 4.0


def main() -> int:
    host = os.environ.get("HOST", "")
    here = "127.0.0.1" if host in {"", "0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    ports = [int(os.environ.get(name) or usual) for name, usual in (("PORT", 3000), ("METRICS_PORT", 9464))]
    if any(lives(here, port) for port in ports):
        return 0
    print(f"nothing answers /health/live on {here}, port {' or '.join(map(str, ports))}")
    return 1


def lives(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=WAIT_S)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
