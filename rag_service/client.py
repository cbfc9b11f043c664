"""A small client of the public API: what `rag ask` and the first start use."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from rag_service.errors import ConfigurationError, RagError
from rag_service.following import Place, Unreachable, follow_turn
from rag_service.settings import Settings

UPLOAD_FILES = 20
"""Files sent in one request: few enough to keep a request small, many enough to be quick."""

SILENT_SECONDS = 30
"""How long a stream may tell nothing: the server pings every 15 seconds."""


class Client:
    """Talks to one server with one key. Errors of the server come back as RagError with its code and sentence."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._http = httpx.AsyncClient(
            base_url=f"{url}/api/v1",
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(30, read=120),
            trust_env=False,
        )

    @classmethod
    def of(cls, settings: Settings, *, url: str | None = None, key: str | None = None) -> Self:
        """A client of the server on this machine, with its admin key, unless told otherwise.

        Raises:
            ConfigurationError: there is no key to use.
        """
        found = settings.local_endpoints()
        address = url or (found.api_url if found else settings.local_url)
        if key is None:
            if url is not None and (found is None or url.rstrip("/") != found.api_url):
                raise ConfigurationError(
                    f"No key for {url}: this machine's own admin key is not sent elsewhere. Give one with --key or "
                    "RAG_API_KEY."
                )
            try:
                key = settings.admin_key_file.read_text().strip()
            except OSError as error:
                raise ConfigurationError(
                    f"No key: {settings.admin_key_file} cannot be read. Start the server with `rag serve`, "
                    "or give a key with --key or RAG_API_KEY."
                ) from error
        return cls(address, key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def ask(
        self,
        message: str,
        *,
        conversation_id: str | None = None,
        knowledge_base: str | None = None,
        lost: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """The events of a turn as (name, data), taken up again where the connection is lost, which `lost` hears of.

        Raises:
            RagError: the turn ends in an error.
            Unavailable: the server is not there, or has not come back within some 30 s.
        """
        body: dict[str, Any] = {"message": message}
        if conversation_id:
            body["conversation_id"] = conversation_id
        if knowledge_base:
            body["knowledge_base"] = knowledge_base
        key = {"Idempotency-Key": uuid4().hex}

        def connect(place: Place | None) -> AbstractAsyncContextManager[httpx.Response]:
            if place is None:
                return self._answered("POST", "/chat", json=body, headers=key)
            path = f"/chat/{place.run_id}/events"
            return self._answered("GET", path, headers=place.headers, timeout=SILENT_SECONDS)

        async for name, data in follow_turn(connect, lost):
            if name == "error":
                raise RagError(data["detail"], code=data["code"])
            yield name, data

    async def upload(self, slug: str, files: Sequence[tuple[Path, str]]) -> list[dict[str, Any]]:
        """Hand in files under the names given; the jobs that will read them."""
        jobs: list[dict[str, Any]] = []
        for start in range(0, len(files), UPLOAD_FILES):
            async with AsyncExitStack() as stack:
                parts = [
                    ("files", (name, stack.enter_context(path.open("rb"))))
                    for path, name in files[start : start + UPLOAD_FILES]
                ]
                path = f"/knowledge-bases/{slug}/documents"
                async with self._answered("POST", path, files=parts) as response:
                    jobs += json.loads(await response.aread())["jobs"]
        return jobs

    async def job(self, job_id: str) -> dict[str, Any]:
        """A job as it stands."""
        async with self._answered("GET", f"/jobs/{job_id}") as response:
            found: dict[str, Any] = json.loads(await response.aread())
            return found

    async def feedback(self, knowledge_base: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """All that was said of answers, the newest first; needs an admin key."""
        query = {"limit": "200"} | ({"knowledge_base": knowledge_base} if knowledge_base else {})
        while True:
            async with self._answered("GET", "/feedback", params=query) as response:
                page = json.loads(await response.aread())
            for item in page["items"]:
                yield item
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    @asynccontextmanager
    async def _answered(self, method: str, path: str, **request: Any) -> AsyncIterator[httpx.Response]:
        """A response that is no error, still to be read."""
        try:
            async with self._http.stream(method, path, **request) as response:
                if response.is_error:
                    raise _problem(response.status_code, await response.aread())
                yield response
        except httpx.TransportError as error:
            raise Unreachable(
                f"The server at {self._url} does not answer. Is `rag serve` running?"
            ) from error


def _problem(status: int, body: bytes) -> RagError:
    try:
        said = json.loads(body)
        return RagError(said["detail"], code=said["code"])
    except (ValueError, KeyError, TypeError):
        kind = (
            Unreachable if status in (502, 504) else RagError
        )  # a gateway's word that the server is not there
        return kind(f"The server answered with status {status}.")
