"""What people asked and the documents did not answer."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from rag_service.api.deps import Evaluator, Limit, ProtectedRoute, Svc
from rag_service.api.schemas.base import Moment, Page, Slug
from rag_service.api.schemas.unanswered import UnansweredOut
from rag_service.chat.unanswered import LOOKED_AT, grouped
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.db.repositories.refusals import Refusals

SPAN = timedelta(days=30)
EARLIEST = datetime.min.replace(tzinfo=UTC)

router = APIRouter(prefix="/knowledge-bases", tags=["knowledge bases"], route_class=ProtectedRoute)


@router.get("/{slug}/unanswered")
async def list_unanswered(
    slug: Slug,
    _: Evaluator,
    services: Svc,
    limit: Limit = 50,
    cursor: UUID | None = None,
    since: Annotated[Moment | None, Query(description="30 days ago if unset")] = None,
    until: Annotated[Moment | None, Query(description="now if unset")] = None,
) -> Page[UnansweredOut]:
    """The questions that were refused, those in the same words as one, the one asked last first.

    The newest 10,000 of the time span are looked at. Questions of conversations that were erased are not among them.
    """
    end = until or datetime.now(UTC)
    start = since or max(end, EARLIEST + SPAN) - SPAN
    async with services.database.transaction() as session:
        base = await KnowledgeBases(session).by_slug(slug)
        refusals = await Refusals(session).between(base.id, start, end, newest=LOOKED_AT)
    groups = await asyncio.to_thread(grouped, refusals, base.language)
    if cursor is not None:
        groups = [group for group in groups if group.id < cursor]
    items = [UnansweredOut.model_validate(group) for group in groups[:limit]]
    return Page(items=items, next_cursor=str(items[-1].id) if len(groups) > limit else None)
