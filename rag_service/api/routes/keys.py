"""API keys: make, list, change, rotate, revoke."""

from uuid import UUID

from fastapi import APIRouter, Response

from rag_service.api.deps import Admin, Limit, ProtectedRoute, Svc
from rag_service.api.schemas.base import Page
from rag_service.api.schemas.embeds import Overlap
from rag_service.api.schemas.keys import KeyChange, KeyOut, KeyRequest, NewKeyOut

router = APIRouter(prefix="/keys", tags=["keys"], route_class=ProtectedRoute)


@router.get("")
async def list_keys(_: Admin, services: Svc, limit: Limit = 50, cursor: UUID | None = None) -> Page[KeyOut]:
    """Every key that was ever made, the newest first. What proves a key is not among what is told."""
    items = [KeyOut.of(found) for found in await services.keys.page(before=cursor, limit=limit)]
    return Page(items=items, next_cursor=str(items[-1].id) if len(items) == limit else None)


@router.post("", status_code=201)
async def create_key(body: KeyRequest, _: Admin, services: Svc, response: Response) -> NewKeyOut:
    """A new key, whose text is shown this once. There is no `Idempotency-Key` here: it would have the text stored."""
    response.headers["Cache-Control"] = "no-store"
    key, text = await services.keys.create(
        body.name, body.role, knowledge_bases=body.knowledge_bases, expires_at=body.expires_at
    )
    return NewKeyOut.of(await services.keys.describe(key), key=text)


@router.patch("/{key_id}")
async def change_key(key_id: UUID, body: KeyChange, _: Admin, services: Svc) -> KeyOut:
    """Change a key's name, scope or end: it holds from its next request on. Its role cannot be changed."""
    return KeyOut.of(await services.keys.change(key_id, body.changes()))


@router.post("/{key_id}/rotate")
async def rotate_key(key_id: UUID, body: Overlap, _: Admin, services: Svc, response: Response) -> NewKeyOut:
    """Give a key a new text, shown this once. The old one works for another `overlap_hours`, and conversations stay
    the key's."""
    response.headers["Cache-Control"] = "no-store"
    key, text = await services.keys.rotate(key_id, overlap=body.overlap)
    return NewKeyOut.of(await services.keys.describe(key), key=text)


@router.delete("/{key_id}", status_code=204)
async def revoke_key(key_id: UUID, _: Admin, services: Svc) -> None:
    """Revoke a key: it is refused from its next request on, and its streams end within seconds. The last admin key
    without an end is a 409."""
    await services.keys.revoke(key_id)
