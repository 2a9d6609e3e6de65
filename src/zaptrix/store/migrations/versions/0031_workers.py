"""Who claims messages, and until when the others take him for alive."""

from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE worker (
            id BYTEA PRIMARY KEY CHECK (length(id) = 8),
            host TEXT NOT NULL,
            pid INTEGER NOT NULL,
            version TEXT NOT NULL,
            started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
            lease_until TIMESTAMPTZ NOT NULL,
            steady_since TIMESTAMPTZ NOT NULL,
            ended_at TIMESTAMPTZ
        )
        """
    )
