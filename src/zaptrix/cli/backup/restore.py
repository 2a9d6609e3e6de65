"""`zaptrix restore`: an archive into an empty database, whose ledger is suspect from then on."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.progress import Progress

from zaptrix.broker.connection.connection import connect
from zaptrix.broker.pace.pace import forget_pace
from zaptrix.broker.queues.bells import Bells
from zaptrix.broker.stats import look_at_redis
from zaptrix.cli.backup.backup import MEDIA, SPOOL, files_of, verify
from zaptrix.cli.errors import Interrupted, StartError
from zaptrix.cli.local.data_folder import data_folder, private
from zaptrix.cli.local.servers import keep_keys, kept_keys, servers_in
from zaptrix.core.installation.backup import UNKNOWABLE, ArchiveUnreadable, Manifest, Table, check, first_id_after
from zaptrix.core.installation.faults import Unfit
from zaptrix.core.portal import Locale
from zaptrix.media.archives import Archive, ArchiveError, Archives, archive_at, lines, unzipped
from zaptrix.media.blobs import Blobs, BlobsAway
from zaptrix.media.object_store import S3Access
from zaptrix.settings import Settings
from zaptrix.store.accounts.resealing import SEALED
from zaptrix.store.backup import dump, restores
from zaptrix.store.backup.dump import NotEmpty
from zaptrix.store.backup.restores import Marked
from zaptrix.store.connection.database import Session, open_database
from zaptrix.store.encryption import SecretBox
from zaptrix.store.schema.migrate import upgrade
from zaptrix.store.schema.schema import revisions


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was restored. `marked` None: nothing was, it was only looked whether it could be."""

    manifest: Manifest
    marked: Marked | None
    spooled: int = 0


@contextmanager
def servers_of(settings: Settings) -> Iterator[Settings]:
    """Settings that name servers: those that are given, or the folder's own, for as long as it takes."""
    if settings.database_url:
        settings.need("REDIS_URL")
        yield settings
        return
    with data_folder(settings.data_dir) as folder:
        servers = servers_in(folder)
        servers.start()
        try:
            yield msgspec.structs.replace(
                settings, database_url=servers.postgres.url, redis_url=settings.redis_url or servers.redis.url
            )
        except BaseException:
            servers.stop()
            raise
        try:
            servers.stop()
        except KeyboardInterrupt as exc:
            raise Interrupted("all was done, only the servers of DATA_DIR were still to stop") from exc


def with_keys(settings: Settings) -> Settings:
    """Settings with the keys that are given, or those that DATA_DIR keeps. Raises StartError."""
    if keys := settings.encryption_keys or kept_keys(settings.data_dir):
        return msgspec.structs.replace(settings, encryption_keys=keys)
    raise StartError(
        "ENCRYPTION_KEYS is not set; give the keys of the house that made the backup: "
        "its DATA_DIR/keys/encryption.key, or what `zaptrix keys unseal` prints"
    )


async def look(settings: Settings, where: str) -> None:
    """Before anything is started for it: whether there is an archive. Raises StartError."""
    try:
        s3 = S3Access.of(settings)
        await _manifest(archive_at(where, s3), where, s3)
    except ArchiveError as exc:
        raise StartError(f"{where} cannot be restored: {exc}") from exc


async def restore(
    settings: Settings, where: str, *, own: bool, stopped_at: datetime | None, dry_run: bool, progress: Progress
) -> Restored:
    """Raises StartError, and what asyncpg raises. Whatever breaks off, the database is as empty as it was.

    With `own` it is the database of DATA_DIR, which keeps the keys of what is restored, as `zaptrix up` reads them.
    """
    try:
        s3 = S3Access.of(settings)
        archive = archive_at(where, s3)
        manifest = await _manifest(archive, where, s3)
        check(manifest, revisions=revisions(), keys=settings.encryption_keys)
        _check_stop(manifest, stopped_at)
        await verify(archive, manifest, progress)
        await _check_secrets(archive, manifest, SecretBox(settings.encryption_keys))
        await _check_place(settings)
        if dry_run:
            return Restored(manifest=manifest, marked=None)
        spooled = await _put_files(settings, archive, manifest, progress)
        await _forget_redis(settings)
        if own:
            await asyncio.to_thread(keep_keys, settings.data_dir, settings.encryption_keys)
        marked = await _put_rows(settings.session_url, archive, manifest, stopped_at, progress)
    except (ArchiveError, ArchiveUnreadable) as exc:
        raise StartError(f"{where} cannot be restored: {exc}") from exc
    except NotEmpty as exc:
        raise StartError(
            f"the database is not empty (there are rows in {exc}), and a restore never mixes two; "
            "make an empty one (CREATE DATABASE), name it in DATABASE_URL, and restore into that"
        ) from exc
    except BlobsAway as exc:
        raise StartError(f"files cannot be written ({exc}); mend MEDIA_URL or DATA_DIR, then run it again") from exc
    try:
        await upgrade(settings.session_url, pooled_url=settings.pooled_url)
    except asyncio.CancelledError as exc:
        raise Interrupted("everything is restored; `zaptrix migrate` brings the schema to this release") from exc
    return Restored(manifest=manifest, marked=marked, spooled=spooled)


async def report_of(settings: Settings, language: Locale) -> str:
    """Of the last restore. Raises StartError, StoreUnavailable."""
    database = await open_database(settings.database_url)
    try:
        async with database.connection() as connection:
            report = await restores.report(connection)
    finally:
        await database.close()
    if report is None:
        raise StartError("this database was never restored from a backup")
    told = msgspec.structs.replace(report, unknowable=UNKNOWABLE[language])
    return msgspec.json.format(msgspec.json.encode(told)).decode()


async def _manifest(archive: Archive, where: str, s3: S3Access) -> Manifest:
    found = await archive.manifest()
    if found is None:
        names = await Archives(where, s3).names()
        told = (
            f"name one of those in it, such as {names[-1]}" if names else "name the folder that `zaptrix backup` made"
        )
        raise ArchiveError(f"it holds no manifest, so it is no whole archive; {told}")
    try:
        return msgspec.json.decode(found, type=Manifest)
    except (msgspec.MsgspecError, ValueError) as exc:
        raise ArchiveError("its manifest cannot be read; take another archive") from exc


def _check_stop(manifest: Manifest, stopped_at: datetime | None) -> None:
    if stopped_at is not None and stopped_at < manifest.dumped_at:
        raise StartError(f"--stopped-at is before the backup, which is of {manifest.dumped_at:%Y-%m-%dT%H:%M:%SZ}")


async def _check_secrets(archive: Archive, manifest: Manifest, box: SecretBox) -> None:
    """Raises ArchiveUnreadable when a secret of the archive opens with none of our keys."""
    closed = 0
    for table in manifest.tables:
        if table.name in SEALED:
            async for line in lines(unzipped(archive.read(table.part))):
                closed += sum(box.key_of(sealed) is None for sealed in dump.secrets_in(table, line))
    if closed:
        needed = f", with the fingerprint {', '.join(manifest.keys)}" if manifest.keys else ""
        raise ArchiveUnreadable(
            f"{closed} secrets are under no key of ENCRYPTION_KEYS; add the keys of that day{needed}"
        )


async def _check_place(settings: Settings) -> None:
    """Raises StartError unless the database is empty and nobody works on it."""
    async with dump.session(settings.session_url) as session:
        # Emptiness first: a restore leaves a gateway's sign of life itself.
        await dump.check_empty(session)
        if await dump.is_served(session):
            raise StartError("a gateway runs on this database; stop all gateways and workers, wait 15 s, then restore")
    redis = connect(settings.redis_url)
    bells = Bells(redis)
    try:
        health = await look_at_redis(redis, bells)
    finally:
        await bells.close()
        await redis.aclose()
    if health.fault is not None:
        raise Unfit(health.fault)
    if health.worked:
        raise StartError("workers run on this Redis; stop all gateways and workers, then restore")


async def _put_files(settings: Settings, archive: Archive, manifest: Manifest, progress: Progress) -> int:
    """Files of messages to their place; what was spooled is put aside: the portals' histories tell of it.

    How many of those there were.
    """
    blobs = Blobs(settings.media_url, settings.data_dir / "media", S3Access.of(settings))
    spool, spooled = settings.data_dir / "spool", 0
    task = progress.add_task("files", total=manifest.file_count)
    async for part in files_of(archive, manifest):
        if part.path.startswith(MEDIA):
            await blobs.put_back(part.path.removeprefix(MEDIA), archive.read(part))
        elif part.path.startswith(SPOOL):
            name = Path(part.path.removeprefix(SPOOL)).with_suffix(".bad").name
            body = b"".join([piece async for piece in archive.read(part)])
            await asyncio.to_thread((private(spool) / name).write_bytes, body)
            spooled += 1
        progress.advance(task)
    return spooled


async def _forget_redis(settings: Settings) -> None:
    """Its caches know conversations that the restored ledger does not, and tokens that are older than the portal's.

    How often the platforms were called a moment ago is not known any more either.
    """
    redis = connect(settings.redis_url)
    try:
        await redis.flushdb()
        await forget_pace(redis)
    finally:
        await redis.aclose()


async def _put_rows(
    url: str, archive: Archive, manifest: Manifest, until: datetime | None, progress: Progress
) -> Marked:
    await upgrade(url, manifest.revision)
    async with dump.session(url) as session:
        if (there := await dump.revision(session)) != manifest.revision:
            raise StartError(
                f"the database has the schema {there}, which is newer than the archive's ({manifest.revision}); "
                "make an empty one (CREATE DATABASE) without a schema, and restore into that"
            )
        await dump.add_days(session, manifest.days)
        async with dump.loading(session):
            await dump.check_empty(session)
            for table in manifest.tables:
                await _put_table(session, archive, table, progress)
            age = datetime.now(UTC) - manifest.dumped_at
            for name, last in manifest.sequences.items():
                await dump.set_sequence(session, name, first_id_after(last, age))
            return await restores.mark(session, manifest.dumped_at, until)


async def _put_table(session: Session, archive: Archive, table: Table, progress: Progress) -> None:
    task = progress.add_task(table.name, total=table.rows)

    async def passing() -> AsyncIterator[bytes]:
        async for piece in unzipped(archive.read(table.part)):
            yield piece
            progress.advance(task, piece.count(b"\n"))

    await dump.load(session, table, passing())
    if (there := await dump.count(session, table.name)) != table.rows:
        raise ArchiveError(f"{table.name} has {there} rows instead of {table.rows}")
