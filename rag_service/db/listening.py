"""Being told by PostgreSQL: LISTEN on a connection of one's own."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

import asyncpg

from rag_service.db.engine import Database

PAUSE_SECONDS = 1.0
LOOK_SECONDS = 10.0
"""How often a connection is asked whether it is there: of one whose other end vanished nothing is heard, ever."""
ANSWER_SECONDS = 5.0
GREET_SECONDS = 30.0
"""How long a greeting may take; what it waits for may be held by a connection before, whose end PostgreSQL notices
later than we."""

_FAULTS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Greet = Callable[[Connection], Awaitable[None]]


async def listen(
    database: Database, channel: str, *sleepers: Callable[[], None], greet: Greet | None = None
) -> None:
    """Call all of `sleepers` at each NOTIFY, and whenever the connection is there again: what was told meanwhile is
    lost. `greet` is given each new connection first: what it takes there is held for as long as that one lasts.

    For ever. Who must not miss anything looks for itself from time to time.
    """

    def wake(*_: object) -> None:
        for one in sleepers:
            one()

    url = database.engine.url.set(drivername="postgresql")
    url = url.set(query={"sslmode" if name == "ssl" else name: value for name, value in url.query.items()})
    while True:
        with suppress(*_FAULTS):
            connection = await asyncpg.connect(
                url.render_as_string(hide_password=False),
                timeout=ANSWER_SECONDS,
                server_settings={"application_name": "rag-listener"},
            )
            try:
                if greet is not None:
                    async with asyncio.timeout(GREET_SECONDS):
                        await greet(connection)
                await _hear(connection, channel, wake)
            finally:
                with suppress(*_FAULTS):
                    await connection.close(timeout=2)
        await asyncio.sleep(PAUSE_SECONDS)


async def _hear(connection: Connection, channel: str, wake: Callable[..., None]) -> None:
    """Call `wake` at each NOTIFY, and at first, until the connection is lost."""
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    async with asyncio.timeout(ANSWER_SECONDS):
        await connection.add_listener(channel, wake)
    wake()
    while not lost.is_set():
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await lost.wait()
        except TimeoutError:
            async with asyncio.timeout(ANSWER_SECONDS):
                await connection.execute("SELECT 1")
