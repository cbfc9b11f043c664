"""What the tests of ingestion share."""

from pathlib import Path

import pytest

from rag_service.settings import Settings
from tests.conftest import SECRET
from tests.integration.commands import Command


@pytest.fixture
def command(settings: Settings, tmp_path: Path) -> Command:
    assert settings.database_url and settings.chroma_url
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return Command(
        folder,
        {
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "CHROMA_URL": settings.chroma_url,
            "RAG_SECRET_KEY": SECRET,
            "RAG_STATE_DIR": str(settings.state_dir),
        },
    )
