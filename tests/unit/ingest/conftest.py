"""How the tests of extraction read a file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.blocks import Extraction
from ingest.extract import extract

Read = Callable[[str, bytes | str], Extraction]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads bytes as a file of that name."""

    def read_as(name: str, data: bytes | str) -> Extraction:
        path = tmp_path / "blob"
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        found = extract(path, name)
        at = 0
        for block in found.blocks:
            assert at <= block.start < block.end <= len(found.text)
            at = block.end
        return found

    return read_as
