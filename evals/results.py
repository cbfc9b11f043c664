"""Results as JSONL: a header with everything that decides them, then one line a case."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evals.errors import ResultsError, at
from evals.suite import Relevant


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore")


Kind = TypeVar("Kind", bound=BaseModel)


class Header(_Record):
    """What decides the results. What a target over HTTP does not tell is null."""

    kind: Literal["rag-eval results"] = "rag-eval results"
    format: Literal[1] = 1
    suite: str
    suite_sha256: str
    cases: int
    date: str
    target: str
    version: str | None = None
    commit: str | None = None
    models: list[str] = Field(default_factory=list)
    embedding: dict[str, str] = Field(default_factory=dict)
    documents: dict[str, int] = Field(default_factory=dict)
    prompts: list[dict[str, Any]] = Field(default_factory=list)
    settings: dict[str, Any] | None = None
    concurrency: int
    machine: dict[str, Any]
    evals_version: str
    evals_commit: str | None = None


class SentSource(_Record):
    """A passage that was sent along; its text is left out."""

    number: int
    document: str
    score: float
    page: int | None = None
    relevant: bool = False


class Cited(_Record):
    number: int
    document: str
    quote: str
    page: int | None = None


class Expected(_Record):
    relevant: list[Relevant] = Field(default_factory=list)
    answers: list[str] = Field(default_factory=list)
    refuse: bool = False


class CaseResult(_Record):
    """A case and what became of it. With an `error` it was not measured, and its scores are empty."""

    id: str
    question: str
    history: list[str] = Field(default_factory=list)
    language: str
    tags: list[str] = Field(default_factory=list)
    expected: Expected
    answer: str = ""
    refused: bool | None = None
    finish_reason: str | None = None
    model: str | None = None
    degraded: bool = False
    sources: list[SentSource] = Field(default_factory=list)
    citations: list[Cited] = Field(default_factory=list)
    metrics: dict[str, float | None] = Field(default_factory=dict)
    timings: dict[str, float] = Field(default_factory=dict)
    error: str | None = None

    def value(self, metric: str) -> float | None:
        """The value of a metric or of a timing; None where there is none."""
        return self.metrics.get(metric, self.timings.get(metric))

    def same_case(self, other: "CaseResult") -> bool:
        """Whether the two answer the same question, measured against the same expectations."""
        return (self.question, self.history, self.expected) == (other.question, other.history, other.expected)


@dataclass(frozen=True)
class Results:
    """A file of results."""

    header: Header
    cases: Sequence[CaseResult]

    @property
    def failed(self) -> Sequence[CaseResult]:
        """The cases that could not be measured."""
        return [case for case in self.cases if case.error is not None]

    def by_id(self) -> Mapping[str, CaseResult]:
        return {case.id: case for case in self.cases}


def as_line(record: Header | CaseResult) -> str:
    """One line of JSON; what is empty in a case is left out."""
    small = isinstance(record, CaseResult)
    plain = record.model_dump(mode="json", exclude_defaults=small)
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")) + "\n"


def save(path: Path, results: Results) -> None:
    """Write the file in one step: a reader sees the old one or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    lines = [as_line(results.header), *map(as_line, results.cases)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text("".join(lines), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ResultsError(f"{path} cannot be written: {error.strerror}.") from error


def load(path: Path) -> Results:
    """Read a file of results.

    Raises:
        ResultsError: it cannot be read, or a line is not what it should be; the sentence names the line.
    """
    try:
        lines = path.read_text("utf-8").rstrip("\n").split("\n")
    except OSError as error:
        raise ResultsError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ResultsError(f"{path} is not UTF-8: it is no file of results.") from error
    header = _parsed(Header, path, 1, lines[0])
    cases = [_parsed(CaseResult, path, number, line) for number, line in enumerate(lines[1:], start=2)]
    if len({case.id for case in cases}) < len(cases):
        raise ResultsError(f"{path} has a case twice: it must be two files in one.")
    return Results(header, cases)


def _parsed(kind: type[Kind], path: Path, number: int, line: str) -> Kind:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in fault["loc"])
        wanted = "the header of a file of results" if kind is Header else "the result of a case"
        raise ResultsError(at(path, number, field, f"is not {wanted}: {fault['msg']}.")) from error
