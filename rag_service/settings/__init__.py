"""Settings: read from the environment and `.env`, checked once, at start.

Names the field already knows stay bare (`DATABASE_URL`, `OPENAI_API_KEY`); ours carry `RAG_`.
Values that are unsafe stop the start with a sentence that says what to change.

Each module of this package has those of one matter:

| module | what is set there |
|---|---|
| `stores` | PostgreSQL, Chroma, Redis |
| `places` | folders: the state, the lexical index, prompts, the sample |
| `serving` | addresses, hosts, proxies, streams, the end of a process, the log |
| `limits` | what callers may use, what one process takes on |
| `models` | which models embed and answer, their keys, prices and times |
| `answering` | the search, when it is refused, tokens of a prompt |
| `ingestion` | files, reading, fetching, jobs, webhooks |
| here | the secret, what is kept for how long |
"""

import re
import secrets
from typing import Annotated, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from rag_service.errors import ConfigurationError
from rag_service.private_files import write_private
from rag_service.settings.answering import Answering
from rag_service.settings.ingestion import Ingestion
from rag_service.settings.limits import Limits
from rag_service.settings.models import Models, Price
from rag_service.settings.places import PACKAGE_DIR, WEB_BUNDLE, Places
from rag_service.settings.serving import LOOPBACK, Serving
from rag_service.settings.stores import Stores

__all__ = ["LOOPBACK", "PACKAGE_DIR", "WEB_BUNDLE", "Price", "Settings", "load_settings"]

MIN_SECRET_LENGTH = 32


# The fields of the last base come first.
class Settings(Ingestion, Answering, Models, Limits, Serving, Places, Stores, BaseSettings):
    """All settings of every process. Field names map to `RAG_<NAME>`, aliases stand as they are."""

    model_config = SettingsConfigDict(
        env_prefix="RAG_",
        env_file=".env",
        env_ignore_empty=True,  # as `${NAME:-}` in a compose file makes it: not set
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    secret_key: SecretStr | None = None
    audit_days: Annotated[int, Field(ge=1)] = Field(
        default=365, description="how long the audit log tells what an admin did"
    )
    keep_quotes: bool = Field(
        default=False, description="whether stored answers keep what they quote of a document that is erased"
    )

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
