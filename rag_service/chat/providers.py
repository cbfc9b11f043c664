"""Providers of language models, through LangChain: what each wants to be told, and which package speaks to it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from openai import DefaultAioHttpClient
from pydantic import SecretStr

from rag_service.errors import ConfigurationError
from rag_service.settings import Settings

FORM = "It looks like `openai:gpt-4o-mini`"
_ROOM = 2000
"""Tokens of the instructions and the question, beside the passages, the history and the answer."""


@dataclass(frozen=True)
class Provider:
    """`name` is LangChain's; `extra` ours, which brings its package; `key` the setting that holds its credential."""

    name: str
    extra: str | None
    key: str
    options: Callable[[Settings, float], dict[str, Any]]


def _common(settings: Settings, seconds: float) -> dict[str, Any]:
    # Ours are the tries and the limits of time; the packages' own would count on top of them, unseen.
    return {"timeout": seconds, "max_retries": 0, "max_tokens": settings.answer_tokens}


def _openai(settings: Settings, seconds: float) -> dict[str, Any]:
    return _common(settings, seconds) | {
        "stream_usage": True,
        # The package waits for each piece in a way that can lose a cancellation.
        "stream_chunk_timeout": None,
        # Its usual client parses HTTP in Python, and looks at the clock around each read: twice a relay's whole work.
        "http_async_client": DefaultAioHttpClient(),
        "base_url": settings.openai_base_url,
        "api_key": settings.openai_api_key or SecretStr("none"),
    }


def _anthropic(settings: Settings, seconds: float) -> dict[str, Any]:
    key = _needed(settings.anthropic_api_key, "ANTHROPIC_API_KEY")
    return _common(settings, seconds) | {"base_url": settings.anthropic_base_url, "api_key": key}


def _google(settings: Settings, seconds: float) -> dict[str, Any]:
    return _common(settings, seconds) | {
        # Here it is how long the whole answer may take, not how long it may be silent.
        "timeout": settings.model_total_seconds + 5,
        "max_retries": 1,  # the first try counts; 0 has meant five to it
        "base_url": settings.google_base_url,
        "api_key": _needed(settings.google_api_key, "GOOGLE_API_KEY"),
    }


def _mistral(settings: Settings, seconds: float) -> dict[str, Any]:
    key = _needed(settings.mistral_api_key, "MISTRAL_API_KEY")
    return _common(settings, seconds) | {
        "timeout": round(seconds),  # a whole number is all it takes
        "base_url": settings.mistral_base_url,
        "api_key": key,
    }


def _ollama(settings: Settings, seconds: float) -> dict[str, Any]:
    return {
        "base_url": settings.ollama_host,
        "num_predict": settings.answer_tokens,
        # Its own default is smaller than our prompts, and what does not fit it leaves out without a word.
        "num_ctx": settings.context_tokens + settings.history_tokens + settings.answer_tokens + _ROOM,
        "client_kwargs": {"timeout": seconds},
    }


_PROVIDERS = {
    "openai": Provider("openai", None, "OPENAI_API_KEY", _openai),
    "anthropic": Provider("anthropic", "anthropic", "ANTHROPIC_API_KEY", _anthropic),
    "google_genai": Provider("google_genai", "google", "GOOGLE_API_KEY", _google),
    "mistralai": Provider("mistralai", "mistral", "MISTRAL_API_KEY", _mistral),
    "ollama": Provider("ollama", "ollama", "OLLAMA_HOST", _ollama),
}
_SHORT = {"google": "google_genai", "mistral": "mistralai"}


def provider_of(name: str) -> Provider:
    """The provider of a model that is named `provider:model`; one that we know nothing of has its own variables."""
    said = name.partition(":")[0]
    full = _SHORT.get(said, said)
    return _PROVIDERS.get(full) or Provider(full, None, "the provider's own variable", _common)


def connect(name: str, setting: str, settings: Settings) -> BaseChatModel:
    """The model called `name`, which `setting` asks for. Nothing is sent yet. Imports SDKs: slow.

    Raises:
        ConfigurationError: no such provider, its package is not installed, or its key is not set.
    """
    model = name.partition(":")[2]
    if not model:
        raise ConfigurationError(f"{setting}: {name} does not name a provider and a model. {FORM}.")
    provider = provider_of(name)
    # A limit behind ours, for connections that nobody watches any more.
    seconds = max(settings.model_first_token_seconds, settings.model_token_seconds) + 5
    options = provider.options(settings, seconds)
    try:
        made: BaseChatModel = init_chat_model(model, model_provider=provider.name, **options)
    except ImportError as error:
        raise ConfigurationError(f"{setting}: {name} cannot be used. {_missing(provider, error)}") from error
    except ValueError:
        # Its text may hold what it was given, the key too.
        raise ConfigurationError(
            f"{setting}: {name} cannot be used; its provider is not known, or does not take these settings. {FORM}."
        ) from None
    return made


def _needed(key: SecretStr | None, name: str) -> SecretStr:
    if key is None:
        raise ConfigurationError(f"{name} is not set. The models of this provider need it.")
    return key


def _missing(provider: Provider, error: ImportError) -> str:
    if provider.extra:
        return f"Its package is not installed: pip install 'rag-service[{provider.extra}]'."
    return f"Its package is not installed: {error}"
