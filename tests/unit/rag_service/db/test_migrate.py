"""Migrations: from nothing to the newest schema, by one process at a time, on a database that may come up late."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from rag_service.db.engine import Database
from rag_service.db.migrate import alembic_config, migrate
from rag_service.db.models import Base
from rag_service.errors import ConfigurationError, DatabaseUnavailable
from rag_service.supervisor.postgres import LocalPostgres
from tests.unit.rag_service.db.conftest import execute

HEADS = set(ScriptDirectory.from_config(alembic_config()).get_heads())


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[Database]:
    database = Database(empty_url, pool=3)
    yield database
    await database.close()


async def heads(database: Database) -> set[str]:
    async with database.engine.connect() as connection:
        return set(
            await connection.run_sync(lambda plain: MigrationContext.configure(plain).get_current_heads())
        )


async def test_an_empty_database_gets_the_newest_schema_and_keeps_it(empty: Database) -> None:
    assert await heads(empty) == set()
    await migrate(empty)
    assert await heads(empty) == HEADS
    await execute(empty.engine.url, "INSERT INTO knowledge_bases VALUES (gen_random_uuid(), 's', 'n', 'm')")
    await migrate(empty)
    async with empty.transaction() as session:
        assert (await session.execute(text("SELECT slug FROM knowledge_bases"))).scalars().all() == ["s"]


async def test_each_migration_can_be_undone_and_lets_nobody_do_more_than_before(empty: Database) -> None:
    await migrate(empty)
    base = "INSERT INTO knowledge_bases VALUES (gen_random_uuid(), 's', 'n', 'm')"
    key = (
        "INSERT INTO api_keys (id, name, role, prefix, mac, scope, expires_at) VALUES "
        "(gen_random_uuid(), 'scoped', 'chat', 'a', '', ARRAY[gen_random_uuid()], NULL), "
        "(gen_random_uuid(), 'ends', 'chat', 'b', '', '{}', now()), "
        "(gen_random_uuid(), 'lasts', 'admin', 'c', '', '{}', NULL)"
    )
    embeds = (
        "INSERT INTO embeds (id, name, knowledge_base_id, origins, require_identity) "
        "SELECT need::text, 'e', id, '{}', need FROM knowledge_bases, unnest(ARRAY[true, false]) AS need"
    )
    for statement in (base, key, embeds):
        await execute(empty.engine.url, statement)

    def undo(connection: Connection, revision: str) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)

    async with empty.engine.connect() as connection:
        await connection.run_sync(undo, "0006")
    async with empty.transaction() as session:
        keys = await session.scalars(text("SELECT name FROM api_keys WHERE revoked_at IS NULL"))
        assert keys.all() == ["lasts"]
        open_to_all = await session.scalars(text("SELECT id FROM embeds WHERE revoked_at IS NULL"))
        assert open_to_all.all() == ["false"]
    async with empty.engine.connect() as connection:
        await connection.run_sync(undo, "base")
    await migrate(empty)
    assert await heads(empty) == HEADS


async def test_the_models_say_what_the_migrations_make(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        return list(compare_metadata(context, Base.metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_processes_that_migrate_at_once_wait_for_each_other(empty_url: str) -> None:
    databases = [Database(empty_url, pool=2) for _ in range(4)]
    try:
        await asyncio.gather(*(migrate(database) for database in databases))
        assert await heads(databases[0]) == HEADS
    finally:
        await asyncio.gather(*(database.close() for database in databases))


async def test_a_schema_that_is_newer_than_this_version_is_refused_and_left_alone(empty: Database) -> None:
    await migrate(empty)
    await execute(empty.engine.url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match=r"schema \(9999\) is newer than this version"):
        await migrate(empty)
    assert await heads(empty) == {"9999"}


async def test_a_migration_that_fails_says_why_changes_nothing_and_frees_the_lock(empty: Database) -> None:
    await execute(empty.engine.url, "CREATE TABLE chunks (somebody_elses text)")
    for _ in range(2):
        async with asyncio.timeout(10):
            with pytest.raises(ProgrammingError, match='relation "chunks" already exists'):
                await migrate(empty)
    assert await heads(empty) == set()
    await execute(empty.engine.url, "DROP TABLE chunks")
    await migrate(empty)
    assert await heads(empty) == HEADS


async def test_a_database_that_never_answers_is_unavailable_after_the_wait(
    own_postgres: LocalPostgres,
) -> None:
    database = Database(own_postgres.url)
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        await migrate(database, wait_seconds=0.2)
    await database.close()


async def test_a_database_that_comes_up_later_is_waited_for(own_postgres: LocalPostgres) -> None:
    database = Database(own_postgres.url)
    waiting = asyncio.create_task(migrate(database))
    await own_postgres.start()
    await waiting
    assert await heads(database) == HEADS
    await database.close()
