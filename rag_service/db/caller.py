"""On whose behalf a task works: what its queries may see, and who is written down for what it changes."""

from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

Scope = frozenset[UUID] | None
"""The ids of the only knowledge bases that exist for somebody; None where all do."""


@dataclass(frozen=True)
class Caller:
    """Who acts. `subject` is the principal's, or `cli`; `key_prefix` and `key_name` tell a key apart for people."""

    subject: str
    scope: Scope = None
    key_prefix: str = ""
    key_name: str = ""
    request_id: str = ""
    ip: str = ""


caller: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""Set once a request's credential is proved, and inherited by the tasks it starts; None in workers."""


def may_see(knowledge_base_id: UUID) -> bool:
    """Whether a knowledge base is in the caller's scope: for what is held in memory, as no query is asked of it."""
    acting = caller.get()
    return acting is None or acting.scope is None or knowledge_base_id in acting.scope
