"""What remains of a deleted document is removed: vectors, original files, and at last the rows that tell of them.

Cut short at any point, it is found by its rows and done again.
"""

import logging

from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.repositories.chunks import Chunks
from rag_service.db.repositories.documents import Documents
from rag_service.knowledge.vectors import VectorIndex, collection_name

logger = logging.getLogger(__name__)


class Eraser:
    """Erases deleted documents, one at a time."""

    def __init__(
        self, database: Database, vectors: VectorIndex, blobs: BlobStore, *, keep_quotes: bool = False
    ) -> None:
        self._database = database
        self._vectors = vectors
        self._blobs = blobs
        self._keep_quotes = keep_quotes

    async def erase_one(self) -> bool:
        """Erase the next deleted document; False if there is none.

        Raises:
            VectorIndexUnavailable, DatabaseUnavailable: it stays hidden, and is tried again.
        """
        async with self._database.transaction() as session:
            documents = Documents(session)
            found = await documents.next_to_erase()
            if found is None:
                return False
            collection = collection_name(found.knowledge_base_id, found.embedding_model)
            for version in found.versions:
                await self._vectors.delete(collection, await Chunks(session).ids_of(version.id))
            # Before the commit: a file without a row would never be found again, a row without a file is.
            for blob in found.blobs:
                self._blobs.delete(blob)
            await documents.erase(found.document_id, keep_quotes=self._keep_quotes)
        logger.info("document erased", extra={"document_id": str(found.document_id)})
        return True
