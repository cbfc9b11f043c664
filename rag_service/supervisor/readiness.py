"""Waiting for the API to say that it can answer, and telling why it cannot yet."""

import asyncio
import json
from collections.abc import Sequence

import httpx

from rag_service.errors import ConfigurationError
from rag_service.supervisor.process import Child, Say

ATTEMPTS = 5
_POLL_SECONDS = 0.1
_ANSWER_SECONDS = 5.0


async def until_ready(api_url: str, children: Sequence[Child], tell: Say) -> None:
    """Return once `GET /health/ready` answers 200; `tell` gets the reason whenever it answers otherwise.

    Raises:
        ConfigurationError: one of `children` ended five times in a row right after its start; the sentence
            names its log and holds its last lines.
    """
    # Environment variables for proxies are for the world outside.
    async with httpx.AsyncClient(base_url=api_url, trust_env=False, timeout=_ANSWER_SECONDS) as client:
        while True:
            _refuse_hopeless(children)
            try:
                answer = await client.get("/health/ready")
            except httpx.TransportError:
                # The socket is ours and takes connections before the API does, so no answer is no news.
                await asyncio.sleep(_POLL_SECONDS)
                continue
            if answer.status_code == httpx.codes.OK:
                return
            tell(_detail(answer))
            await asyncio.sleep(_POLL_SECONDS)


def _refuse_hopeless(children: Sequence[Child]) -> None:
    for child in children:
        if child.quick_deaths >= ATTEMPTS:
            raise ConfigurationError(
                f"The {child.name} ends right after its start, {child.quick_deaths} times in a row. The last lines "
                f"of {child.log_path}:\n{child.log_tail(10)}"
            )


def _detail(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except json.JSONDecodeError:
        body = None
    detail = body.get("detail") if isinstance(body, dict) else None
    return detail if isinstance(detail, str) else f"the API answers {answer.status_code}"
