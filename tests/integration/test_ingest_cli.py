"""`rag-ingest add` as people run it: a process of its own, and a worker beside it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.__main__ import app
from rag_service.db.engine import Database
from rag_service.settings import Settings
from tests.integration.commands import Command
from tests.integration.ingestion import Stand, running, stand_on
from tests.unit.ingest import files


@pytest.fixture
async def stand(settings: Settings, database: Database) -> AsyncIterator[Stand]:
    async with stand_on(settings, database) as made:
        yield made


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    """A folder of what people have: documents in folders, hidden files, one that cannot be read."""
    folder = tmp_path / "my papers"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "plan.md").write_text("# Plan\n\nThe plan.\n\n# More\n\nOf the plan.")
    (folder / "deep" / "er" / "talk.pptx").write_bytes(files.slides("One"))
    (folder / "secret.pdf").write_bytes(files.pdf("Hidden", password="sesame"))
    (folder / ".hidden.md").write_text("hidden")
    (folder / ".git" / "config").write_text("hidden")
    return folder


async def test_files_and_folders_are_added_and_only_what_changed_the_second_time(
    stand: Stand, command: Command, papers: Path, tmp_path: Path
) -> None:
    single = tmp_path / "single [b]file[].txt"
    single.write_text("A file of its own.")
    async with running(stand.worker().run()):
        first = await command("add", papers, single)
        (papers / "plan.md").write_text("# Plan\n\nAnother plan.")
        second = await command("add", papers, single)
    assert first.row("plan.md") == ["plan.md", "added", "2", ""]
    assert first.row("deep/er/talk.pptx")[1] == "added"
    assert first.row(single.name) == [single.name, "added", "1", ""]
    failed = first.row("secret.pdf")
    assert failed[1] == "failed"
    assert failed[3] == "secret.pdf is protected by a password: remove the protection and upload it again."
    assert (first.code, first.out.splitlines()[-1]) == (1, "3 added, 1 failed.")
    assert "hidden" not in first.out
    assert "Traceback" not in first.err

    assert second.row("plan.md")[:3] == ["plan.md", "updated", "1"]
    assert second.row(single.name)[1:] == ["unchanged", "", ""]
    assert (second.code, second.out.splitlines()[-1]) == (1, "2 unchanged, 1 updated, 1 failed.")
    blobs = [path for path in stand.blobs.path("").parent.rglob("*") if path.is_file()]
    assert len(blobs) == await stand.sql("SELECT count(*) FROM document_versions")


async def test_what_is_too_large_fails_and_the_rest_is_handed_in_without_waiting(
    stand: Stand, command: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "large.txt").write_text("x" * 3_000)
    (folder / "small.txt").write_text("small")
    command.environment["RAG_MAX_FILE_BYTES"] = "2000"
    said = await command("add", "--no-wait", folder)
    assert said.code == 1
    assert said.row("large.txt")[1:] == [
        "failed",
        "",
        "The file is larger than the limit of 2,000 bytes (RAG_MAX_FILE_BYTES).",
    ]
    assert said.row("small.txt")[1] == "added"
    assert await stand.sql("SELECT array_agg(state) FROM jobs") == ["queued"]


async def test_an_unknown_knowledge_base_is_one_sentence(
    stand: Stand, command: Command, papers: Path
) -> None:
    said = await command("add", "--knowledge-base", "unknown", papers)
    assert (said.code, said.out.strip()) == (2, "")
    assert said.err.startswith("rag-ingest: There is no knowledge base called 'unknown'.")
    assert len(said.err.splitlines()) == 1
    assert await stand.sql("SELECT count(*) FROM documents") == 0


async def test_without_a_running_server_the_way_to_one_is_told(command: Command, papers: Path) -> None:
    nothing = papers.parent / "nothing here"
    command.environment = {"RAG_STATE_DIR": str(nothing)}
    said = await command("add", papers)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"rag-ingest: No server is running on {nothing}. Start it with `rag serve`")
    assert len(said.err.splitlines()) == 1


def test_a_path_that_does_not_exist_is_named(command: Command, papers: Path) -> None:
    missing = papers / "no such file.md"
    result = CliRunner().invoke(app, ["add", str(papers), str(missing)], env=command.environment)
    assert result.exit_code == 2
    said = " ".join(result.output.replace("│", " ").split())  # it stands in a box, on several lines
    assert "There is no" in said and said.split("╰")[0].strip().endswith("no such file.md.")


def test_an_empty_folder_is_nothing_to_add(command: Command, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    (empty / ".git").mkdir(parents=True)
    (empty / ".git" / "config").touch()
    result = CliRunner().invoke(app, ["add", str(empty)], env=command.environment)
    assert (result.exit_code, result.output.strip()) == (0, "Nothing to add: no files there.")
