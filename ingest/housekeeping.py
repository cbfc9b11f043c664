"""Housekeeping, once a day, by one of the workers: what killed processes and cancelled jobs left behind is removed, and
so are conversations, entries of the audit log and keys of requests that were kept long enough."""

import asyncio
import logging
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from rag_service.blobs import BlobStore
from rag_service.db.engine import Database
from rag_service.db.locks import locked
from rag_service.db.repositories.audit import Audit
from rag_service.db.repositories.idempotency import forget_old
from rag_service.db.repositories.retention import delete_outdated
from rag_service.errors import RagError
from rag_service.knowledge.leftovers import orphan_files, unused_embeddings

EVERY_SECONDS = 24 * 3600.0
AGAIN_SECONDS = 3600.0
"""When it is tried again where it could not be done."""
CONVERSATIONS_AT_ONCE = 500

logger = logging.getLogger(__name__)


async def keep_house(database: Database, blobs: BlobStore, *, audit_days: int = 365) -> None:
    """Remove what was left behind, and what was kept long enough, now and then once a day, for ever."""
    while True:
        pause = EVERY_SECONDS
        try:
            async with locked(database, "housekeeping") as free:
                if free:
                    await clean_up(database, blobs)
                    await erase_outdated(database)
                    await forget_acts(database, days=audit_days)
                    async with database.transaction() as session:
                        await forget_old(session)
        except (RagError, SQLAlchemyError, OSError) as error:
            # By its kind: a database's text may hold what was asked of it.
            logger.warning("housekeeping was cut short", extra={"reason": type(error).__name__})
            pause = AGAIN_SECONDS
        await asyncio.sleep(pause)


async def clean_up(database: Database, blobs: BlobStore) -> None:
    """Remove what is older than an hour and belongs to nothing.

    Raises:
        DatabaseUnavailable
    """
    files = await orphan_files(database, blobs, mend=True, only_few=True)
    embeddings = await unused_embeddings(database, mend=True)
    if files.count > files.mended:
        logger.warning(
            "most original files belong to no version: nothing was removed; is RAG_STATE_DIR this database's?",
            extra={"count": files.count},
        )
    if files.mended or embeddings.mended:
        logger.info(
            "what was left behind is removed", extra={"files": files.mended, "embeddings": embeddings.mended}
        )


async def erase_outdated(database: Database) -> None:
    """Erase the conversations that are older than their knowledge base keeps them, some at a time.

    Raises:
        DatabaseUnavailable
    """
    erased = 0
    while True:
        async with database.transaction() as session:
            count = await delete_outdated(session, limit=CONVERSATIONS_AT_ONCE)
        erased += count
        if count < CONVERSATIONS_AT_ONCE:
            break
    if erased:
        logger.info("conversations were kept long enough and are erased", extra={"count": erased})


async def forget_acts(database: Database, *, days: int) -> None:
    """Remove what the audit log tells that is older.

    Raises:
        DatabaseUnavailable
    """
    async with database.transaction() as session:
        count = await Audit(session).forget(older=timedelta(days=days))
    if count:
        logger.info("old entries of the audit log are removed", extra={"count": count})
