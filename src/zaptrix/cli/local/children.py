"""Child processes that end with their parent, whatever ends it: the kernel signals them when the parent dies."""

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zaptrix.cli.errors import StartError

# <linux/prctl.h>, <linux/securebits.h>, <linux/capability.h>
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2

KILL_WAIT_S = 5.0
UNPRIVILEGED_ACCOUNTS = ("postgres", "nobody")

_libc = ctypes.CDLL(None, use_errno=True)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySet(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account a server runs under when we are root: PostgreSQL refuses to be root.

    `reach` is the capability that lets it through folders that are closed to others, as /root is. Opening those folders
    for everybody instead would change the machine for our sake.
    """

    uid: int
    gid: int
    reach: int | None = None


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to start and how it wishes to be stopped."""

    name: str
    argv: Sequence[str | Path]
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    log: Path | None = None
    """Where its output goes; None: to ours."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_wait_s: float = 30.0
    account: Account | None = None


class Child:
    """One started program, in a session of its own, so that Ctrl-C reaches only us and we stop things in order."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._asked = False
        argv = [str(part) for part in program.argv]
        before_exec = _before_exec(program, parent=os.getpid())
        with contextlib.ExitStack() as files:
            log = files.enter_context(program.log.open("ab")) if program.log else None
            try:
                self._process = subprocess.Popen(
                    argv,
                    env=dict(program.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    preexec_fn=before_exec,  # noqa: PLW1509 - we spawn from a process without other threads
                )
            except (OSError, subprocess.SubprocessError) as exc:
                raise StartError(f"{program.name} could not be started: {exc}") from exc

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> bool:
        """Whether it ended within that time."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ask(self) -> None:
        """Ask it to stop, as it wishes to be asked, and do not wait. Once: to many programs twice means at once."""
        if not self._asked and self.exit_code() is None:
            self._asked = True
            self._process.send_signal(self.program.stop_signal)

    def stop(self) -> None:
        """Ask, wait, then force; nothing that it started stays behind."""
        self.ask()
        self.wait(self.program.stop_wait_s)
        self.kill()

    def kill(self) -> None:
        """End it and everything in its session, now."""
        self.force()
        self._process.wait(KILL_WAIT_S)

    def force(self) -> None:
        """The same without waiting, so that a signal handler may do it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def last_words(self, lines: int = 12) -> str:
        """The end of its log, for an error's text."""
        if self.program.log is None or not self.program.log.exists():
            return ""
        return "\n".join(self.program.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


class Holder:
    """Holds one child at a time: what a server and a program of ours have in common."""

    def __init__(self) -> None:
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    def exit_code(self) -> int | None:
        """None while it runs, and before it does."""
        return self._child.exit_code() if self._child is not None else None

    def ask(self) -> None:
        """Ask it to stop, and do not wait."""
        if self._child is not None:
            self._child.ask()

    def stop(self) -> None:
        """Stop it, by force if it must be; harmless when it does not run."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def kill(self) -> None:
        """End it now, as a crash would."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def force(self) -> None:
        """End it now, and do not wait."""
        if self._child is not None:
            self._child.force()

    def last_words(self) -> str:
        """The end of its log."""
        return self._child.last_words() if self._child is not None else ""


def run(program: Program, *, timeout_s: float = 120.0) -> None:
    """Run a program to its end; raises StartError when it fails."""
    child = Child(program)
    ended = child.wait(timeout_s)
    if not ended or child.exit_code() != 0:
        child.kill()
        raise StartError(f"{program.name} failed (exit code {child.exit_code()})\n{child.last_words()}")


def account_for(folder: Path, *, must_run: Path) -> Account | None:
    """Who a server with its data in `folder` shall run as: None for ourselves, an ordinary account when we are root.

    A folder that is there already keeps its owner.
    """
    if os.geteuid() != 0:
        return None
    account = _owner(folder) or _unprivileged()
    if _can_run(account, must_run) and _can_enter(account, folder):
        return account
    account = Account(uid=account.uid, gid=account.gid, reach=_reach())
    if not _can_run(account, must_run):
        raise StartError(f"the account {account.uid} may not run {must_run}; start as an ordinary user, not as root")
    return account


def _owner(folder: Path) -> Account | None:
    try:
        found = folder.stat()
    except FileNotFoundError:
        return None
    return Account(uid=found.st_uid, gid=found.st_gid) if found.st_uid else None


def _unprivileged() -> Account:
    for name in UNPRIVILEGED_ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise StartError(f"no account to run PostgreSQL under (looked for {', '.join(UNPRIVILEGED_ACCOUNTS)})")


def _reach() -> int | None:
    """The smallest capability of ours that passes a closed folder."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    permitted = int(next(line for line in status.splitlines() if line.startswith("CapPrm")).split()[1], 16)
    return next((cap for cap in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if permitted >> cap & 1), None)


def _can_run(account: Account, program: Path) -> bool:
    """As PostgreSQL's programs see it: each asks access(2) for its own file first, which `--version` alone does not."""
    asks_first = program.with_name("pg_config")
    probe = Program(name=asks_first.name, argv=[asks_first, "--bindir"], log=Path(os.devnull), account=account)
    try:
        child = Child(probe)
    except StartError:
        return False
    return child.wait(KILL_WAIT_S) and child.exit_code() == 0


def _can_enter(account: Account, folder: Path) -> bool:
    """Whether it gets into `folder`, or as far as there is one."""
    place = folder if folder.exists() else folder.parent / "."
    probe = Program(name="ls", argv=["/bin/ls", "-d", place], log=Path(os.devnull), account=account)
    child = Child(probe)
    return child.wait(KILL_WAIT_S) and child.exit_code() == 0


def _before_exec(program: Program, *, parent: int) -> Callable[[], None]:
    """What happens between fork and exec. The death signal comes last: a change of account clears it."""
    account, death_signal = program.account, program.stop_signal

    def prepare() -> None:
        if account is not None:
            _become(account)
        _checked(_libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0))
        if os.getppid() != parent:  # it died before we asked to be told
            os._exit(1)

    return prepare


def _become(account: Account) -> None:
    if account.reach is not None:
        # access(2) forgets an ordinary account's capabilities unless this bit is set, and PostgreSQL's programs ask it
        # whether they find each other. Where the bit may not be set, closed folders may still hold the data.
        _libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
        _checked(_libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if account.reach is None:
        return
    mask = 1 << account.reach
    header = _CapabilityHeader(CAPABILITY_VERSION, 0)
    sets = (_CapabilitySet * 2)(_CapabilitySet(mask, mask, mask), _CapabilitySet(0, 0, 0))
    _checked(_libc.capset(ctypes.byref(header), ctypes.byref(sets)))
    _checked(_libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, account.reach, 0, 0))


def _checked(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
