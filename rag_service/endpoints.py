"""Where a local server is reached: written down by `rag serve`, read by every other command."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from rag_service.errors import ConfigurationError


class Endpoints(BaseModel):
    """Where the processes that `rag serve` started can be reached; kept in the state folder, mode 0600."""

    model_config = ConfigDict(hide_input_in_errors=True)

    pid: int
    api_url: str
    database_url: str
    chroma_url: str


def read_endpoints(path: Path) -> Endpoints | None:
    """What a running `rag serve` wrote down, or None if there is none.

    Raises:
        ConfigurationError: what it wrote cannot be read.
    """
    try:
        return Endpoints.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ConfigurationError(
            f"{path} is damaged; stop `rag serve`, delete it and start again."
        ) from error
