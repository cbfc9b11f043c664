"""A model that cannot be used stops the start with a sentence that says what to do, and holds no key."""

import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from langchain.chat_models import base
from pydantic import SecretStr

from rag_service.chat.expansion import load_expansion
from rag_service.chat.llm import load_chat_model
from rag_service.errors import ConfigurationError
from rag_service.settings import Price, Settings, load_settings

KEY = "a-key-that-nobody-may-read"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"chat_model": "gpt-4o-mini"}, "RAG_CHAT_MODEL.*openai:gpt-4o-mini"),
        ({"chat_model": "openai:"}, "RAG_CHAT_MODEL"),
        ({"chat_model": "nobody:model"}, "RAG_CHAT_MODEL: nobody:model cannot be used"),
        ({"chat_model": "mistral:m"}, "MISTRAL_API_KEY is not set"),
        (
            {"chat_model": "openai:m", "fallback_models": ["google:g"], "google_api_key": SecretStr(KEY)},
            r"RAG_FALLBACK_MODELS: google:g cannot be used.*pip install 'rag-service\[google\]'",
        ),
        (
            {"chat_model": "extractive", "fallback_models": ["openai:m"]},
            "RAG_FALLBACK_MODELS.*RAG_CHAT_MODEL",
        ),
        (
            {"chat_model": "openai:m", "openai_api_key": SecretStr(KEY), "answer_tokens": "many"},
            "RAG_CHAT_MODEL",
        ),
    ],
)
def test_a_model_that_cannot_be_used_is_refused(
    settings: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "langchain_google_genai", None)  # as where it is not installed
    base._get_chat_model_creator.cache_clear()  # another test may have had LangChain look for it
    monkeypatch.setattr("rag_service.knowledge.tokens.FETCH_SECONDS", 0.0)
    with pytest.raises(ConfigurationError, match=sentence) as refused:
        load_chat_model(Settings(_env_file=None).model_copy(update=settings))
    assert KEY not in "".join(traceback.format_exception(refused.value))


def test_keys_and_lists_come_from_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        f"ANTHROPIC_API_KEY={KEY}\n"
        'RAG_FALLBACK_MODELS=["anthropic:a","ollama:b"]\n'
        'RAG_MODEL_PRICES={"anthropic:a": {"input": 3, "output": 15}}\n'
    )
    settings = load_settings()
    assert settings.anthropic_api_key == SecretStr(KEY)
    assert settings.fallback_models == ["anthropic:a", "ollama:b"]
    assert settings.model_prices == {"anthropic:a": Price(input=3, output=15)}
    assert KEY not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("RAG_FALLBACK_MODELS", KEY), ("RAG_MODEL_PRICES", '{"a:b": {"input": -1, "output": 1}}')],
)
def test_what_is_no_list_or_no_price_is_refused_by_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as refused:
        load_settings()
    assert KEY not in "".join(traceback.format_exception(refused.value))


def test_expansion_without_a_model_is_refused() -> None:
    assert load_expansion(Settings(_env_file=None), None) is None
    with pytest.raises(ConfigurationError, match="RAG_QUERY_EXPANSION"):
        load_expansion(Settings(_env_file=None, query_expansion="multi_query"), None)
