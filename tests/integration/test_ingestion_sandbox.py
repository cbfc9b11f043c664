"""Reading in a child process: whatever a file does to its reader, only that file fails."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from ingest import child
from ingest.extract import extract
from ingest.sandbox import Extractor
from rag_service.errors import UnreadableDocument

SECONDS = 5.0
PARENT = """
import asyncio, sys
from pathlib import Path
from ingest.sandbox import Extractor

async def main():
    extractor = Extractor(seconds=60, memory_mb=512)
    await extractor.extract(Path(sys.argv[1]), "good.md")
    print("ready", flush=True)
    await extractor.extract(Path(sys.argv[2]), "hangs.md")

asyncio.run(main())
"""


_others: set[int] = set()
"""Readers that were here before the test: those of servers that other tests keep."""


@pytest.fixture(autouse=True)
def _know_the_others() -> None:
    _others.clear()
    _others.update(child.pid for child in readers())


@pytest.fixture
async def extractor(_know_the_others: None) -> AsyncIterator[Extractor]:
    async with Extractor(seconds=SECONDS, memory_mb=512) as made:
        yield made
    assert not readers()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good"
    path.write_text("# Good\n\nIt can be read.")
    return path


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """A file whose reading never ends: a pipe that nobody writes to."""
    path = tmp_path / "endless"
    os.mkfifo(path)
    return path


def readers(of: int | None = None) -> list[psutil.Process]:
    """The readers that `of` has, this process by default, but for those that are another test's."""
    children = psutil.Process(of).children()
    return [child for child in children if "ingest.extract" in child.cmdline() and child.pid not in _others]


def reader() -> psutil.Process:
    (child,) = readers()
    return child


async def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(0.01)


async def being_read(pipe: Path) -> int:
    """The other end of the pipe, once the reader is in the midst of it and waits for more."""
    async with asyncio.timeout(15):
        while True:
            with suppress(OSError):  # nobody reads it yet
                return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            await asyncio.sleep(0.01)


async def test_one_child_reads_one_file_after_the_other(extractor: Extractor, good: Path) -> None:
    found = await asyncio.gather(*(extractor.extract(good, f"{n}.md") for n in range(5)))
    assert {item.title for item in found} == {"Good"}
    first = reader().pid
    assert (await extractor.extract(good, "a name\nwith 'everything' – 🙂.txt")).title is None
    assert reader().pid == first


async def test_a_reader_that_hangs_is_killed_at_its_limit_and_the_next_file_works(
    extractor: Extractor, good: Path
) -> None:
    await extractor.extract(good, "good.md")
    stuck = reader()
    stuck.send_signal(signal.SIGSTOP)
    started = asyncio.get_running_loop().time()
    with pytest.raises(UnreadableDocument, match=r"slow\.md could not be read within 5 seconds") as failed:
        await extractor.extract(good, "slow.md")
    assert failed.value.code == "extraction_timeout"
    assert asyncio.get_running_loop().time() - started < SECONDS + 3
    assert not stuck.is_running()
    assert (await extractor.extract(good, "good.md")).title == "Good"
    assert reader().pid != stuck.pid


async def test_a_reader_that_is_killed_costs_only_its_file(
    extractor: Extractor, good: Path, endless: Path
) -> None:
    reading = asyncio.create_task(extractor.extract(endless, "bad.md"))
    end = await being_read(endless)
    reader().kill()
    with pytest.raises(UnreadableDocument, match=r"bad\.md made its reader crash") as failed:
        await reading
    os.close(end)
    assert failed.value.code == "extraction_crashed"
    assert (await extractor.extract(good, "good.md")).title == "Good"


async def test_a_reader_that_died_between_two_files_is_replaced(extractor: Extractor, good: Path) -> None:
    await extractor.extract(good, "good.md")
    dead = reader()
    dead.kill()
    await eventually(lambda: not dead.is_running())
    assert (await extractor.extract(good, "good.md")).title == "Good"


async def test_a_cancelled_reading_does_not_answer_for_the_next_file(
    extractor: Extractor, good: Path, endless: Path
) -> None:
    reading = asyncio.create_task(extractor.extract(endless, "bad.md"))
    end = await being_read(endless)
    first = reader()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    os.close(end)
    assert not first.is_running()
    assert (await extractor.extract(good, "good.md")).title == "Good"


async def test_the_memory_limit_holds_in_the_child(good: Path, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, 300 * 1024 * 1024)
    async with Extractor(seconds=60, memory_mb=256) as extractor:
        with pytest.raises(UnreadableDocument, match="more than 256 MB") as failed:
            await extractor.extract(large, "large.txt")
        assert failed.value.code == "extraction_crashed"
        assert (await extractor.extract(good, "good.md")).title == "Good"
        assert reader().rlimit(psutil.RLIMIT_DATA) == (256 * 1024 * 1024,) * 2


async def test_a_child_is_replaced_after_so_many_files(
    extractor: Extractor, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "RECYCLE_AFTER", 2)
    pids = []
    for _ in range(4):
        await extractor.extract(good, "good.md")
        pids.append(reader().pid)
    assert pids[0] == pids[1] != pids[2] == pids[3]


async def test_a_killed_parent_leaves_no_child_not_even_one_that_hangs(good: Path, endless: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(good), str(endless)), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    assert await asyncio.wait_for(parent.stdout.readline(), 20) == b"ready\n"
    (child,) = readers(parent.pid)
    end = await being_read(endless)
    parent.kill()
    await parent.wait()
    await eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    os.close(end)


async def test_as_many_files_are_read_at_once_as_there_are_children(good: Path, tmp_path: Path) -> None:
    async with Extractor(seconds=60, memory_mb=512, children=2) as extractor:
        pipes = [tmp_path / "one", tmp_path / "two"]
        for pipe in pipes:
            os.mkfifo(pipe)
        reading = [asyncio.create_task(extractor.extract(pipe, f"{pipe.name}.txt")) for pipe in pipes]
        ends = [await being_read(pipe) for pipe in pipes]
        third = asyncio.create_task(extractor.extract(good, "good.md"))
        for end, text in zip(ends, (b"first", b"second"), strict=True):
            os.write(end, text)
            os.close(end)
        assert [found.text for found in await asyncio.gather(*reading)] == ["first", "second"]
        assert (await third).title == "Good"
        assert len(readers()) == 2
    assert not readers()


async def test_a_file_that_computes_without_end_is_stopped_and_the_next_one_has_its_own_time(
    good: Path, tmp_path: Path
) -> None:
    slow = tmp_path / "slow"
    slow.write_bytes(endless_pdf(60_000))
    async with Extractor(seconds=60, memory_mb=512, cpu_seconds=1) as extractor:
        for _ in range(2):
            with pytest.raises(UnreadableDocument, match="RAG_EXTRACT_CPU_SECONDS") as failed:
                await extractor.extract(slow, "slow.pdf")
            assert failed.value.code == "extraction_timeout"
            assert (await extractor.extract(good, "good.md")).title == "Good"


async def test_more_text_than_the_limit_fails_and_is_not_kept(good: Path, tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_text("word " * 300_000)
    async with Extractor(seconds=60, memory_mb=512, text_mb=1) as extractor:
        with pytest.raises(UnreadableDocument, match="more than 1 MB of text") as failed:
            await extractor.extract(large, "large.txt")
        assert failed.value.code == "too_much_text"
        assert (await extractor.extract(good, "good.md")).text == "# Good\n\nIt can be read."


async def test_everything_that_was_read_comes_over(extractor: Extractor, tmp_path: Path) -> None:
    path = tmp_path / "all"
    path.write_text("# Título 🙂\n\nOne\u2028line\n\n- গ্রন্থাগার\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    there = await extractor.extract(path, "all.md")
    assert there == replace(extract(path, "all.md"), warnings=[])


async def test_a_reader_is_told_no_secret(
    extractor: Extractor, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("RAG_SECRET_KEY", "secret" * 8)
    await extractor.extract(good, "good.md")
    known = reader().environ()
    assert not {"OPENAI_API_KEY", "RAG_SECRET_KEY", "DATABASE_URL"} & set(known)


def endless_pdf(pages: int) -> bytes:
    """A small file of very many pages."""
    kids = b"3 0 R " * pages
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, kids),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>>",
    ]
    body = b"".join(b"%d 0 obj%sendobj\n" % (number, item) for number, item in enumerate(objects, 1))
    return b"%PDF-1.7\n" + body + b"trailer<</Size 4/Root 1 0 R>>\n%%EOF"
