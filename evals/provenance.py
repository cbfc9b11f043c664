"""What decides the results of a run: read from the target, from the checkout, and from the machine."""

import asyncio
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from evals.errors import EvalError
from evals.results import Header
from evals.suite import Case, Suite
from rag_service import __version__
from rag_service.settings import PACKAGE_DIR, Settings

DECIDING = (
    "embedding_model", "chunk_tokens", "retrieve_chunks", "refusal_score", "history_tokens", "context_tokens",
    "answer_tokens",
)  # fmt: skip
"""Settings that change answers. Addresses and keys are left out: results are made to be passed on."""


@dataclass(frozen=True)
class Target:
    """A service to ask. `settings` are known where we started it ourselves, and with them the code it runs."""

    url: str
    key: str
    settings: Settings | None = None

    @property
    def name(self) -> str:
        """What the header calls it: never with a password in it."""
        if self.settings is not None:
            return "started by rag-eval"
        return str(httpx.URL(self.url).copy_with(userinfo=b""))


@dataclass(frozen=True)
class Told:
    """What the target says about itself: its version, and of each knowledge base the model and the documents."""

    version: str | None
    embedding: dict[str, str] = field(default_factory=dict)
    documents: dict[str, int] = field(default_factory=dict)


async def told_by(target: Target, cases: Sequence[Case]) -> Told:
    """Ask the target about itself, before any question is put to it.

    Raises:
        EvalError: it does not answer, refuses the key, or lacks a knowledge base that a case asks.
    """
    async with _http(target) as http:
        described = await _get(http, target, "/api/v1/openapi.json")
        listed = (await _get(http, target, "/api/v1/knowledge-bases")).get("items", [])
    bases = {str(item["slug"]): item for item in listed}
    asked = sorted({case.knowledge_base for case in cases})
    if missing := [slug for slug in asked if slug not in bases]:
        raise EvalError(
            f"The target has no knowledge base {missing[0]!r}, which the suite asks; it has "
            f"{', '.join(sorted(bases)) or 'none'}."
        )
    return Told(
        version=described.get("info", {}).get("version"),
        embedding={slug: str(bases[slug]["embedding_model"]) for slug in asked},
        documents={slug: int(bases[slug]["documents"]) for slug in asked},
    )


async def prompts_of(target: Target, conversations: Sequence[str]) -> list[dict[str, Any]]:
    """Name, version and hash of each prompt that helped to answer, as the target stored them with the answers."""
    marks: dict[tuple[str, ...], dict[str, Any]] = {}
    async with _http(target) as http:
        for conversation in conversations:
            try:
                page = await _get(http, target, f"/api/v1/conversations/{conversation}/messages")
            except EvalError:
                continue  # the answers are there all the same
            for message in page.get("items", []):
                for mark in message.get("prompts", []):
                    marks[tuple(str(value) for value in mark.values())] = mark
    return list(marks.values())


def _http(target: Target) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {target.key}"}
    try:
        return httpx.AsyncClient(base_url=target.url, headers=headers, timeout=20, trust_env=False)
    except (httpx.InvalidURL, ValueError) as error:
        raise EvalError(f"{target.url!r} is no address; one looks like http://127.0.0.1:8000.") from error


async def _get(http: httpx.AsyncClient, target: Target, path: str) -> dict[str, Any]:
    try:
        answer = await http.get(path)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise EvalError(f"The target at {target.name} does not answer: is it running?") from error
    try:
        body = answer.json()
    except ValueError as error:
        raise EvalError(f"What answers at {target.name} is no rag-service.") from error
    if answer.is_error or not isinstance(body, dict):
        detail = body.get("detail") if isinstance(body, dict) else None
        raise EvalError(f"The target at {target.name} refused {path}: {detail or answer.status_code}")
    return body


async def header_of(
    suite: Suite, cases: Sequence[Case], target: Target, told: Told, concurrency: int
) -> Header:
    """The header of a run that is about to begin."""
    commit = await asyncio.to_thread(commit_of, PACKAGE_DIR.parent)
    settings = target.settings
    return Header(
        suite=suite.name,
        suite_sha256=suite.sha256,
        cases=len(cases),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        target=target.name,
        version=told.version,
        commit=commit if settings else None,
        embedding=told.embedding,
        documents=told.documents,
        settings={name: getattr(settings, name) for name in DECIDING} if settings else None,
        concurrency=concurrency,
        machine=machine(),
        evals_version=__version__,
        evals_commit=commit,
    )


def commit_of(checkout: Path) -> str | None:
    """The commit of the checkout, with `+changes` if files differ from it; None outside a checkout or without git."""
    if not (checkout / ".git").exists():
        return None  # an installed wheel: a repository around it is not ours
    try:
        commit = _git(checkout, "rev-parse", "--short=12", "HEAD")
        changed = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return f"{commit}+changes" if changed else commit


def _git(folder: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True, text=True, check=True, timeout=20, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
    )  # fmt: skip
    return answer.stdout.strip()


def machine() -> dict[str, Any]:
    """What timings depend on; no name that would tell whose machine it is."""
    return {
        "cpus": os.cpu_count(),
        "processor": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
    }
