"""The lexical index: BM25 by tantivy. The one file that imports tantivy.

What lies here is derived from PostgreSQL and may be thrown away. Each knowledge base has a folder of its own, so that
a term is as rare as it is rare there. Terms are found in Python (`terms`) and come to tantivy ready: no text of a user
ever reaches its query parser.
"""

import asyncio
import logging
import shutil
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Protocol, TypeVar
from uuid import UUID

import tantivy
from tantivy import Occur, Query

from rag_service.errors import ConfigurationError, LexicalIndexUnavailable
from rag_service.knowledge.lexical_files import OwnFolder, damaged_file

FORMAT = 1
"""Number of this way to store entries: indexes of another one are built anew."""
OPEN_AT_ONCE = 64
"""Knowledge bases whose files are held open."""
MOST_TERMS = 128
"""Terms of one search: of a longer question the rarest."""
SEARCHES_AT_ONCE = 4
WRITER_BYTES = 48_000_000

logger = logging.getLogger(__name__)
T = TypeVar("T")


class LexicalIndex(Protocol):
    """BM25 with the statistics of one knowledge base. What is asked are `terms` in that one's language."""

    async def search(
        self,
        knowledge_base_id: UUID,
        asked: Sequence[str],
        limit: int,
        *,
        documents: Collection[UUID] | None = None,
    ) -> list[tuple[UUID, float]]:
        """Chunk ids with their BM25 scores, best first; with `documents` only theirs.

        Empty where nothing is indexed, also while an index is built anew. Never raises what is wrong with the index.
        """
        ...

    async def frequencies(self, knowledge_base_id: UUID, asked: Sequence[str]) -> tuple[int, dict[str, int]]:
        """Number of chunks of the knowledge base, and in how many of them each term occurs.

        What was replaced or deleted lately may still count in the latter. (0, {}) where nothing is indexed.
        """
        ...


@dataclass(frozen=True)
class Entry:
    """A chunk as it is indexed; its terms as often as they occur."""

    chunk_id: UUID
    document_id: UUID
    version_id: UUID
    terms: Sequence[str]


class TantivyIndex:
    """A `LexicalIndex` on files below `root`. One task may change it, any may ask it."""

    def __init__(self, root: Path) -> None:
        """Raises ConfigurationError where `root` cannot be used."""
        self._folder = OwnFolder(root)
        self._lock = Lock()  # over what follows, which threads use
        self._open: OrderedDict[Path, _Files] = OrderedDict()
        self._serving: dict[UUID, Path] = {}
        self._suspect: set[UUID] = set()
        self._searching = ThreadPoolExecutor(SEARCHES_AT_ONCE, "lexical-search")
        self._writing = ThreadPoolExecutor(1, "lexical-write")

    async def close(self) -> None:
        """Wait for a change that is under way, and let go of the files."""
        for threads in (self._searching, self._writing):
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)
        self._open.clear()
        self._folder.release()

    async def search(
        self,
        knowledge_base_id: UUID,
        asked: Sequence[str],
        limit: int,
        *,
        documents: Collection[UUID] | None = None,
    ) -> list[tuple[UUID, float]]:
        if not asked or limit < 1 or (documents is not None and not documents):
            return []
        found = await self._ask(knowledge_base_id, lambda files: files.search(asked, limit, documents))
        return found or []

    async def frequencies(self, knowledge_base_id: UUID, asked: Sequence[str]) -> tuple[int, dict[str, int]]:
        found = await self._ask(knowledge_base_id, lambda files: files.frequencies(set(asked)))
        return found or (0, {})

    async def _ask(self, knowledge_base_id: UUID, ask: "Callable[[_Files], T]") -> T | None:
        """What `ask` gives; None where there is no index, or not one that can be read."""

        def work() -> T | None:
            try:
                with self._lock:
                    folder = self._serving.get(knowledge_base_id)
                    files = self._files(folder) if folder else None
                return ask(files) if files else None
            except LexicalIndexUnavailable:
                with self._lock:
                    self._suspect.add(knowledge_base_id)
                return None

        return await asyncio.get_running_loop().run_in_executor(self._searching, work)

    def _files(self, folder: Path) -> "_Files":
        """The open files of a folder. Called under the lock."""
        if folder not in self._open:
            self._open[folder] = _Files(folder)
            while len(self._open) > OPEN_AT_ONCE:
                self._open.popitem(last=False)
        self._open.move_to_end(folder)
        return self._open[folder]

    async def examine(self) -> set[UUID]:
        """Throw away what is damaged or half gone. Returns the knowledge bases that have an index, of any analysis.

        Raises:
            LexicalIndexUnavailable: the root cannot be used.
        """
        return await self._write(self._examine)

    def _examine(self) -> set[UUID]:
        with self._lock:
            if not self._folder.is_held():
                self._open.clear()
                self._serving.clear()
                try:
                    self._folder.take()
                except ConfigurationError as error:
                    logger.warning("lexical index", extra={"reason": error.detail})
                    raise LexicalIndexUnavailable(
                        "The folder of the lexical index cannot be used."
                    ) from error
            gone = {base for base, folder in self._serving.items() if not (folder / "meta.json").exists()}
            damaged, self._suspect = gone | self._suspect, set()
        for base in damaged:
            logger.warning("lexical index is damaged, and built anew", extra={"knowledge_base_id": str(base)})
            self._drop(base)
        found = (_base_of(path) for path in self._folder.path.iterdir())
        return {base for base in found if base is not None}

    async def versions(self, knowledge_base_id: UUID, analysis: str) -> set[UUID]:
        """The versions of documents that are in the index under this analysis; what is damaged is thrown away."""
        folder = self._folder_of(knowledge_base_id, analysis)

        def work() -> set[UUID]:
            if not folder.exists():
                return set()
            try:
                with self._lock:
                    files = self._files(folder)
                found = files.versions()
            except LexicalIndexUnavailable:
                self._throw_away(folder)
                return set()
            with self._lock:
                # An index of another analysis serves until this one is complete.
                self._serving.setdefault(knowledge_base_id, folder)
            return found

        return await self._write(work)

    async def change(
        self,
        knowledge_base_id: UUID,
        analysis: str,
        *,
        remove: Iterable[UUID] = (),
        add: AsyncIterator[Sequence[Entry]],
    ) -> None:
        """Remove versions and add entries, in one commit: whoever asks sees all of it or nothing.

        Raises:
            LexicalIndexUnavailable: it cannot be written; it is as it was before, or damaged.
        """
        folder = self._folder_of(knowledge_base_id, analysis)

        def begin() -> "_Files":
            with self._lock:
                files = self._files(folder)
            files.begin(remove)
            return files

        files = await self._write(begin)
        try:
            async for entries in add:
                await self._write(partial(files.add, entries))
            await self._write(files.commit)
        except LexicalIndexUnavailable:
            with self._lock:
                self._open.pop(folder, None)
            raise
        finally:
            # Also when this task is cancelled: the thread comes to it behind what it is at.
            self._writing.submit(files.end)
        with self._lock:
            self._open[folder] = (
                files  # should others have taken its place meanwhile, they know the old state
            )
            self._serving.setdefault(knowledge_base_id, folder)

    async def complete(self, knowledge_base_id: UUID, analysis: str) -> None:
        """Answer from the index under this analysis, and drop those under others."""
        folder = self._folder_of(knowledge_base_id, analysis)

        def work() -> None:
            with self._lock:
                if folder.exists():
                    self._serving[knowledge_base_id] = folder
            for other in self._folders_of(knowledge_base_id):
                if other != folder:
                    self._throw_away(other)

        await self._write(work)

    async def waste(self, knowledge_base_id: UUID, analysis: str) -> tuple[int, int]:
        """(chunks, entries that were removed but still take up room)."""
        folder = self._folder_of(knowledge_base_id, analysis)

        def work() -> tuple[int, int]:
            with self._lock:
                files = self._files(folder) if folder.exists() else None
            return files.waste() if files else (0, 0)

        return await self._write(work)

    async def drop(self, knowledge_base_id: UUID) -> None:
        """Remove all that there is of a knowledge base; no error where there is nothing."""
        await self._write(lambda: self._drop(knowledge_base_id))

    def _drop(self, knowledge_base_id: UUID) -> None:
        with self._lock:
            self._serving.pop(knowledge_base_id, None)
        for folder in self._folders_of(knowledge_base_id):
            self._throw_away(folder)

    def _throw_away(self, folder: Path) -> None:
        with self._lock:
            self._open.pop(folder, None)
            self._serving = {base: other for base, other in self._serving.items() if other != folder}
        shutil.rmtree(folder, ignore_errors=True)

    def _folder_of(self, knowledge_base_id: UUID, analysis: str) -> Path:
        return self._folder.path / f"{knowledge_base_id.hex}.{FORMAT}.{analysis}"

    def _folders_of(self, knowledge_base_id: UUID) -> list[Path]:
        return list(self._folder.path.glob(f"{knowledge_base_id.hex}.*"))

    async def _write(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writing, work)


def _base_of(folder: Path) -> UUID | None:
    try:
        return UUID(hex=folder.name.partition(".")[0])
    except ValueError:
        return None


@contextmanager
def _damage_as_error(folder: Path) -> Iterator[None]:
    """Tantivy's errors, and its panics, which to Python are no Exception, as ours."""
    try:
        yield
    except BaseException as error:
        if (
            not isinstance(error, ValueError | KeyError | OSError)
            and type(error).__name__ != "PanicException"
        ):
            raise
        logger.warning("lexical index", extra={"folder": folder.name, "reason": str(error)})
        raise LexicalIndexUnavailable("The lexical index of a knowledge base cannot be used.") from error


def _schema() -> tantivy.Schema:
    schema = tantivy.SchemaBuilder()
    schema.add_bytes_field("chunk", stored=True)
    schema.add_text_field("document", tokenizer_name="raw", index_option="basic")
    schema.add_text_field("version", tokenizer_name="raw", index_option="basic")
    # The same in every entry: its frequency is the number of entries, those included that were removed.
    schema.add_text_field("kind", tokenizer_name="raw", index_option="basic")
    schema.add_text_field("terms", tokenizer_name="terms", index_option="freq")
    return schema.build()


class _Files:
    """The index in one folder, made where it is missing. Every method blocks; one thread writes, any may ask.

    What is wrong with the files raises LexicalIndexUnavailable.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._schema = _schema()
        self._writer: tantivy.IndexWriter | None = None
        with _damage_as_error(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if tantivy.Index.exists(str(folder)) and (damaged := damaged_file(folder)) is not None:
                raise ValueError(f"the checksum of {damaged.name} is wrong")
            self._index = tantivy.Index(self._schema, str(folder), reuse=True)
            split = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
            self._index.register_tokenizer("terms", split)
            # By itself it has a thread look for changes; here nobody else makes any.
            self._index.config_reader(reload_policy="manual")
            self._index.reload()

    def search(
        self, asked: Sequence[str], limit: int, documents: Collection[UUID] | None
    ) -> list[tuple[UUID, float]]:
        with _damage_as_error(self._folder):
            searcher = self._index.searcher()
            query = self._query(searcher, asked)
            if documents is not None:
                named = [document.hex for document in documents]
                among = Query.const_score_query(Query.term_set_query(self._schema, "document", named), 0.0)
                query = Query.boolean_query([(Occur.Must, among), (Occur.Must, query)])
            hits = searcher.search(query, limit, count=False).hits
            return [
                (UUID(bytes=bytes(searcher.doc(address)["chunk"][0])), float(score))
                for score, address in hits
            ]

    def _query(self, searcher: tantivy.Searcher, asked: Sequence[str]) -> Query:
        counted = Counter(asked)
        chosen: Iterable[str] = counted
        if len(counted) > MOST_TERMS:
            chosen = sorted(counted, key=lambda term: searcher.doc_freq("terms", term) or searcher.num_docs)
        parts = []
        for term in list(chosen)[:MOST_TERMS]:
            part = Query.term_query(self._schema, "terms", term, "freq")
            times = counted[term]
            parts.append((Occur.Should, part if times == 1 else Query.boost_query(part, float(times))))
        return Query.boolean_query(parts)

    def frequencies(self, asked: Collection[str]) -> tuple[int, dict[str, int]]:
        with _damage_as_error(self._folder):
            searcher = self._index.searcher()
            chunks = searcher.num_docs
            return chunks, {term: min(chunks, searcher.doc_freq("terms", term)) for term in asked}

    def versions(self) -> set[UUID]:
        with _damage_as_error(self._folder):
            found = self._index.searcher().terms_with_prefix("version", "", Query.all_query())
            return {UUID(hex=version) for version, _ in found}

    def waste(self) -> tuple[int, int]:
        with _damage_as_error(self._folder):
            searcher = self._index.searcher()
            return searcher.num_docs, searcher.doc_freq("kind", "chunk") - searcher.num_docs

    def begin(self, remove: Iterable[UUID]) -> None:
        with _damage_as_error(self._folder):
            self._writer = self._index.writer(WRITER_BYTES, 1)
            for version in remove:
                self._writer.delete_documents_by_term("version", version.hex)

    def add(self, entries: Iterable[Entry]) -> None:
        assert self._writer is not None  # noqa: S101 - between begin and end
        with _damage_as_error(self._folder):
            for entry in entries:
                document = tantivy.Document()
                document.add_bytes("chunk", entry.chunk_id.bytes)
                document.add_text("document", entry.document_id.hex)
                document.add_text("version", entry.version_id.hex)
                document.add_text("kind", "chunk")
                document.add_text("terms", " ".join(entry.terms))
                self._writer.add_document(document)

    def commit(self) -> None:
        """What was added and removed takes effect."""
        assert self._writer is not None  # noqa: S101 - between begin and end
        with _damage_as_error(self._folder):
            self._writer.commit()
            self._index.reload()
            # Only a writer that stays merges what it has written into larger parts.
            self._writer.wait_merging_threads()
            self._writer = None
            self._index.reload()

    def end(self) -> None:
        """Let go of the writer; what was not committed is forgotten."""
        self._writer = None
