"""URLs: pages and sitemaps whose documents are kept up to date."""

from uuid import UUID

from fastapi import APIRouter

from rag_service.addresses import check_literal, parse_url
from rag_service.api.deps import Admin, Limit, ProtectedRoute, Svc
from rag_service.api.schemas.base import Page, Slug
from rag_service.api.schemas.urls import UrlOut, UrlRequest
from rag_service.db.repositories.audit import record
from rag_service.db.repositories.documents import Documents
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.db.repositories.url_sources import UrlSources

router = APIRouter(tags=["urls"], route_class=ProtectedRoute)


@router.post("/knowledge-bases/{slug}/urls", status_code=201)
async def add_url(slug: Slug, body: UrlRequest, _: Admin, services: Svc) -> UrlOut:
    """Have a page, or every page of a sitemap, fetched: in the background, soon, and again as often as is said."""
    url = parse_url(body.url)
    check_literal(url, services.settings.fetch_allow_private)
    async with services.database.transaction() as session:
        base = await KnowledgeBases(session).by_slug(slug)
        source = await UrlSources(session).add(base.id, str(url), body.kind, body.refresh_seconds)
        await record(session, "url.added", source.id, knowledge_base_id=base.id, kind=body.kind)
    return UrlOut.of(source)


@router.get("/knowledge-bases/{slug}/urls")
async def list_urls(
    slug: Slug, _: Admin, services: Svc, limit: Limit = 50, cursor: UUID | None = None
) -> Page[UrlOut]:
    """The URLs of a knowledge base, with how their last fetch went."""
    async with services.database.transaction() as session:
        base = await KnowledgeBases(session).by_slug(slug)
        found = await UrlSources(session).page(base.id, after=cursor, limit=limit)
    next_cursor = str(found[-1].id) if len(found) == limit else None
    return Page(items=[UrlOut.of(source) for source in found], next_cursor=next_cursor)


@router.delete("/urls/{url_id}", status_code=204)
async def remove_url(url_id: UUID, _: Admin, services: Svc, documents: bool = False) -> None:
    """Fetch a URL no more. Its documents stay as they are; with `documents=true` they are deleted too."""
    async with services.database.transaction() as session:
        base_id, ids = await UrlSources(session).remove(url_id)
        for document_id in ids if documents else ():
            await Documents(session).delete(document_id)
        deleted = len(ids) if documents else 0
        await record(session, "url.removed", url_id, knowledge_base_id=base_id, documents_deleted=deleted)
