"""Queries on embeds."""

from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from rag_service.db.models import Embed, KnowledgeBase
from rag_service.errors import NotFound


@dataclass(frozen=True)
class LivingEmbed:
    """An embed that was not revoked, with the knowledge base it asks."""

    embed: Embed
    knowledge_base: KnowledgeBase


class Embeds:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(
        self,
        embed_id: str,
        name: str,
        knowledge_base: KnowledgeBase,
        origins: list[str],
        *,
        require_identity: bool = False,
    ) -> Embed:
        embed = Embed(
            id=embed_id,
            name=name,
            knowledge_base_id=knowledge_base.id,
            origins=origins,
            require_identity=require_identity,
        )
        self._session.add(embed)
        await self._session.flush()
        return embed

    async def ensure(self, embed_id: str, name: str, knowledge_base: KnowledgeBase) -> None:
        """See to it that the embed exists and asks this knowledge base; one that was revoked stays so."""
        await self._session.execute(
            insert(Embed)
            .values(id=embed_id, name=name, knowledge_base_id=knowledge_base.id, origins=[])
            .on_conflict_do_update(index_elements=[Embed.id], set_={"knowledge_base_id": knowledge_base.id})
        )

    async def get(self, embed_id: str, *, locked: bool = False) -> LivingEmbed:
        """An embed; `locked`, nobody else changes it until the transaction ends.

        Raises:
            NotFound: there is none, or it was revoked.
        """
        statement = (
            select(Embed, KnowledgeBase)
            .join(KnowledgeBase, KnowledgeBase.id == Embed.knowledge_base_id)
            .where(Embed.id == embed_id, Embed.revoked_at.is_(None), KnowledgeBase.deleted_at.is_(None))
        )
        if locked:
            statement = statement.with_for_update(of=Embed)
        row = (await self._session.execute(statement)).first()
        if row is None:
            raise NotFound("There is no such embed, or it was revoked.", code="embed_not_found")
        return LivingEmbed(row[0], row[1])

    async def all(self) -> list[LivingEmbed]:
        """Every embed that was not revoked, the newest first."""
        rows = await self._session.execute(
            select(Embed, KnowledgeBase)
            .join(KnowledgeBase, KnowledgeBase.id == Embed.knowledge_base_id)
            .where(Embed.revoked_at.is_(None), KnowledgeBase.deleted_at.is_(None))
            .order_by(Embed.created_at.desc(), Embed.id)
        )
        return [LivingEmbed(row[0], row[1]) for row in rows]

    async def revoke(self, embed_id: str) -> None:
        """Raises NotFound where no living embed has that id."""
        found = await self._session.scalar(
            update(Embed)
            .where(Embed.id == embed_id, Embed.revoked_at.is_(None))
            .values(revoked_at=func.now())
            .returning(Embed.id)
        )
        if found is None:
            raise NotFound("There is no such embed, or it was revoked.", code="embed_not_found")

    async def allows(self, origin: str) -> bool:
        """Whether any living embed is for pages of this origin."""
        found = await self._session.scalar(
            select(Embed.id)
            .join(KnowledgeBase, KnowledgeBase.id == Embed.knowledge_base_id)
            .where(
                Embed.revoked_at.is_(None),
                KnowledgeBase.deleted_at.is_(None),
                Embed.origins.any_() == origin,
            )
            .limit(1)
        )
        return found is not None
