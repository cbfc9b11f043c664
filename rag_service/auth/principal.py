"""The caller of a request, once proved."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["admin", "chat", "visitor"]
"""Each role may do what those behind it may: a visitor only asks, in the one knowledge base of an embed."""

_RANK: dict[Role, int] = {"visitor": 0, "chat": 1, "admin": 2}


@dataclass(frozen=True)
class Principal:
    """Who is asking. `subject` owns what they make; `knowledge_base`, where set, is the only one they may ask."""

    subject: str
    role: Role
    knowledge_base: str | None = None

    def may(self, role: Role) -> bool:
        """Whether this principal's role covers `role`."""
        return _RANK[self.role] >= _RANK[role]
