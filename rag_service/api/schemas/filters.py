"""Shapes of tags, metadata, and filters by them."""

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StringConstraints,
    model_validator,
)

from rag_service.api.schemas.base import Request, printable
from rag_service.db.repositories.filters import Filters, Scalar

Tag = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64), AfterValidator(printable)
]
Tags = Annotated[list[Tag], Field(max_length=32)]

Key = Annotated[str, StringConstraints(pattern=r"^[\p{L}\p{M}\p{N}_][\p{L}\p{M}\p{N}_.-]{0,63}$")]
Value = (
    StrictBool
    | Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]
    | Annotated[StrictFloat, Field(allow_inf_nan=False)]
    | Annotated[str, StringConstraints(max_length=500), AfterValidator(printable)]
)
Metadata = Annotated[
    dict[Key, Value],
    Field(
        max_length=32,
        description="an object of strings, numbers and booleans; keys are words of letters, digits, `_`, `.`, `-`",
    ),
]


class FiltersIn(Request):
    """Only documents for which every part that is given holds; of the values in a list, any one."""

    tags: Annotated[list[Tag], Field(min_length=1, max_length=32)] | None = None
    document_ids: Annotated[list[UUID], Field(min_length=1, max_length=200)] | None = None
    metadata: (
        Annotated[
            dict[Key, Value | Annotated[list[Value], Field(min_length=1, max_length=50)]],
            Field(max_length=16, description="`{key: value}`, or `{key: [any, of, these]}`"),
        ]
        | None
    ) = None

    def to_filters(self) -> Filters:
        return Filters(
            tags=self.tags or (),
            document_ids=self.document_ids or (),
            metadata={key: _several(value) for key, value in (self.metadata or {}).items()},
        )


def _several(value: Any) -> list[Scalar]:
    return value if isinstance(value, list) else [value]


class DocumentChange(Request):
    """What is to be changed of a document; what is left out stays as it is."""

    tags: Tags | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.tags is None and self.metadata is None:
            raise ValueError("give `tags` or `metadata`; an empty list or object clears them")
        return self
