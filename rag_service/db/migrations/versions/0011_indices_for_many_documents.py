"""What is to be erased, whose file it is, and what has an attribute are found without a look at every document."""

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
    # Key and value together: apart, every document that has the key is looked at for each value.
    op.drop_index("ix_documents_attributes", table_name="documents")
    op.create_index(
        "ix_documents_attributes",
        "documents",
        ["attributes"],
        postgresql_using="gin",
        postgresql_ops={"attributes": "jsonb_path_ops"},
    )


def downgrade() -> None:
    op.drop_index("ix_documents_attributes", table_name="documents")
    op.create_index("ix_documents_attributes", "documents", ["attributes"], postgresql_using="gin")
    op.drop_index("ix_documents_deleted_at", table_name="documents")
    op.drop_index("ix_document_versions_blob", table_name="document_versions")
