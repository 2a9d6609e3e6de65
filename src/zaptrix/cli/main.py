"""`zaptrix`: the command line; each command reads the settings, reports what is wrong, and calls what does it."""

import asyncio
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from cryptography.fernet import Fernet
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import zaptrix
from zaptrix.cli.errors import StartError
from zaptrix.cli.language import locale
from zaptrix.cli.local.data_folder import close_to_others
from zaptrix.cli.local.up import beside, with_local_servers
from zaptrix.cli.local.up import up as run_everything
from zaptrix.cli.told import errors, interruptible, settings_of, settings_with_database, told
from zaptrix.core.access.scopes import EVERY_SCOPE, KeyScope
from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.ids import PortalId
from zaptrix.core.wording.catalog import Locale
from zaptrix.settings import Settings
from zaptrix.telemetry import log

CLOSED_TO_OTHERS = 0o077

VOUCHING = ("META_APP_SECRET", "META_VERIFY_TOKEN")
"""What a gateway that the platforms reach knows them by."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Zaptrix joins WhatsApp numbers to Bitrix24 Open Channels. Settings come from the environment.",
)
api_key = typer.Typer(no_args_is_help=True, help="Keys for the management API.")
app.add_typer(api_key, name="api-key")
keys = typer.Typer(no_args_is_help=True, help="The keys that stored secrets are encrypted with: ENCRYPTION_KEYS.")
app.add_typer(keys, name="keys")


@app.callback()
def _any_command() -> None:
    # What any process of ours writes is its own account's alone: customers' files lie in DATA_DIR.
    os.umask(CLOSED_TO_OTHERS)


@app.command()
def up(
    *, logs: Annotated[bool, typer.Option(help="Show the logs here instead of writing them to files.")] = False
) -> None:
    """Run everything on this machine: servers, gateway, workers and, without a real account, the simulators."""
    with told():
        settings = settings_of()
        _check_given(settings)
        run_everything(settings, os.environ, console=Console(highlight=False, soft_wrap=True), show_logs=logs)


@app.command()
def serve() -> None:
    """Run the gateway: webhooks, management API, health and metrics."""
    with told():
        settings = _production_settings(vouched=True)
        from zaptrix.cli.seeding import sow
        from zaptrix.cli.shared_store import join_media_store
        from zaptrix.web.server.server import serve as run

        asyncio.run(sow(settings))
        join_media_store()
        run(settings)


@app.command()
def worker(
    queues: Annotated[str, typer.Option(help=f"Only these, with commas: {', '.join(Queue)}")] = "",
) -> None:
    """Run a worker: it routes and delivers what the gateway took in."""
    with told():
        chosen = _queues(queues)
        settings = _production_settings()
        from zaptrix.worker.worker import work

        work(settings, chosen)


@app.command()
def migrate(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell what waits; the exit code is 1 when it is any.")
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Only print the statements that would be run.")] = False,
) -> None:
    """Bring the database to the newest schema, beside the processes that use it."""
    with told():
        settings = settings_with_database(migrated=False)
        from zaptrix.cli.migrating import check as look
        from zaptrix.cli.migrating import migrate as bring
        from zaptrix.cli.migrating import sql as statements

        if sql:
            print(asyncio.run(statements(settings)))
        elif check:
            raise typer.Exit(int(asyncio.run(look(settings))))
        else:
            asyncio.run(bring(settings))


@app.command()
def doctor(
    lang: Annotated[str, typer.Option(help=f"One of {', '.join(Locale)}; without, by LC_ALL, LC_MESSAGES, LANG.")] = "",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one object a finding, in a list.")] = False,
) -> None:
    """Examine settings, servers, keys and both platforms; the exit code is 1 when something is wrong."""
    with told():
        from zaptrix.cli.doctor.doctor import WRONG, Doctor, as_text

        settings = with_local_servers(settings_of(beside(os.environ)))
        examination = Doctor(settings, locale(asked=lang))
        findings = asyncio.run(examination.examine())
    if as_json:
        print(as_text(findings))
    else:
        Console(soft_wrap=True).print(examination.table(findings))
    raise typer.Exit(int(any(finding.level == WRONG for finding in findings)))


@app.command()
def backup(
    to: Annotated[
        str,
        typer.Option(help="A folder, or an object store as MEDIA_URL takes it (s3://...). Without: DATA_DIR/backups."),
    ] = "",
    keep: Annotated[int, typer.Option(min=0, help="Remove all but so many of the newest backups there; 0: none.")] = 0,
    media: Annotated[
        bool, typer.Option(help="Files of messages, too; leave them out where their store has a backup.")
    ] = True,
    keys_to: Annotated[
        Path | None, typer.Option(help="Also write ENCRYPTION_KEYS into this file, sealed by the passphrase.")
    ] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="The file that holds the passphrase for --keys-to.")
    ] = None,
) -> None:
    """Write everything that is kept into an archive, at any time, and read it back: one folder a backup.

    The encryption keys are not in it. Keep them apart: without them its secrets are lost.
    """
    with told(), interruptible("no backup was made"):
        if passphrase_file and not keys_to:
            raise StartError("--passphrase-file is of use with --keys-to FILE alone: name where the keys go, too")
        settings = settings_with_database()
        from zaptrix.cli.backup import backup_words
        from zaptrix.cli.backup.backup import make
        from zaptrix.cli.keys.sealed_keys import seal

        if keys_to:
            settings.need("ENCRYPTION_KEYS")
            seal(settings.encryption_keys, keys_to, passphrase_file)
        with Progress(console=errors, disable=not errors.is_terminal) as progress:
            where = to or str(settings.data_dir / "backups")
            made = asyncio.run(make(settings, where, media=media, keep=keep, progress=progress))
        for line in backup_words.made(made):
            print(line)
        if made.unreadable:
            raise StartError(
                f"{made.unreadable} secrets are under no key of ENCRYPTION_KEYS: the backup is whole, but they "
                "are of no use without their key; `zaptrix keys list` names them"
            )


@app.command()
def restore(
    where: Annotated[str, typer.Argument(metavar="FROM", help="The archive: its folder or address.")] = "",
    *,
    dry_run: Annotated[bool, typer.Option(help="Only look whether it could be restored here.")] = False,
    stopped_at: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%dT%H:%M:%SZ"],
            help="When the last process of the old house stopped (UTC), if known: what was written later is sent.",
        ),
    ] = None,
    report: Annotated[bool, typer.Option(help="Show what the last restore did and what is missing, as JSON.")] = False,
) -> None:
    """Put a backup into an empty database: that of DATABASE_URL, or one of DATA_DIR's own.

    What it holds as open may have been sent since: it is verified first, and told of where nobody can tell.
    """
    with told(), interruptible("nothing was restored; run it again"):
        from zaptrix.cli.backup import backup_words
        from zaptrix.cli.backup.restore import look, report_of, servers_of, with_keys
        from zaptrix.cli.backup.restore import restore as put_back

        if report:
            print(asyncio.run(report_of(settings_with_database(), locale())))
            return
        if not where:
            raise StartError("name the archive: zaptrix restore FROM, as `zaptrix backup` told it")
        until = stopped_at.replace(tzinfo=UTC) if stopped_at else None
        settings = with_keys(settings_of())
        asyncio.run(look(settings, where))
        own = not settings.database_url
        with servers_of(settings) as given, Progress(console=errors, disable=not errors.is_terminal) as progress:
            done = asyncio.run(put_back(given, where, own=own, stopped_at=until, dry_run=dry_run, progress=progress))
        for line in backup_words.restored(done):
            print(line)


@api_key.command("create")
def create_api_key(
    name: Annotated[str, typer.Option(help="What the key is for, as the list of keys will show it.")],
    portal: Annotated[
        UUID | None, typer.Option(help="Only for this portal; without, it is an admin's key, for all of them.")
    ] = None,
    scope: Annotated[
        list[KeyScope] | None,
        typer.Option(help="What it may do; give it again for another one. Without, all of them."),
    ] = None,
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="How long it is good. Without, until it is revoked.")
    ] = None,
) -> None:
    """Make a key and print it, once."""
    with told():
        settings = settings_with_database()
        from zaptrix.cli.keys.api_keys import create_api_key as create
        from zaptrix.store.connection.database import StoreRefused

        try:
            key = asyncio.run(
                create(
                    settings,
                    name=name,
                    portal_id=PortalId(portal) if portal else None,
                    scopes=frozenset(scope) if scope else EVERY_SCOPE,
                    days=expires_in_days,
                )
            )
        except StoreRefused as exc:
            raise StartError(f"there is no portal {portal}") from exc
    errors.print("Keep it: it cannot be shown again. Send it as 'Authorization: Bearer <key>'.")
    print(key)


@api_key.command("list")
def list_api_keys() -> None:
    """Show all keys: what each is for, and when it was last used. The keys themselves cannot be shown."""
    with told():
        settings = settings_with_database()
        from zaptrix.cli.keys.api_keys import list_api_keys as listed

        keys = asyncio.run(listed(settings))
    table = Table("id", "name", "for", "may", "last used", "ends", "revoked")
    for key in keys:
        whom = f"portal {key.portal_id}" if key.portal_id else "all portals"
        scopes = ", ".join(each for each in KeyScope if each in key.scopes)
        days = (_day(at) for at in (key.last_used_at, key.expires_at, key.revoked_at))
        table.add_row(key.id, key.name, whom, scopes, *days)
    Console(soft_wrap=True).print(table)


@api_key.command("revoke")
def revoke_api_key(key_id: Annotated[str, typer.Argument(help="The id that `zaptrix api-key list` shows.")]) -> None:
    """Close a key for good: whoever calls with it is refused from now on."""
    with told():
        settings = settings_with_database()
        from zaptrix.cli.keys.api_keys import revoke_api_key as revoke

        if not asyncio.run(revoke(settings, key_id)):
            raise StartError(f"there is no open key {key_id}; `zaptrix api-key list` shows the keys")
    print(f"{key_id} is revoked")


@keys.command("list")
def list_keys() -> None:
    """Show how many secrets are under each of ENCRYPTION_KEYS: one that holds none may be taken out."""
    with told():
        settings = settings_with_database()
        settings.need("ENCRYPTION_KEYS")
        from zaptrix.cli.keys.keys import look

        found = asyncio.run(look(settings))
    table = Table("key", "secrets", "what to do")
    for place in range(len(settings.encryption_keys)):
        used = found.by_key[place]
        todo = "encrypts" if place == 0 else "run `zaptrix keys rotate`" if used else "may be taken out"
        table.add_row(f"number {place + 1}", str(used), todo)
    Console(soft_wrap=True).print(table)
    _tell_unreadable(found.unreadable)


@keys.command("rotate")
def rotate_keys() -> None:
    """Encrypt every stored secret anew with the first of ENCRYPTION_KEYS; it may be broken off and run again.

    All processes have to run with the new key first before; the old one may be taken out when `keys list` says so.
    """
    with told():
        settings = settings_with_database()
        settings.need("ENCRYPTION_KEYS")
        from zaptrix.cli.keys.keys import rotate

        with Progress(console=errors) as progress:
            done = asyncio.run(rotate(settings, progress))
    print(f"{done.resealed} secrets are under the first key now; the others were already")
    if done.in_redis is None:
        errors.print("zaptrix: Redis did not answer: tokens that it holds stay under their key for a day at most")
    _tell_unreadable(done.unreadable)


@keys.command("unseal")
def unseal_keys(
    file: Annotated[Path, typer.Argument(help="What `zaptrix backup --keys-to` wrote.")],
    passphrase_file: Annotated[Path | None, typer.Option(help="The file that holds its passphrase.")] = None,
) -> None:
    """Print the encryption keys in a sealed file, as ENCRYPTION_KEYS takes them."""
    with told():
        from zaptrix.cli.keys.sealed_keys import unseal

        print(unseal(file, passphrase_file))


def _tell_unreadable(names: list[str]) -> None:
    """What no key opens, and what to do; the exit code is 1 when there is any."""
    if not names:
        return
    errors.print(
        f"zaptrix: {len(names)} secrets are under none of these keys: put their key back into ENCRYPTION_KEYS, or give"
        " them anew with PUT /api/portals or /api/channels",
        markup=False,
    )
    for name in names:
        errors.print(f"  {name}", markup=False)
    raise typer.Exit(1)


def _day(at: datetime | None) -> str:
    return at.strftime("%Y-%m-%d %H:%M") if at else "-"


@app.command("new-encryption-key")
def new_encryption_key() -> None:
    """Print a new key for ENCRYPTION_KEYS. Put it before the old ones: the first encrypts, all decrypt."""
    print(Fernet.generate_key().decode("ascii"))


@app.command()
def version() -> None:
    """Print the version."""
    print(zaptrix.__version__)


def _check_given(settings: Settings) -> None:
    """For `zaptrix up`: servers that are given have to be of use, and here, before anything is started."""
    from zaptrix.cli.preflight import check_postgres, check_redis

    if settings.has_credentials and not settings.is_private:
        settings.need(*VOUCHING)
    if settings.database_direct_url or settings.database_read_url:
        settings.need("DATABASE_URL")
    if settings.database_url:
        check_postgres(settings, migrated=False)
    if settings.redis_url:
        check_redis(settings)


def _production_settings(*, vouched: bool = False) -> Settings:
    """For a process that serves: all it stands on must be given and of use, and its logs are set up.

    With `vouched` the platforms call it: without these secrets, each webhook from outside would be refused.
    """
    from zaptrix.cli.preflight import check_folder, check_postgres, check_redis

    settings = settings_of()
    needed = VOUCHING if vouched and not settings.is_private else ()
    settings.need("DATABASE_URL", "REDIS_URL", "ENCRYPTION_KEYS", *needed)
    check_folder(settings.data_dir)
    close_to_others(settings.data_dir)
    check_postgres(settings, may_be_away=True)
    check_redis(settings, may_be_away=True)
    log.configure(level=settings.log_level, style=settings.log_format, secrets=settings.secrets, stream=sys.stdout)
    return settings


def _queues(names: str) -> tuple[Queue, ...]:
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in set(Queue)]
    if unknown:
        raise StartError(f"--queues: there is no {', '.join(unknown)}; there are {', '.join(Queue)}")
    return tuple(Queue(name) for name in chosen) or tuple(Queue)
