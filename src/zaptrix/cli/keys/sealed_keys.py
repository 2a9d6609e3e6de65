"""Encryption keys in a file, sealed by a passphrase: kept apart from the data that they open."""

import base64
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from zaptrix.cli.errors import StartError
from zaptrix.core.installation.backup import fingerprint

PASSPHRASE_MIN = 16
_COST = 2**15  # 32 MB and a tenth of a second a try


class SealedKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The file. `cost`, with `salt`, is what scrypt needs to make the key of the passphrase."""

    made_at: datetime
    fingerprints: tuple[str, ...]
    cost: int
    salt: bytes
    sealed: bytes


def seal(keys: tuple[str, ...], to: Path, passphrase_file: Path | None) -> None:
    """Write the keys, sealed; whole, or not at all, and over nothing but sealed keys. Raises StartError."""
    passphrase = _passphrase(passphrase_file)
    _check_place(to)
    salt = os.urandom(16)
    sealed = SealedKeys(
        made_at=datetime.now(UTC),
        fingerprints=tuple(map(fingerprint, keys)),
        cost=_COST,
        salt=salt,
        sealed=_opener(passphrase, salt, _COST).encrypt(",".join(keys).encode()),
    )
    draft = to.with_name(f".{to.name}.{secrets.token_hex(4)}")
    try:
        draft.touch(mode=0o600, exist_ok=False)
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(sealed) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(to)
    except OSError as exc:
        draft.unlink(missing_ok=True)
        raise StartError(
            f"--keys-to: {to} cannot be written ({exc.strerror}); name a file in a folder of yours"
        ) from exc


def unseal(file: Path, passphrase_file: Path | None) -> str:
    """The keys, as ENCRYPTION_KEYS takes them. Raises StartError."""
    passphrase = _passphrase(passphrase_file)
    try:
        sealed = msgspec.json.decode(file.read_bytes(), type=SealedKeys)
        return _opener(passphrase, sealed.salt, sealed.cost).decrypt(sealed.sealed).decode()
    except OSError as exc:
        raise StartError(f"{file} cannot be read ({exc.strerror})") from exc
    except (msgspec.MsgspecError, ValueError) as exc:
        raise StartError(f"{file} holds no sealed keys; name the file that `zaptrix backup --keys-to` wrote") from exc
    except InvalidToken as exc:
        raise StartError(f"{file} was sealed with another passphrase; give the one of that day") from exc


def _check_place(to: Path) -> None:
    """The passphrase's file, or any other, is not written over: only sealed keys of before are."""
    try:
        msgspec.json.decode(to.read_bytes(), type=SealedKeys)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise StartError(f"--keys-to: {to} cannot be written ({exc.strerror}); name a file of its own") from exc
    except (msgspec.MsgspecError, ValueError) as exc:
        raise StartError(f"--keys-to: {to} is there and holds no sealed keys; name a file of its own") from exc


def _passphrase(file: Path | None) -> bytes:
    if file is None:
        raise StartError("keys are kept under a passphrase only; name the file that holds it: --passphrase-file FILE")
    try:
        passphrase = file.read_bytes().strip()
    except OSError as exc:
        raise StartError(f"--passphrase-file: {file} cannot be read ({exc.strerror})") from exc
    if len(passphrase) < PASSPHRASE_MIN:
        raise StartError(f"--passphrase-file: a passphrase has {PASSPHRASE_MIN} characters or more")
    return passphrase


def _opener(passphrase: bytes, salt: bytes, cost: int) -> Fernet:
    made = Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(passphrase)
    return Fernet(base64.urlsafe_b64encode(made))
