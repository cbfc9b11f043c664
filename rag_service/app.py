"""The ASGI app: built from settings, with everything it works with made once and closed once."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.formparsers import MultiPartParser
from starlette.middleware.trustedhost import TrustedHostMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from rag_service import __version__
from rag_service.admission.desk import Admission
from rag_service.api import problems, static
from rag_service.api.cors import EmbedOrigins
from rag_service.api.deps import Services
from rag_service.api.in_flight import InFlight
from rag_service.api.middleware import BodyLimit, RequestContext
from rag_service.api.routes import (
    audit,
    chat,
    conversations,
    documents,
    embeds,
    exports,
    feedback,
    health,
    jobs,
    keys,
    knowledge_bases,
    messages,
    openai,
    people,
    search,
    unanswered,
    uploads,
    urls,
    versions,
)
from rag_service.auth.embeds import HOME, EmbedService
from rag_service.auth.service import KeyService
from rag_service.blobs import BlobStore
from rag_service.chat.llm import load_chat_model
from rag_service.chat.service import ChatService
from rag_service.db.engine import Database
from rag_service.db.migrate import migrate
from rag_service.db.repositories.embeds import Embeds
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.documents.service import DocumentService
from rag_service.documents.uploads import UploadService
from rag_service.errors import RagError
from rag_service.knowledge.embeddings import Embedder, load_embedder
from rag_service.knowledge.lexical import TantivyIndex
from rag_service.knowledge.lexical_follower import LexicalFollower
from rag_service.knowledge.reranking import load_reranker
from rag_service.knowledge.retriever import Retriever
from rag_service.knowledge.vectors import ChromaIndex
from rag_service.settings import Settings

logger = logging.getLogger(__name__)

API = "/api/v1"
JSON_BYTES = 256 * 1024
UNDER_API = (
    chat,
    search,
    conversations,
    messages,
    exports,
    feedback,
    unanswered,
    people,
    embeds,
    knowledge_bases,
    uploads,
    documents,
    versions,
    jobs,
    urls,
    keys,
    audit,
)
"""The routes under `API`, in the order in which their reference tells them."""


@dataclass
class StartupState:
    """How far the process has come; `failure` is why it cannot start."""

    services: Services | None = None
    waiting_for: str = "connecting to the database"
    failure: RagError | None = None


LoadEmbedder = Callable[[Settings], Embedder]


def create_app(settings: Settings, *, load: LoadEmbedder = load_embedder) -> FastAPI:
    """The app. Its lifespan starts loading at once, and meanwhile answers 503 with what it waits for.

    `load` makes the embedder; it is called in a thread.
    """
    startup = StartupState()
    # The reference pages bring their scripts along: nothing is fetched from elsewhere.
    app = FastAPIOffline(
        title="rag-service",
        version=__version__,
        lifespan=lambda _: _running(settings, load, startup),
        openapi_url=f"{API}/openapi.json",
        redoc_url=None,
    )
    app.state.startup = startup
    MultiPartParser.spool_max_size = uploads.SPOOL_BYTES  # its own would be a megabyte of memory a file
    problems.install(app)
    _add_routes(app)
    _add_middleware(app, settings)
    return app


def _add_routes(app: FastAPI) -> None:
    app.include_router(health.router)
    for module in UNDER_API:
        app.include_router(module.router, prefix=API)
    app.include_router(embeds.public, prefix=API)
    app.include_router(openai.router)
    static.install(app)


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """From the inside out: the last one added is the first to see a request."""
    app.add_middleware(BodyLimit, json_bytes=JSON_BYTES, upload_bytes=settings.max_upload_bytes)
    app.add_middleware(InFlight, most=settings.max_requests)
    app.add_middleware(EmbedOrigins)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=settings.hosts, www_redirect=False)
    app.add_middleware(RequestContext)
    if settings.trusted_proxies:
        # The server's own takes the word of any program on this machine; see `main`.
        trusted = [str(network) for network in settings.trusted_proxies]
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=trusted)


@asynccontextmanager
async def _running(settings: Settings, load: LoadEmbedder, startup: StartupState) -> AsyncIterator[None]:
    """Within the block the services start, and are there; behind it they are closed."""
    async with AsyncExitStack() as stack:
        starting = asyncio.create_task(_start(settings, load, startup, stack))
        try:
            yield
        finally:
            starting.cancel()
            with suppress(asyncio.CancelledError, RagError):
                await starting


async def _start(
    settings: Settings, load: LoadEmbedder, startup: StartupState, stack: AsyncExitStack
) -> None:
    """Build the services; what was opened is closed by `stack`, in reverse."""
    try:
        startup.services = await _build(settings, load, startup, stack)
        logger.info("api ready", extra={"answers_with": settings.answers_with})
        # The first question and the first batch are slow: better now than with the first that somebody asks.
        await startup.services.embedder.embed_question("warm up")
        await startup.services.embedder.embed_texts(["warm up"])
    except RagError as error:
        startup.failure, startup.waiting_for = error, error.detail
        logger.critical("cannot start", extra={"reason": error.detail})
    except Exception:
        # A fault of ours: without a failure noted here the process would wait, unready, for ever.
        startup.failure = RagError("The service cannot start: an unexpected error, which was logged.")
        startup.waiting_for = startup.failure.detail
        logger.critical("cannot start", exc_info=True)


async def _build(
    settings: Settings, load: LoadEmbedder, startup: StartupState, stack: AsyncExitStack
) -> Services:
    settings = settings.connected()
    assert settings.database_url and settings.chroma_url  # noqa: S101 - connected() promises both
    # Loading takes seconds of pure computing, the database perhaps as long to come up: both at once.
    loading = asyncio.create_task(asyncio.to_thread(load, settings))
    model_loading = asyncio.create_task(asyncio.to_thread(load_chat_model, settings))
    database = Database(
        settings.database_url.get_secret_value(), pool=settings.database_pool, application="rag-api"
    )
    stack.push_async_callback(database.close)
    await migrate(database)
    key_service = KeyService(database, settings.secret())
    await key_service.ensure_admin(settings)
    startup.waiting_for = "loading the embedding model"
    embedder, model = await loading, await model_loading
    async with database.transaction() as session:
        default = await KnowledgeBases(session).ensure("default", "Default", embedder.fingerprint)
        if settings.offers_home_chat:
            await Embeds(session).ensure(HOME, "The server's own chat page", default)
    if model is not None:
        stack.push_async_callback(model.close)
    vectors = await stack.enter_async_context(ChromaIndex(settings.chroma_url))
    blobs = BlobStore(settings.blob_dir)
    lexical = TantivyIndex(settings.lexical_root)
    stack.push_async_callback(lexical.close)
    follower = LexicalFollower(database, lexical)
    await stack.enter_async_context(follower.running())
    reranker = await asyncio.to_thread(load_reranker, settings)
    if reranker is not None:
        stack.callback(reranker.close)
    retriever = Retriever(database, vectors, embedder, lexical, reranker)
    admission = Admission.of(settings)
    stack.push_async_callback(admission.close)
    chat_service = ChatService(settings, database, retriever, embedder, model)
    stack.push_async_callback(chat_service.close)
    await stack.enter_async_context(chat_service.runs.running())
    return Services(
        settings=settings,
        database=database,
        keys=key_service,
        embeds=EmbedService(database, settings.secret(), home=settings.offers_home_chat),
        chat=chat_service,
        documents=DocumentService(database, blobs),
        uploads=UploadService(
            database, blobs, max_file_bytes=settings.max_file_bytes, embedding_model=embedder.fingerprint
        ),
        retriever=retriever,
        embedder=embedder,
        vectors=vectors,
        lexical=lexical,
        lexical_follower=follower,
        admission=admission,
    )
