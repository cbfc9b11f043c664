"""A full disk, of the database and of what reads files: told as such, and waited out by the worker.

The databases say so themselves: a trigger raises what PostgreSQL, or Chroma's SQLite, raises when it cannot extend a
file.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text

from ingest.blocks import Extraction
from ingest.limits import Limits
from ingest.serving import _answer
from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.supervisor.chroma import LocalChroma
from tests.api.support import check_problem
from tests.conftest import Serve, Server

FILES = {"files": ("a.md", b"# Comets\n\nComets are ice.")}
DOCUMENTS = "/api/v1/knowledge-bases/default/documents"


@asynccontextmanager
async def no_room_for(database: Database, table: str) -> AsyncIterator[None]:
    async def run(*statements: str) -> None:
        async with database.transaction() as session:
            for statement in statements:
                await session.execute(text(statement))

    await run(
        "CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$",
        f"CREATE TRIGGER no_room BEFORE INSERT ON {table} EXECUTE FUNCTION no_room()",
    )
    yield
    await run(f"DROP TRIGGER no_room ON {table}")


async def upload(server: Server) -> str:
    """The id of the job that reads it."""
    return str((await server.http.post(DOCUMENTS, files=FILES)).json()["jobs"][0]["id"])


async def look(server: Server, job_id: str) -> tuple[str, int, str | None]:
    """State, attempts and the error's code."""
    job = (await server.http.get(f"/api/v1/jobs/{job_id}")).json()
    return job["state"], job["attempts"], job["error"] and job["error"]["code"]


async def make_due(server: Server) -> None:
    async with server.services.database.transaction() as session:
        await session.execute(text("UPDATE jobs SET not_before = now()"))


async def test_a_full_database_is_told_leaves_nothing_behind_and_costs_no_attempt(server: Server) -> None:
    database = server.services.database
    async with no_room_for(database, "document_versions"):
        answer = await server.http.post(DOCUMENTS, files=FILES)
        assert "Make room" in check_problem(answer, 507, "database_full")["detail"]
        assert "retry-after" not in answer.headers
    assert not list(BlobStore(server.services.settings.blob_dir).files())

    job = await upload(server)
    async with no_room_for(database, "embeddings"):
        assert await server.worker.run_one()
    assert await look(server, job) == ("queued", 0, "database_full")
    await make_due(server)
    assert await server.worker.run_one()
    assert await look(server, job) == ("succeeded", 1, None)

    async with no_room_for(database, "messages"):
        question = {"message": "What are comets?", "stream": False}
        check_problem(await server.http.post("/api/v1/chat", json=question), 507, "database_full")


async def test_a_full_chroma_costs_no_attempt_and_the_job_goes_on_with_the_room(
    serve: Serve, tmp_path: Path
) -> None:
    own = LocalChroma(tmp_path)
    await own.start()
    try:
        async with serve(chroma_url=own.url) as server:
            job = await upload(server)
            with sqlite3.connect(tmp_path / "chroma" / "chroma.sqlite3", timeout=10) as inside:
                inside.execute(
                    "CREATE TRIGGER no_room BEFORE INSERT ON embeddings_queue "
                    "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
                )
            assert await server.worker.run_one()
            assert await look(server, job) == ("queued", 0, "vector_index_full")
            inside.execute("DROP TRIGGER no_room")
            inside.close()
            await make_due(server)
            assert await server.worker.run_one()
            assert await look(server, job) == ("succeeded", 1, None)
    finally:
        await own.stop()


def test_a_reader_without_room_does_not_blame_the_file(tmp_path: Path) -> None:
    def extract(path: Path, name: str, limits: Limits) -> Extraction:
        Path("/dev/full").write_bytes(b"x")  # a device of the kernel's that has no room, ever
        raise AssertionError

    with (tmp_path / "text").open("wb") as first, (tmp_path / "blocks").open("wb") as second:
        answer = _answer(extract, {"path": "a.md", "name": "a.md"}, Limits(), (first, second))
    assert answer["error"]["code"] == "disk_full"
