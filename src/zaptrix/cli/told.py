"""What every command shares: settings that are read and judged, and errors that are told in a sentence."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import structlog
import typer
from rich.console import Console

from zaptrix.cli.errors import Interrupted, StartError
from zaptrix.cli.language import locale
from zaptrix.cli.local.up import beside, with_local_servers
from zaptrix.core.installation.faults import Unfit
from zaptrix.settings import Settings, SettingsError, slips

USAGE_ERROR = 2
INTERRUPTED = 130  # as a shell tells SIGINT: 128 and the signal

errors = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def told() -> Iterator[None]:
    """What a person can mend is said in a sentence, without a traceback; and nothing of a log beside it."""
    before = structlog.get_config()
    # A process that serves sets its log up later. Others give an answer on stdout, which a log would be taken for.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        yield
    except (SettingsError, StartError) as exc:
        words = str(exc)
    except Unfit as exc:
        words = str(exc.fault.words(locale()))
    except _of_servers() as exc:
        # Only the kind of error is told: its text may quote a password.
        words = f"a server does not answer, or not as it should ({type(exc).__name__}); `zaptrix doctor` tells which"
    else:
        return
    finally:
        structlog.configure(**before)
    for line in words.splitlines():
        errors.print(f"zaptrix: {line}", markup=False)
    raise typer.Exit(USAGE_ERROR)


@contextmanager
def interruptible(words: str) -> Iterator[None]:
    """Ctrl-C in here is told in a sentence: what is as it was, or, by an Interrupted, what was done already."""
    try:
        yield
    except KeyboardInterrupt:
        told = words
    except Interrupted as exc:
        told = str(exc)
    else:
        return
    errors.print(f"zaptrix: interrupted: {told}", markup=False)
    raise typer.Exit(INTERRUPTED)


def _of_servers() -> tuple[type[Exception], ...]:
    """What the ways to the servers raise: looked up when something was raised, so that `up` loads none of them."""
    import asyncpg
    from redis.exceptions import RedisError

    from zaptrix.store.connection.database import StoreRefused, StoreUnavailable

    return (OSError, StoreUnavailable, StoreRefused, RedisError, asyncpg.PostgresError, asyncpg.InterfaceError)


def settings_of(environ: Mapping[str, str] = os.environ) -> Settings:
    for slip in slips(os.environ):
        errors.print(f"zaptrix: warning: {slip}", markup=False)
    return Settings.from_env(environ)


def settings_with_database(*, migrated: bool = True) -> Settings:
    """For a command beside a running gateway: a database that is given, or that of `zaptrix up` on DATA_DIR."""
    from zaptrix.cli.preflight import check_postgres

    settings = with_local_servers(settings_of(beside(os.environ)))
    if not settings.database_url:
        raise StartError(
            f"DATABASE_URL is not set, and no `zaptrix up` runs on {settings.data_dir}; "
            "set DATABASE_URL, or DATA_DIR to the folder of one that runs"
        )
    check_postgres(settings, migrated=migrated)
    return settings
