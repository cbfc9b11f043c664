"""Erasing what is kept of a person."""

import hashlib
from dataclasses import asdict

from fastapi import APIRouter

from rag_service.api.deps import Admin, ProtectedRoute, Svc
from rag_service.api.schemas.conversations import ErasedOut, Subject
from rag_service.db.repositories.audit import record
from rag_service.db.repositories.people import erase

router = APIRouter(prefix="/people", tags=["people"], route_class=ProtectedRoute)


@router.delete("/{subject:path}")
async def erase_person(subject: Subject, _: Admin, services: Svc) -> ErasedOut:
    """Erase all that is kept of a person: conversations, messages, feedback.

    `subject` is the owner as the service knows it: `visitor:…` for a visitor of a widget, `embed:…:user:…` for a user
    of a site that says who they are, `key:…` with an API key's id. Once erased, or where nothing was ever kept,
    the answer is all zeros.
    """
    async with services.database.transaction() as session:
        erased = await erase(session, subject)
        # By a digest: the log is not to be what is still kept of a person, but can tell whether one was erased.
        digest = hashlib.sha256(subject.encode()).hexdigest()
        await record(session, "person.erased", f"sha256:{digest}", **asdict(erased))
    return ErasedOut.model_validate(erased)
