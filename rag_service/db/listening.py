"""Being told by PostgreSQL: LISTEN on a connection of one's own."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg

from rag_service.db.engine import Database

PAUSE_SECONDS = 1.0


Greet = Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[None]]


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
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            connection = await asyncpg.connect(
                url.render_as_string(hide_password=False),
                timeout=5,
                server_settings={"application_name": "rag-listener"},
            )
            lost = asyncio.Event()
            try:
                if greet is not None:
                    await greet(connection)
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(channel, wake)
                wake()
                await lost.wait()
            finally:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                    await connection.close(timeout=2)
        await asyncio.sleep(PAUSE_SECONDS)
