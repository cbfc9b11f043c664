"""The tables. Import from here, so that the metadata is always whole."""

from rag_service.db.models.audit import AuditEntry
from rag_service.db.models.base import Base, new_id
from rag_service.db.models.chat import EXTRACTIVE, Channel, Conversation, Message, MessageState, Role
from rag_service.db.models.embeds import Embed
from rag_service.db.models.keys import ApiKey, KeyRole
from rag_service.db.models.knowledge import (
    Chunk,
    Document,
    DocumentVersion,
    Embedding,
    Job,
    KnowledgeBase,
    StaleVectors,
    UrlSource,
    VersionState,
)
from rag_service.db.models.outbox import IdempotencyKey, WebhookDelivery
from rag_service.db.models.ratings import Feedback, Rating, Reason
from rag_service.db.models.runs import StoredEvents, StoredRun
from rag_service.db.models.summaries import Summary

__all__ = [
    "EXTRACTIVE",
    "ApiKey",
    "AuditEntry",
    "Base",
    "Channel",
    "Chunk",
    "Conversation",
    "Document",
    "DocumentVersion",
    "Embed",
    "Embedding",
    "Feedback",
    "IdempotencyKey",
    "Job",
    "KeyRole",
    "KnowledgeBase",
    "Message",
    "MessageState",
    "Rating",
    "Reason",
    "Role",
    "StaleVectors",
    "StoredEvents",
    "StoredRun",
    "Summary",
    "UrlSource",
    "VersionState",
    "WebhookDelivery",
    "new_id",
]
