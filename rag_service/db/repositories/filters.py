"""Which documents a question is about: conditions that are added to those of every read-back, never in their place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import ColumnElement, or_

from rag_service.db.models import Document

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Filters:
    """Narrows down to documents. Each part that is given must hold; of its values, any one."""

    tags: Sequence[str] = ()
    document_ids: Sequence[UUID] = ()
    metadata: Mapping[str, Sequence[Scalar]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.tags or self.document_ids or self.metadata)

    def conditions(self) -> list[ColumnElement[bool]]:
        """What a document has to fulfil; all values are bound parameters."""
        wanted: list[ColumnElement[bool]] = []
        if self.tags:
            wanted.append(Document.tags.overlap(list(self.tags)))
        if self.document_ids:
            wanted.append(Document.id.in_(self.document_ids))
        for key, values in self.metadata.items():
            wanted.append(or_(*(Document.attributes.contains({key: value}) for value in values)))
        return wanted


NO_FILTERS = Filters()
