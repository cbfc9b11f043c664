"""What routes depend on: the services, and a principal that was proved before the body was read."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Protocol

from fastapi import Depends, Header, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse

from rag_service.admission.counting import Standing
from rag_service.admission.desk import Admission
from rag_service.api.problems import rate_limit
from rag_service.api.sse import TurnStream, revoked
from rag_service.api.watching import while_valid
from rag_service.auth.embeds import EmbedService
from rag_service.auth.principal import Principal, Role
from rag_service.auth.service import KeyService
from rag_service.chat.service import ChatService
from rag_service.db.caller import Caller, caller
from rag_service.db.engine import Database
from rag_service.db.repositories.idempotency import Once
from rag_service.documents.service import DocumentService
from rag_service.documents.uploads import UploadService
from rag_service.errors import Forbidden, Unauthenticated, Unavailable
from rag_service.knowledge.embeddings import Embedder
from rag_service.knowledge.lexical import LexicalIndex
from rag_service.knowledge.lexical_follower import LexicalFollower
from rag_service.knowledge.retriever import Retriever
from rag_service.knowledge.vectors import VectorIndex
from rag_service.settings import Settings


@dataclass(frozen=True)
class Services:
    """Everything routes work with; built once, when the process starts."""

    settings: Settings
    database: Database
    keys: KeyService
    embeds: EmbedService
    chat: ChatService
    documents: DocumentService
    uploads: UploadService
    retriever: Retriever
    embedder: Embedder
    vectors: VectorIndex
    lexical: LexicalIndex
    lexical_follower: LexicalFollower
    admission: Admission


class Startup(Protocol):
    """How far the process has come."""

    services: Services | None
    waiting_for: str


def get_services(request: Request) -> Services:
    """The services. Raises Unavailable while the process is still starting."""
    startup: Startup = request.app.state.startup
    if startup.services is None:
        raise Unavailable(f"Starting: {startup.waiting_for}.", code="starting")
    return startup.services


async def _services(request: Request) -> Services:
    # Not a plain function: FastAPI would have a thread call it, for each request.
    return get_services(request)


Svc = Annotated[Services, Depends(_services)]


class Requires:
    """A dependency that says which role a route needs, and gives the principal that was proved to have it."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, request: Request) -> Principal:
        principal: Principal = request.state.principal
        return principal

    async def prove(self, request: Request) -> Principal:
        """The principal of the request's credential.

        Raises:
            Unauthenticated: no valid credential.
            Forbidden: its role does not cover this route's.
            TooMany: no valid credential, once more from the same address.
        """
        try:
            principal = await _authenticate(request)
        except Unauthenticated:
            if "authorization" in request.headers:  # to send nothing is not to guess
                await get_services(request).admission.limits.take_failure(address_of(request))
            raise
        if not principal.may(self.role):
            raise Forbidden(f"This needs a key with the role {self.role!r}; yours has {principal.role!r}.")
        return principal


Admin = Annotated[Principal, Depends(Requires("admin"))]
Evaluator = Annotated[Principal, Depends(Requires("evaluator"))]
Chatter = Annotated[Principal, Depends(Requires("chat"))]
Visitor = Annotated[Principal, Depends(Requires("visitor"))]


async def _authenticate(request: Request) -> Principal:
    services = get_services(request)
    authorization = request.headers.get("authorization")
    scheme, _, token = (authorization or "").partition(" ")
    if (
        scheme.lower() == "bearer" and token.count(".") == 2
    ):  # the form of a visitor's token; a key has no dots
        return await services.embeds.authenticate(
            token.strip(), origin=request.headers.get("origin"), own_origin=own_origin(request)
        )
    return await services.keys.authenticate(authorization)


async def still_valid(services: Services, principal: Principal) -> bool:
    """Whether what proved a principal would still prove it: what a stream asks while it lasts.

    Raises:
        DatabaseUnavailable
    """
    if principal.role == "visitor":
        return await services.embeds.still_valid(principal)
    return await services.keys.still_valid(principal)


def _enter(request: Request, principal: Principal) -> None:
    """From here on the request's queries see what its caller may, and the audit log says who it was."""
    caller.set(
        Caller(
            principal.subject,
            principal.scope,
            key_prefix=principal.credential.prefix,
            key_name=principal.credential.name,
            request_id=request.state.request_id,
            ip=address_of(request),
        )
    )


def address_of(request: Request) -> str:
    """The address that asks: the connection's, or what a trusted proxy says it is."""
    return request.client.host if request.client else ""


def own_origin(request: Request) -> str:
    """The origin that this request reached us at, as a browser would name it."""
    return f"{request.url.scheme}://{request.url.netloc}"


class ProtectedRoute(APIRoute):
    """A route whose caller is proved before its body is read. One that requires no role cannot be made."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        requires = _find_requirement(self.dependant)
        if requires is None:
            raise RuntimeError(f"{self.path} declares no principal: add Admin or Chatter to its parameters")
        handle = super().get_route_handler()

        async def prove_then_handle(request: Request) -> Response:
            principal = request.state.principal = await requires.prove(request)
            _enter(request, principal)
            services = get_services(request)
            standing = await services.admission.limits.take_request(principal, address_of(request))
            await self.before_body(request)
            response = await handle(request)
            if isinstance(response, EventSourceResponse):
                valid = partial(still_valid, services, principal)
                revoke = response.revoke if isinstance(response, TurnStream) else revoked
                response.body_iterator = while_valid(response.body_iterator, valid, revoke)
            return _telling(standing, response)

        return prove_then_handle

    async def before_body(self, request: Request) -> None:
        """What is done between the proof and the reading of the body. Nothing, here."""


class PublicRoute(APIRoute):
    """A route without a credential: counted by address, before its body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def count_then_handle(request: Request) -> Response:
            limits = get_services(request).admission.limits
            standing = await limits.take_visit(address_of(request))
            return _telling(standing, await handle(request))

        return count_then_handle


def _telling(standing: Standing | None, response: Response) -> Response:
    if standing is not None:
        response.headers.update(
            rate_limit("requests", standing.limit, standing.window, standing.seconds, left=standing.left)
        )
    return response


def _find_requirement(dependant: Dependant) -> Requires | None:
    for child in dependant.dependencies:
        if isinstance(child.call, Requires):
            return child.call
        if found := _find_requirement(child):
            return found
    return None


async def _until_answered() -> AsyncIterator[ExitStack]:
    with ExitStack() as held:
        yield held


UntilAnswered = Annotated[ExitStack, Depends(_until_answered)]
"""Gives back what it was given to hold once the response has been sent, or has broken off."""


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="makes it safe to send the same request again within 24 hours: it gets the first one's answer",
    ),
]


async def _once(principal: Admin, idempotency_key: IdempotencyKey = None) -> Once:
    return Once(principal.subject, idempotency_key)


async def _once_for_visitors(principal: Visitor, idempotency_key: IdempotencyKey = None) -> Once:
    return Once(principal.subject, idempotency_key)


OnceOnly = Annotated[Once, Depends(_once)]
AskedOnce = Annotated[Once, Depends(_once_for_visitors)]

Limit = Annotated[int, Query(ge=1, le=200, description="how many a page holds")]
