"""What tests stand on: a real PostgreSQL (a template database cloned for each test), a real Chroma server, a real
HTTP server that speaks OpenAI's protocol, and the app behind a real socket."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import uvicorn
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from ingest.pipeline import Pipeline
from ingest.sandbox import Extractor
from ingest.worker import Worker
from rag_service.api.deps import Services
from rag_service.app import create_app
from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.migrate import migrate
from rag_service.db.repositories.chunks import Chunks
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.knowledge.embeddings import Embedder, load_embedder
from rag_service.knowledge.vectors import ChromaIndex
from rag_service.settings import Settings
from rag_service.supervisor.chroma import LocalChroma
from rag_service.supervisor.postgres import LocalPostgres
from rag_service.testing.embedder import HashedWords
from rag_service.testing.model_server import ModelServer

TEMPLATE = "template_for_tests"
_OURS = ("RAG_", "OPENAI_", "ANTHROPIC_", "GOOGLE_API_", "GOOGLE_GEMINI_", "MISTRAL_", "OLLAMA_")
SECRET = "a-secret-for-tests-only-0123456789-abcdefghij"


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> None:
    for name in list(os.environ):
        if name.startswith(_OURS) or name in ("DATABASE_URL", "CHROMA_URL", "REDIS_URL"):
            del os.environ[name]


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command run in this process sets up logging for itself; the next test must not live with that."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    for handler in [one for one in root.handlers if one not in handlers]:
        root.removeHandler(handler)


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalPostgres]:
    """One PostgreSQL for the session, with a migrated template database."""
    server = LocalPostgres(tmp_path_factory.mktemp("postgres"))
    await server.start()
    try:
        await _admin(server.url, f'CREATE DATABASE "{TEMPLATE}"')
        database = Database(_of(server.url, TEMPLATE))
        await migrate(database)
        await database.close()
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def database_url(postgres: LocalPostgres) -> AsyncIterator[str]:
    """A database of the test's own, cloned from the template: what it commits is gone with it."""
    name = f"test_{uuid4().hex}"
    await _admin(postgres.url, f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')
    yield _of(postgres.url, name)
    await _admin(postgres.url, f'DROP DATABASE "{name}" WITH (FORCE)')


def _of(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


async def _admin(url: str, statement: str) -> None:
    plain = make_url(url).set(drivername="postgresql", database="postgres")
    connection = await asyncpg.connect(plain.render_as_string(hide_password=False))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url, pool=5)
    yield made
    await made.close()


@pytest.fixture(scope="session")
async def chroma(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalChroma]:
    server = LocalChroma(tmp_path_factory.mktemp("chroma"))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture(scope="session")
def _model_server() -> Iterator[ModelServer]:
    with ModelServer() as server:
        yield server


@pytest.fixture
def model_server(_model_server: ModelServer) -> ModelServer:
    """A server that speaks OpenAI's protocol, as if just started."""
    _model_server.reset()
    return _model_server


@pytest.fixture(scope="session")
def real_embedder() -> Embedder:
    """The product's own embedding model, loaded once."""
    return load_embedder(Settings(_env_file=None))


@pytest.fixture
def settings(tmp_path: Path, database_url: str, chroma: LocalChroma) -> Settings:
    """Settings on the test's own database and state folder; answers are extractive."""
    return Settings(
        _env_file=None,
        database_url=SecretStr(database_url),
        chroma_url=chroma.url,
        secret_key=SecretStr(SECRET),
        state_dir=tmp_path / "state",
        refusal_score=0.03,  # of the hashed words' scale
        job_lease_seconds=2,
        model_titles=False,  # a model would be asked once more behind a test's back
    )


@dataclass
class Server:
    """The app behind a real socket, with its services, a client that has the admin key, and the worker."""

    url: str
    services: Services
    http: httpx.AsyncClient
    worker: Worker

    async def upload(self, *files: tuple[str, str | bytes], slug: str = "default") -> dict[str, Any]:
        """Upload files over HTTP, let the worker read them all, and the lexical index take them up."""
        answer = await self.http.post(
            f"/api/v1/knowledge-bases/{slug}/documents",
            files=[
                ("files", (name, data if isinstance(data, bytes) else data.encode())) for name, data in files
            ],
        )
        assert answer.status_code == 202, answer.text
        while await self.worker.run_one():
            pass
        await self._indexed(slug)
        body: dict[str, Any] = answer.json()
        return body

    async def _indexed(self, slug: str) -> None:
        async with asyncio.timeout(30):
            while True:
                async with self.services.database.transaction() as session:
                    base = await KnowledgeBases(session).by_slug(slug)
                    chunks = await Chunks(session).count(base.id)
                if (await self.services.lexical.frequencies(base.id, []))[0] == chunks:
                    return
                await asyncio.sleep(0.02)


Serve = Callable[..., AbstractAsyncContextManager[Server]]


@pytest.fixture
def serve(settings: Settings) -> Serve:
    """Starts the app: `async with serve(chat_model="openai:x", openai_base_url=…) as server`."""

    @asynccontextmanager
    async def start(*, embedder: Embedder | None = None, **changes: Any) -> AsyncIterator[Server]:
        chosen = embedder or HashedWords()
        configured = settings.model_copy(update=changes)
        app = create_app(configured, load=lambda _: chosen)
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, proxy_headers=False, timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with AsyncExitStack() as stack:
            try:
                await _until_ready(app.state.startup, task)
                key = configured.admin_key_file.read_text().strip()
                services: Services = app.state.startup.services
                yield Server(
                    url=url,
                    services=services,
                    http=await stack.enter_async_context(
                        httpx.AsyncClient(
                            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=20
                        )
                    ),
                    worker=await _worker(configured, services.database, chosen, stack),
                )
            finally:
                server.should_exit = True
                await task

    return start


async def _until_ready(startup: Any, task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(20):
        while startup.services is None:
            assert not task.done() and startup.failure is None, startup.failure
            await asyncio.sleep(0.01)


async def _worker(
    settings: Settings, database: Database, embedder: Embedder, stack: AsyncExitStack
) -> Worker:
    assert settings.chroma_url
    extractor = await stack.enter_async_context(
        Extractor(seconds=settings.extract_seconds, memory_mb=settings.extract_memory_mb)
    )
    pipeline = Pipeline(
        database=database,
        blobs=BlobStore(settings.blob_dir),
        vectors=ChromaIndex(settings.chroma_url),
        embedder=embedder,
        extractor=extractor,
        chunk_tokens=settings.chunk_tokens,
        lease=timedelta(seconds=settings.job_lease_seconds),
    )
    return Worker(database, pipeline, attempts=settings.job_attempts, keep_quotes=settings.keep_quotes)


@pytest.fixture
async def server(serve: Serve) -> AsyncIterator[Server]:
    """The app with hashed words for an embedder and no language model."""
    async with serve() as running:
        yield running
