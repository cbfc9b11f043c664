"""What is to be erased, and the files of no other version, are found without a look at every row."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_document_versions_blob", "document_versions", ["blob"])
    op.create_index(
        "ix_documents_deleted_at",
        "documents",
        ["deleted_at"],
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_documents_deleted_at", table_name="documents")
    op.drop_index("ix_document_versions_blob", table_name="document_versions")
