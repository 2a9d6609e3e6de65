"""`zaptrix backup`: rows, files and spool into an archive, which is read back before it is called one."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
from rich.progress import Progress, TaskID

import zaptrix
from zaptrix.cli.errors import StartError
from zaptrix.core.installation.backup import FORMAT, ArchiveObject, Manifest, Table, fingerprint, surplus
from zaptrix.media.archives import Archive, ArchiveError, Archives, lines, name_at, unzipped, zipped
from zaptrix.media.blobs import Blobs, BlobsAway, NoSuchBlob
from zaptrix.media.object_store import S3Access
from zaptrix.settings import Settings
from zaptrix.store.accounts.resealing import SEALED
from zaptrix.store.backup import dump
from zaptrix.store.backup.dump import Shape, SnapshotFacts
from zaptrix.store.connection.database import Session
from zaptrix.store.encryption import SecretBox

MEDIA, SPOOL = "media/", "spool/"
_SPOOLED = (".event", ".held", ".bad")


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was made and read back."""

    where: str
    manifest: Manifest
    unreadable: int  # secrets that are under none of ENCRYPTION_KEYS
    removed: list[str]  # older archives


async def make(settings: Settings, where: str, *, media: bool, keep: int, progress: Progress) -> Made:
    """Raises StartError, and what asyncpg raises. SIGTERM breaks it off, and what it has begun is removed."""
    stopped = asyncio.Event()
    working = asyncio.create_task(_make(settings, where, media=media, keep=keep, progress=progress))

    def stop() -> None:
        if not stopped.is_set():  # a second signal does not keep it from removing what it has begun
            stopped.set()
            working.cancel()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    try:
        return await working
    except asyncio.CancelledError:
        if not stopped.is_set():
            raise
        raise StartError("the backup was not finished: it was told to stop (SIGTERM); run it again") from None
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def _make(settings: Settings, where: str, *, media: bool, keep: int, progress: Progress) -> Made:
    archives, now = Archives(where, S3Access.of(settings)), datetime.now(UTC)
    name = name_at(now)
    try:
        archive = await archives.begin(name)
        done = False
        try:
            writing = _Writing(settings, archive, progress)
            async with dump.session(settings.session_url) as session:
                manifest = await writing.all(session, media=media)
            await verify(archive, manifest, progress)
            place = await archives.finish(archive, name, msgspec.json.format(msgspec.json.encode(manifest)))
            done = True
        finally:
            if not done:
                await archives.drop(name)
        removed = surplus(await archives.names(), keep)
        for old in removed:
            await archives.remove(old)
        await archives.sweep(now)
    except ArchiveError as exc:
        raise StartError(
            f"no backup was made: {exc}; make room and see that --to can be written, then run it again"
        ) from exc
    except BlobsAway as exc:
        raise StartError(
            f"no backup was made: files cannot be read where they are kept ({exc}); mend MEDIA_URL, or leave them out "
            "with --no-media"
        ) from exc
    return Made(where=place, manifest=manifest, unreadable=writing.keys[None], removed=removed)


async def verify(archive: Archive, manifest: Manifest, progress: Progress) -> None:
    """Read every part: its bytes are those that were written, and there are as many rows and files as are told of.

    Raises ArchiveError.
    """
    task = progress.add_task("checking", total=len(manifest.tables) + manifest.file_count)
    for table in manifest.tables:
        found = 0
        async for piece in unzipped(archive.read(table.part)):
            found += piece.count(b"\n")
        if found != table.rows:
            raise ArchiveError(f"{table.part.path} holds {found} rows instead of {table.rows}")
        progress.advance(task)
    files = 0
    async for part in files_of(archive, manifest):
        async for _ in archive.read(part):
            pass
        files += 1
        progress.advance(task)
    if files != manifest.file_count:
        raise ArchiveError(f"{manifest.files.path} names {files} files instead of {manifest.file_count}")


async def files_of(archive: Archive, manifest: Manifest) -> AsyncIterator[ArchiveObject]:
    """The files in an archive. Raises ArchiveError."""
    async for line in lines(unzipped(archive.read(manifest.files))):
        try:
            yield msgspec.json.decode(line, type=ArchiveObject)
        except msgspec.MsgspecError as exc:
            raise ArchiveError(f"{manifest.files.path} is no list of files") from exc


class _Writing:
    """One archive on its way."""

    def __init__(self, settings: Settings, archive: Archive, progress: Progress) -> None:
        self._settings = settings
        self._archive = archive
        self._progress = progress
        self._box = SecretBox(settings.encryption_keys)
        self._blobs = Blobs(settings.media_url, settings.data_dir / "media", S3Access.of(settings))
        self.keys: Counter[int | None] = Counter()  # secrets, by the place of their key
        self._missing = 0

    async def all(self, session: Session, *, media: bool) -> Manifest:
        async with dump.snapshot(session):
            taken = await dump.taken(session)
            shapes = await dump.shapes(session)
            tables = tuple([await self._table(session, shape) for shape in shapes])
            blobs = await self._named_blobs(session) if media else []
        # Files last: what a row names was there before it, and the snapshot holds nobody up meanwhile.
        files = [part async for part in self._files(blobs, taken.at.date())]
        listed = await self._archive.write("files.jsonl.gz", zipped(_as_lines(files)))
        return self._manifest(taken, tables, files, listed, media=media)

    async def _named_blobs(self, session: Session) -> list[str]:
        mark = await dump.media_mark(session)
        if mark is not None and not await self._blobs.is_marked(mark.hex):
            raise StartError(
                "no backup was made: files are not kept where MEDIA_URL, or DATA_DIR/media, leads from here; set it as "
                "the gateways have it, or leave files out with --no-media"
            )
        return await dump.blobs(session)

    def _manifest(
        self,
        taken: SnapshotFacts,
        tables: tuple[Table, ...],
        files: list[ArchiveObject],
        listed: ArchiveObject,
        *,
        media: bool,
    ) -> Manifest:
        keys = self._settings.encryption_keys
        return Manifest(
            format=FORMAT,
            release=zaptrix.__version__,
            revision=taken.revision,
            dumped_at=taken.at,
            finished_at=datetime.now(UTC),
            tables=tables,
            sequences=taken.sequences,
            days=taken.days,
            keys=tuple(fingerprint(key) for place, key in enumerate(keys) if self.keys[place]),
            files=listed,
            file_count=len(files),
            media=media,
            media_missing=self._missing,
        )

    async def _table(self, session: Session, shape: Shape) -> Table:
        seen = _Rows(shape, self._progress, self._progress.add_task(shape.name, total=shape.rows))
        rows = seen.passing(dump.rows(session, shape))
        part = await self._archive.write(f"rows/{shape.name}.gz", zipped(rows))
        table = Table(name=shape.name, columns=shape.columns, rows=seen.count, part=part)
        for line in seen.kept.splitlines():
            for sealed in dump.secrets_in(table, line):
                self.keys[self._box.key_of(sealed)] += 1
        return table

    async def _files(self, keys: list[str], today: date) -> AsyncIterator[ArchiveObject]:
        """Those that are kept still; one that was forgotten meanwhile is only counted."""
        first = (today - timedelta(days=self._settings.media_retention_days)).isoformat()
        young = [key for key in keys if key >= first]
        task = self._progress.add_task("files", total=len(young))
        for key in young:
            try:
                yield await self._archive.write(MEDIA + key, self._blobs.read(key))
            except NoSuchBlob:
                self._missing += 1
            self._progress.advance(task)
        for path in await asyncio.to_thread(_spooled, self._settings.data_dir / "spool"):
            if (body := await asyncio.to_thread(_content, path)) is not None:
                yield await self._archive.write(SPOOL + path.name, _once(body))


class _Rows:
    """Counts a table's rows while they pass, and keeps those with secrets."""

    def __init__(self, shape: Shape, progress: Progress, task: TaskID) -> None:
        self._keeps = shape.name in SEALED
        self._progress, self._task = progress, task
        self.count = 0
        self.kept = b""

    async def passing(self, pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            self.count += piece.count(b"\n")
            self._progress.update(self._task, completed=self.count)
            if self._keeps:
                self.kept += piece
            yield piece
        # What PostgreSQL estimated is seldom what there is.
        self._progress.update(self._task, total=self.count, completed=self.count)


async def _as_lines(parts: list[ArchiveObject]) -> AsyncIterator[bytes]:
    for part in parts:
        yield msgspec.json.encode(part) + b"\n"


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


def _spooled(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix in _SPOOLED) if folder.is_dir() else []


def _content(path: Path) -> bytes | None:
    """None: it is in PostgreSQL by now."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
