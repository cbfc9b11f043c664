"""`rag-ingest`: bring documents in from the command line, keep the index, and run the worker."""

import os
import sys

import typer
import uvloop

from ingest.commands.add import add
from ingest.commands.calibrate import calibrate
from ingest.commands.load import load
from ingest.commands.reindex import reindex
from ingest.commands.sync import sync
from rag_service.errors import RagError
from rag_service.settings import load_settings

app = typer.Typer(
    help="Bring documents in, and run the worker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(add)
app.command()(sync)
app.command()(load)
app.command()(reindex)
app.command()(calibrate)


@app.command()
def worker() -> None:
    """Run the worker: it reads what is uploaded, until it is stopped. With REDIS_URL set it is a Celery worker."""
    settings = load_settings()
    if settings.redis_url:
        # In the place of this process, so that whoever watches over it need not know.
        # What one of these workers would say to the others, PostgreSQL says.
        alone = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
        celery = [sys.executable, "-m", "celery", "--quiet", "--app", "ingest.celery_app", "worker", *alone]
        os.execv(sys.executable, celery)  # noqa: S606 - no shell is wanted
    from ingest.worker_process import run_worker

    uvloop.run(run_worker(settings))


def main() -> None:
    """The entry point: our own errors are one sentence, not a trace."""
    try:
        app()
    except RagError as error:
        print(f"rag-ingest: {error.detail}", file=sys.stderr)  # noqa: T201 - a command's own last word
        sys.exit(2)


if __name__ == "__main__":
    main()
