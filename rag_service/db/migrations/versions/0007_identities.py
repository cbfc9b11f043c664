"""Keys with a scope, an end and a second secret; identities of embeds' users; the audit log."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("previous_mac", sa.LargeBinary(), nullable=True))
    op.add_column("api_keys", sa.Column("previous_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "api_keys", sa.Column("scope", postgresql.ARRAY(sa.Uuid()), server_default="{}", nullable=False)
    )
    op.add_column("api_keys", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("embeds", sa.Column("identity_salt", sa.String(length=64), nullable=True))
    op.add_column("embeds", sa.Column("previous_identity_salt", sa.String(length=64), nullable=True))
    op.add_column("embeds", sa.Column("previous_identity_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "embeds", sa.Column("require_identity", sa.Boolean(), server_default="false", nullable=False)
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("key_prefix", sa.String(length=32), nullable=False),
        sa.Column("key_name", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target_type", sa.String(length=32), nullable=False),
        sa.Column("target_id", sa.String(length=100), nullable=False),
        sa.Column("knowledge_base", sa.String(length=63), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("ip", sa.String(length=64), nullable=False),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_at", "audit_log", ["at"])
    op.create_index("ix_audit_log_knowledge_base_id", "audit_log", ["knowledge_base", "id"])


def downgrade() -> None:
    # What limits these is about to be forgotten: none may come to do more than it was made for.
    op.execute(
        "UPDATE api_keys SET revoked_at = now() "
        "WHERE revoked_at IS NULL AND (cardinality(scope) > 0 OR expires_at IS NOT NULL)"
    )
    op.execute("UPDATE embeds SET revoked_at = now() WHERE revoked_at IS NULL AND require_identity")
    op.drop_table("audit_log")
    for column in (
        "require_identity",
        "previous_identity_until",
        "previous_identity_salt",
        "identity_salt",
    ):
        op.drop_column("embeds", column)
    for column in ("expires_at", "scope", "previous_until", "previous_mac"):
        op.drop_column("api_keys", column)
