"""`python -m zaptrix_sim`: both platforms on one port, until it is told to stop."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import fields

from aiohttp import web

from zaptrix_sim.server import application
from zaptrix_sim.settings import Options, Settings

GRACE_S = 2.0


async def serve(settings: Settings, options: Options) -> None:
    """Serve until SIGINT or SIGTERM. Raises OSError when the port is taken."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(application(settings, options), access_log=None, shutdown_timeout=GRACE_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port, backlog=1024).start()
        print(f"simulators: http://{settings.host}:{settings.port}/", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


def _told_about() -> str:
    knobs = " ".join(f"SIM_{field.name.upper()}" for field in fields(Options))
    return f"""Simulators of WhatsApp's Cloud API and of Bitrix24 on one port, to try Zaptrix; theirs are no secrets.
Everything is set by variables: SIM_HOST (127.0.0.1 or another address of this machine), SIM_PORT (3900), SIM_DATA_DIR
(empty: forget all at the end), GATEWAY_URL (http://127.0.0.1:3000), SIM_PUBLIC_URL, and the knobs {knobs}."""


def main() -> int:
    argparse.ArgumentParser(prog="python -m zaptrix_sim", description=_told_about()).parse_args()
    os.umask(0o077)
    try:
        settings, options = Settings.from_env(os.environ), Options.from_env(os.environ)
    except ValueError as error:
        print(f"zaptrix_sim: {error}", file=sys.stderr)
        return 2
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 faster where it is installed, and not needed

        uvloop.install()
    try:
        asyncio.run(serve(settings, options))
    except OSError as error:
        print(f"zaptrix_sim: {settings.host}:{settings.port} cannot be used: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
