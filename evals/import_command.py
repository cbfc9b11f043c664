"""`rag-eval import`: public data sets, and what users said of answers, as suites."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from evals import importers
from evals.feedback import import_feedback
from evals.import_files import Imported

imports = typer.Typer(
    help="Make a suite, and documents to upload, of a public data set; or a suite of feedback.",
    no_args_is_help=True,
)
console = Console()

Source = Annotated[Path, typer.Argument(metavar="SRC")]
Destination = Annotated[Path, typer.Argument(metavar="DEST", help="A folder that is made.")]


@imports.command("beir")
def import_beir(
    source: Source,
    destination: Destination,
    language: Annotated[str, typer.Option(help="The language of its questions.")] = "en",
) -> None:
    """A BEIR folder: corpus.jsonl, queries.jsonl, qrels/test.tsv."""
    _say(importers.import_beir(source, destination, language))


@imports.command("squad")
def import_squad(
    source: Source,
    destination: Destination,
    language: Annotated[str, typer.Option(help="The language of its questions.")] = "en",
) -> None:
    """A JSON file in the form of SQuAD 1.1 or 2.0."""
    _say(importers.import_squad(source, destination, language))


@imports.command("feedback")
def import_rated(
    source: Source,
    destination: Destination,
    language: Annotated[
        str, typer.Option(help="The language of questions to a knowledge base without one.")
    ] = "en",
) -> None:
    """What `rag-eval feedback` fetched: liked answers become cases, disliked ones are set aside to be decided."""
    done = import_feedback(source, destination, language)
    console.print(f"{done.cases} cases in {done.suite}.", highlight=False, soft_wrap=True)
    _note(done)


def _say(done: Imported) -> None:
    console.print(
        f"{done.cases} cases in {done.suite}, {done.documents} documents in {done.folder}.\n"
        f"Upload the documents: rag-ingest add {done.folder}",
        highlight=False,
        soft_wrap=True,
    )
    _note(done)


def _note(done: Imported) -> None:
    for note in done.notes:
        console.print(f"  {note}", highlight=False, soft_wrap=True)
