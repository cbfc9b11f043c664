"""Where files lie: those that the service keeps, and those that ship with it."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, Field, model_validator

from rag_service.endpoints import Endpoints, read_endpoints

PACKAGE_DIR = Path(__file__).resolve().parents[1]
WEB_BUNDLE = PACKAGE_DIR / "web" / "dist"
"""The built pages, where they are built."""


def _shipped(checkout_path: str, bundled_name: str) -> Path:
    """A folder that ships with the product: beside the package in a checkout, inside it in a wheel."""
    beside = PACKAGE_DIR.parent / checkout_path
    return beside if beside.is_dir() else PACKAGE_DIR / "_bundled" / bundled_name


class Places(BaseModel):
    """Folders, and the files of the state folder."""

    state_dir: Path = Path("data/state")
    lexical_dir: Path | None = Field(
        default=None,
        description="where each api process keeps its lexical index, on a local disk; unset means: in the state folder",
    )
    prompts_dir: Path = Field(default_factory=lambda: _shipped("prompts", "prompts"))
    sample_dir: Path = Field(default_factory=lambda: _shipped("data/sample_kb", "sample_kb"))
    sample: bool = Field(default=True, description="load the sample knowledge base on the first start")

    @model_validator(mode="after")
    def _resolve_paths(self) -> Self:
        self.state_dir = self.state_dir.expanduser().resolve()
        if self.lexical_dir is not None:
            self.lexical_dir = self.lexical_dir.expanduser().resolve()
        self.prompts_dir = self.prompts_dir.expanduser().resolve()
        self.sample_dir = self.sample_dir.expanduser().resolve()
        return self

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

    def local_endpoints(self) -> Endpoints | None:
        """What a running `rag serve` on this state folder wrote down; raises what `read_endpoints` does."""
        return read_endpoints(self.endpoints_file)
