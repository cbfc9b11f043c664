"""The whole examination, from the connections to the last blob."""

from collections.abc import AsyncIterator
from pathlib import Path

from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.migrate import schema_revisions
from rag_service.doctor.embeddings import examine_embeddings
from rag_service.doctor.files import FileExamination
from rag_service.doctor.findings import Finding, Watch, unwatched
from rag_service.doctor.lexical import LexicalExamination
from rag_service.doctor.vectors import VectorExamination
from rag_service.doctor.work import examine_work
from rag_service.errors import DatabaseUnavailable, VectorIndexUnavailable
from rag_service.knowledge.vectors import VectorIndex


async def examine(
    database: Database,
    vectors: VectorIndex,
    blobs: BlobStore,
    lexical_root: Path,
    *,
    repair: bool = False,
    watch: Watch = unwatched,
) -> AsyncIterator[Finding]:
    """Everything that differs, one after the other. With `repair`, what can be mended has been by then."""
    try:
        if (finding := await _schema(database)) is not None:
            yield finding
            return
        try:
            async for finding in VectorExamination(database, vectors, repair=repair, watch=watch).examine():
                yield finding
        except VectorIndexUnavailable as error:
            yield Finding(
                "vector_index",
                "Chroma",
                error.detail,
                "check that it runs, and CHROMA_URL; then examine again",
            )
        lexical = LexicalExamination(database, lexical_root, repair=repair, watch=watch)
        async for finding in lexical.examine():
            yield finding
        async for finding in FileExamination(database, blobs, repair=repair, watch=watch).examine():
            yield finding
        async for finding in examine_embeddings(database, repair=repair, watch=watch):
            yield finding
        async for finding in examine_work(database):
            yield finding
    except DatabaseUnavailable as error:
        yield Finding(
            "database", "PostgreSQL", error.detail, "check that it runs, and DATABASE_URL; then examine again"
        )


async def _schema(database: Database) -> Finding | None:
    current, wanted = await schema_revisions(database)
    if current == wanted:
        return None
    return Finding(
        "schema",
        "PostgreSQL",
        f"the schema is at {', '.join(sorted(current)) or 'nothing'}, this version needs {', '.join(sorted(wanted))}",
        "an older schema is migrated when the api or a worker starts; "
        "for a newer one install the version that wrote it",
    )
