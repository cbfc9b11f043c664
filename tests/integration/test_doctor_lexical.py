"""`rag doctor` on lexical indexes: of a process that runs, and of one that does not."""

import fcntl
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rag_service.db.engine import Database
from rag_service.db.models import Document
from rag_service.db.repositories.documents import Documents
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.db.repositories.lexical import Lexical
from rag_service.doctor.findings import Finding, unwatched
from rag_service.doctor.lexical import LexicalExamination
from rag_service.doctor.report import as_json
from rag_service.knowledge.tantivy_files import Entry
from rag_service.knowledge.terms import analysis_of
from tests.integration.test_lexical import Stand, stand_on

NEVER = -1.0
"""Patience with a process that is not going to do anything."""
WHILE = 10.0
"""Patience that is used up before an index is taken away, and leaves its process time to build it anew."""


@pytest.fixture
async def stand(database: Database, tmp_path: Path) -> AsyncIterator[Stand]:
    """Two documents of three chunks, indexed; nobody follows what comes."""
    async with stand_on(database, tmp_path / "lexical") as made:
        await made.write("a.txt", "apples", "pears")
        await made.write("b.txt", "plums and ???")
        await made.settle()
        yield made


async def found(stand: Stand, *, repair: bool = False, patience: float = NEVER) -> list[Finding]:
    examination = LexicalExamination(
        stand.database, stand.root, repair=repair, watch=unwatched, patience=patience
    )
    return [finding async for finding in examination.examine()]


async def unindex(stand: Stand, document: Document) -> None:
    """Take a document from the index, without the follower's knowing."""

    async def nothing() -> AsyncIterator[list[Entry]]:
        yield []

    async with stand.database.transaction() as session:
        version = (await session.get_one(Document, document.id)).active_version_id
    assert version is not None
    await stand.index.change(stand.base.id, analysis_of(None), remove=[version], add=nothing())


def is_free(folder: Path) -> bool:
    with (folder / "lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


async def test_nothing_differs_where_an_index_agrees_or_is_not_there_yet(stand: Stand) -> None:
    before = {path: path.stat().st_mtime_ns for path in stand.root.rglob("*") if path.is_file()}
    assert await found(stand) == []
    assert {path: path.stat().st_mtime_ns for path in before} == before, "it only reads"
    await stand.index.drop(stand.base.id)
    assert await found(stand, repair=True) == []


async def test_a_running_process_builds_anew_what_it_had_not_noticed(stand: Stand) -> None:
    extra = await stand.write("c.txt", "quinces", "medlars")
    await stand.settle()
    await unindex(stand, extra)
    await stand.settle()
    assert await stand.found("quinces") == [], "the follower believes that it is there"
    (told,) = await found(stand)
    assert (told.check, told.where, told.count, told.left, told.note) == (
        "lexical_index",
        "default",
        2,
        2,
        False,
    )
    assert "2 lacking" in told.what and len(told.examples) == 2
    async with stand.follower.running():
        (mended,) = await found(stand, repair=True, patience=WHILE)
        assert (mended.count, mended.left) == (2, 0)
        assert await stand.found("quinces") == ["quinces"]
        assert await found(stand) == []


async def test_what_a_running_process_is_about_to_index_is_no_difference(stand: Stand) -> None:
    await stand.delete(await stand.write("c.txt", "quinces"))
    await stand.write("d.txt", "medlars")
    (told,) = await found(stand)
    assert "1 lacking" in told.what
    async with stand.follower.running():
        assert await found(stand, patience=60) == []


async def test_damaged_files_of_a_running_process_are_found_and_replaced(stand: Stand) -> None:
    for path in stand.folder.glob("*.store"):  # rewritten, not truncated: nobody's memory is taken away
        content = bytearray(path.read_bytes())
        content[0] ^= 0xFF
        path.unlink()
        path.write_bytes(content)
    (told,) = await found(stand)
    assert (told.check, told.count, told.left) == ("lexical_index", 1, 1) and "cannot be read" in told.what
    assert json.loads(as_json([told]))["findings"][0]["count"] is not True
    async with stand.follower.running():
        (mended,) = await found(stand, repair=True, patience=WHILE)
        assert mended.left == 0
    assert await stand.found("apples") == ["apples"]


async def test_an_index_that_nobody_uses_is_worth_a_note_and_removed(stand: Stand) -> None:
    await stand.delete(await stand.write("c.txt", "quinces"))
    await stand.index.close()
    assert await found(stand) == []
    await stand.write("d.txt", "medlars")
    (told,) = await found(stand)
    assert (told.check, told.count, told.left, told.note) == ("unused_lexical_index", 1, 0, True)
    folder = stand.folder
    assert folder.exists() and is_free(stand.root / "0")
    await found(stand, repair=True)
    assert not folder.exists() and is_free(stand.root / "0")
    async with stand_on(stand.database, stand.root) as again:
        await again.settle()
        assert await again.found("medlars") == ["medlars"]


async def test_indexes_of_deleted_knowledge_bases_go_once_nobody_uses_them(stand: Stand) -> None:
    async with stand.database.transaction() as session:
        await Documents(session).delete_all(await KnowledgeBases(session).hide("default"))
    assert await found(stand, repair=True) == [], "its process is about to remove it"
    folder = stand.folder
    await stand.index.close()
    (told,) = await found(stand)
    assert (told.check, told.count, folder.exists()) == ("orphan_lexical_index", 1, True)
    await found(stand, repair=True)
    assert not folder.exists()


async def test_a_chunk_that_its_own_words_do_not_find_is_told(stand: Stand) -> None:
    extra = await stand.write("c.txt", "quinces")
    await stand.settle()
    async with stand.database.transaction() as session:
        version = (await session.get_one(Document, extra.id)).active_version_id
    assert version is not None

    async def of_other_words() -> AsyncIterator[list[Entry]]:
        async with stand.database.transaction() as session:
            (chunk,) = await Lexical(session).chunks([version], after=None, limit=5)
        yield [Entry(chunk.id, extra.id, version, ["zebra"])]

    await stand.index.change(stand.base.id, analysis_of(None), remove=[version], add=of_other_words())
    (told,) = await found(stand)
    assert "1 not found by their words" in told.what


async def test_a_folder_that_may_not_be_read_is_told(stand: Stand, tmp_path: Path) -> None:
    root = tmp_path / "other"
    (root / "0" / "lock").mkdir(parents=True)
    examination = LexicalExamination(stand.database, root, repair=False, watch=unwatched)
    assert [finding.check async for finding in examination.examine()] == ["lexical_folder"]
