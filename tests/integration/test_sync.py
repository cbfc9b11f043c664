"""`rag-ingest sync` as people run it."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rag_service.db.engine import Database
from rag_service.settings import Settings
from tests.integration.commands import Command
from tests.integration.ingestion import Stand, running, stand_on


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five documents, one of them deeper."""
    made = tmp_path / "shelf"
    (made / "deep").mkdir(parents=True)
    for name in ("a.md", "b.md", "c.md", "d.md", "deep/e.md"):
        (made / name).write_text(f"Text of {name}.")
    return made


async def living(stand: Stand) -> list[str]:
    found: list[str] | None = await stand.sql(
        "SELECT array_agg(name ORDER BY name) FROM documents WHERE deleted_at IS NULL"
    )
    return found or []


async def test_a_folder_is_mirrored(stand: Stand, command: Command, folder: Path) -> None:
    await stand.upload("by hand.md", "Uploaded by somebody.")
    await stand.upload("b.md", "Uploaded by somebody, with the same name.")
    async with running(stand.worker().run()):
        first = await command("sync", folder)
        assert first.code == 0, first.err
        assert first.out.splitlines()[-1] == "4 added, 1 updated."
        assert first.row("b.md")[3] == "Came by hand before: kept up to date, but not deleted with the file."
        (folder / "a.md").unlink()
        (folder / "b.md").unlink()
        (folder / "c.md").write_text("Other text.")
        (folder / "new.md").write_text("New.")
        foreseen = await command("sync", "--dry-run", folder)
        second = await command("sync", folder)
        third = await command("sync", folder)
    assert foreseen.out.splitlines()[-2:] == [
        "1 updated, 2 unchanged, 1 added, 1 removed.",
        "Nothing was changed: this was a dry run.",
    ]
    assert [second.row(name)[1] for name in ("a.md", "c.md", "d.md", "deep/e.md", "new.md")] == [
        "removed",
        "updated",
        "unchanged",
        "unchanged",
        "added",
    ]
    assert third.out.splitlines()[-1] == "4 unchanged."
    assert await living(stand) == ["b.md", "by hand.md", "c.md", "d.md", "deep/e.md", "new.md"]
    assert await stand.sql("SELECT source FROM documents WHERE name = 'deep/e.md'") == f"sync:{folder}"
    files = [path for path in stand.blobs.files() if path.is_file()]
    assert len(files) == await stand.sql(
        "SELECT count(*) FROM document_versions v WHERE EXISTS "
        "(SELECT FROM documents d WHERE d.id = v.document_id)"
    )


async def test_a_folder_that_lost_most_of_its_files_deletes_nothing_unless_told(
    stand: Stand, command: Command, folder: Path
) -> None:
    await command("sync", "--no-wait", folder)
    for name in ("a.md", "b.md", "c.md"):
        (folder / name).unlink()
    (folder / "new.md").write_text("New.")
    refused = await command("sync", "--no-wait", folder)
    assert (refused.code, refused.out.strip()) == (2, "")
    assert refused.err.startswith(f"rag-ingest: 3 of the 5 documents from {folder} would be deleted.")
    assert len(await living(stand)) == 5
    kept = await command("sync", "--no-wait", "--no-delete", folder)
    assert (kept.code, len(await living(stand))) == (0, 6)
    told = await command("sync", "--no-wait", "--delete-most", folder)
    assert (told.code, await living(stand)) == (0, ["d.md", "deep/e.md", "new.md"])


async def test_a_folder_that_is_missing_or_empty_deletes_nothing(
    stand: Stand, command: Command, folder: Path, tmp_path: Path
) -> None:
    await command("sync", "--no-wait", folder)
    shutil.rmtree(folder)
    missing = await command("sync", "--no-wait", folder)
    os.makedirs(folder)  # noqa: PTH103 - a mount point without its mount
    empty = await command("sync", "--no-wait", folder)
    assert (missing.code, empty.code, len(await living(stand))) == (2, 2, 5)


async def test_two_folders_do_not_take_each_other_s_documents(
    stand: Stand, command: Command, folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.md").write_text("Another text of the same name.")
    await command("sync", "--no-wait", folder)
    said = await command("sync", "--no-wait", other)
    assert said.code == 1
    assert said.row("a.md")[1::2] == [
        "failed",
        f"A document of this name is kept up to date by sync:{folder}.",
    ]
    assert await stand.sql("SELECT count(*) FROM document_versions") == 5
    assert len(list(stand.blobs.files())) == 5


async def test_without_a_worker_it_is_said_how_to_start_one(
    stand: Stand, command: Command, folder: Path
) -> None:
    said = await command.until("No worker listens", "add", folder)
    assert "rag-ingest worker" in said
