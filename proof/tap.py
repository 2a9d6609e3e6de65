"""A tap between one process and PostgreSQL: it knows a claim when it passes, and it can go dead without a goodbye."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from yarl import URL

CHUNK_BYTES = 64 * 1024
# The statements that give messages to a worker to be sent (`store/ledger/claims.py`).
_CLAIMS = b"state = 'sending', claimed_at"
# What the first row of a statement that was prepared before comes with: it is bound, and a row follows.
_BOUND_AND_ROWS = b"2\x00\x00\x00\x04D"
_PARSED = b"1\x00\x00\x00\x04"  # one without a name is parsed once more, just before
_HEAD = 5  # a letter and four bytes of length: https://www.postgresql.org/docs/current/protocol-message-formats.html

Caught = Callable[[], Awaitable[None]]


class Tap:
    """Passes on what is said, both ways. `url` is where the process finds PostgreSQL.

    `silent_s`: how long PostgreSQL's end of a dead wire stays open; by itself for ever. One between hosts ends by the
    keepalives that each session asks for (`zaptrix.store.connection.dialling`), which a Unix socket has not.
    """

    def __init__(self, url: str, folder: Path, *, silent_s: float | None = None) -> None:
        self._silent_s = silent_s
        told = URL(url).query
        socket, hosts = f".s.PGSQL.{told.get('port', '5432')}", told["host"].split(",")
        # Of several each has its own end here, so that who dials still chooses among them.
        folders = [folder / str(place) if len(hosts) > 1 else folder for place in range(len(hosts))]
        self._ends = {each / socket: Path(host, socket) for each, host in zip(folders, hosts, strict=True)}
        self.url = str(URL(url).update_query(host=",".join(map(str, folders))))
        self._servers: list[asyncio.Server] = []
        self._wires: set[asyncio.Task[None]] = set()
        self._dead = asyncio.Event()
        self._caught: Caught | None = None

    async def start(self) -> None:
        for end, behind in self._ends.items():
            end.parent.mkdir(parents=True, exist_ok=True)
            self._servers.append(await asyncio.start_unix_server(partial(self._serve, behind), end))

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for wire in self._wires:
            wire.cancel()
        await asyncio.gather(*self._wires, return_exceptions=True)

    def on_claim(self, caught: Caught | None) -> None:
        """When messages are on their way to the worker that claims them, `caught` is done before they arrive; once."""
        self._caught = caught

    @property
    def is_dead(self) -> bool:
        return self._dead.is_set()

    def go_dead(self) -> None:
        """As when a host loses its power: nothing passes any more, and PostgreSQL's ends of the wires stay open for
        `silent_s`."""
        self._dead.set()

    async def _serve(self, behind: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = asyncio.current_task()
        assert wire is not None
        self._wires.add(wire)
        to_server: asyncio.StreamWriter | None = None
        try:
            with suppress(OSError):
                server, to_server = await asyncio.open_unix_connection(behind)
                await self._join(_Talk(), (reader, writer), (server, to_server))
        except asyncio.CancelledError:
            pass  # stopped
        finally:
            self._wires.discard(wire)
            for each in filter(None, (writer, to_server)):
                each.transport.abort()

    async def _join(self, talk: "_Talk", client: "_Ends", server: "_Ends") -> None:
        """Until either end hangs up; when the tap has gone dead, until it is stopped."""
        flows = [
            asyncio.create_task(self._flow(client[0], server[1], talk.asked)),
            asyncio.create_task(self._flow(server[0], client[1], talk.answered)),
        ]
        try:
            await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
            if self._dead.is_set():
                if self._silent_s is not None:
                    await asyncio.sleep(self._silent_s)
                    server[1].transport.abort()
                await asyncio.Event().wait()
        finally:
            for flow in flows:
                flow.cancel()
            await asyncio.gather(*flows, return_exceptions=True)

    async def _flow(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sees_claim: Callable[[bytes], bool]
    ) -> None:
        with suppress(OSError):
            while part := await reader.read(CHUNK_BYTES):
                if sees_claim(part) and self._caught is not None:
                    caught, self._caught = self._caught, None
                    await caught()
                if self._dead.is_set():
                    return
                writer.write(part)
                await writer.drain()


_Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Talk:
    """What one connection speaks of, as far as claims go."""

    def __init__(self) -> None:
        self._asked = bytearray()
        self._begun = False
        self._claims: set[bytes] = set()  # names of prepared statements
        self._claiming = False

    def asked(self, part: bytes) -> bool:
        self._asked += part
        if not self._begun:  # the first message has no letter
            if len(self._asked) < 4 or len(self._asked) < (length := int.from_bytes(self._asked[:4])):
                return False
            del self._asked[:length]
            self._begun = True
        for letter, body in _messages(self._asked):
            names = body.split(b"\0", 2)
            if letter == ord("P"):  # behind a pooler no statement has a name, and the next one takes its place
                (self._claims.add if _CLAIMS in body else self._claims.discard)(names[0])
            elif letter == ord("B"):
                self._claiming = names[1] in self._claims
        return False

    def answered(self, part: bytes) -> bool:
        """Whether rows of a claim are in it."""
        claiming, self._claiming = self._claiming, False
        return claiming and part.removeprefix(_PARSED).startswith(_BOUND_AND_ROWS)


def _messages(buffer: bytearray) -> list[tuple[int, bytes]]:
    """The whole messages at its beginning, which are taken out of it."""
    found = []
    while len(buffer) >= _HEAD and len(buffer) >= (end := 1 + int.from_bytes(buffer[1:_HEAD])):
        found.append((buffer[0], bytes(buffer[_HEAD:end])))
        del buffer[:end]
    return found
