"""What callers said of answers, for evaluators and admins."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from rag_service.api.deps import Evaluator, Limit, ProtectedRoute, Svc
from rag_service.api.schemas.base import Moment, Page, Slug
from rag_service.api.schemas.feedback import RatedAnswerOut
from rag_service.db.models import Rating, Reason
from rag_service.db.repositories.feedback import AllFeedback, Wanted

router = APIRouter(prefix="/feedback", tags=["feedback"], route_class=ProtectedRoute)


@router.get("")
async def list_feedback(
    _: Evaluator,
    services: Svc,
    limit: Limit = 50,
    cursor: UUID | None = None,
    knowledge_base: Slug | None = None,
    rating: Rating | None = None,
    reason: Reason | None = None,
    since: Annotated[Moment | None, Query(description="given at this time or later")] = None,
    until: Annotated[Moment | None, Query(description="given before this time")] = None,
) -> Page[RatedAnswerOut]:
    """Feedback with question, answer and citations, the newest first. `rag-eval feedback` makes a suite of it."""
    wanted = Wanted(knowledge_base, rating, reason, since, until)
    async with services.database.transaction() as session:
        rows = await AllFeedback(session).page(wanted, before=cursor, limit=limit)
    items = [RatedAnswerOut.of(row) for row in rows]
    return Page(items=items, next_cursor=str(items[-1].id) if len(items) == limit else None)
