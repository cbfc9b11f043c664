"""How documents are taken in: limits of files, of reading, of fetching; jobs and the word of their end."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

from rag_service.settings.forms import address
from rag_service.webhook_key import HOW_TO_MAKE_ONE, webhook_key


class Ingestion(BaseModel):
    """Of uploads, of the worker, of URLs, of webhooks."""

    max_file_bytes: Annotated[int, Field(ge=1)] = 100 * 1024 * 1024
    max_upload_bytes: Annotated[int, Field(ge=1)] = Field(
        default=1024 * 1024 * 1024, description="largest upload request, all its files together"
    )
    chunk_tokens: Annotated[int, Field(ge=32, le=8192)] = Field(
        default=220, description="largest chunk, heading path included, in the embedding model's tokens"
    )
    extract_seconds: Annotated[float, Field(gt=0)] = 300.0
    extract_cpu_seconds: Annotated[float, Field(ge=1)] = Field(
        default=300.0, description="computing time, of all cores together, that reading one file may take"
    )
    extract_memory_mb: Annotated[int, Field(ge=256)] = 2048
    extract_text_mb: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=200, description="most text that one file may hold; twice that is the most it may unpack to"
    )
    extract_rows: Annotated[int, Field(ge=10)] = Field(
        default=100_000, description="rows of a sheet behind which the rest is left out, with a warning"
    )
    ocr_languages: Annotated[str, Field(pattern=r"^[A-Za-z_]+(\+[A-Za-z_]+)*$")] = Field(
        default="eng+ben",
        description="languages in which text on pictures is recognised, by Tesseract's names, the likeliest first",
    )
    fetch_allow_private: list[IPv4Network | IPv6Network] = Field(
        default_factory=list,
        description="private networks that URLs may be fetched from, such as an intranet's",
    )
    fetch_max_bytes: Annotated[int, Field(ge=1)] = 20 * 1024 * 1024
    fetch_seconds: Annotated[float, Field(gt=0, le=150)] = 30.0
    sitemap_pages: Annotated[int, Field(ge=1, le=50_000)] = 500
    job_lease_seconds: Annotated[float, Field(ge=2)] = 30.0
    worker_jobs: Annotated[int, Field(ge=1, le=64)] = Field(
        default=8, description="documents that one worker reads and embeds at the same time"
    )
    job_attempts: Annotated[int, Field(ge=1)] = 4
    webhook_url: SecretStr | None = Field(
        default=None, description="told of every job that ends; its address may hold a secret of its receiver"
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="signs what is told: `whsec_` and Base64, or any text of 24 characters or more",
    )

    @model_validator(mode="after")
    def _refuse_an_unsigned_webhook(self) -> Self:
        if self.webhook_url is not None:
            found = address(self.webhook_url.get_secret_value(), "http", "https")
            if found is None or found.username is not None:
                raise ValueError(
                    "RAG_WEBHOOK_URL is no address that can be told anything; it looks like https://host/path, "
                    "without a user name in it"
                )
            if self.webhook_secret is None:
                raise ValueError(f"RAG_WEBHOOK_SECRET is not set, but RAG_WEBHOOK_URL is. {HOW_TO_MAKE_ONE}")
        if self.webhook_secret is not None:
            self.webhook_key()
        return self

    def webhook_key(self) -> bytes:
        """The key that webhooks are signed with. Raises ValueError where there is none, or it is too weak."""
        return webhook_key(self.webhook_secret.get_secret_value() if self.webhook_secret else "")
