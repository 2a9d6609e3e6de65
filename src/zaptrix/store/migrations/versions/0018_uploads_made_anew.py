"""An upload that Meta refuses is made anew, once: which files' were."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute("ALTER TABLE file ADD COLUMN reuploaded BOOLEAN NOT NULL DEFAULT false")
