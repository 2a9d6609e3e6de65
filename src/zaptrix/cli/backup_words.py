"""What `zaptrix backup` and `zaptrix restore` tell of what they did."""

from collections.abc import Iterator

from zaptrix.cli.backup import Made
from zaptrix.cli.restore import Restored
from zaptrix.core.backup import Manifest


def made(backup: Made) -> Iterator[str]:
    manifest = backup.manifest
    yield f"backup: {backup.where}"
    yield _what(manifest)
    if manifest.media_missing:
        yield f"{manifest.media_missing} files were forgotten by their age meanwhile, and are not in it"
    if manifest.keys:
        yield f"to restore it, ENCRYPTION_KEYS must hold the key(s) with the fingerprint {', '.join(manifest.keys)}"
    for old in backup.removed:
        yield f"removed: {old}"


def restored(done: Restored) -> Iterator[str]:
    manifest, marked = done.manifest, done.marked
    yield _what(manifest)
    if marked is None:
        yield "it can be restored here; nothing was changed (--dry-run)"
        return
    yield (
        f"open at the backup, and verified before anything of it is sent: {marked.inbound} messages to operators, "
        f"{marked.outbound} to customers, {marked.events} webhooks"
    )
    if done.spooled:
        yield f"{done.spooled} events of its spool are put aside (spool/*.bad): the portals' histories tell of them"
    yield "start gateways, then workers; what is missing is told in the chats, and by `zaptrix restore --report`"
    yield "revoke API keys and delete portals again that were since the backup; portals whose tokens are old get paused"


def _what(manifest: Manifest) -> str:
    rows = sum(table.rows for table in manifest.tables)
    size = (sum(table.part.bytes for table in manifest.tables)) / 1_000_000
    return (
        f"as of {manifest.dumped_at:%Y-%m-%d %H:%M:%S} UTC, by Zaptrix {manifest.release} (schema {manifest.revision}):"
        f" {rows} rows ({size:.1f} MB), {manifest.file_count} files{'' if manifest.media else '; without media'}"
    )
