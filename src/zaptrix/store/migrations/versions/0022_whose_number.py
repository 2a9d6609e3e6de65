"""Whose a number was until when, and whether its account is subscribed to our app.

A trigger notes the release, as it has several ways: the channel is deleted, its portal is, or it gets another number.
"""

from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE number_release (
            phone_number_id VARCHAR(32) NOT NULL,
            portal_id UUID NOT NULL,
            released_at TIMESTAMPTZ NOT NULL,
            PRIMARY KEY (phone_number_id, portal_id)
        )
        """
    )
    op.execute(
        """
        CREATE FUNCTION note_number_release() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO number_release (phone_number_id, portal_id, released_at)
            VALUES (OLD.phone_number_id, OLD.portal_id, clock_timestamp())
            ON CONFLICT (phone_number_id, portal_id) DO UPDATE SET released_at = excluded.released_at;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER channel_deleted AFTER DELETE ON channel
        FOR EACH ROW EXECUTE FUNCTION note_number_release()
        """
    )
    op.execute(
        """
        CREATE TRIGGER channel_renumbered AFTER UPDATE OF phone_number_id, portal_id ON channel FOR EACH ROW
        WHEN (OLD.phone_number_id <> NEW.phone_number_id OR OLD.portal_id <> NEW.portal_id)
        EXECUTE FUNCTION note_number_release()
        """
    )
    op.execute(
        """
        ALTER TABLE channel
            ADD COLUMN number_since TIMESTAMPTZ,
            ADD COLUMN subscribed_at TIMESTAMPTZ,
            ADD COLUMN subscription_error TEXT,
            ADD COLUMN subscription_looked_at TIMESTAMPTZ
        """
    )
