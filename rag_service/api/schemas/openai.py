"""Shapes of OpenAI's protocol. What this server does not know is let pass: clients send more with every release."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
)

from rag_service.api.schemas.base import Response, printable
from rag_service.chat.errands import is_errand
from rag_service.db.models import KnowledgeBase

QUESTION_CHARACTERS = 4000
INSTRUCTION_CHARACTERS = 8000


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


def _as_text(content: Any) -> Any:
    """Content as one text: it may come as a list of parts, and an assistant's may be missing."""
    if content is None:
        return ""
    if not isinstance(content, list):
        return content
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text" or not isinstance(part.get("text"), str):
            raise ValueError("only text can be read here: send a string, or parts of the type 'text'")
        texts.append(part["text"])
    return "\n".join(texts)


Text = Annotated[str, BeforeValidator(_as_text), AfterValidator(printable)]


class CompletionMessage(_Lenient):
    role: Literal["system", "developer", "user", "assistant"]
    content: Text = ""


def _ending_in_a_question(messages: list[CompletionMessage], info: ValidationInfo) -> list[CompletionMessage]:
    last = messages[-1]
    if last.role != "user" or not last.content.strip():
        raise ValueError("the last message must be the user's question, and not empty")
    if len(last.content.strip()) > QUESTION_CHARACTERS and not _is_errand(messages, info.data.get("stream")):
        raise ValueError(f"the question, the last message, may have {QUESTION_CHARACTERS} characters at most")
    if len(_instruction(messages)) > INSTRUCTION_CHARACTERS:
        raise ValueError(
            f"system messages may have {INSTRUCTION_CHARACTERS} characters at most, all of them together"
        )
    return messages


def _is_errand(messages: Sequence[CompletionMessage], stream: bool | None) -> bool:
    # What people type is streamed to them, and has to be answered from documents whatever it looks like.
    return not stream and len(messages) == 1 and is_errand(messages[0].content)


def _instruction(messages: Sequence[CompletionMessage]) -> str:
    wished = (message.content.strip() for message in messages if message.role in ("system", "developer"))
    return "\n\n".join(text for text in wished if text)


def _no_tool_is_needed(value: Any) -> None:
    # Clients offer tools to every model they know nothing of. To call none is an answer too, unless one is demanded.
    if value not in (None, "auto", "none"):
        raise ValueError("this server answers from documents and calls no tools: leave it out")


def _text_alone(value: Any) -> None:
    if value not in (None, {"type": "text"}):
        raise ValueError("answers are text with citations: leave it out, or send {'type': 'text'}")


def _no_sound(value: Any) -> None:
    if value not in (None, ["text"]):
        raise ValueError("answers are text: leave it out, or send ['text']")


def _as_list(value: Any) -> Any:
    return [] if value is None else [value] if isinstance(value, str) else value


Stop = Annotated[
    list[Annotated[str, StringConstraints(max_length=200)]], BeforeValidator(_as_list), Field(max_length=4)
]
Tokens = Annotated[int, Field(ge=1)]


class StreamOptions(_Lenient):
    include_usage: bool | None = None


class CompletionRequest(_Lenient):
    """What is read of a request for a chat completion. Everything else is let pass and changes nothing."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(printable)] = Field(
        description="the slug of a knowledge base"
    )
    stream: bool | None = False
    messages: Annotated[
        list[CompletionMessage], Field(min_length=1), AfterValidator(_ending_in_a_question)
    ] = Field(description="the conversation, with the question as its last message")
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None
    stop: Stop = Field(
        default=[], description="up to four strings; the answer ends before the first that occurs"
    )
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    tool_choice: Annotated[Any, AfterValidator(_no_tool_is_needed)] = None
    function_call: Annotated[Any, AfterValidator(_no_tool_is_needed)] = None
    response_format: Annotated[Any, AfterValidator(_text_alone)] = None
    modalities: Annotated[Any, AfterValidator(_no_sound)] = None

    @property
    def question(self) -> str:
        return self.messages[-1].content.strip()

    @property
    def is_errand(self) -> bool:
        """Whether a chat program asks for itself: for a title, tags, questions to go on with."""
        return _is_errand(self.messages, self.stream)

    @property
    def history(self) -> list[BaseMessage]:
        """What was said before the question."""
        kinds: dict[str, type[HumanMessage] | type[AIMessage]] = {
            "user": HumanMessage,
            "assistant": AIMessage,
        }
        return [
            kinds[message.role](message.content) for message in self.messages[:-1] if message.role in kinds
        ]

    @property
    def instruction(self) -> str:
        """What the system's messages wish of the answer."""
        return _instruction(self.messages)

    @property
    def token_limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def wants_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)


class ModelOut(Response):
    """A knowledge base as a model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["rag-service"] = "rag-service"
    name: str

    @classmethod
    def of(cls, base: KnowledgeBase) -> "ModelOut":
        return cls(id=base.slug, created=int(base.created_at.timestamp()), name=base.name)


class ModelList(Response):
    object: Literal["list"] = "list"
    data: list[ModelOut]
