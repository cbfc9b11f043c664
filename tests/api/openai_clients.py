"""The official clients of OpenAI's protocol, pointed at a server under test as anyone would point them."""

from typing import Any

import httpx
import openai
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.conftest import Server

PATH = "/v1/chat/completions"
QUESTION = "What is the moon made of?"


def key_of(http: httpx.AsyncClient) -> str:
    return http.headers["authorization"].removeprefix("Bearer ")


def sdk(server: Server, key: str | None = None) -> openai.AsyncOpenAI:
    """The SDK for asyncio. Nothing is tried twice: what a test sees is the first answer."""
    return openai.AsyncOpenAI(
        base_url=f"{server.url}/v1",
        api_key=key or key_of(server.http),
        max_retries=0,
    )


def blocking_sdk(server: Server) -> openai.OpenAI:
    """The SDK for threads."""
    return openai.OpenAI(
        base_url=f"{server.url}/v1",
        api_key=key_of(server.http),
        max_retries=0,
    )


def langchain(server: Server, **options: Any) -> ChatOpenAI:
    """LangChain's model of a server that speaks OpenAI's protocol."""
    return ChatOpenAI(
        model="default",
        base_url=f"{server.url}/v1",
        api_key=SecretStr(key_of(server.http)),
        max_retries=0,
        **options,
    )


def said(*texts: str) -> list[Any]:
    """Messages of user and assistant by turns."""
    roles = ["user", "assistant"] * len(texts)
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]


async def ask(server: Server, *texts: str, **body: Any) -> dict[str, Any]:
    """A completion as it is on the wire."""
    asked = {"model": "default", "messages": said(*texts or (QUESTION,)), **body}
    answer = await server.http.post(PATH, json=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
