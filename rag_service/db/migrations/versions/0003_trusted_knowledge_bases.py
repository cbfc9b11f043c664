"""Settings of knowledge bases, metadata of documents, debts to the vector index, URLs, webhooks, repeated requests."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")


def upgrade() -> None:
    op.add_column(
        "knowledge_bases", sa.Column("previous_embedding_model", sa.String(length=200), nullable=True)
    )
    op.add_column("knowledge_bases", sa.Column("language", sa.String(length=35), nullable=True))
    op.add_column(
        "knowledge_bases", sa.Column("prompt", sa.String(length=63), nullable=False, server_default="answer")
    )
    op.add_column("knowledge_bases", sa.Column("refusal_score", sa.Float(), nullable=True))
    op.add_column("knowledge_bases", sa.Column("chunk_tokens", sa.Integer(), nullable=True))
    op.add_column("documents", sa.Column("source", sa.Text(), nullable=True))
    op.add_column(
        "documents",
        sa.Column("attributes", postgresql.JSONB(astext_type=sa.Text()), nullable=False, server_default="{}"),
    )
    op.add_column(
        "documents", sa.Column("tags", postgresql.ARRAY(sa.Text()), nullable=False, server_default="{}")
    )
    op.create_index("ix_documents_attributes", "documents", ["attributes"], postgresql_using="gin")
    op.create_index("ix_documents_tags", "documents", ["tags"], postgresql_using="gin")
    op.add_column("document_versions", sa.Column("restored_from", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_messages_sources",
        "messages",
        ["sources"],
        postgresql_using="gin",
        postgresql_ops={"sources": "jsonb_path_ops"},
    )
    op.create_table(
        "stale_vectors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("collection", sa.String(length=100), nullable=False),
        sa.Column("chunk_ids", postgresql.ARRAY(sa.Uuid()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stale_vectors")),
    )
    op.create_table(
        "url_sources",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("knowledge_base_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("refresh_seconds", sa.Integer(), nullable=True),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_detail", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.ForeignKeyConstraint(
            ["knowledge_base_id"],
            ["knowledge_bases.id"],
            name=op.f("fk_url_sources_knowledge_base_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_url_sources")),
    )
    op.create_index(
        "uq_url_sources_knowledge_base_id_url", "url_sources", ["knowledge_base_id", "url"], unique=True
    )
    op.create_index("ix_url_sources_next_at", "url_sources", ["next_at"])
    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.String(length=100), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("response", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=_NOW, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index("ix_webhook_deliveries_not_before", "webhook_deliveries", ["not_before"])


def downgrade() -> None:
    for table in ("webhook_deliveries", "idempotency_keys", "url_sources", "stale_vectors"):
        op.drop_table(table)
    op.drop_index("ix_messages_sources", table_name="messages")
    op.drop_column("jobs", "dispatched_at")
    op.drop_column("document_versions", "restored_from")
    for column in ("tags", "attributes", "source"):
        op.drop_column("documents", column)
    for column in ("chunk_tokens", "refusal_score", "prompt", "language", "previous_embedding_model"):
        op.drop_column("knowledge_bases", column)
