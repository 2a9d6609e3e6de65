"""Room in each page of the conversations, so that what a message changes of its own is a HOT update.

Only pages that are begun from now on have it; the others have it as soon as they were cleaned up. The lock is one that
neither readers nor writers wait for.
"""

from alembic import op

revision = "0034"
down_revision = "0033"
needed = False


def upgrade() -> None:
    op.execute("ALTER TABLE conversation_mapping SET (fillfactor = 80)")
