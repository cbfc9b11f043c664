"""Knowledge bases, their documents and versions, chunks and embeddings."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from rag_service.db.models.base import Base, CreatedAt, Id

VersionState = Literal["pending", "ready", "failed"]


class KnowledgeBase(Base):
    """A set of documents that questions are asked of; one Chroma collection an embedding model."""

    __tablename__ = "knowledge_bases"
    __table_args__ = (
        Index("uq_knowledge_bases_slug", "slug", unique=True, postgresql_where=text("deleted_at IS NULL")),
    )

    id: Mapped[Id]
    slug: Mapped[str] = mapped_column(String(63))
    name: Mapped[str] = mapped_column(String(200))
    embedding_model: Mapped[str] = mapped_column(
        String(200), doc="fingerprint of the model its vectors are of"
    )
    previous_embedding_model: Mapped[str | None] = mapped_column(
        String(200), doc="the one before a change of model, while processes that still use it may run"
    )
    language: Mapped[str | None] = mapped_column(String(35), doc="BCP 47, such as `en` or `bn`")
    prompt: Mapped[str] = mapped_column(String(63), server_default="answer", doc="name of its answer prompt")
    refusal_score: Mapped[float | None] = mapped_column(doc="in place of RAG_REFUSAL_SCORE")
    chunk_tokens: Mapped[int | None] = mapped_column(doc="in place of RAG_CHUNK_TOKENS")
    retention_days: Mapped[int | None] = mapped_column(doc="how long conversations are kept; None: for ever")
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[datetime | None]

    @property
    def embedding_models(self) -> list[str]:
        """Every model that there may be a collection of."""
        return [model for model in (self.embedding_model, self.previous_embedding_model) if model]


class Document(Base):
    """A named document; what it says is its active version."""

    __tablename__ = "documents"
    __table_args__ = (
        Index(
            "uq_documents_knowledge_base_id_name",
            "knowledge_base_id",
            "name",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("ix_documents_deleted_at", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
        Index(
            "ix_documents_attributes",
            "attributes",
            postgresql_using="gin",
            postgresql_ops={"attributes": "jsonb_path_ops"},
        ),
        Index("ix_documents_tags", "tags", postgresql_using="gin"),
    )

    id: Mapped[Id]
    knowledge_base_id: Mapped[UUID] = mapped_column(ForeignKey("knowledge_bases.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(255), doc="the uploaded file's name: for display only")
    source: Mapped[str | None] = mapped_column(
        Text, doc="what keeps it up to date: `sync:FOLDER`, `url:ID`, or nothing"
    )
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default="{}", doc="metadata, usable as filters")
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    active_version_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("document_versions.id", ondelete="SET NULL", use_alter=True), index=True
    )
    created_at: Mapped[CreatedAt]
    deleted_at: Mapped[datetime | None]


class DocumentVersion(Base):
    """One state of a document's bytes, and what was read from it."""

    __tablename__ = "document_versions"
    __table_args__ = (Index("uq_document_versions_document_id_number", "document_id", "number", unique=True),)

    id: Mapped[Id]
    document_id: Mapped[UUID] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    number: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    blob: Mapped[str] = mapped_column(String(100), index=True, doc="the blob store's own name for the bytes")
    state: Mapped[VersionState] = mapped_column(String(16), default="pending")
    media_type: Mapped[str | None] = mapped_column(String(200))
    title: Mapped[str | None] = mapped_column(String(500))
    pages: Mapped[int | None]
    chunk_count: Mapped[int | None]
    restored_from: Mapped[int | None] = mapped_column(doc="number of the version whose bytes it has again")
    created_at: Mapped[CreatedAt]
    activated_at: Mapped[datetime | None]


class Chunk(Base):
    """A piece of one version: `text` stands verbatim at [char_start, char_end) of the extracted text."""

    __tablename__ = "chunks"
    __table_args__ = (Index("uq_chunks_version_id_ordinal", "version_id", "ordinal", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True, doc="derived from version, place and text")
    version_id: Mapped[UUID] = mapped_column(ForeignKey("document_versions.id", ondelete="CASCADE"))
    ordinal: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    headings: Mapped[list[str]] = mapped_column(ARRAY(Text), doc="from the outermost to the nearest")
    context: Mapped[str] = mapped_column(Text, doc="a table's header row, where the text is its later rows")
    page: Mapped[int | None] = mapped_column(doc="page, slide or sheet the text begins on, from 1")
    page_end: Mapped[int | None]
    char_start: Mapped[int]
    char_end: Mapped[int]
    tokens: Mapped[int] = mapped_column(doc="of what is embedded, in the embedding model's tokens")
    content_hash: Mapped[str] = mapped_column(String(64), index=True, doc="SHA-256 of what is embedded")


class Embedding(Base):
    """The vector of one content under one model: computed once, kept for every chunk that says the same."""

    __tablename__ = "embeddings"

    model: Mapped[str] = mapped_column(String(200), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary, doc="float32, little-endian")
    created_at: Mapped[CreatedAt]


class Job(Base):
    """Work on one version. The row is the queue: claimed under a lease, fenced by a token."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(
            "ix_jobs_open",
            "created_at",
            postgresql_where=text("state NOT IN ('succeeded', 'failed', 'cancelled', 'quarantined')"),
        ),
        Index("ix_jobs_version_id", "version_id"),
    )

    id: Mapped[Id]
    knowledge_base_id: Mapped[UUID] = mapped_column(ForeignKey("knowledge_bases.id", ondelete="CASCADE"))
    document_id: Mapped[UUID] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"), index=True)
    version_id: Mapped[UUID] = mapped_column(ForeignKey("document_versions.id", ondelete="CASCADE"))
    state: Mapped[str] = mapped_column(String(16), default="queued")
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    warnings: Mapped[list[str]] = mapped_column(ARRAY(Text), default=list)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_detail: Mapped[str | None] = mapped_column(Text)
    history: Mapped[list[dict[str, Any]]] = mapped_column(
        default=list,
        server_default="[]",
        doc="how its last attempts ended that did not succeed: {at, code, detail}, the oldest first",
    )
    fence: Mapped[int] = mapped_column(default=0, doc="grows with every claim; a stale one cannot commit")
    lease_until: Mapped[datetime | None]
    not_before: Mapped[datetime | None]
    dispatched_at: Mapped[datetime | None] = mapped_column(doc="when Celery was last told of it")
    created_at: Mapped[CreatedAt]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class StaleVectors(Base):
    """A debt to the vector index: entries to be removed, entered with what made them stale, kept until they are."""

    __tablename__ = "stale_vectors"

    id: Mapped[Id]
    collection: Mapped[str] = mapped_column(String(100))
    chunk_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid()), doc="None: the whole collection")
    created_at: Mapped[CreatedAt]


class UrlSource(Base):
    """A page or a sitemap whose documents are kept up to date."""

    __tablename__ = "url_sources"
    __table_args__ = (
        Index("uq_url_sources_knowledge_base_id_url", "knowledge_base_id", "url", unique=True),
        Index("ix_url_sources_next_at", "next_at"),
    )

    id: Mapped[Id]
    knowledge_base_id: Mapped[UUID] = mapped_column(ForeignKey("knowledge_bases.id", ondelete="CASCADE"))
    url: Mapped[str] = mapped_column(Text)
    kind: Mapped[Literal["page", "sitemap"]] = mapped_column(String(16))
    refresh_seconds: Mapped[int | None] = mapped_column(doc="None: fetched once")
    etag: Mapped[str | None] = mapped_column(Text)
    last_modified: Mapped[str | None] = mapped_column(Text)
    next_at: Mapped[datetime | None] = mapped_column(doc="when it is due; None: never again")
    lease_until: Mapped[datetime | None]
    fetched_at: Mapped[datetime | None]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_detail: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[CreatedAt]
