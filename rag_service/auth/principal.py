"""The caller of a request, once proved."""

from dataclasses import dataclass
from typing import Literal

from rag_service.db.caller import Scope

Role = Literal["admin", "evaluator", "chat", "visitor"]
"""Each role may do what those behind it may: a chat key asks, an evaluator also reads and searches without asking."""

_RANK: dict[Role, int] = {"visitor": 0, "chat": 1, "evaluator": 2, "admin": 3}


@dataclass(frozen=True)
class Credential:
    """What proved a principal, so that it can be looked up again: a key's id and the MAC of its secret, or an
    embed's id."""

    id: str
    mac: bytes = b""
    prefix: str = ""
    name: str = ""


@dataclass(frozen=True)
class Principal:
    """Who is asking. `subject` owns what they make; for them only the knowledge bases of `scope` exist."""

    subject: str
    role: Role
    scope: Scope = None
    credential: Credential = Credential("")

    def may(self, role: Role) -> bool:
        """Whether this principal's role covers `role`."""
        return _RANK[self.role] >= _RANK[role]
