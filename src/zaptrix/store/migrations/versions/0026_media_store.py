"""Which media store is in use: files that one host keeps to itself are nobody else's to send."""

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE media_store (
            one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
            id UUID NOT NULL,
            seen_at TIMESTAMPTZ NOT NULL DEFAULT now()
        )
        """
    )
