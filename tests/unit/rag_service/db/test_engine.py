"""The database: transactions, and a server that goes away and comes back."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError

from rag_service.db.engine import Database
from rag_service.db.models import KnowledgeBase
from rag_service.errors import ConfigurationError, DatabaseUnavailable
from rag_service.supervisor.postgres import LocalPostgres


def knowledge_base(slug: str) -> KnowledgeBase:
    return KnowledgeBase(slug=slug, name="n", embedding_model="m")


async def slugs(database: Database) -> list[str]:
    async with database.transaction() as session:
        return list((await session.execute(text("SELECT slug FROM knowledge_bases ORDER BY slug"))).scalars())


async def test_a_transaction_is_committed_at_its_end_and_undone_by_any_error(database: Database) -> None:
    async with database.transaction() as session:
        session.add(knowledge_base("kept"))
    with pytest.raises(KeyError):
        async with database.transaction() as session:
            session.add(knowledge_base("undone"))
            await session.flush()
            raise KeyError
    assert await slugs(database) == ["kept"]


async def test_a_mistake_in_a_statement_is_not_taken_for_a_lost_server(database: Database) -> None:
    with pytest.raises(DBAPIError, match="no_such_table"):
        async with database.transaction() as session:
            await session.execute(text("SELECT * FROM no_such_table"))
    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            session.add_all([knowledge_base("same"), knowledge_base("same")])
    assert await slugs(database) == []


async def test_what_was_loaded_can_be_read_after_the_commit(database: Database) -> None:
    async with database.transaction() as session:
        made = knowledge_base("kb")
        session.add(made)
    assert (made.slug, made.created_at.tzinfo is not None) == ("kb", True)


async def test_a_lost_server_is_unavailable_and_used_again_when_it_is_back(
    own_postgres: LocalPostgres,
) -> None:
    database = Database(own_postgres.url, pool=3)
    with pytest.raises(DatabaseUnavailable):
        await database.ping()
    await own_postgres.start()
    await database.ping()

    working, idle = asyncio.Event(), asyncio.Event()
    gone = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as session:
            await session.execute(text("SELECT 1"))
            working.set()
            await session.execute(text("SELECT pg_sleep(60)"))

    async def wait() -> None:
        async with database.transaction() as session:
            await session.execute(text("SELECT 1"))
            idle.set()
            await gone.wait()

    tasks = [asyncio.create_task(work()), asyncio.create_task(wait())]
    await asyncio.gather(working.wait(), idle.wait())
    await own_postgres.stop()
    gone.set()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, DatabaseUnavailable), outcome
    with pytest.raises(DatabaseUnavailable):
        await database.ping()
    await own_postgres.start()
    await database.ping()
    await database.close()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"password": "wrong-4711"}, "refuses the user or the password in DATABASE_URL"),
        ({"username": f"nobody_{uuid4().hex}"}, "refuses the user or the password in DATABASE_URL"),
        ({"database": "no_such_database"}, "The database that DATABASE_URL names does not exist"),
        ({"port": 1}, "does not answer"),
    ],
)
async def test_a_login_that_fails_is_told_apart_from_a_server_that_is_away(
    postgres: LocalPostgres, change: dict[str, str], sentence: str
) -> None:
    url = make_url(postgres.url).set(**change)  # type: ignore[arg-type]
    database = Database(url.render_as_string(hide_password=False))
    with pytest.raises(DatabaseUnavailable, match=sentence) as unavailable:
        await database.ping()
    assert "4711" not in unavailable.value.detail
    await database.close()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+asyncpg"])
async def test_a_database_may_be_named_in_any_of_the_usual_ways(database_url: str, scheme: str) -> None:
    address = database_url.partition("://")[2]
    database = Database(f"{scheme}://{address}?sslmode=disable")
    await database.ping()
    await database.close()


@pytest.mark.parametrize(
    "url", ["", "nonsense-4711", "sqlite:///4711.db", "mysql://u:4711@h/d", "postgresql://u:4711@h:x/d"]
)
def test_what_is_no_address_of_a_postgresql_database_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL is no address") as refused:
        Database(url)
    assert "4711" not in refused.value.detail
    assert refused.value.__suppress_context__


async def test_transactions_beyond_the_pool_wait_for_their_turn(database_url: str) -> None:
    database = Database(database_url, pool=2)

    async def ask(number: int) -> int:
        async with database.transaction() as session:
            return int((await session.execute(text(f"SELECT {number}"))).scalar_one())

    assert await asyncio.gather(*(ask(number) for number in range(20))) == list(range(20))
    await database.close()
