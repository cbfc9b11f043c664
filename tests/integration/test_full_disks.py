"""A full disk, of the database and of what reads files: told as such, and waited out by the worker.

The database says so itself: a trigger raises what PostgreSQL raises when it cannot extend a file.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text

from ingest.blocks import Extraction
from ingest.limits import Limits
from ingest.serving import _answer
from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from tests.api.support import check_problem
from tests.conftest import Server

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


async def test_a_full_database_is_told_leaves_nothing_behind_and_costs_no_attempt(server: Server) -> None:
    database, files = server.services.database, {"files": ("a.md", b"# Comets\n\nComets are ice.")}
    async with no_room_for(database, "document_versions"):
        answer = await server.http.post(DOCUMENTS, files=files)
        assert "Make room" in check_problem(answer, 507, "database_full")["detail"]
        assert "retry-after" not in answer.headers
    assert not list(BlobStore(server.services.settings.blob_dir).files())

    job = (await server.http.post(DOCUMENTS, files=files)).json()["jobs"][0]
    async with no_room_for(database, "embeddings"):
        assert await server.worker.run_one()
    waiting = (await server.http.get(f"/api/v1/jobs/{job['id']}")).json()
    assert (waiting["state"], waiting["attempts"], waiting["error"]["code"]) == ("queued", 0, "database_full")
    async with database.transaction() as session:
        await session.execute(text("UPDATE jobs SET not_before = now()"))
    assert await server.worker.run_one()
    assert (await server.http.get(f"/api/v1/jobs/{job['id']}")).json()["state"] == "succeeded"

    async with no_room_for(database, "messages"):
        question = {"message": "What are comets?", "stream": False}
        check_problem(await server.http.post("/api/v1/chat", json=question), 507, "database_full")


def test_a_reader_without_room_does_not_blame_the_file(tmp_path: Path) -> None:
    def extract(path: Path, name: str, limits: Limits) -> Extraction:
        Path("/dev/full").write_bytes(b"x")  # a device of the kernel's that has no room, ever
        raise AssertionError

    with (tmp_path / "text").open("wb") as first, (tmp_path / "blocks").open("wb") as second:
        answer = _answer(extract, {"path": "a.md", "name": "a.md"}, Limits(), (first, second))
    assert answer["error"]["code"] == "disk_full"
