"""The audit log: read by admins, changed by nobody."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from rag_service.api.deps import Admin, Limit, ProtectedRoute, Svc
from rag_service.api.schemas.audit import AuditEntryOut
from rag_service.api.schemas.base import Moment, Page, Slug
from rag_service.db.repositories.audit import Audit, AuditFilter

router = APIRouter(prefix="/audit", tags=["audit"], route_class=ProtectedRoute)

Word = Annotated[str | None, Query(max_length=255, pattern=r"^[!-~]+$")]


@router.get("")
async def list_audit_entries(
    _: Admin,
    services: Svc,
    limit: Limit = 50,
    cursor: UUID | None = None,
    actor: Annotated[Word, Query(description="a principal such as `key:…`, or a key's prefix")] = None,
    action: Annotated[Word, Query(description="such as `document.deleted`")] = None,
    knowledge_base: Slug | None = None,
    after: Moment | None = None,
    before: Moment | None = None,
) -> Page[AuditEntryOut]:
    """What admins did, the newest first. Entries are kept for RAG_AUDIT_DAYS; none can be changed or removed here."""
    wanted = AuditFilter(actor, action, knowledge_base, after, before)
    async with services.database.transaction() as session:
        found = await Audit(session).page(wanted, before=cursor, limit=limit)
    items = [AuditEntryOut.model_validate(entry) for entry in found]
    return Page(items=items, next_cursor=str(items[-1].id) if len(items) == limit else None)
