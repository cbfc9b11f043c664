"""Knowledge bases: list, create, configure, delete; and the documents in one."""

from uuid import UUID

from fastapi import APIRouter

from rag_service.api.deps import Admin, Chatter, Evaluator, Limit, OnceOnly, ProtectedRoute, Svc
from rag_service.api.schemas.base import Page, Slug
from rag_service.api.schemas.knowledge import DocumentOut
from rag_service.api.schemas.knowledge_bases import (
    KnowledgeBaseChange,
    KnowledgeBaseOut,
    KnowledgeBaseRequest,
)
from rag_service.db.repositories.audit import record
from rag_service.db.repositories.idempotency import Answer
from rag_service.db.repositories.knowledge_bases import KnowledgeBases

router = APIRouter(prefix="/knowledge-bases", tags=["knowledge bases"], route_class=ProtectedRoute)


@router.get("")
async def list_knowledge_bases(_: Chatter, services: Svc) -> Page[KnowledgeBaseOut]:
    """Every knowledge base, with how many of its documents can be asked."""
    async with services.database.transaction() as session:
        rows = await KnowledgeBases(session).all_with_counts()
    return Page(items=[KnowledgeBaseOut.of(found, count) for found, count in rows])


@router.post("", status_code=201)
async def create_knowledge_base(
    body: KnowledgeBaseRequest, _: Admin, services: Svc, once: OnceOnly
) -> KnowledgeBaseOut:
    """A new, empty knowledge base. With an `Idempotency-Key` the same request can be sent again safely."""
    services.chat.check_prompt(body.prompt)
    async with services.database.transaction() as session:

        async def create() -> Answer:
            made = await KnowledgeBases(session).create(
                body.slug, body.name, services.embedder.fingerprint, body.settings()
            )
            await record(session, "knowledge_base.created", made.id, knowledge_base_id=made.id)
            return KnowledgeBaseOut.of(made, 0).model_dump(mode="json")

        answer = await once.answer(session, f"knowledge base {body.model_dump_json()}", create)
    return KnowledgeBaseOut.model_validate(answer)


@router.get("/{slug}")
async def get_knowledge_base(slug: Slug, _: Chatter, services: Svc) -> KnowledgeBaseOut:
    """A knowledge base and its settings."""
    async with services.database.transaction() as session:
        return KnowledgeBaseOut.of(*await KnowledgeBases(session).with_count(slug))


@router.patch("/{slug}")
async def change_knowledge_base(
    slug: Slug, body: KnowledgeBaseChange, _: Admin, services: Svc
) -> KnowledgeBaseOut:
    """Change settings of a knowledge base: those of answers hold from the next question on, `chunk_tokens` for what is
    read from now on."""
    settings = body.settings()
    if "prompt" in settings:
        services.chat.check_prompt(settings["prompt"])
    async with services.database.transaction() as session:
        bases = KnowledgeBases(session)
        changed = await bases.change(slug, settings)
        await record(
            session,
            "knowledge_base.changed",
            changed.id,
            knowledge_base_id=changed.id,
            changed=sorted(settings),
        )
        return KnowledgeBaseOut.of(*await bases.with_count(slug))


@router.delete("/{slug}", status_code=204)
async def delete_knowledge_base(slug: Slug, _: Admin, services: Svc) -> None:
    """Delete a knowledge base with its documents, conversations and embeds: out of reach at once, erased soon after.
    Its slug can be used again at once."""
    await services.documents.delete_knowledge_base(slug)


@router.get("/{slug}/documents")
async def list_documents(
    slug: Slug, _: Evaluator, services: Svc, limit: Limit = 50, cursor: UUID | None = None
) -> Page[DocumentOut]:
    """Documents of a knowledge base, each with its newest version and that version's job."""
    listed = await services.documents.page(slug, after=cursor, limit=limit)
    next_cursor = str(listed[-1].document.id) if len(listed) == limit else None
    return Page(items=[DocumentOut.of(item) for item in listed], next_cursor=next_cursor)
