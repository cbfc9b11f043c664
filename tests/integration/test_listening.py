"""LISTEN over a line that falls silent: nobody says that it is gone, and it is found out all the same."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from rag_service.db import listening
from rag_service.db.engine import Database
from tests.integration.ingestion import running
from tests.line import Line

SECONDS = 20


@pytest.fixture
async def line(database_url: str) -> AsyncIterator[Line]:
    """A line to PostgreSQL."""
    async with Line(database_url) as made:
        yield made


@pytest.fixture
async def far(line: Line, database_url: str) -> AsyncIterator[Database]:
    """The database at the other end of the line."""
    at = urlsplit(line.url)
    url = make_url(database_url).set(host=at.hostname, port=at.port)
    made = Database(url.render_as_string(hide_password=False))
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(listening, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(listening, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(listening, "GREET_SECONDS", 1.0)


async def notify(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("NOTIFY news"))


async def test_a_line_that_fell_silent_is_left_for_a_new_one(
    database: Database, far: Database, line: Line
) -> None:
    told = asyncio.Event()

    async def is_told() -> None:
        async with asyncio.timeout(SECONDS):
            await told.wait()
        told.clear()

    async with running(listening.listen(far, "news", told.set)):
        await is_told()  # it listens
        await notify(database)
        await is_told()
        line.hush()
        await notify(database)  # lost
        await is_told()  # it listens again
        await notify(database)
        await is_told()


async def test_a_line_that_falls_silent_at_the_greeting_is_left_too(far: Database, line: Line) -> None:
    greeted, told = 0, asyncio.Event()

    async def greet(connection: Any) -> None:
        nonlocal greeted
        greeted += 1
        if greeted == 1:
            line.hush()
        await connection.execute("SELECT 1")

    async with running(listening.listen(far, "news", told.set, greet=greet)), asyncio.timeout(SECONDS):
        await told.wait()
    assert greeted >= 2
