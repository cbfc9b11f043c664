"""`rag-ingest load` as operators run it."""

from collections.abc import AsyncIterator

import pytest

from ingest.connectors import attributes_of
from rag_service.db.engine import Database
from rag_service.settings import Settings
from tests.integration.commands import Command
from tests.integration.ingestion import Stand, running, stand_on

SHELF = "tests.integration.loaders.Shelf"


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        yield made


async def test_what_a_loader_gives_becomes_documents(stand: Stand, command: Command) -> None:
    async with running(stand.worker().run()):
        said = await command("load", SHELF, "--arg", "topic=the moon", "--arg", "count=1")
    assert said.code == 0, said.err
    assert said.row("s3://bucket/report.pdf.md")[1] == "added"
    assert said.row("Shelf 3.md")[1] == "added"
    texts = [item.chunk.text for item in await stand.readable()]
    assert sorted(texts) == ["A note about the moon.", "Page 1 about the moon.\n\nPage 2 about the moon."]
    assert await stand.sql("SELECT attributes FROM documents WHERE name LIKE '%report%'") == {
        "source": "s3://bucket/report.pdf",
        "page": 1,
        "author": "A. B.",
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no.such.Loader"], "There is no loader no.such.Loader"),
        (["Shelf"], "There is no loader Shelf"),
        (["os.path.join"], "no LangChain document loader"),
        ([SHELF], "cannot be made with these arguments"),
        ([SHELF, "--arg", "topic"], "looks like key=value"),
        (["tests.integration.loaders.Broken"], "no such bucket"),
    ],
)
async def test_what_cannot_be_loaded_is_one_sentence(
    stand: Stand, command: Command, arguments: list[str], words: str
) -> None:
    said = await command("load", *arguments)
    assert said.code == 2
    assert words in said.err and len(said.err.splitlines()) == 1
    assert await stand.sql("SELECT count(*) FROM documents") == 0


def test_only_plain_metadata_become_attributes() -> None:
    metadata = {"ok": 1, "a b": 1, "long": "x" * 900, "list": [1], "none": None, "n\x00": 1, "flag": True}
    assert attributes_of(metadata) == {"ok": 1, "long": "x" * 500, "flag": True}
