"""Bring the schema to this binary's revision: one process migrates, the others wait for it."""

import asyncio
import logging
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.ext.asyncio import create_async_engine

from rag_service.db.engine import Database
from rag_service.errors import ConfigurationError, DatabaseUnavailable

_LOCK = 0x5241475F  # any constant will do, as long as every version of us uses the same
logger = logging.getLogger(__name__)


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


async def migrate(database: Database, *, wait_seconds: float = 60.0) -> None:
    """Upgrade to the newest revision under an advisory lock, waiting for a database that is still starting.

    Raises:
        DatabaseUnavailable: no answer within `wait_seconds`.
        ConfigurationError: the schema is newer than this binary.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            await database.ping()
            break
        except DatabaseUnavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
    # A connection of its own: no time limit for a command, since a migration, or the wait for another process's,
    # may take long; and closed at the end, which frees the lock however it went.
    engine = create_async_engine(database.engine.url, poolclass=NullPool, connect_args={"timeout": 5})
    async with engine.connect() as connection:
        # A session lock, not a transaction's: it must hold over every migration's own transaction.
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        await connection.commit()
        await connection.run_sync(_upgrade)
        await connection.commit()


async def schema_revisions(database: Database) -> tuple[set[str], set[str]]:
    """The revisions that the database is at, and those that this binary needs. Raises DatabaseUnavailable."""
    await database.ping()
    async with database.engine.connect() as connection:
        current = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_heads())
    return set(current), set(ScriptDirectory.from_config(alembic_config()).get_heads())


def _upgrade(connection: Connection) -> None:
    config = alembic_config()
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_heads()
    known = {script.revision for script in scripts.walk_revisions()}
    if unknown := set(current) - known:
        raise ConfigurationError(
            f"The database's schema ({', '.join(sorted(unknown))}) is newer than this version of rag-service. "
            "Install the version that wrote it, or a later one."
        )
    if set(current) == set(scripts.get_heads()):
        return
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    logger.info("schema migrated", extra={"revision": ",".join(scripts.get_heads())})
