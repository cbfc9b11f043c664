"""Embeds, and the tokens that the pages they are for ask for."""

from fastapi import APIRouter, Request, Response

from rag_service.api.deps import Admin, OnceOnly, ProtectedRoute, PublicRoute, Svc, own_origin
from rag_service.api.schemas.base import Page
from rag_service.api.schemas.embeds import (
    EmbedChange,
    EmbedId,
    EmbedOut,
    EmbedRequest,
    IdentitySecretOut,
    Overlap,
    TokenOut,
    TokenRequest,
)
from rag_service.db.repositories.embeds import LivingEmbed
from rag_service.db.repositories.idempotency import Answer

router = APIRouter(prefix="/embeds", tags=["embeds"], route_class=ProtectedRoute)
public = APIRouter(prefix="/embeds", tags=["embeds"], route_class=PublicRoute)


@router.get("")
async def list_embeds(request: Request, _: Admin, services: Svc) -> Page[EmbedOut]:
    """The embeds that were not revoked, the newest first."""
    return Page(items=[EmbedOut.of(living, own_origin(request)) for living in await services.embeds.all()])


@router.post("", status_code=201)
async def create_embed(
    body: EmbedRequest, request: Request, _: Admin, services: Svc, once: OnceOnly
) -> EmbedOut:
    """A new embed for the pages of some origins. With an `Idempotency-Key` the same request can be sent again
    safely."""

    def tell(living: LivingEmbed) -> Answer:
        return EmbedOut.of(living, own_origin(request)).model_dump(mode="json")

    answer = await services.embeds.create(
        body.name,
        body.knowledge_base,
        body.origins,
        require_identity=body.require_identity,
        once=once,
        tell=tell,
    )
    return EmbedOut.model_validate(answer)


@router.patch("/{embed_id}")
async def change_embed(
    embed_id: EmbedId, body: EmbedChange, request: Request, _: Admin, services: Svc
) -> EmbedOut:
    """Change an embed: it holds from its visitors' next request on."""
    return EmbedOut.of(await services.embeds.change(embed_id, body.changes()), own_origin(request))


@router.post("/{embed_id}/identity-secret", status_code=201)
async def make_identity_secret(
    embed_id: EmbedId, body: Overlap, _: Admin, services: Svc, response: Response
) -> IdentitySecretOut:
    """A new secret for the site's backend to say with who its users are; shown this once. The one before counts for
    another `overlap_hours`."""
    response.headers["Cache-Control"] = "no-store"
    secret = await services.embeds.new_identity_secret(embed_id, overlap=body.overlap)
    return IdentitySecretOut(secret=secret)


@router.delete("/{embed_id}", status_code=204)
async def revoke_embed(embed_id: EmbedId, _: Admin, services: Svc) -> None:
    """Revoke an embed: its visitors are refused from their next request on."""
    await services.embeds.revoke(embed_id)


@public.post("/{embed_id}/token")
async def create_token(
    embed_id: EmbedId, body: TokenRequest, request: Request, services: Svc, response: Response
) -> TokenOut:
    """A short-lived token for a visitor of a page. What is checked is the page's origin, and, where one is given or
    required, the `identity` that the site's backend signed; there is no other credential."""
    response.headers["Cache-Control"] = "no-store"
    made = await services.embeds.token(
        embed_id,
        origin=request.headers.get("origin"),
        own_origin=own_origin(request),
        old=body.token,
        identity=body.identity,
    )
    return TokenOut(
        token=made.token,
        expires_in=made.expires_in,
        name=made.living.embed.name,
        knowledge_base=made.living.knowledge_base.slug,
    )
