"""Shapes of knowledge bases."""

import re
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from rag_service.api.schemas.base import Name, Request, Response, Slug
from rag_service.db.models import KnowledgeBase

# RFC 5646: language, script, region, variants, extensions, private use. Its language names of four and more letters
# are left out: none was ever registered, and people write `english`.
_BCP47 = re.compile(
    r"[a-z]{2,3}(?:-[a-z]{3}){0,3}(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[0-9a-wyz](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?",
    re.IGNORECASE | re.ASCII,
)


def _tag(text: str) -> str:
    """A language tag as it was given. Raises ValueError."""
    if _BCP47.fullmatch(text) is None:
        raise ValueError(
            "must be a BCP 47 language tag: two or three letters such as `en` or `bn`, if need be with a script or "
            "a region behind a hyphen, as in `zh-Hant` or `pt-BR`"
        )
    return text


Language = Annotated[str, StringConstraints(max_length=35), AfterValidator(_tag)]
PromptName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,63}$")]


class _Settings(Request):
    """What can be set of a knowledge base."""

    language: Language | None = Field(
        default=None, description="of its documents, as a BCP 47 tag such as `en` or `pt-BR`"
    )
    refusal_score: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] | None = Field(
        default=None,
        description="how likely it must be that what was found answers a question; null for RAG_REFUSAL_SCORE",
    )
    chunk_tokens: Annotated[int, Field(ge=32, le=8192)] | None = Field(
        default=None,
        description="largest chunk of what is read from now on, in tokens; null for RAG_CHUNK_TOKENS",
    )
    retention_days: Annotated[int, Field(ge=1, le=36500)] | None = Field(
        default=None,
        description="days after its last question that a conversation is erased, once a day; null to keep them all",
    )


class KnowledgeBaseRequest(_Settings):
    slug: Slug
    name: Name
    prompt: PromptName = Field(default="answer", description="which of the answer prompts it uses")

    def settings(self) -> dict[str, Any]:
        return self.model_dump(exclude={"slug", "name"})


class KnowledgeBaseChange(_Settings):
    """What is to be changed; what is left out stays as it is."""

    # None stands for `left out`: it is no value that can be sent.
    name: Name = Field(default=None, validate_default=False)  # type: ignore[assignment]
    prompt: PromptName = Field(default=None, validate_default=False)  # type: ignore[assignment]

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(
                "give what is to be changed: name, language, prompt, refusal_score, chunk_tokens or "
                "retention_days"
            )
        return self

    def settings(self) -> dict[str, Any]:
        return self.model_dump(exclude_unset=True)


class KnowledgeBaseOut(Response):
    slug: str
    name: str
    language: str | None
    prompt: str
    refusal_score: float | None
    chunk_tokens: int | None
    retention_days: int | None
    embedding_model: str
    documents: int = Field(description="how many can be asked")
    created_at: datetime

    @classmethod
    def of(cls, found: KnowledgeBase, documents: int) -> Self:
        return cls(
            slug=found.slug,
            name=found.name,
            language=found.language,
            prompt=found.prompt,
            refusal_score=found.refusal_score,
            chunk_tokens=found.chunk_tokens,
            retention_days=found.retention_days,
            embedding_model=found.embedding_model,
            documents=documents,
            created_at=found.created_at,
        )
