"""`rag-eval feedback`: what users said of answers, fetched for `rag-eval import feedback`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from evals.feedback import fetch_feedback
from rag_service.client import Client
from rag_service.settings import load_settings

console = Console()


def feedback(
    output: Annotated[Path, typer.Option("--output", "-o", help="The JSONL file.")] = Path("feedback.jsonl"),
    url: Annotated[str | None, typer.Option(help="The service to ask; this machine's if unset.")] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="RAG_API_KEY", help="An admin key of it; for this machine its own if unset."),
    ] = None,
    knowledge_base: Annotated[str | None, typer.Option(help="Of one knowledge base only.")] = None,
) -> None:
    """Fetch what users said of answers. `rag-eval import feedback` makes a suite of it."""

    async def fetch() -> int:
        async with Client.of(load_settings(), url=url, key=key) as client:
            return await fetch_feedback(client, output, knowledge_base)

    count = asyncio.run(fetch())
    console.print(
        f"{count} answers with feedback in {output}.\nMake a suite of them: rag-eval import feedback {output} DEST",
        highlight=False,
        soft_wrap=True,
    )
