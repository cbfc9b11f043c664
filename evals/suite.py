"""What a suite is: questions, and what is known about their answers. `suite_files` reads them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from rag_service.api.schemas.base import Question, Slug


def _of_words(text: str) -> str:
    # An answer that normalisation leaves nothing of would be found in every reply, or in none.
    if not re.search(r"\w", text):
        raise ValueError("must hold a letter or a digit")
    return text


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Answer = Annotated[Text, AfterValidator(_of_words)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Relevant(_Strict):
    """A passage that answers the question: the one of `file` that holds `quote`, or any of `file` without one.

    Files and quotes, not chunk ids: they outlive a change of the chunking. `grade` is the gain in nDCG.
    """

    file: Text
    quote: Text | None = None
    grade: Annotated[int, Field(ge=1, le=100)] = 1

    def matches(self, filename: str, text: str) -> bool:
        """Whether a retrieved passage is this one. White space does not count: a PDF breaks lines anywhere."""
        if filename != self.file:
            return False
        return self.quote is None or one_line(self.quote) in one_line(text)


def _from_name(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


class Case(_Strict):
    """One question. `answers` are acceptable short answers; `refuse` says that the documents hold none.

    `history` are the turns of the user before it, oldest first, for a question that makes no sense alone.
    """

    id: Identifier
    question: Question
    language: Language
    tags: tuple[Tag, ...] = ()
    relevant: tuple[Annotated[Relevant, BeforeValidator(_from_name)], ...] = ()
    answers: tuple[Answer, ...] = ()
    refuse: bool = False
    history: tuple[Question, ...] = ()
    knowledge_base: Slug = "default"

    @model_validator(mode="after")
    def _decided(self) -> Self:
        if self.refuse and (self.relevant or self.answers):
            raise ValueError("a case with `refuse: true` has no answer: leave out `relevant` and `answers`")
        if not self.refuse and not (self.relevant or self.answers):
            raise ValueError("needs `relevant` or `answers`, or `refuse: true` where there is no answer")
        return self


@dataclass(frozen=True)
class Suite:
    """Cases in order, with what identifies them: the name, and the hash of the file's bytes."""

    name: str
    description: str
    path: Path
    sha256: str
    cases: Sequence[Case]

    def first(self, count: int | None) -> Sequence[Case]:
        """The first `count` cases; all of them without one."""
        return self.cases if count is None else self.cases[:count]


def one_line(text: str) -> str:
    """`text` with every run of white space as one space."""
    return " ".join(text.split())
