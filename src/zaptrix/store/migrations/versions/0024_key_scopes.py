"""Scopes and an end for API keys.

Keys that were there before may do everything, without an end.
"""

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE api_key
            ADD COLUMN scopes TEXT[] NOT NULL DEFAULT '{read,send,manage}',
            ADD COLUMN expires_at TIMESTAMPTZ
        """
    )
