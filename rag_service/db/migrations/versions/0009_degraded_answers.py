"""Whether an answer was quoted because the language model gave no word."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("degraded", sa.Boolean(), nullable=False, server_default=sa.false()))
    # Of those from before it can be told: a model was asked for the answer, and sentences were quoted.
    op.execute(
        "UPDATE messages SET degraded = true WHERE model = 'extractive' AND state = 'complete' "
        'AND finish_reason = \'stop\' AND usage @> \'{"calls": [{"purpose": "answer"}]}\''
    )


def downgrade() -> None:
    op.drop_column("messages", "degraded")
