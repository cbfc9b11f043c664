"""Alembic's migrations, shipped in the package."""
