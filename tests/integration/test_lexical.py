"""The lexical index follows PostgreSQL: on real files, a real database, and through every fault that it may meet."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, insert

from rag_service.blobs import StoredBlob
from rag_service.db.engine import Database
from rag_service.db.models import Chunk, Document, KnowledgeBase
from rag_service.db.repositories.documents import Documents
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.db.repositories.steps import Readable, Steps
from rag_service.knowledge import lexical_follower
from rag_service.knowledge.lexical import TantivyIndex
from rag_service.knowledge.lexical_files import damaged_file
from rag_service.knowledge.lexical_follower import LexicalFollower
from rag_service.knowledge.terms import terms
from tests.conftest import Server

WAIT_SECONDS = 60.0


class Stand:
    """One knowledge base, and whoever follows it."""

    def __init__(self, database: Database, root: Path, base: KnowledgeBase) -> None:
        self.database, self.root, self.base = database, root, base
        self.index = TantivyIndex(root)
        self.follower = LexicalFollower(database, self.index)

    @property
    def folder(self) -> Path:
        """Where the index of the knowledge base lies."""
        (found,) = (self.root / "0").glob(f"{self.base.id.hex}.*")
        return found

    async def write(self, name: str, *texts: str) -> Document:
        """A document, or its next version, whose chunks say this; active at the end of one transaction."""
        async with self.database.transaction() as session:
            blob = StoredBlob(uuid4().hex, uuid4().hex * 2, 1)
            accepted = await Documents(session).accept(self.base, name, blob)
            assert accepted.job is not None
            rows = [_row(accepted.job.version_id, place, text) for place, text in enumerate(texts)]
            await session.execute(insert(Chunk), rows)
            await Steps(session).activate([Readable(accepted.job, "text/plain", None, None, len(rows))])
            return accepted.document

    async def delete(self, document: Document) -> None:
        async with self.database.transaction() as session:
            await Documents(session).delete(document.id)

    async def settle(self) -> None:
        """Rounds until there is nothing to do."""
        while await self.follower.round():
            pass

    async def found(self, question: str, documents: list[UUID] | None = None) -> list[str]:
        """What the chunks say that a question finds, best first."""
        hits = await self.index.search(self.base.id, terms(question), 10, documents=documents)
        async with self.database.transaction() as session:
            chunks = [await session.get(Chunk, id) for id, _ in hits]
        return [chunk.text for chunk in chunks if chunk is not None]


def _row(version_id: UUID, place: int, text: str) -> dict[str, object]:
    return {
        "id": uuid4(),
        "version_id": version_id,
        "ordinal": place,
        "text": text,
        "headings": ["Handbook"],
        "context": "",
        "char_start": 0,
        "char_end": len(text),
        "tokens": 1,
        "content_hash": uuid4().hex,
    }


async def until(done: Callable[[], Awaitable[bool]]) -> None:
    """Waits until it is true."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not await done():  # noqa: ASYNC110 - others change it
            await asyncio.sleep(0.01)


@asynccontextmanager
async def stand_on(database: Database, root: Path) -> AsyncIterator[Stand]:
    async with database.transaction() as session:
        base = await KnowledgeBases(session).ensure("default", "Default", "model")
    stand = Stand(database, root, base)
    yield stand
    await stand.index.close()


@pytest.fixture
async def stand(database: Database, tmp_path: Path) -> AsyncIterator[Stand]:
    async with stand_on(database, tmp_path / "lexical") as made:
        yield made


async def test_is_told_of_what_comes_and_goes(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexical_follower, "POLL_SECONDS", 3600.0)  # else it would find out by itself
    monkeypatch.setattr(lexical_follower, "LONGEST_PAUSE", 3600.0)

    async def says(*texts: str) -> bool:
        return await stand.found("cheese moon") == list(texts)

    document = await stand.write("a.txt", "The moon is made of cheese.")
    async with stand.follower.running():
        await until(lambda: says("The moon is made of cheese."))
        await stand.write("a.txt", "The moon is made of rock.")
        await until(lambda: says("The moon is made of rock."))
        await stand.delete(document)
        await until(says)


async def test_finds_out_by_itself_what_it_was_not_told(stand: Stand) -> None:
    async with stand.follower.running():
        document = await stand.write("a.txt", "apples")
        await until(lambda: _finds(stand, "apples"))
        async with stand.database.transaction() as session:
            await session.execute(delete(Document).where(Document.id == document.id))
        await until(lambda: _finds(stand))


async def test_finds_what_was_committed_in_another_order_than_begun(stand: Stand) -> None:
    async with stand.database.transaction() as session:
        blob = StoredBlob(uuid4().hex, uuid4().hex * 2, 1)
        accepted = await Documents(session).accept(stand.base, "slow.txt", blob)
    assert accepted.job is not None
    async with stand.database.transaction() as session:
        await session.execute(insert(Chunk), [_row(accepted.job.version_id, 0, "The slow one.")])
        await Steps(session).activate([Readable(accepted.job, "text/plain", None, None, 1)])
        await session.flush()
        await stand.write("quick.txt", "The quick one.")
        await stand.settle()
        assert await stand.found("one") == ["The quick one."]
    await stand.settle()
    assert sorted(await stand.found("one")) == ["The quick one.", "The slow one."]


async def test_counts_within_the_knowledge_base_and_finds_only_named_documents(stand: Stand) -> None:
    first = await stand.write("a.txt", "apples and pears", "apples", "plums")
    second = await stand.write("b.txt", "apples with cream and sugar")
    await stand.settle()
    assert await stand.index.frequencies(stand.base.id, terms("apple pear kiwi")) == (
        4,
        {"appl": 3, "pear": 1, "kiwi": 0},
    )
    assert (await stand.found("apples"))[0] == "apples"
    assert await stand.found("apples", [second.id]) == ["apples with cream and sugar"]
    assert await stand.found("pears", [second.id]) == await stand.found("pears", []) == []
    everywhere = dict(await stand.index.search(stand.base.id, terms("apples"), 10))
    there = dict(await stand.index.search(stand.base.id, terms("apples"), 10, documents=[first.id]))
    assert there.items() <= everywhere.items()
    assert await stand.index.search(uuid4(), terms("apples"), 10) == []
    assert await stand.found('title:apples AND "') == await stand.found("title apples and")


async def test_a_deleted_knowledge_base_leaves_no_files(stand: Stand) -> None:
    await stand.write("a.txt", "apples")
    await stand.settle()
    folder = stand.folder
    async with stand.database.transaction() as session:
        base = await KnowledgeBases(session).hide("default")
        await Documents(session).delete_all(base)
    await stand.settle()
    assert not folder.exists()
    assert await stand.index.search(stand.base.id, ["appl"], 10) == []


async def test_another_language_is_another_index_and_the_old_one_serves_until_it_is_built(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexical_follower, "CHUNKS_OF_CHANGE", 1)
    await stand.write("a.txt", "Die Häuser der Stadt")
    await stand.write("b.txt", "Ein Haus am See")
    await stand.settle()
    assert await stand.found("Häuser") == ["Die Häuser der Stadt"]
    async with stand.database.transaction() as session:
        await KnowledgeBases(session).change("default", {"language": "de-AT"})
    assert await stand.follower.round(), "one of two is built"
    assert stand.follower.degraded
    assert await stand.found("See Stadt"), "the old one still answers"
    await stand.settle()
    assert not stand.follower.degraded
    hits = await stand.index.search(stand.base.id, terms("Häuser", "de"), 10)
    assert len(hits) == 2
    assert stand.folder.name.endswith("-de")


async def test_what_is_removed_does_not_stay_on_the_disk_for_ever(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexical_follower, "LEAST_WASTE", 3)
    kept = await stand.write("kept.txt", *["rhubarb"] * 6)
    await stand.settle()
    for _ in range(3):
        await stand.delete(await stand.write("secret.txt", "xylophone"))
        await stand.write("kept.txt", *["rhubarb"] * 6)
        await stand.settle()
    assert kept.name == "kept.txt"
    assert await stand.index.frequencies(stand.base.id, ["rhubarb"]) == (6, {"rhubarb": 6})
    stored = b"".join(path.read_bytes() for path in stand.folder.iterdir())
    assert b"xylophon" not in stored


def _delete(folder: Path) -> None:
    shutil.rmtree(folder)


def _truncate(folder: Path) -> None:
    for path in folder.glob("*.term"):
        path.write_bytes(path.read_bytes()[:40])


def _empty(folder: Path) -> None:
    for path in folder.glob("*.term"):
        os.truncate(path, 0)


def _garble(folder: Path) -> None:
    """Of the same length, with the right end: as a failing disk would."""
    for path in folder.glob("*.idx"):
        content = bytearray(path.read_bytes())
        content[0] ^= 0xFF
        path.write_bytes(content)


def _spoil_list(folder: Path) -> None:
    (folder / "meta.json").write_text("{")


@pytest.mark.parametrize("spoil", [_delete, _truncate, _empty, _garble, _spoil_list])
async def test_damaged_files_are_built_anew_at_the_next_start(
    stand: Stand, database: Database, spoil: Callable[[Path], None]
) -> None:
    await stand.write("a.txt", "apples", "pears")
    await stand.settle()
    await stand.index.close()
    spoil(stand.folder)
    async with stand_on(database, stand.root) as again:
        assert again.follower.degraded
        assert await again.found("apples") == []
        await again.settle()
        assert await again.found("apples") == ["apples"]
        assert not again.follower.degraded


async def test_a_folder_that_is_deleted_while_it_is_used_is_built_anew(
    stand: Stand, database: Database
) -> None:
    await stand.write("a.txt", "apples")
    await stand.settle()
    async with stand.follower.running():
        shutil.rmtree(stand.root)
        await until(lambda: _is(lambda: list(stand.root.glob("0/*/meta.json")) != []))
        await until(lambda: _finds(stand, "apples"))
    async with stand_on(database, stand.root) as other:
        assert (other.root / "1").exists(), "its lock was taken again as well"


async def test_a_file_that_is_cut_is_found_before_anybody_asks(stand: Stand) -> None:
    await stand.write("a.txt", "apples")
    await stand.settle()
    _empty(stand.folder)
    await stand.settle()
    assert damaged_file(stand.folder) is None
    assert await stand.found("apples") == ["apples"]


async def _is(done: Callable[[], bool]) -> bool:
    return done()


async def _finds(stand: Stand, *texts: str) -> bool:
    return await stand.found("apples") == list(texts)


async def test_a_change_that_cannot_be_written_is_told_and_made_later(stand: Stand) -> None:
    await stand.write("a.txt", "apples")
    await stand.settle()
    await stand.write("b.txt", "pears")
    blocked = stand.folder
    shutil.rmtree(blocked)
    blocked.write_text("no folder")
    assert not await stand.follower.round()
    assert stand.follower.degraded
    blocked.unlink()
    await stand.settle()
    assert await stand.found("pears") == ["pears"]


async def test_each_process_has_files_of_its_own_and_the_next_one_goes_on_with_them(
    stand: Stand, database: Database
) -> None:
    await stand.write("a.txt", "apples")
    await stand.settle()
    async with stand_on(database, stand.root) as second:
        await second.settle()
        assert await second.found("apples") == await stand.found("apples") == ["apples"]
    made = stand.folder.stat().st_ino
    await stand.index.close()
    async with stand_on(database, stand.root) as next_one:
        await next_one.settle()
        assert next_one.folder.stat().st_ino == made
        assert await next_one.found("apples") == ["apples"]


FOLLOW = """
import asyncio, sys
from pathlib import Path
from rag_service.db.engine import Database
from rag_service.knowledge import lexical_follower
from rag_service.knowledge.lexical import TantivyIndex

lexical_follower.CHUNKS_OF_CHANGE = 40

async def follow():
    database = Database(sys.argv[1], pool=2)
    follower = lexical_follower.LexicalFollower(database, TantivyIndex(Path(sys.argv[2])))
    while True:
        await follower.round()
        print("round", flush=True)

asyncio.run(follow())
"""


async def test_killed_in_the_midst_of_its_commits_it_loses_and_doubles_nothing(
    stand: Stand, database: Database, database_url: str
) -> None:
    await stand.index.close()
    for number in range(60):
        await stand.write(f"{number}.txt", *[f"apples {number} {place}" for place in range(8)])
    for rounds in (1, 2, 3):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", FOLLOW, database_url, str(stand.root), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        for _ in range(rounds):
            assert await process.stdout.readline()
        await asyncio.sleep(0.02 * rounds)
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    async with stand_on(database, stand.root) as again:
        assert (again.root / "0").exists() and not (again.root / "1").exists()
        await again.settle()
        assert await again.index.frequencies(again.base.id, ["appl"]) == (480, {"appl": 480})


CUT = """
import asyncio, os, sys
from pathlib import Path
from uuid import UUID
from rag_service.db.engine import Database
from rag_service.knowledge.lexical import TantivyIndex
from rag_service.knowledge.lexical_follower import LexicalFollower

async def cut():
    root, base, kind = Path(sys.argv[2]), UUID(sys.argv[3]), sys.argv[4]
    index = TantivyIndex(root)
    follower = LexicalFollower(Database(sys.argv[1], pool=2), index)
    while await follower.round():
        pass
    for path in root.glob(f"0/*/*.{kind}"):
        os.truncate(path, 0)
    print(len(await index.search(base, ["appl"], 5)), flush=True)
    print((await index.frequencies(base, ["appl"]))[0], flush=True)
    while await follower.round():
        pass
    print(len(await index.search(base, ["appl"], 5)), flush=True)

asyncio.run(cut())
"""


@pytest.mark.parametrize("kind", ["term", "idx", "store", "fieldnorm"])
async def test_a_file_that_is_cut_while_it_is_used_does_not_end_the_process(
    stand: Stand, database_url: str, kind: str
) -> None:
    await stand.index.close()
    await stand.write("a.txt", "apples")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CUT, database_url, str(stand.root), str(stand.base.id), kind),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert (process.returncode, said.split()) == (0, [b"0", b"0", b"1"])


async def test_the_service_finds_what_was_uploaded_and_says_when_it_cannot(server: Server) -> None:
    await server.upload(("a.md", "# Fruit\n\nApples are round."))
    async with server.services.database.transaction() as session:
        kb = await KnowledgeBases(session).by_slug("default")

    async def found() -> bool:
        return len(await server.services.lexical.search(kb.id, terms("apple"), 5)) == 1

    await until(found)

    async def well() -> bool:
        return bool((await server.http.get("/health/ready")).json() == {"status": "ready"})

    await until(well)
    root = server.services.settings.lexical_root
    shutil.rmtree(root)
    root.write_text("in the way")

    async def degraded() -> bool:
        answer = await server.http.get("/health/ready")
        assert answer.status_code == 200
        return bool(answer.json().get("lexical") == "degraded")

    await until(degraded)
    assert (await server.http.post("/api/v1/search", json={"query": "apples"})).status_code == 200
    root.unlink()
    await until(found)
