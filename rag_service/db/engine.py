"""The database: one engine a process, short transactions, errors of our own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from asyncpg import Connection, PostgresConnectionError, PostgresError
from asyncpg import InterfaceError as DriverInterfaceError
from asyncpg.exceptions import DiskFullError, InternalClientError, OperatorInterventionError
from sqlalchemy import URL, PoolProxiedConnection, event, make_url, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    InvalidRequestError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.util import greenlet_spawn

from rag_service.db.plain import PlainInsert, PlainQuery
from rag_service.db.scoping import ScopedSession
from rag_service.errors import ConfigurationError, DatabaseFull, DatabaseUnavailable

COMMAND_SECONDS = 60
POOL_WAIT_SECONDS = 10

_DISK_FULL = "53100"
# The fourth is what SQLAlchemy makes of the driver's error and, below a session, does not wrap: a server that starts.
_REFUSED = (
    DBAPIError,
    InvalidRequestError,
    PoolTimeoutError,
    AsyncAdapt_asyncpg_dbapi.Error,
    PostgresError,
    OSError,
)
# The third: the server has said that it ends this connection, which is not closed yet, and then it was asked.
_LOST = (
    PostgresConnectionError,
    OperatorInterventionError,
    InternalClientError,
    DriverInterfaceError,
    OSError,
)


class Database:
    """One engine and its sessions. Built once a process, closed once."""

    def __init__(self, url: str, *, pool: int = 10, application: str = "rag-service") -> None:
        """Connects to nothing yet.

        Raises:
            ConfigurationError: `url` is no address of a PostgreSQL database.
        """
        self.engine: AsyncEngine = create_async_engine(
            _for_asyncpg(url),
            # An error that prints its parameters would put questions and documents into the log.
            hide_parameters=True,
            pool_size=pool,
            max_overflow=0,
            pool_timeout=POOL_WAIT_SECONDS,
            connect_args={
                "timeout": 5,
                # A database that is stopped, not dead, must not hold a request for ever.
                "command_timeout": COMMAND_SECONDS,
                "server_settings": {"application_name": application},
            },
        )
        event.listen(self.engine.sync_engine, "checkout", _refuse_closed)
        make = partial(async_sessionmaker, expire_on_commit=False, sync_session_class=ScopedSession)
        self._sessions = make(self.engine)
        self._readers = make(self.engine.execution_options(isolation_level="AUTOCOMMIT"))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """One transaction: committed at the end of the block, rolled back on any error.

        Its queries see what is in the caller's scope (`caller.py`), if there is a caller.

        Raises:
            DatabaseUnavailable: the server cannot be reached, or was lost in between.
            DatabaseFull: its disk is full.
        """
        async with self._session(self._sessions) as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """For a query that stands alone: no transaction, and so two round trips less. Nothing is to be written.

        Raises as `transaction` does.
        """
        async with self._session(self._readers) as session:
            yield session

    @asynccontextmanager
    async def _session(self, sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            try:
                await session.connection()
            except (DBAPIError, PoolTimeoutError, PostgresError, OSError) as error:
                # Also a database that does not exist yet: on a first start it is about to.
                raise DatabaseUnavailable(_why_not_connected(error)) from error
            try:
                yield session
                await session.commit()
            except TimeoutError as error:
                raise DatabaseUnavailable("The database took too long; try again in a moment.") from error
            except InternalClientError as error:  # the one that SQLAlchemy passes on as it is
                raise DatabaseUnavailable("The connection to the database was lost; try again.") from error
            except DBAPIError as error:
                if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
                    raise DatabaseUnavailable(
                        "The connection to the database was lost; try again."
                    ) from error
                if _sqlstate(error) == _DISK_FULL:
                    raise _disk_full() from error
                raise

    async def rows(self, query: PlainQuery | PlainInsert, **values: Any) -> Sequence[Any]:
        """The rows of a statement that stands alone, each a tuple; as cheap as it can be. It is done as a whole.

        Raises as `transaction` does.
        """
        text, ordered = query.for_caller(values)
        connection = None
        try:
            connection = await self.engine.raw_connection()
            found: Sequence[Any] = await _driver(connection).fetch(text, *ordered)
        except BaseException as error:
            if connection is not None:
                connection.invalidate()  # where it broke off in the midst, nobody knows its state
            if isinstance(error, TimeoutError):
                raise DatabaseUnavailable("The database took too long; try again in a moment.") from error
            if isinstance(error, _LOST if connection is not None else _REFUSED):
                raise DatabaseUnavailable(_why_not_connected(error)) from error
            if isinstance(error, DiskFullError):
                raise _disk_full() from error
            raise
        await greenlet_spawn(connection.close)
        return found

    async def ping(self) -> None:
        """Raises DatabaseUnavailable unless a trivial query is answered within two seconds."""
        try:
            async with asyncio.timeout(2), self.transaction() as session:
                await session.execute(text("SELECT 1"))
        except TimeoutError as error:
            raise DatabaseUnavailable("The database does not answer within two seconds.") from error

    async def close(self) -> None:
        await self.engine.dispose()


def _refuse_closed(connection: Any, *_: object) -> None:
    """Have the pool replace a connection that the server has closed.

    asyncpg knows without asking. SQLAlchemy's own check would ask, in three round trips for each transaction.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _driver(connection: PoolProxiedConnection) -> "Connection[Any]":
    driver: Connection[Any] | None = connection.driver_connection
    assert driver is not None  # noqa: S101 - one that is open has it
    return driver


def _for_asyncpg(url: str) -> URL:
    """`url` with the driver that we use, whichever it names, and libpq's `sslmode` under asyncpg's name."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("postgresql", "postgres"):
        # Not chained: the cause's text may hold the password.
        raise ConfigurationError(
            "DATABASE_URL is no address of a PostgreSQL database; it looks like "
            "postgresql://user:password@host:5432/name."
        ) from None
    query = {"ssl" if name == "sslmode" else name: value for name, value in parsed.query.items()}
    return parsed.set(drivername="postgresql+asyncpg", query=query)


def _disk_full() -> DatabaseFull:
    return DatabaseFull(
        "The disk of the database is full, and nothing of this was stored. Make room there (`df` tells where it "
        "lacks), then do it again."
    )


def _sqlstate(error: Exception) -> str:
    """PostgreSQL's own code; empty where it is not its error."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def _why_not_connected(error: Exception) -> str:
    state = _sqlstate(error)
    if state.startswith("28"):  # invalid authorization
        return "The database refuses the user or the password in DATABASE_URL."
    if state.startswith("3D"):  # invalid catalog name
        return "The database that DATABASE_URL names does not exist."
    return "The database does not answer; try again in a moment."
