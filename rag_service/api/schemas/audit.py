"""Shapes of the audit log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from rag_service.api.schemas.base import Response


class AuditEntryOut(Response):
    id: UUID
    at: datetime
    actor: str
    key_prefix: str
    key_name: str
    action: str
    target_type: str
    target_id: str
    knowledge_base: str | None
    request_id: str
    ip: str
    details: dict[str, Any]
