"""Queries without the ORM: in the caller's scope all the same, and no harm to the pool however they end."""

import asyncio
from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import func, select, text

from rag_service.db.caller import Caller, caller
from rag_service.db.engine import Database
from rag_service.db.models import KnowledgeBase
from rag_service.db.plain import PlainQuery
from rag_service.db.repositories.knowledge_bases import look_up
from rag_service.errors import DatabaseUnavailable

SLEEP = PlainQuery(select(func.pg_sleep(60)))
ONE = PlainQuery(select(func.abs(-1)))


@pytest.fixture
def nobody() -> Iterator[None]:
    """Whoever the test acts for is forgotten at its end."""
    token = caller.set(None)
    yield
    caller.reset(token)


async def test_a_caller_sees_only_what_is_in_its_scope(database: Database, nobody: None) -> None:
    async with database.transaction() as session:
        session.add_all([KnowledgeBase(slug=slug, name="n", embedding_model="m") for slug in ("a", "b")])
    mine = await look_up(database, "a")
    assert mine is not None and mine.created_at.tzinfo is not None
    caller.set(Caller("key:1", frozenset({mine.id})))
    assert (await look_up(database, mine.id)) is not None
    assert await look_up(database, "b") is None
    caller.set(Caller("key:2", frozenset({uuid4()})))
    assert await look_up(database, "a") is None


async def test_one_that_is_given_up_or_whose_connection_is_lost_leaves_the_pool_whole(
    database_url: str,
) -> None:
    database = Database(database_url, pool=1, application="plain-test")
    given_up = asyncio.create_task(database.rows(SLEEP))
    await _until_asleep(database_url)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    assert (await database.rows(ONE))[0][0] == 1
    lost = asyncio.create_task(database.rows(SLEEP))
    await _until_asleep(database_url, end=True)
    with pytest.raises(DatabaseUnavailable):
        await lost
    assert (await database.rows(ONE))[0][0] == 1
    await database.close()


async def _until_asleep(database_url: str, *, end: bool = False) -> None:
    """Wait for the sleeping query of the test's database; with `end`, end its connection."""
    act = "pg_terminate_backend(pid)" if end else "pid"
    asleep = text(
        f"SELECT {act} FROM pg_stat_activity WHERE application_name = 'plain-test' "  # noqa: S608
        "AND datname = current_database() AND state = 'active' AND wait_event = 'PgSleep'"
    )
    watcher = Database(database_url, pool=1)
    async with asyncio.timeout(10):
        while True:
            async with watcher.reading() as session:
                if (await session.execute(asleep)).first() is not None:
                    break
    await watcher.close()
