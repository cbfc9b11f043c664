"""One document from the web: only from checked addresses, within bounds of time, size and redirects."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx

from rag_service.addresses import Networks, UrlRefused, parse_url, resolve
from rag_service.errors import RagError, Unavailable

REDIRECTS = 5
USER_AGENT = "rag-service (+documents for a knowledge base)"


class FetchFailed(RagError):
    """The other side answered, but not with a document: trying again soon will not help."""

    code = "fetch_failed"
    status = 502
    title = "The URL gave no document"


class FetchUnavailable(Unavailable):
    """The other side does not answer, or asks to be left alone for now."""

    code = "fetch_unavailable"
    title = "The URL's server does not answer"


@dataclass(frozen=True)
class Client:
    """Fetches. `allowed` are networks that may be asked although they are not public."""

    allowed: Networks
    limit: int
    _http: httpx.AsyncClient = field(
        # No proxy, no .netrc, no cookies: nothing of the server's own goes along.
        default_factory=lambda: httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=15,
            # Two hosts may have one address: a connection proved for one must not serve the other.
            limits=httpx.Limits(max_keepalive_connections=0),
        )
    )

    @asynccontextmanager
    async def get(self, raw: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[httpx.Response]:
        """The answer, whose body is still to be read: 200, or 304 where `headers` make it conditional.

        Raises:
            UrlRefused: the URL, or one it is redirected to, must not be asked.
            FetchFailed, FetchUnavailable
        """
        url = parse_url(raw)
        async with AsyncExitStack() as stack:
            try:
                for _ in range(REDIRECTS + 1):
                    response = await stack.enter_async_context(self._ask(url, headers or {}))
                    if not response.has_redirect_location:
                        yield _checked(response)
                        return
                    url = parse_url(str(url.join(response.headers["location"])))
            except (httpx.TransportError, httpx.DecodingError) as error:
                raise FetchUnavailable(
                    f"{url.host} does not answer, or not as a web server: {type(error).__name__}."
                ) from error
            except (httpx.InvalidURL, UnicodeError) as error:
                raise UrlRefused("It is redirected to what is no URL.") from error
        raise FetchFailed(f"It is redirected more than {REDIRECTS} times.")

    @asynccontextmanager
    async def _ask(self, url: httpx.URL, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        """Ask one of the host's checked addresses itself: a second look-up could give others."""
        addresses = await resolve(url, self.allowed)
        response = None
        for address in addresses:
            request = self._http.build_request(
                "GET",
                url.copy_with(host=address),
                headers={
                    "User-Agent": USER_AGENT,
                    "Accept-Encoding": "identity",
                    **headers,
                    "Host": url.netloc.decode("ascii"),
                },
                extensions={"sni_hostname": url.raw_host.decode("ascii")},
            )
            try:
                response = await self._http.send(request, stream=True)
                break
            except httpx.ConnectError:
                if address == addresses[-1]:
                    raise
        assert response is not None  # noqa: S101 - resolve() gives at least one address
        try:
            yield response
        finally:
            await response.aclose()

    async def read(self, raw: str) -> bytes:
        """A small document as a whole. Raises as `get`, and FetchFailed above the limit."""
        async with self.get(raw) as response:
            return b"".join([block async for block in self.blocks(response)])

    async def blocks(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """The body, counted as it comes, whatever its headers say. Raises FetchFailed above the limit."""
        size = 0
        async for block in response.aiter_bytes():
            size += len(block)
            if size > self.limit:
                raise FetchFailed(
                    f"It is larger than the limit of {self.limit:,} bytes (RAG_FETCH_MAX_BYTES).",
                    code="too_large",
                )
            yield block

    async def close(self) -> None:
        await self._http.aclose()


def _checked(response: httpx.Response) -> httpx.Response:
    status = response.status_code
    if status in (429, 500, 502, 503, 504):
        raise FetchUnavailable(f"Its server answers {status}; it is tried again later.")
    if status not in (200, 304):
        raise FetchFailed(f"Its server answers {status}.")
    return response
