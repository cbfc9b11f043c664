"""Erasing what is kept of a person."""

from fastapi import APIRouter

from rag_service.api.deps import Admin, ProtectedRoute, Svc
from rag_service.api.schemas.conversations import ErasedOut, Subject
from rag_service.db.repositories.people import erase

router = APIRouter(prefix="/people", tags=["people"], route_class=ProtectedRoute)


@router.delete("/{subject:path}")
async def erase_person(subject: Subject, _: Admin, services: Svc) -> ErasedOut:
    """Erase all that is kept of a person: conversations, messages, feedback.

    `subject` is the owner as the service knows it: `visitor:…` for a visitor of a widget, `key:…` with an API key's
    id. Once erased, or where nothing was ever kept, the answer is all zeros.
    """
    async with services.database.transaction() as session:
        return ErasedOut.model_validate(await erase(session, subject))
