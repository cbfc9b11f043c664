"""Alembic's entry point: runs on the connection that `rag_service.db.migrate` hands over."""

from alembic import context

from rag_service.db.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
