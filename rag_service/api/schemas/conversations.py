"""Shapes of what is done with conversations: changed, erased, exported."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from rag_service.api.schemas.base import Name, Request, Response, printable
from rag_service.api.schemas.chat import ConversationOut, MessageOut


def _one_line(text: object) -> object:
    return " ".join(text.split()) if isinstance(text, str) else text


Words = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(printable)
]
Subject = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(printable)]


class ConversationChange(Request):
    """What is to be changed; what is left out stays as it is."""

    # None stands for `left out`: it is no value that can be sent.
    title: Annotated[Name, BeforeValidator(_one_line)] = Field(default=None, validate_default=False)  # type: ignore[assignment]
    pinned: bool = Field(default=None, validate_default=False)  # type: ignore[assignment]
    archived: bool = Field(  # type: ignore[assignment]
        default=None, validate_default=False, description="archived ones are listed only where asked for"
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give what is to be changed: title, pinned or archived")
        return self


class ErasedOut(Response):
    """How much was erased; the second time, nothing is left to be."""

    conversations: int
    messages: int
    feedback: int


class ConversationExport(Response):
    """A conversation with all its branches, the oldest message first."""

    exported_at: datetime
    conversation: ConversationOut
    messages: list[MessageOut]
