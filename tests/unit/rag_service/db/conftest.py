"""Empty databases, and a PostgreSQL of one's own to stop and start."""

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.engine import URL, make_url

from rag_service.supervisor.postgres import LocalPostgres


async def execute(url: str | URL, statement: str) -> None:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(plain)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def empty_url(postgres: LocalPostgres) -> AsyncIterator[str]:
    """The URL of a database with nothing in it, not even a schema of ours."""
    server, name = make_url(postgres.url).set(database="postgres"), f"empty_{uuid4().hex}"
    await execute(server, f'CREATE DATABASE "{name}"')
    yield server.set(database=name).render_as_string(hide_password=False)
    await execute(server, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalPostgres]:
    """A server of the test's own, not started yet."""
    server = LocalPostgres(tmp_path_factory.mktemp("own_postgres"))
    yield server
    await server.stop()
