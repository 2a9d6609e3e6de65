"""How often a file was not there is counted apart from how often it was tried: only the one tells that it is gone."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute("ALTER TABLE file ADD COLUMN not_there SMALLINT NOT NULL DEFAULT 0")
