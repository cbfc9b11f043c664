"""Settings: read from the environment and `.env`, checked once, at start.

Names the field already knows stay bare (`DATABASE_URL`, `OPENAI_API_KEY`); ours carry `RAG_`.
Values that are unsafe stop the start with a sentence that says what to change.
"""

import re
import secrets
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AliasChoices, BaseModel, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from rag_service.endpoints import Endpoints, read_endpoints
from rag_service.errors import ConfigurationError
from rag_service.private_files import write_private
from rag_service.webhook_key import HOW_TO_MAKE_ONE, webhook_key

MIN_SECRET_LENGTH = 32
LOOPBACK = ("localhost", "127.0.0.1", "::1")
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - translated, not bound
PACKAGE_DIR = Path(__file__).resolve().parent
WEB_BUNDLE = PACKAGE_DIR / "web" / "dist"
"""The built pages, where they are built."""


def _shipped(checkout_path: str, bundled_name: str) -> Path:
    """A folder that ships with the product: beside the package in a checkout, inside it in a wheel."""
    beside = PACKAGE_DIR.parent / checkout_path
    return beside if beside.is_dir() else PACKAGE_DIR / "_bundled" / bundled_name


def _bare(name: str) -> AliasChoices:
    return AliasChoices(name)


def _address(url: str, *schemes: str) -> SplitResult | None:
    """The parts of a URL of one of these schemes; None where it is none."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and parts.hostname and parts.port != 0  # no number: a ValueError
    except ValueError:
        return None
    return parts if usable and url.isprintable() and " " not in url else None


class Price(BaseModel, extra="forbid"):
    """What a million tokens of a language model cost, in whichever currency you reckon."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]


class Settings(BaseSettings):
    """All settings of every process. Field names map to `RAG_<NAME>`, aliases stand as they are."""

    model_config = SettingsConfigDict(
        env_prefix="RAG_",
        env_file=".env",
        env_ignore_empty=True,  # as `${NAME:-}` in a compose file makes it: not set
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = Field(default=None, validation_alias=_bare("DATABASE_URL"))
    chroma_url: str | None = Field(default=None, validation_alias=_bare("CHROMA_URL"))
    redis_url: SecretStr | None = Field(
        default=None,
        validation_alias=_bare("REDIS_URL"),
        description="Redis; with it, Celery workers share the jobs out between them",
    )
    openai_api_key: SecretStr | None = Field(default=None, validation_alias=_bare("OPENAI_API_KEY"))
    openai_base_url: str | None = Field(default=None, validation_alias=_bare("OPENAI_BASE_URL"))
    anthropic_api_key: SecretStr | None = Field(default=None, validation_alias=_bare("ANTHROPIC_API_KEY"))
    anthropic_base_url: str | None = Field(default=None, validation_alias=_bare("ANTHROPIC_BASE_URL"))
    google_api_key: SecretStr | None = Field(default=None, validation_alias=_bare("GOOGLE_API_KEY"))
    mistral_api_key: SecretStr | None = Field(default=None, validation_alias=_bare("MISTRAL_API_KEY"))
    mistral_base_url: str | None = Field(default=None, validation_alias=_bare("MISTRAL_BASE_URL"))
    ollama_host: str | None = Field(default=None, validation_alias=_bare("OLLAMA_HOST"))

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    state_dir: Path = Path("data/state")
    lexical_dir: Path | None = Field(
        default=None,
        description="where each api process keeps its lexical index, on a local disk; unset means: in the state folder",
    )
    secret_key: SecretStr | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    sample: bool = Field(default=True, description="load the sample knowledge base on the first start")

    embedding_model: str = Field(
        default="all-MiniLM-L6-v2",
        description="the built-in model, a local path, a hub name, or `openai:NAME` for a compatible server",
    )
    chat_model: str | None = Field(
        default=None,
        description="`provider:model`, or `extractive`; unset means an OpenAI-compatible model where "
        "OPENAI_API_KEY or OPENAI_BASE_URL is set, and `extractive` where neither is",
    )
    fallback_models: list[str] = Field(
        default_factory=list,
        description="models that are asked in this order where RAG_CHAT_MODEL gives no word, each as `provider:model`",
    )
    model_prices: dict[str, Price] = Field(
        default_factory=dict,
        description="by `provider:model`, what a million tokens cost: `input` and `output`",
    )
    prompts_dir: Path = Field(default_factory=lambda: _shipped("prompts", "prompts"))
    sample_dir: Path = Field(default_factory=lambda: _shipped("data/sample_kb", "sample_kb"))

    chunk_tokens: Annotated[int, Field(ge=32, le=8192)] = Field(
        default=220, description="largest chunk, heading path included, in the embedding model's tokens"
    )
    max_file_bytes: Annotated[int, Field(ge=1)] = 100 * 1024 * 1024
    max_upload_bytes: Annotated[int, Field(ge=1)] = Field(
        default=1024 * 1024 * 1024, description="largest upload request, all its files together"
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

    audit_days: Annotated[int, Field(ge=1)] = Field(
        default=365, description="how long the audit log tells what an admin did"
    )
    keep_quotes: bool = Field(
        default=False, description="whether stored answers keep what they quote of a document that is erased"
    )

    retrieve_chunks: Annotated[int, Field(ge=1, le=50)] = 8
    reranker_model: str | None = Field(
        default=None,
        description="a cross-encoder that orders the best chunks anew: a local path or a hub name; unset means none",
    )
    rerank_chunks: Annotated[int, Field(ge=1, le=100)] = Field(
        default=30, description="how many of the best chunks the reranker looks at"
    )
    rerank_seconds: Annotated[float, Field(gt=0, le=60)] = Field(
        default=2.0, description="how long it may take; a question that it is late for keeps the order it had"
    )
    query_expansion: Literal["off", "multi_query", "hypothetical_answer"] = Field(
        default="off",
        description="what the language model adds to a search: other wordings of the question, or an imagined answer",
    )
    refusal_score: Annotated[float, Field(ge=-1, le=1)] = Field(
        default=0.3,
        description="how likely, from 0 to 1, it must be that what was found answers a question; below, it counts as "
        "not covered. `rag-ingest calibrate` sets it for a knowledge base",
    )
    history_tokens: Annotated[int, Field(ge=0)] = 1500
    context_tokens: Annotated[int, Field(ge=200)] = 3000
    answer_tokens: Annotated[int, Field(ge=16)] = 1000
    model_titles: bool = Field(
        default=True,
        description="whether the language model words the title of a conversation that began with a long question",
    )
    model_first_token_seconds: Annotated[float, Field(gt=0)] = 30.0
    model_token_seconds: Annotated[float, Field(gt=0)] = 30.0
    model_rest_seconds: Annotated[float, Field(ge=0)] = Field(
        default=30.0, description="how long a model is left alone that failed three times running"
    )
    model_total_seconds: Annotated[float, Field(gt=0)] = Field(
        default=300.0, description="longest that an answer may take, whichever models are asked for it"
    )

    run_grace_seconds: Annotated[float, Field(ge=0)] = Field(
        default=30.0,
        description="how long an answer goes on that nobody reads, so that it can be taken up again",
    )
    stream_send_seconds: Annotated[float, Field(gt=0)] = Field(
        default=30.0, description="how long a reader may take no more of a stream until the connection is cut"
    )
    drain_seconds: Annotated[float, Field(ge=1, le=600)] = Field(
        default=20.0, description="how long an api that is asked to end may take for the answers under way"
    )

    home_chat: bool | None = Field(
        default=None,
        description="the chat page at `/`; unset means: on where the server listens on loopback only",
    )
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="names the server is reached by, besides loopback's own; unset means: any, or those alone",
    )

    trusted_proxies: list[IPv4Network | IPv6Network] = Field(
        default_factory=list,
        description="networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed",
    )
    limit_requests_per_minute: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="of a key; 0 is no limit; unset means 600 for role `chat`, none for `admin`"
    )
    limit_concurrent_runs: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="turns of a key at the same time; 0 is no limit; unset means 20 for role `chat`, none for `admin`",
    )
    limit_tokens_per_day: Annotated[int, Field(ge=0)] = Field(
        default=0, description="of a key, prompts and answers together; 0 is no limit"
    )
    limit_visitor_requests_per_minute: Annotated[int, Field(ge=0)] = Field(
        default=60, description="of a visitor; one address may send ten times as many"
    )
    limit_visitor_concurrent_runs: Annotated[int, Field(ge=0)] = Field(
        default=2, description="turns of a visitor at the same time; of one address ten times as many"
    )
    limit_visitor_tokens_per_day: Annotated[int, Field(ge=0)] = Field(
        default=0, description="of a visitor; of one address ten times as many; 0 is no limit"
    )
    limit_failures_per_minute: Annotated[int, Field(ge=0)] = Field(
        default=60, description="refused credentials of one address"
    )
    max_runs: Annotated[int, Field(ge=1)] = Field(
        default=256, description="turns that one api process has in work at the same time"
    )
    max_requests: Annotated[int, Field(ge=1)] = Field(
        default=256, description="other requests that one api process has in work at the same time"
    )
    max_searches: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="questions that one api process searches for at the same time; unset means two a core",
    )

    database_pool: Annotated[int, Field(ge=2)] = 10

    @model_validator(mode="after")
    def _resolve_paths(self) -> Self:
        self.state_dir = self.state_dir.expanduser().resolve()
        if self.lexical_dir is not None:
            self.lexical_dir = self.lexical_dir.expanduser().resolve()
        self.prompts_dir = self.prompts_dir.expanduser().resolve()
        self.sample_dir = self.sample_dir.expanduser().resolve()
        return self

    @model_validator(mode="after")
    def _refuse_weak_secret(self) -> Self:
        given = self.secret_key.get_secret_value() if self.secret_key else None
        if given is not None and (len(given) < MIN_SECRET_LENGTH or len(set(given)) < 8):
            raise ValueError(
                f"RAG_SECRET_KEY is too weak: use at least {MIN_SECRET_LENGTH} random characters, for example "
                "from `python -c 'import secrets; print(secrets.token_urlsafe(48))'`"
            )
        if given is None and self.database_url is not None:
            raise ValueError(
                "RAG_SECRET_KEY is not set, but DATABASE_URL is: every process that shares a database needs "
                "the same secret. Set it to at least 32 random characters."
            )
        return self

    @model_validator(mode="after")
    def _refuse_what_is_no_address(self) -> Self:
        if self.redis_url and not _address(self.redis_url.get_secret_value(), "redis", "rediss"):
            raise ValueError("REDIS_URL is no address of a Redis server; it looks like redis://host:6379/0")
        return self

    @model_validator(mode="after")
    def _refuse_an_unsigned_webhook(self) -> Self:
        if self.webhook_url is not None:
            found = _address(self.webhook_url.get_secret_value(), "http", "https")
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

    @property
    def answers_with(self) -> str:
        """The chat model in use: `extractive`, or LangChain's `provider:model`."""
        if self.chat_model:
            return self.chat_model
        if self.openai_api_key or self.openai_base_url:
            return "openai:gpt-4o-mini"
        return "extractive"

    @property
    def has_model(self) -> bool:
        """Whether a language model writes the answers."""
        return self.answers_with != "extractive"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the API."""
        return self.host in LOOPBACK

    @property
    def local_url(self) -> str:
        """Where a client on this machine reaches the API."""
        host = _WILDCARDS.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def hosts(self) -> list[str]:
        """The values of the Host header that are answered; `*` means any."""
        own = [*LOOPBACK, "[::1]"]  # no page of another site is ever loaded under these names
        return [*self.allowed_hosts, *own] if self.allowed_hosts or self.is_local else ["*"]

    @property
    def offers_home_chat(self) -> bool:
        return self.is_local if self.home_chat is None else self.home_chat

    @property
    def admin_key_file(self) -> Path:
        return self.state_dir / "admin.key"

    @property
    def blob_dir(self) -> Path:
        return self.state_dir / "blobs"

    @property
    def lexical_root(self) -> Path:
        return self.lexical_dir or self.state_dir / "lexical"

    @property
    def endpoints_file(self) -> Path:
        return self.state_dir / "endpoints.json"

    def secret(self) -> str:
        """The secret under all HMACs: RAG_SECRET_KEY, or one made once and kept in the state folder.

        Raises:
            ConfigurationError: the one kept is damaged.
        """
        if self.secret_key is not None:
            return self.secret_key.get_secret_value()
        path = self.state_dir / "secret.key"
        if not path.exists():
            write_private(path, secrets.token_urlsafe(48))
        kept = path.read_bytes().strip().decode(errors="replace")
        if len(kept) < MIN_SECRET_LENGTH:
            raise ConfigurationError(
                f"{path} is damaged. Put it back from a backup; or delete it, and make every API key anew."
            )
        return kept

    def local_endpoints(self) -> Endpoints | None:
        """What a running `rag serve` on this state folder wrote down; raises what `read_endpoints` does."""
        return read_endpoints(self.endpoints_file)

    def connected(self) -> Self:
        """A copy with `database_url` and `chroma_url` filled from the local server where they are not set.

        Raises:
            ConfigurationError: an address is missing and no local server has written one down.
        """
        if self.database_url and self.chroma_url:
            return self
        found = self.local_endpoints()
        if found is None:
            raise ConfigurationError(
                f"No server is running on {self.state_dir}. Start it with `rag serve`, point RAG_STATE_DIR at "
                "the folder of one that runs, or set DATABASE_URL and CHROMA_URL."
            )
        return self.model_copy(
            update={
                "database_url": self.database_url or SecretStr(found.database_url),
                "chroma_url": self.chroma_url or found.chroma_url,
            }
        )


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        ConfigurationError: a value cannot be used; the sentence names the setting, never its value.
    """
    try:
        return Settings()
    except SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))  # all that its text holds: no value
        raise ConfigurationError(
            f"{f'RAG_{field[1].upper()}' if field else 'A setting'} is no JSON, and has to be."
        ) from None
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False, include_input=False):
            name = ".".join(str(part) for part in problem["loc"])
            shown = name if name.isupper() or not name else f"RAG_{name.upper()}"
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{shown}: {message}" if shown else message)
        raise ConfigurationError("; ".join(lines)) from error
