"""A real S3: rclone's server, with signed requests, over plain HTTP or TLS, on a folder.

https://rclone.org/commands/rclone_serve_s3/
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from proof.ports import free_port
from tests.processes import wait_for
from tests.programs import program
from zaptrix.cli.local.children import Child, Program

KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"
BUCKET = "media"


@dataclass(kw_only=True)
class S3Server:
    """One server with one bucket; it can be stopped and started again on its address."""

    folder: Path
    certificate: Path | None = None
    """A PEM file of a key and its certificate: it speaks TLS."""
    port: int = field(default_factory=free_port)
    _child: Child | None = None

    @property
    def endpoint(self) -> str:
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """What a process of ours is given."""
        return {
            "MEDIA_URL": f"s3://{BUCKET}/files",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def objects(self) -> list[Path]:
        """What is in the bucket."""
        return [path for path in (self.folder / BUCKET).rglob("*") if path.is_file()]

    def start(self) -> None:
        (self.folder / BUCKET).mkdir(parents=True, exist_ok=True)
        tls = ["--cert", str(self.certificate), "--key", str(self.certificate)] if self.certificate else []
        own = ["--config", "/dev/null", "--no-cleanup"]  # a folder that is tidied away holds up who writes into it
        served = ["serve", "s3", "--addr", f"127.0.0.1:{self.port}", "--auth-key", f"{KEY_ID},{SECRET}", *own, *tls]
        argv = [str(program("rclone")), *served, str(self.folder)]
        self._child = Child(Program(name="s3", argv=argv, log=self.folder.with_suffix(".log"), stop_wait_s=5))
        wait_for(self._listens, 30, "the S3 server")

    def stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def running_s3(folder: Path, certificate: Path | None = None) -> Iterator[S3Server]:
    """Stopped at the end."""
    server = S3Server(folder=folder, certificate=certificate)
    server.start()
    try:
        yield server
    finally:
        server.stop()
