"""Room in each page of the ledger, so that what receipts write is a HOT update: a row's new version in its own page.

Only pages that are begun from now on have it. The lock is one that neither readers nor writers wait for.
"""

from alembic import op

revision = "0032"
down_revision = "0031"
needed = False


def upgrade() -> None:
    op.execute("ALTER TABLE message SET (fillfactor = 80)")
