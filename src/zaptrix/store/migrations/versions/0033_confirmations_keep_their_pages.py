"""Confirmations keep their pages: of a table that shrinks to nothing when it is quiet, plans are made to read it all.

The lock is one that neither readers nor writers wait for.
"""

from alembic import op

revision = "0033"
down_revision = "0032"
needed = False


def upgrade() -> None:
    op.execute("ALTER TABLE confirmation SET (vacuum_truncate = off)")
