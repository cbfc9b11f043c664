"""Queries see the knowledge bases of their caller's scope, and what hangs on these; nothing else exists for them.

It is done here, for every statement of every session, and not in each query: one that is written tomorrow is in
scope without a word. Statements in plain text are not covered; there are none about rows of a knowledge base.
"""

from typing import Any

from sqlalchemy import ARRAY, Uuid, any_, bindparam, event
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from rag_service.db.caller import caller
from rag_service.db.models import Base, KnowledgeBase


class ScopedSession(Session):
    """The sessions of `Database`."""


_KINDS: list[Any] = [
    mapper.class_ for mapper in Base.registry.mappers if "knowledge_base_id" in mapper.columns
]
"""The tables whose rows belong to one knowledge base."""


def limited_to(ids: Any) -> list[Any]:
    """Options of a statement that then sees only these knowledge bases, and what hangs on them.

    `ids` is an array, as a parameter or as an expression.
    """
    return [
        with_loader_criteria(KnowledgeBase, KnowledgeBase.id == any_(ids), include_aliases=True),
        *(
            with_loader_criteria(kind, kind.knowledge_base_id == any_(ids), include_aliases=True)
            for kind in _KINDS
        ),
    ]


@event.listens_for(ScopedSession, "do_orm_execute")
def _keep_in_scope(state: ORMExecuteState) -> None:
    acting = caller.get()
    if acting is None or acting.scope is None or not (state.is_select or state.is_update or state.is_delete):
        return
    ids = bindparam(None, sorted(acting.scope), type_=ARRAY(Uuid))
    state.statement = state.statement.options(*limited_to(ids))
