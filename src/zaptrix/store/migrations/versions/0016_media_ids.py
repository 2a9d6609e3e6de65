"""Meta's ids of files are looked up: one that was refused is not used again."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.execute("CREATE INDEX file_media_id ON file (media_id) WHERE media_id IS NOT NULL")
