"""Through which of our interfaces a conversation was held."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "conversations", sa.Column("channel", sa.String(length=16), nullable=False, server_default="chat")
    )


def downgrade() -> None:
    op.drop_column("conversations", "channel")
