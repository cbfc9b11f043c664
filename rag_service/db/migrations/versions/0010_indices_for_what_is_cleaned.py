"""What is cleaned by age, by knowledge base or with a version is found without a look at every row."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_jobs_version_id", "jobs", ["version_id"])
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_index(
        "ix_conversations_knowledge_base_id_updated_at", "conversations", ["knowledge_base_id", "updated_at"]
    )


def downgrade() -> None:
    op.drop_index("ix_conversations_knowledge_base_id_updated_at", table_name="conversations")
    op.drop_index("ix_idempotency_keys_created_at", table_name="idempotency_keys")
    op.drop_index("ix_jobs_version_id", table_name="jobs")
