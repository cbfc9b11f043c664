"""Messages of a conversation, one branch or all of them; and what the caller thinks of answers."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from rag_service.api.deps import Limit, ProtectedRoute, Svc, Visitor
from rag_service.api.schemas.base import Page
from rag_service.api.schemas.chat import MessageOut
from rag_service.api.schemas.feedback import FeedbackOut, FeedbackRequest
from rag_service.chat.transcripts import Transcript, read
from rag_service.db.repositories.feedback import OwnFeedback

router = APIRouter(tags=["conversations"], route_class=ProtectedRoute)


@router.get("/conversations/{conversation_id}/messages", response_model=Page[MessageOut])
async def list_messages(
    conversation_id: UUID,
    principal: Visitor,
    services: Svc,
    limit: Limit = 100,
    cursor: UUID | None = None,
    branch: Annotated[
        UUID | None, Query(description="a message: the newest branch that goes through it")
    ] = None,
    all: Annotated[bool, Query(description="the messages of all branches")] = False,
) -> Response:
    """The newest branch of a conversation, oldest message first, with all that made each answer.

    A page holds the last messages; `next_cursor` leads to those before them. `sibling_ids` names the other wordings of
    a question and the other answers to it; `branch` with one of them shows that branch.
    """
    async with services.database.transaction() as session:
        found = await read(
            session, principal.subject, conversation_id,
            limit=limit, cursor=cursor, branch=branch, whole=all,
        )  # fmt: skip
    page = Page[MessageOut](items=out(found), next_cursor=str(found.cursor) if found.cursor else None)
    # Of many long answers this takes a tenth of a second, in which nobody else would be served.
    body = await asyncio.to_thread(page.model_dump_json)
    return Response(body, media_type="application/json")


def out(found: Transcript) -> list[MessageOut]:
    """The messages with their siblings and the caller's feedback."""
    items = []
    for message in found.messages:
        shown = MessageOut.model_validate(message)
        said = found.feedback.get(message.id)
        shown.sibling_ids = list(found.siblings[message.id])
        shown.feedback = FeedbackOut.model_validate(said) if said else None
        items.append(shown)
    return items


@router.put("/messages/{message_id}/feedback")
async def give_feedback(
    message_id: UUID, body: FeedbackRequest, principal: Visitor, services: Svc
) -> FeedbackOut | None:
    """Say what you think of an answer you were given, in place of what you said before; with the rating null it is
    taken back, and the answer is null."""
    async with services.database.transaction() as session:
        said = await OwnFeedback(session, principal.subject).give(
            message_id, body.rating, body.reason, body.comment
        )
    return FeedbackOut.model_validate(said) if said else None
