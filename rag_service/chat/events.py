"""What happens in a turn, in the order it is told: `start`, `sources`, then `delta` and `citation`, then one end."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar
from uuid import UUID

from pydantic import TypeAdapter

from rag_service.knowledge.trace import Trace


@dataclass(frozen=True)
class Source:
    """A chunk that an answer may cite. `number` counts from 1 in order of relevance; `context` is the header row of a
    table that `text` continues, `ordinal` the chunk's place in its document. `widens` is the number of the source that
    this one stands next to, of one that was not found itself and gives that one its surroundings."""

    number: int
    document_id: UUID
    chunk_id: UUID
    filename: str
    title: str
    headings: Sequence[str]
    page: int | None
    score: float
    text: str
    context: str = ""
    ordinal: int = 0
    widens: int | None = None


@dataclass(frozen=True)
class Start:
    name: ClassVar[str] = "start"
    run_id: UUID
    conversation_id: UUID
    message_id: UUID


@dataclass(frozen=True)
class Sources:
    name: ClassVar[str] = "sources"
    sources: Sequence[Source]


@dataclass(frozen=True)
class Traced:
    """How the sources were found, where an admin asked for it: every hit, what was searched for, how likely it answers
    the question (None where nothing was found) beside the score below which it is refused, milliseconds so far."""

    name: ClassVar[str] = "trace"
    hits: Sequence[Trace]
    query: str
    answerable: float | None
    refusal_score: float
    timings: dict[str, float]


@dataclass(frozen=True, slots=True)  # of which an open stream holds thousands
class Delta:
    """The next piece of the answer's text."""

    name: ClassVar[str] = "delta"
    text: str


@dataclass(frozen=True)
class Citation:
    """A claim of the answer, and the words of a source that it rests on.

    `answer_span` is [start, end) in the characters of the answer; `quote` stands verbatim at `source_span` of
    the source's text. `supported` is false where the source does not say what the claim does, as far as matching can
    tell.
    """

    name: ClassVar[str] = "citation"
    number: int
    document_id: UUID
    chunk_id: UUID
    answer_span: tuple[int, int]
    quote: str
    source_span: tuple[int, int]
    page: int | None
    supported: bool = True


@dataclass(frozen=True)
class Done:
    """The turn ended as it should. `finish_reason` is `stop`, `length`, `refused` or `stopped`.

    `unsupported` are the spans of those sentences of the answer that no source was found to support.
    """

    name: ClassVar[str] = "done"
    message_id: UUID
    finish_reason: str
    model: str
    usage: dict[str, Any] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    degraded: bool = False
    unsupported: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class Failed:
    """The turn ended in an error; what was streamed before is saved and marked as failed."""

    name: ClassVar[str] = "error"
    code: str
    detail: str
    retryable: bool


Event = Start | Sources | Traced | Delta | Citation | Done | Failed
TERMINAL = (Done, Failed)

_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode
_KINDS: dict[str, TypeAdapter[Event]] = {
    kind.name: TypeAdapter(kind) for kind in (Start, Sources, Traced, Delta, Citation, Done, Failed)
}


def to_json(events: Sequence[Event]) -> str:
    """Events as text, to be stored."""
    return _encode([[one.name, data_of(one)] for one in events])


def data_of(event: Event) -> dict[str, Any]:
    """An event as JSON's types, with ids still to be written as text."""
    # Of a delta there is one a token, and nothing in it to be looked through.
    return {"text": event.text} if isinstance(event, Delta) else asdict(event)


def from_json(text: str) -> list[Event]:
    """The events that `to_json` made the text of."""
    return [_KINDS[name].validate_python(data) for name, data in json.loads(text)]
