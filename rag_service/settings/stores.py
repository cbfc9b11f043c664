"""The servers that everything is kept in."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from rag_service.settings.forms import address, bare


class Stores(BaseModel):
    """PostgreSQL, Chroma and Redis. What is not set, `rag serve` starts by itself, or does without."""

    database_url: SecretStr | None = Field(default=None, validation_alias=bare("DATABASE_URL"))
    database_pool: Annotated[int, Field(ge=2)] = 10
    chroma_url: str | None = Field(default=None, validation_alias=bare("CHROMA_URL"))
    redis_url: SecretStr | None = Field(
        default=None,
        validation_alias=bare("REDIS_URL"),
        description="Redis; with it, Celery workers share the jobs out between them",
    )

    @model_validator(mode="after")
    def _refuse_what_is_noaddress(self) -> Self:
        if self.redis_url and not address(self.redis_url.get_secret_value(), "redis", "rediss"):
            raise ValueError("REDIS_URL is no address of a Redis server; it looks like redis://host:6379/0")
        return self
