"""Locks that a process holds by name, in the database: gone with the process, however it ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from rag_service.db.engine import Database


@asynccontextmanager
async def locked(database: Database, name: str) -> AsyncIterator[bool]:
    """Within the block the lock is ours, if it was free; the value says whether it was.

    Raises:
        DatabaseUnavailable
    """
    await database.ping()
    async with database.engine.connect() as connection:
        # No transaction: it may be held for hours.
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        key = {"name": name}
        free = await connection.scalar(text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))"), key)
        try:
            yield bool(free)
        finally:
            if free:
                with suppress(DBAPIError):  # with the connection the lock is gone as well
                    await connection.execute(
                        text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))"), key
                    )
