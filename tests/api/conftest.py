"""Servers shared by the API tests: started once, since a test that keeps to its own knowledge base, key and
conversation cannot see another's."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn
from pydantic import SecretStr

from rag_service.api.serving import Protocol
from rag_service.app import create_app
from rag_service.knowledge.tokens import load_token_counter
from rag_service.settings import Settings
from rag_service.supervisor.chroma import LocalChroma
from rag_service.supervisor.postgres import LocalPostgres
from rag_service.testing.embedder import HashedWords
from rag_service.testing.model_server import ModelServer
from tests.conftest import SECRET, TEMPLATE, Server, _admin, _of, _until_ready, _worker

_TLS = ssl.create_default_context()  # made once: a client of its own would read all certificates again

GRACE_SECONDS = 0.5
"""Of `pair`."""

MOON = """# Moon

The moon is made of basalt and anorthosite. Its far side is never seen from Earth.

## Orbit

The moon takes 27 days to circle the Earth.

## Mass

The moon weighs 73 quintillion tonnes.
"""


@pytest.fixture(scope="session", autouse=True)
def _tokens_counted_offline() -> None:
    """tiktoken asks the internet once a model and process: here it is refused, on every machine alike."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        load_token_counter("test-model")


@asynccontextmanager
async def _serving(settings: Settings) -> AsyncIterator[Server]:
    embedder = HashedWords()
    app = create_app(settings, load=lambda _: embedder)
    listener = socket.create_server(("127.0.0.1", 0))
    # The system would hold megabytes for a reader who does not read: here it is soon felt.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        http=Protocol,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=600,  # the tests' client lives as long: none finds its connection just closed
    )
    uvicorn_server = uvicorn.Server(config)
    task = asyncio.create_task(uvicorn_server.serve(sockets=[listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with AsyncExitStack() as stack:
        try:
            await _until_ready(app.state.startup, task)
            key = settings.admin_key_file.read_text().strip()
            services = app.state.startup.services
            yield Server(
                url=url,
                services=services,
                http=await stack.enter_async_context(client_of(url, key)),
                worker=await _worker(settings, services.database, embedder, stack),
            )
        finally:
            uvicorn_server.should_exit = True
            await task


def client_of(url: str, key: str | None) -> httpx.AsyncClient:
    """A client with that key, or with none."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=20, trust_env=False, verify=_TLS)


@asynccontextmanager
async def _on_a_database_of_its_own(
    postgres: LocalPostgres, chroma: LocalChroma, state: Path, **settings: Any
) -> AsyncIterator[Server]:
    name = f"test_{uuid4().hex}"
    await _admin(postgres.url, f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')
    # What a power cut would lose is gone at the end anyway: no commit waits for the disk.
    await _admin(postgres.url, f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    try:
        async with _serving(
            Settings(
                _env_file=None,
                database_url=SecretStr(_of(postgres.url, name)),
                chroma_url=chroma.url,
                secret_key=SecretStr(SECRET),
                state_dir=state,
                refusal_score=0.03,
                model_titles=False,  # a model would be asked once more behind a test's back
                model_rest_seconds=0,  # what one test makes of the model, the next must not find
                **settings,
            )
        ) as server:
            await server.upload(("moon.md", MOON))
            yield server
    finally:
        await _admin(postgres.url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
async def quoting(
    postgres: LocalPostgres, chroma: LocalChroma, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """A server without a language model. `default` knows about the moon."""
    state = tmp_path_factory.mktemp("quoting")
    # Tests of who may what ask more often, and are refused more often, than anybody would in a minute.
    unlimited = {"limit_failures_per_minute": 0, "limit_visitor_requests_per_minute": 0}
    async with _on_a_database_of_its_own(postgres, chroma, state, **unlimited) as server:
        yield server


@pytest.fixture(scope="session")
async def _generating(
    postgres: LocalPostgres,
    chroma: LocalChroma,
    _model_server: ModelServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Server]:
    state = tmp_path_factory.mktemp("generating")
    async with _on_a_database_of_its_own(
        postgres, chroma, state, chat_model="openai:test-model", openai_base_url=_model_server.base_url
    ) as server:
        yield server


@pytest.fixture
def generating(_generating: Server, model_server: ModelServer) -> Server:
    """A server whose answers come from `model_server`. `default` knows about the moon."""
    return _generating


@pytest.fixture(scope="session")
async def _pair(
    postgres: LocalPostgres,
    chroma: LocalChroma,
    _model_server: ModelServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Server, Server]]:
    async with _on_a_database_of_its_own(
        postgres,
        chroma,
        tmp_path_factory.mktemp("pair"),
        chat_model="openai:test-model",
        openai_base_url=_model_server.base_url,
        run_grace_seconds=GRACE_SECONDS,
        stream_send_seconds=0.5,
        database_pool=5,
        answer_tokens=1_000_000,  # to one who does not read, more is said than is held for anybody
    ) as first:
        other = first.services.settings.model_copy(
            update={"lexical_dir": tmp_path_factory.mktemp("pair") / "lexical"}
        )
        async with _serving(other) as second:
            yield first, second


@pytest.fixture
def pair(_pair: tuple[Server, Server], model_server: ModelServer) -> tuple[Server, Server]:
    """Two api processes (as far as they can tell) on one database, which give up a turn that nobody follows for
    `GRACE_SECONDS`. `default` knows about the moon; answers come from `model_server`."""
    return _pair


@pytest.fixture(scope="session")
async def _impatient(
    postgres: LocalPostgres,
    chroma: LocalChroma,
    _model_server: ModelServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Server]:
    state = tmp_path_factory.mktemp("impatient")
    async with _on_a_database_of_its_own(
        postgres,
        chroma,
        state,
        chat_model="openai:test-model",
        openai_base_url=_model_server.base_url,
        model_first_token_seconds=0.8,
        model_token_seconds=0.8,
    ) as server:
        yield server


@pytest.fixture
def impatient(_impatient: Server, model_server: ModelServer) -> Server:
    """As `generating`, but a model that is silent for 0.8 seconds is given up."""
    return _impatient


NewBase = Callable[[Server], Awaitable[str]]


@pytest.fixture
def new_base() -> NewBase:
    """Makes an empty knowledge base of the test's own, and gives its slug."""

    async def make(server: Server) -> str:
        slug = f"kb-{uuid4().hex[:12]}"
        answer = await server.http.post("/api/v1/knowledge-bases", json={"slug": slug, "name": slug})
        assert answer.status_code == 201, answer.text
        return slug

    return make


Guest = Callable[[Server], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def guest() -> AsyncIterator[Guest]:
    """Makes a client with a new key of the role `chat`."""
    async with AsyncExitStack() as stack:

        async def make(server: Server) -> httpx.AsyncClient:
            _, key = await server.services.keys.create("a test's guest", "chat")
            return await stack.enter_async_context(client_of(server.url, key))

        yield make
