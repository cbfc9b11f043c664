"""The models: which embeds, which answers, what they cost, and how long they may take."""

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from rag_service.settings.forms import bare


class Price(BaseModel, extra="forbid"):
    """What a million tokens of a language model cost, in whichever currency you reckon."""

    input: Annotated[float, Field(ge=0)]
    output: Annotated[float, Field(ge=0)]


class Models(BaseModel):
    """Names of models, credentials of their providers, limits of time."""

    embedding_model: str = Field(
        default="all-MiniLM-L6-v2",
        description="the built-in model, a local path, a hub name, or `openai:NAME` for a compatible server",
    )
    chat_model: str | None = Field(
        default=None,
        description="`provider:model`, or `extractive`; unset means an OpenAI-compatible model where "
        "OPENAI_API_KEY or OPENAI_BASE_URL is set, and `extractive` where neither is",
    )
    fallback_models: list[str] = Field(
        default_factory=list,
        description="models that are asked in this order where RAG_CHAT_MODEL gives no word, each as `provider:model`",
    )
    model_prices: dict[str, Price] = Field(
        default_factory=dict,
        description="by `provider:model`, what a million tokens cost: `input` and `output`",
    )
    openai_api_key: SecretStr | None = Field(default=None, validation_alias=bare("OPENAI_API_KEY"))
    openai_base_url: str | None = Field(default=None, validation_alias=bare("OPENAI_BASE_URL"))
    anthropic_api_key: SecretStr | None = Field(default=None, validation_alias=bare("ANTHROPIC_API_KEY"))
    anthropic_base_url: str | None = Field(default=None, validation_alias=bare("ANTHROPIC_BASE_URL"))
    google_api_key: SecretStr | None = Field(default=None, validation_alias=bare("GOOGLE_API_KEY"))
    google_base_url: str | None = Field(default=None, validation_alias=bare("GOOGLE_GEMINI_BASE_URL"))
    mistral_api_key: SecretStr | None = Field(default=None, validation_alias=bare("MISTRAL_API_KEY"))
    mistral_base_url: str | None = Field(default=None, validation_alias=bare("MISTRAL_BASE_URL"))
    ollama_host: str | None = Field(default=None, validation_alias=bare("OLLAMA_HOST"))
    model_first_token_seconds: Annotated[float, Field(gt=0)] = 30.0
    model_token_seconds: Annotated[float, Field(gt=0)] = 30.0
    model_rest_seconds: Annotated[float, Field(ge=0)] = Field(
        default=30.0, description="how long a model is left alone that failed three times running"
    )
    model_total_seconds: Annotated[float, Field(gt=0)] = Field(
        default=300.0, description="longest that an answer may take, whichever models are asked for it"
    )

    @property
    def answers_with(self) -> str:
        """The chat model in use: `extractive`, or LangChain's `provider:model`."""
        if self.chat_model:
            return self.chat_model
        if self.openai_api_key or self.openai_base_url:
            return "openai:gpt-4o-mini"
        return "extractive"

    @property
    def has_model(self) -> bool:
        """Whether a language model writes the answers."""
        return self.answers_with != "extractive"
