"""Conversations as files."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response

from rag_service.api.deps import ProtectedRoute, Svc, Visitor
from rag_service.api.routes.messages import out
from rag_service.api.schemas.chat import ConversationOut
from rag_service.api.schemas.conversations import ConversationExport
from rag_service.chat.export import as_markdown
from rag_service.chat.transcripts import Transcript, read
from rag_service.errors import TooLarge

MESSAGES = 2000
"""How many messages an export holds at most: it is made in memory, which of this many long answers takes 120 MB."""

router = APIRouter(tags=["conversations"], route_class=ProtectedRoute)

Branch = Annotated[
    UUID | None, Query(description="in Markdown: the newest branch that goes through this message")
]


@router.get(
    "/conversations/{conversation_id}/export",
    response_class=Response,
    responses={200: {"content": {"application/json": {}, "text/markdown": {}}}},
)
async def export_conversation(
    conversation_id: UUID,
    principal: Visitor,
    services: Svc,
    format: Literal["json", "markdown"] = "json",
    branch: Branch = None,
) -> Response:
    """A conversation as a file: in JSON with all its branches, in Markdown its newest one with footnotes that quote."""
    is_json = format == "json"
    with services.admission.exports.enter():
        async with services.database.transaction() as session:
            found = await read(
                session, principal.subject, conversation_id, limit=MESSAGES, branch=branch, whole=is_json
            )
        if found.cursor is not None:
            raise TooLarge(
                f"The conversation has more than {MESSAGES} messages; read them page by page at "
                f"/api/v1/conversations/{conversation_id}/messages."
            )
        body = await asyncio.to_thread(_json if is_json else _markdown, found)
    ending, media_type = ("json", "application/json") if is_json else ("md", "text/markdown; charset=utf-8")
    name = f"conversation-{conversation_id}.{ending}"
    return Response(
        body,
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _json(found: Transcript) -> str:
    export = ConversationExport(
        exported_at=datetime.now(UTC),
        conversation=ConversationOut.of(found.conversation, found.slug),
        messages=out(found),
    )
    return export.model_dump_json(indent=2)


def _markdown(found: Transcript) -> str:
    return as_markdown(found.conversation.title, found.messages)
