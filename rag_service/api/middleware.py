"""Around every request: an id, a line in the log, and a limit to what is read. Pure ASGI: streams stay streams."""

import logging
import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_service import logs

logger = logging.getLogger("rag_service.request")

_SANE_ID = re.compile(r"[\w.-]{8,64}")
_PERSON = re.compile(r"(?<=/people/).+", re.DOTALL)
"""Who is erased is not to be what the log keeps of them."""
SECURITY_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


class RequestContext:
    """Gives each request an id, in its state, its response and all its log lines; logs how it ended."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _SANE_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        token = logs.context.set({"request_id": request_id})
        started, status = time.perf_counter(), 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            logger.info(
                "request",
                extra={
                    "method": scope["method"],
                    "path": _PERSON.sub("…", scope["path"]),
                    "status": status,
                    "milliseconds": round(1000 * (time.perf_counter() - started), 1),
                },
            )
            logs.context.reset(token)


class BodyLimit:
    """Refuses bodies above a limit, counted as they come: what Content-Length says is only believed if too large."""

    def __init__(self, app: ASGIApp, *, json_bytes: int, upload_bytes: int) -> None:
        self._app = app
        self._json_bytes = json_bytes
        self._upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        # What a body calls itself is the caller's word: only where uploads go is it kept out of memory.
        content_type = headers.get("content-type", "").lower()
        is_upload = scope["path"].endswith("/documents") and content_type.startswith("multipart/form-data")
        limit = self._upload_bytes if is_upload else self._json_bytes
        declared = headers.get("content-length", "")
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit or (declared.isdigit() and int(declared) > limit):
                raise HTTPException(413, f"The request is larger than the limit of {limit:,} bytes.")
            return message

        await self._app(scope, receive_counted, send)
