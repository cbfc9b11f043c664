"""One knowledge base's index in one folder. The one file that imports tantivy.

Terms are found in Python (`terms`) and come to tantivy ready: no text of a user ever reaches its query parser.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import tantivy
from tantivy import Occur, Query

from rag_service.errors import LexicalIndexUnavailable
from rag_service.knowledge.lexical_files import damaged_file, file_sizes, has_shrunk

MOST_TERMS = 128
"""Terms of one search: of a longer question the rarest."""
WRITER_BYTES = 48_000_000

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """A chunk as it is indexed; its terms as often as they occur."""

    chunk_id: UUID
    document_id: UUID
    version_id: UUID
    terms: Sequence[str]


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


def _chunk_of(searcher: tantivy.Searcher, address: tantivy.DocAddress) -> UUID:
    return UUID(bytes=bytes(searcher.doc(address)["chunk"][0]))


class IndexFiles:
    """The index in one folder. Every method blocks; one thread writes, any may ask.

    What is wrong with the files raises LexicalIndexUnavailable.
    """

    def __init__(self, folder: Path, *, make: bool = True) -> None:
        """Made where it is missing; unless told not to, which also leaves a folder of another process as it is."""
        self._folder = folder
        self._schema = _schema()
        self._writer: tantivy.IndexWriter | None = None
        with _damage_as_error(folder):
            if make:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if tantivy.Index.exists(str(folder)) and (damaged := damaged_file(folder)) is not None:
                raise ValueError(f"the checksum of {damaged.name} is wrong")
            if make:
                self._index = tantivy.Index(self._schema, str(folder), reuse=True)
            else:
                self._index = tantivy.Index.open(str(folder))
            split = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
            self._index.register_tokenizer("terms", split)
            # By itself it has a thread look for changes; here nobody else makes any.
            self._index.config_reader(reload_policy="manual")
            self._index.reload()
            self._sizes = file_sizes(folder)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Files that lost their end are told before anything is read: it is read from memory that they are mapped
        into, and what is no longer there ends the process by SIGBUS. One that is cut within the block still does."""
        with _damage_as_error(self._folder):
            if not self.is_whole():
                raise ValueError("a file lost its end")
            yield

    def is_whole(self) -> bool:
        """Whether no file lost its end since it was opened or written."""
        return not has_shrunk(self._sizes)

    def search(
        self, asked: Sequence[str], limit: int, documents: Collection[UUID] | None
    ) -> list[tuple[UUID, float]]:
        with self._whole():
            searcher = self._index.searcher()
            query = self._query(searcher, asked)
            if documents is not None:
                named = [document.hex for document in documents]
                among = Query.const_score_query(Query.term_set_query(self._schema, "document", named), 0.0)
                query = Query.boolean_query([(Occur.Must, among), (Occur.Must, query)])
            hits = searcher.search(query, limit, count=False).hits
            return [(_chunk_of(searcher, address), float(score)) for score, address in hits]

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
        with self._whole():
            searcher = self._index.searcher()
            chunks = searcher.num_docs
            return chunks, {term: min(chunks, searcher.doc_freq("terms", term)) for term in asked}

    def versions(self) -> set[UUID]:
        return set(self.chunks_of_versions())

    def chunks_of_versions(self) -> dict[UUID, int]:
        """How many chunks of each version there are."""
        with self._whole():
            found = self._index.searcher().terms_with_prefix("version", "", Query.all_query())
            return {UUID(hex=version): count for version, count in found}

    def chunks(self, versions: Mapping[UUID, int]) -> set[UUID]:
        """The ids of the chunks of these versions, which have so many."""
        if not versions:
            return set()
        with self._whole():
            searcher = self._index.searcher()
            among = Query.term_set_query(self._schema, "version", [version.hex for version in versions])
            hits = searcher.search(among, max(1, sum(versions.values())), count=False).hits
            return {_chunk_of(searcher, address) for _, address in hits}

    def waste(self) -> tuple[int, int]:
        with self._whole():
            searcher = self._index.searcher()
            return searcher.num_docs, searcher.doc_freq("kind", "chunk") - searcher.num_docs

    def begin(self, remove: Iterable[UUID]) -> None:
        with self._whole():
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
            self._sizes = file_sizes(self._folder)

    def end(self) -> None:
        """Let go of the writer; what was not committed is forgotten."""
        self._writer = None
