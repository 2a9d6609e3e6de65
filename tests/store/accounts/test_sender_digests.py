"""Known senders: told from strangers by a file that holds no token, and is nobody else's to read."""

from pathlib import Path
from uuid import uuid4

from zaptrix.store.accounts.sender_digests import SenderDigests, digest


def test_what_was_known_is_known_after_a_restart_and_no_token_is_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "senders.digests"
    first, second = uuid4(), uuid4()
    known = SenderDigests(path)
    known.change({first: digest("member-1", "token-1"), second: digest("member-2", "token-2")}, set())
    later = SenderDigests(path)
    assert later.know("member-1", "token-1")
    assert later.know("member-2", "token-2")
    for claimed in (("member-1", "token-2"), ("member-1", ""), ("", ""), ("member-1token", "-1")):
        assert not later.know(*claimed)
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"token-1" not in path.read_bytes()
    later.change({first: digest("member-1", "token-new")}, {second})
    again = SenderDigests(path)
    assert again.know("member-1", "token-new")
    assert not again.know("member-1", "token-1")
    assert not again.know("member-2", "token-2")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_read_knows_nobody_and_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "senders.digests"
    for broken in (b"", b"{", b"[1]", b'{"x": "y"}'):
        path.write_bytes(broken)
        known = SenderDigests(path)
        assert not known.know("member", "token")
        known.change({uuid4(): digest("member", "token")}, set())
        assert SenderDigests(path).know("member", "token")
