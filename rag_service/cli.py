"""`rag`: serve, ask, chat, keys, doctor."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Annotated

import typer
from rich.console import Console

from rag_service import logs
from rag_service.client import Client
from rag_service.errors import RagError
from rag_service.first_run import print_turn, welcome
from rag_service.keys_command import keys_app
from rag_service.settings import Settings, load_settings
from rag_service.supervisor import serve as supervise

app = typer.Typer(
    help="Answers from your own documents, with proof.", no_args_is_help=True, add_completion=False
)
app.add_typer(keys_app, name="keys")
console = Console()
on_error = Console(stderr=True)

Url = Annotated[str | None, typer.Option("--url", help="The server; the one on this machine if unset.")]
Key = Annotated[str | None, typer.Option("--key", envvar="RAG_API_KEY", help="The admin key file if unset.")]
Base = Annotated[str | None, typer.Option("--knowledge-base", "-k", help="Its slug; `default` if unset.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, for scripts.")]


@app.command()
def serve() -> None:
    """Start everything that is needed and not configured elsewhere, and serve until Ctrl-C."""
    settings = load_settings()
    logs.configure("warning")

    async def ready(connected: Settings) -> None:
        await welcome(connected, console)

    sys.exit(asyncio.run(supervise(settings, ready=ready, console=console)))


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    knowledge_base: Base = None,
    conversation: Annotated[str | None, typer.Option(help="Go on with this conversation.")] = None,
    url: Url = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Ask one question; the answer streams, its sources below it."""

    async def run() -> None:
        async with Client.of(load_settings(), url=url, key=key) as client:
            events = client.ask(
                question, conversation_id=conversation, knowledge_base=knowledge_base, lost=_say_lost
            )
            if as_json:
                sys.stdout.write(json.dumps(await _collect(events), ensure_ascii=False) + "\n")
                return
            end = await print_turn(events, console)
            console.print(f"\n[dim]conversation {end['conversation_id']}[/]", highlight=False)

    asyncio.run(run())


async def _collect(events: AsyncIterator[tuple[str, dict[str, object]]]) -> dict[str, object]:
    """A turn as one object: the answer, what it cites, how it ended."""
    text: list[str] = []
    citations: list[dict[str, object]] = []
    result: dict[str, object] = {}
    async for name, data in events:
        match name:
            case "delta":
                text.append(str(data["text"]))
            case "citation":
                citations.append(data)
            case _:
                result |= data
    return {**result, "answer": "".join(text), "citations": citations}


@app.command()
def chat(knowledge_base: Base = None, url: Url = None, key: Key = None) -> None:
    """Hold a conversation; an empty line or Ctrl-D ends it."""

    async def run() -> None:
        conversation: str | None = None
        async with Client.of(load_settings(), url=url, key=key) as client:
            while question := (await asyncio.to_thread(_read_line)).strip():
                try:
                    events = client.ask(
                        question, conversation_id=conversation, knowledge_base=knowledge_base, lost=_say_lost
                    )
                    conversation = (await print_turn(events, console))["conversation_id"]
                except RagError as error:
                    console.print(f"[red]{error.detail}[/]")

    asyncio.run(run())


def _say_lost() -> None:
    """Beside the answer, which goes on where it was."""
    on_error.print("[dim](connection lost, trying again)[/]", highlight=False)


def _read_line() -> str:
    try:
        return console.input("[bold]You:[/] ")
    except EOFError:
        return ""


@app.command()
def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the database, the vector index and the original files; 0 only when nothing differs.

    A Chroma server belongs to one installation: --repair drops collections that its database does not know.
    """
    from rag_service.doctor.command import run_doctor

    sys.exit(asyncio.run(run_doctor(load_settings().connected(), console, repair=repair, as_json=as_json)))


def main() -> None:
    """The entry point: our own errors are one sentence, not a trace."""
    try:
        app()
    except RagError as error:
        print(f"rag: {error.detail}", file=sys.stderr)  # noqa: T201 - a command's own last word
        sys.exit(2)


if __name__ == "__main__":
    main()
