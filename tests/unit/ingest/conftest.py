"""How the tests of extraction read a file."""

from pathlib import Path
from typing import Protocol

import pytest

from ingest.blocks import Extraction
from ingest.extract import extract
from ingest.limits import Limits


class Read(Protocol):
    def __call__(self, name: str, data: bytes | str, limits: Limits = ...) -> Extraction: ...


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads bytes as a file of that name."""

    def read_as(name: str, data: bytes | str, limits: Limits = Limits()) -> Extraction:  # noqa: B008
        path = tmp_path / "blob"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        found = extract(path, name, limits)
        at = 0
        for block in found.blocks:
            assert at <= block.start < block.end <= len(found.text)
            at = block.end
        return found

    return read_as
