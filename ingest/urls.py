"""Sources on the web that are due: fetched, and stored as versions of documents like any upload."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from urllib.parse import unquote

from ingest.fetching.client import Client, FetchFailed, FetchUnavailable
from ingest.fetching.sitemaps import pages_of
from rag_service.addresses import UrlRefused, parse_url
from rag_service.blobs import BlobStore, StoredBlob
from rag_service.db.engine import Database
from rag_service.db.models import KnowledgeBase, UrlSource
from rag_service.db.repositories.documents import Documents, clean_name
from rag_service.db.repositories.sources import Sources, claim
from rag_service.db.repositories.url_sources import LostSource, UrlSources, source_of
from rag_service.errors import Conflict, DatabaseUnavailable, NotFound, RagError, Unavailable
from rag_service.settings import Settings

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 2.0
LEASE = timedelta(minutes=3)
RETRY = timedelta(minutes=10)
GIVE_UP = timedelta(days=1)
"""How long what is fetched only once is tried."""

_SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "text/markdown": ".md",
    "text/plain": ".txt",
}


@dataclass(frozen=True)
class Mark:
    """What makes the next request for a page conditional."""

    etag: str | None = None
    last_modified: str | None = None


class UrlFetcher:
    """Fetches what is due, one source at a time; several workers share the work."""

    def __init__(self, database: Database, blobs: BlobStore, settings: Settings) -> None:
        self._database = database
        self._blobs = blobs
        self._pages = settings.sitemap_pages
        self._seconds = settings.fetch_seconds
        self._client = Client(settings.fetch_allow_private, settings.fetch_max_bytes)

    async def run(self) -> None:
        """Fetch what falls due, for ever; cancel to stop."""
        try:
            while True:
                with suppress(Unavailable):  # of the database: it is looked at again
                    while await self.fetch_due_url():
                        pass
                await asyncio.sleep(LOOK_EVERY_SECONDS)
        finally:
            await self._client.close()

    async def fetch_due_url(self) -> bool:
        """Fetch the source that has been due longest; False if there is none. How it went stands in its row.

        Raises:
            DatabaseUnavailable
        """
        async with self._database.transaction() as session:
            due = await UrlSources(session).claim(lease=LEASE)
        if due is None:
            return False
        source, base = due
        try:
            if source.kind == "page":
                mark = await self._fetch_page(
                    source, base, source.url, Mark(source.etag, source.last_modified)
                )
            else:
                mark = Mark()
                await self._fetch_sitemap(source, base)
            await self._finish(source, mark=mark)
        except LostSource:
            logger.warning("a URL was removed, or taken over, while it was fetched")
        except DatabaseUnavailable:
            raise  # its lease runs out, and it is fetched again
        except RagError as error:
            logger.warning(
                "a URL could not be fetched", extra={"code": error.code, "source_id": str(source.id)}
            )
            await self._finish(source, error=error)
        return True

    async def _finish(
        self, source: UrlSource, *, mark: Mark | None = None, error: RagError | None = None
    ) -> None:
        """Write down how it went, and when it is due again."""
        refresh = timedelta(seconds=source.refresh_seconds) if source.refresh_seconds else None
        pause = refresh
        if isinstance(error, Unavailable):
            young = datetime.now(UTC) - source.created_at < GIVE_UP
            pause = min(RETRY, refresh) if refresh else RETRY if young else None
        with suppress(LostSource):
            async with self._database.transaction() as session:
                await UrlSources(session).finish(
                    source,
                    next_at=datetime.now(UTC) + pause if pause else None,
                    fetched=error is None,
                    etag=mark.etag if mark else None,
                    last_modified=mark.last_modified if mark else None,
                    code=error.code if error else None,
                    detail=error.detail if error else None,
                )

    async def _fetch_page(self, source: UrlSource, base: KnowledgeBase, url: str, mark: Mark) -> Mark:
        """Fetch one page into a document. Returns the mark of what was fetched."""
        try:
            async with asyncio.timeout(self._seconds), self._client.get(url, _conditions(mark)) as response:
                if response.status_code == 304:
                    return mark
                blob = await self._blobs.put(self._client.blocks(response), limit=self._client.limit)
                name = name_of(url, response.headers.get("content-type", ""))
                mark = Mark(response.headers.get("etag"), response.headers.get("last-modified"))
        except TimeoutError as error:
            raise _too_slow(self._seconds) from error
        kept = False
        try:
            kept = await self._store(source, base, url, name, blob)
        finally:
            if not kept:
                self._blobs.delete(blob.name)
        return mark

    async def _store(
        self, source: UrlSource, base: KnowledgeBase, url: str, name: str, blob: StoredBlob
    ) -> bool:
        """Enter the bytes as a version of the URL's document; False where they are the same as before."""
        owner = source_of(source.id)
        async with self._database.transaction() as session:
            await UrlSources(session).hold(source, lease=LEASE)
            known = await Sources(session).by_url(base.id, owner, url)
            accepted = await Documents(session).accept(base, known or name, blob)
            claim(accepted, owner)
            accepted.document.attributes = {**(accepted.document.attributes or {}), "url": url}
        return accepted.job is not None

    async def _fetch_sitemap(self, source: UrlSource, base: KnowledgeBase) -> None:
        """Fetch every page it lists; what it lists no more is deleted. A page that fails is left as it is."""
        try:
            async with asyncio.timeout(self._seconds):
                pages, more = await pages_of(source.url, self._client.read, limit=self._pages)
        except TimeoutError as error:
            raise _too_slow(self._seconds) from error
        failed: list[str] = []
        for url in pages:
            async with self._database.transaction() as session:
                await UrlSources(session).hold(source, lease=LEASE)
            try:
                await self._fetch_page(source, base, url, Mark())
            except (LostSource, DatabaseUnavailable):
                raise
            except (FetchFailed, UrlRefused, Unavailable, Conflict) as error:
                failed.append(f"{url}: {error.detail}")
        if not more:
            await self._delete_unlisted(source, base, set(pages))
        problems = [f"{len(failed)} of {len(pages)} pages failed: {'; '.join(failed[:3])}"] if failed else []
        if more:
            problems.append(
                f"It lists more than {self._pages} pages (RAG_SITEMAP_PAGES); the rest was left out."
            )
        if problems:
            raise FetchFailed(" ".join(problems), code="sitemap_incomplete")

    async def _delete_unlisted(self, source: UrlSource, base: KnowledgeBase, listed: set[str]) -> None:
        """Unless that is most of them: then the sitemap is more likely broken than the site gone."""
        async with self._database.transaction() as session:
            known = await Sources(session).urls(base.id, source_of(source.id))
        gone = [id for id, url in known if url and url not in listed]
        if 2 * len(gone) > len(known):
            raise FetchFailed(
                f"The sitemap lists {len(gone)} of {len(known)} pages no more; nothing was deleted. If they are gone, "
                "remove the URL with its documents, and add it again.",
                code="sitemap_shrunk",
            )
        for document_id in gone:
            with suppress(NotFound):
                async with self._database.transaction() as session:
                    await Documents(session).delete(document_id)


def _conditions(mark: Mark) -> dict[str, str]:
    headers = {"If-None-Match": mark.etag, "If-Modified-Since": mark.last_modified}
    return {name: value for name, value in headers.items() if value}


def _too_slow(seconds: float) -> FetchUnavailable:
    return FetchUnavailable(
        f"It was not there within {seconds:g} seconds (RAG_FETCH_SECONDS).", code="fetch_timeout"
    )


def name_of(url: str, content_type: str) -> str:
    """A document's name: the URL as people read it, with the suffix of what it is."""
    parsed = parse_url(url)
    readable = unquote(f"{parsed.host}{parsed.path}".rstrip("/"))
    if parsed.query:
        readable += f"?{unquote(parsed.query.decode('ascii'))}"
    kind = content_type.partition(";")[0].strip().lower()
    suffix = _SUFFIXES.get(kind, "")
    own = PurePosixPath(parsed.path).suffix.lower()
    if suffix and (not own or suffix == ".html") and own not in (suffix, ".htm"):
        readable = f"{readable[-240:]}{suffix}"
    return clean_name(readable)
