"""The caller of a request, once proved."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["admin", "chat"]


@dataclass(frozen=True)
class Principal:
    """Who is asking. `subject` owns what they make; an admin may do all that a chat key may."""

    subject: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether this principal's role covers `role`."""
        return self.role in ("admin", role)
