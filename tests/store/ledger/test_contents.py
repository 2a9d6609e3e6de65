"""Contents: nothing that somebody wrote keeps a message from being a row."""

import msgspec
import pytest

from zaptrix.core.message.message import MediaContent, MediaKind, Words
from zaptrix.core.message.text import plain_text
from zaptrix.store.connection.database import Database
from zaptrix.store.ledger.contents import encoded


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("a\0b", "ab"),
        ("\0", ""),
        ("\\u0000", "\\u0000"),
        ("\\\0", "\\"),
        ("\\\\\0\0x\\", "\\\\x\\"),
        ("\ud83d\ude00 \ud800x\0", "\N{GRINNING FACE} \ufffdx"),
        ("çã \N{ROCKET}", "çã \N{ROCKET}"),
    ],
)
async def test_what_no_row_can_hold_is_left_out_and_all_else_stays(database: Database, written: str, kept: str) -> None:
    media = MediaContent(kind=MediaKind.IMAGE, source="x", caption=plain_text(f"<{written}>"), name=f"<{written}>")
    for content in (media, Words(plain_text(f"<{written}>"), author=f"<{written}>")):
        async with database.connection() as connection:
            row = await connection.fetchrow("SELECT $1::text::jsonb::text AS stored", encoded(content))
        assert row is not None
        found = msgspec.json.decode(row["stored"], type=MediaContent | Words)
        texts = (
            (found.caption.plain, found.name) if isinstance(found, MediaContent) else (found.text.plain, found.author)
        )
        assert texts == (f"<{kept}>", f"<{kept}>")
