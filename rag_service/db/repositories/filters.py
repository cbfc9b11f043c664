"""Which documents a question is about: conditions that are added to those of every read-back, never in their place."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, Uuid, any_, bindparam, cast, or_
from sqlalchemy.dialects.postgresql import JSONB

from rag_service.db.models import Document

Scalar = bool | int | float | str
Shape = tuple[bool, bool, tuple[int, ...]]


@dataclass(frozen=True)
class Filters:
    """Narrows down to documents. Each part that is given must hold; of its values, any one."""

    tags: Sequence[str] = ()
    document_ids: Sequence[UUID] = ()
    metadata: Mapping[str, Sequence[Scalar]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.tags or self.document_ids or self.metadata)

    @property
    def shape(self) -> Shape:
        """All that their conditions depend on: which parts there are, and how many values each key has."""
        return bool(self.tags), bool(self.document_ids), tuple(map(len, self.metadata.values()))

    def values(self) -> dict[str, Any]:
        """The parameters of `conditions(shape)`."""
        values: dict[str, Any] = {}
        if self.tags:
            values["tags"] = list(self.tags)
        if self.document_ids:
            values["document_ids"] = list(self.document_ids)
        for place, (key, wanted) in enumerate(self.metadata.items()):
            for number, value in enumerate(wanted):
                values[_name(place, number)] = json.dumps({key: value})
        return values


def conditions(shape: Shape) -> list[ColumnElement[bool]]:
    """What a document has to fulfil, with parameters in place of all that a caller gave."""
    has_tags, has_ids, counts = shape
    wanted: list[ColumnElement[bool]] = []
    if has_tags:
        wanted.append(Document.tags.overlap(bindparam("tags", type_=ARRAY(Text))))
    if has_ids:
        wanted.append(Document.id == any_(bindparam("document_ids", type_=ARRAY(Uuid))))
    for place, count in enumerate(counts):
        contained = [cast(bindparam(_name(place, number), type_=Text), JSONB) for number in range(count)]
        wanted.append(or_(*(Document.attributes.contains(one) for one in contained)))
    return wanted


def _name(place: int, number: int) -> str:
    return f"metadata_{place}_{number}"


NO_FILTERS = Filters()
