"""What `zaptrix backup` and `zaptrix restore` tell of what they did."""

from collections.abc import Iterator

from zaptrix.cli.backup.backup import Made
from zaptrix.cli.backup.restore import Restored
from zaptrix.cli.language import locale
from zaptrix.core.installation.backup import Manifest
from zaptrix.core.wording.catalog import Sentence


def made(backup: Made) -> Iterator[str]:
    return _told(_made(backup))


def restored(done: Restored) -> Iterator[str]:
    return _told(_restored(done))


def _told(sentences: Iterator[Sentence]) -> Iterator[str]:
    language = locale()
    return (sentence.of(language) for sentence in sentences)


def _made(backup: Made) -> Iterator[Sentence]:
    manifest = backup.manifest
    yield Sentence("commands.backup.made", {"where": backup.where})
    yield _what(manifest)
    if manifest.media_missing:
        yield Sentence("commands.backup.media_missing", {"count": manifest.media_missing})
    if manifest.keys:
        yield Sentence("commands.backup.keys", {"keys": ", ".join(manifest.keys)})
    for old in backup.removed:
        yield Sentence("commands.backup.removed", {"where": old})


def _restored(done: Restored) -> Iterator[Sentence]:
    marked = done.marked
    yield _what(done.manifest)
    if marked is None:
        yield Sentence("commands.restore.dry_run")
        return
    counts: dict[str, object] = {"inbound": marked.inbound, "outbound": marked.outbound, "events": marked.events}
    yield Sentence("commands.restore.open", counts)
    if done.spooled:
        yield Sentence("commands.restore.spooled", {"count": done.spooled})
    yield Sentence("commands.restore.start")
    yield Sentence("commands.restore.revoke")


def _what(manifest: Manifest) -> Sentence:
    return Sentence(
        "commands.backup.what",
        {
            "at": manifest.dumped_at,
            "release": manifest.release,
            "schema": manifest.revision,
            "rows": sum(table.rows for table in manifest.tables),
            "megabytes": sum(table.part.bytes for table in manifest.tables) / 1_000_000,
            "files": manifest.file_count,
            "media": "" if manifest.media else Sentence("commands.backup.without_media"),
        },
    )
