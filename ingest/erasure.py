"""What remains of deleted documents and knowledge bases is removed, and what is stale in the vector index.

Rows, texts, embeddings and original files go in one transaction, which leaves a debt to the vector index: that is paid
when the index answers. Cut short at any point, what is left to do is found by its rows and done again.
"""

import logging

from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.repositories.chunks import Chunks
from rag_service.db.repositories.erasures import Erasable, Erasures
from rag_service.db.repositories.knowledge_bases import KnowledgeBases
from rag_service.db.repositories.stale_vectors import Stale
from rag_service.knowledge.vectors import VectorIndex, collection_name

logger = logging.getLogger(__name__)


class Eraser:
    """Does one piece of work at a time; several workers share it."""

    def __init__(
        self, database: Database, vectors: VectorIndex, blobs: BlobStore, *, keep_quotes: bool = False
    ) -> None:
        self._database = database
        self._vectors = vectors
        self._blobs = blobs
        self._keep_quotes = keep_quotes

    async def run_one(self) -> bool:
        """Do the next piece; False if there is none.

        Raises:
            VectorIndexUnavailable, DatabaseUnavailable: what was deleted stays hidden, and is tried again.
        """
        return await self._erase_document() or await self._erase_knowledge_base() or await self._pay()

    async def _erase_document(self) -> bool:
        async with self._database.transaction() as session:
            erasures = Erasures(session)
            found = await erasures.next()
            if found is None:
                return False
            await self._owe(session, found)
            # Before the commit: a file without a row would never be found again, a row without a file is.
            for blob in found.blobs:
                self._blobs.delete(blob)
            await erasures.erase(found.document_id, keep_quotes=self._keep_quotes)
        logger.info("document erased", extra={"document_id": str(found.document_id)})
        return True

    async def _owe(self, session: AsyncSession, found: Erasable) -> None:
        """Enter the document's vectors as stale; of a knowledge base that was deleted, whole collections."""
        base, stale = found.knowledge_base, Stale(session)
        for collection in (collection_name(base.id, model) for model in base.embedding_models):
            if base.deleted_at is not None:
                await stale.enter_collection(collection)
                continue
            for version in found.versions:
                await stale.enter(collection, await Chunks(session).ids_of(version.id))

    async def _erase_knowledge_base(self) -> bool:
        if self._keep_quotes:  # its conversations hang on it: it stays, hidden
            return False
        async with self._database.transaction() as session:
            found = await KnowledgeBases(session).next_to_erase()
            if found is None:
                return False
            for model in found.embedding_models:
                await Stale(session).enter_collection(collection_name(found.id, model))
            await KnowledgeBases(session).erase(found.id)
        logger.info("knowledge base erased", extra={"knowledge_base_id": str(found.id)})
        return True

    async def _pay(self) -> bool:
        """Remove what is stale from the vector index. The debt stays locked meanwhile, and stays if that fails."""
        async with self._database.transaction() as session:
            stale = Stale(session)
            debt = await stale.next()
            if debt is None:
                return False
            if debt.chunk_ids is None:
                await self._vectors.drop(debt.collection)
            else:
                await self._vectors.delete(debt.collection, await stale.still_stale(debt.chunk_ids))
            await stale.settle(debt)
        return True
