"""Cross-origin access: granted to the origins of living embeds, for the routes a visitor needs, and to no one else."""

import asyncio
import time
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_service.api.deps import Startup
from rag_service.errors import RagError

VISITOR_PATHS = ("/api/v1/chat", "/api/v1/conversations", "/api/v1/messages/", "/api/v1/embeds/")
REMEMBER_SECONDS = 5.0
REMEMBER_ORIGINS = 1000

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Last-Event-ID",
    "Access-Control-Max-Age": "600",
}


class EmbedOrigins:
    """Says to browsers which pages may read our answers. Never with credentials: a visitor's token is a header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._known: dict[str, tuple[bool, float]] = {}
        self._asking = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        if origin is None or not scope["path"].startswith(VISITOR_PATHS):
            await self._app(scope, receive, send)
            return
        granted = (
            _grant(origin) if await self._allows(scope["app"].state.startup, origin) else {"Vary": "Origin"}
        )
        if scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope):
            allowed = "Access-Control-Allow-Origin" in granted
            headers = {**granted, **_PREFLIGHT} if allowed else granted
            await Response(status_code=204 if allowed else 403, headers=headers)(scope, receive, send)
            return

        async def send_granted(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(granted)
            await send(message)

        await self._app(scope, receive, send_granted)

    async def _allows(self, startup: Startup, origin: str) -> bool:
        """Asked of the database at most every few seconds an origin, and one at a time: nobody has to prove who they
        are for it. What a page may do is checked again with its token, on every request."""
        if (known := self._remembered(origin)) is not None:
            return known
        if startup.services is None:
            return False
        async with self._asking:
            if (known := self._remembered(origin)) is not None:
                return known
            try:
                allowed = await startup.services.embeds.allows(origin)
            except RagError:
                return False
        if len(self._known) >= REMEMBER_ORIGINS:
            self._known.clear()
        self._known[origin] = (allowed, time.monotonic() + REMEMBER_SECONDS)
        return allowed

    def _remembered(self, origin: str) -> bool | None:
        allowed, until = self._known.get(origin, (False, 0.0))
        return allowed if time.monotonic() < until else None


def _grant(origin: str) -> Mapping[str, str]:
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "X-Request-ID, Retry-After, RateLimit, RateLimit-Policy",
        "Vary": "Origin",
    }
