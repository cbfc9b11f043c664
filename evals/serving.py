"""A service to ask, started for the run: the app in this process, or a whole `rag serve` with the sample in it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from evals.errors import EvalError
from evals.provenance import Target
from rag_service.app import LoadEmbedder, StartupState, create_app
from rag_service.errors import ConfigurationError
from rag_service.knowledge.embeddings import load_embedder
from rag_service.settings import Settings
from rag_service.supervisor.death import die_with_parent

START_SECONDS = 300.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.1


class _Server(uvicorn.Server):
    """Leaves signals to the run that it serves: Ctrl-C ends the run, and the run ends the server."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def in_process(
    settings: Settings, key: str | None = None, *, load: LoadEmbedder = load_embedder
) -> AsyncIterator[Target]:
    """The app on a free port of its own, against the databases that the settings name.

    A real server on a real socket: what is measured is what a client sees.

    Raises:
        ConfigurationError, or what else kept the app from starting.
    """
    settings = settings.connected()
    app = create_app(settings, load=load)
    listener = socket.create_server(("127.0.0.1", 0))
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await _until_started(app.state.startup, serving)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield Target(url, key or admin_key(settings), settings)
    finally:
        server.should_exit = True
        await serving


async def _until_started(startup: StartupState, serving: "asyncio.Task[None]") -> None:
    end = time.monotonic() + START_SECONDS
    while startup.services is None:
        if startup.failure is not None:
            raise startup.failure
        if serving.done() or time.monotonic() > end:
            raise EvalError(f"The service did not start; it was {startup.waiting_for}.")
        await asyncio.sleep(POLL_SECONDS)


def admin_key(settings: Settings) -> str:
    """The key in the state folder. Raises ConfigurationError if there is none."""
    try:
        return settings.admin_key_file.read_text().strip()
    except OSError as error:
        raise ConfigurationError(
            f"No key: {settings.admin_key_file} cannot be read. Give one with --key or RAG_API_KEY."
        ) from error


class _Given(Settings):
    """Settings as they are given here, whatever the environment says."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def is_local(url: str) -> bool:
    """Whether the address is on this machine: no other one is sent this machine's admin key."""
    try:
        return httpx.URL(url).host in ("127.0.0.1", "localhost", "::1")
    except httpx.InvalidURL:
        return False


@contextmanager
def sample_server(changes: Mapping[str, str]) -> Iterator[Target]:
    """A whole `rag serve` in a temporary folder, with nothing but the sample documents, read and ready.

    Only `changes` decide its settings, by their names in the environment: what the caller's environment says, or
    a `.env` file where the caller stands, is kept from it, and with it the caller's databases and language model.

    Raises:
        EvalError: a change is no setting that may be changed, or the server does not start.
    """
    with tempfile.TemporaryDirectory(prefix="rag-eval-") as folder:
        state = Path(folder) / "state"
        settings = _given(changes, state, _free_port())
        env = {"RAG_STATE_DIR": str(state), "RAG_PORT": str(settings.port), "RAG_SAMPLE": "true"}
        with _rag_serve(Path(folder), {**changes, **env}) as process:
            yield _when_read(process, settings)


def _given(changes: Mapping[str, str], state: Path, port: int) -> Settings:
    for name in changes:
        if not name.startswith(("RAG_", "OPENAI_")):
            raise EvalError(f"{name} cannot be set here: only settings that begin with RAG_ or OPENAI_ can.")
    fields = {name.removeprefix("RAG_").lower(): value for name, value in changes.items()}
    if unknown := fields.keys() - Settings.model_fields.keys():
        raise EvalError(f"There is no setting RAG_{min(unknown).upper()}; check its spelling.")
    try:
        return _Given(**(fields | {"state_dir": state, "port": port}))  # type: ignore[arg-type]
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        fields = {name.removeprefix("RAG_").lower(): name for name in changes}
        name = fields.get(str(fault["loc"][0]) if fault["loc"] else "", "The settings")
        raise EvalError(f"{name} cannot be set so: {fault['msg'].removeprefix('Value error, ')}.") from error


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def _rag_serve(folder: Path, changes: Mapping[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    bare = ("DATABASE_URL", "CHROMA_URL", "REDIS_URL")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAG_", "OPENAI_")) and name not in bare
    }
    command = [sys.executable, "-m", "rag_service.cli", "serve"]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**kept, **changes},
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _when_read(process: "subprocess.Popen[bytes]", settings: Settings) -> Target:
    """The target, once every sample document has been read."""
    end = time.monotonic() + START_SECONDS
    while not (settings.state_dir / "sample.loaded").exists():
        if process.poll() is not None or time.monotonic() > end:
            said = (settings.state_dir.parent / "serve.log").read_text("utf-8", "replace").strip()
            raise EvalError(f"The server for the sample did not start: {said[-600:] or 'it said nothing'}")
        time.sleep(POLL_SECONDS)
    target = Target(f"http://127.0.0.1:{settings.port}", admin_key(settings), settings)
    jobs = _jobs(target)
    if bad := [job["filename"] for job in jobs if job["state"] != "succeeded"]:
        raise EvalError(f"Not every sample document was read: {', '.join(bad)} failed.")
    return target


def _jobs(target: Target) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {target.key}"}
    try:
        answer = httpx.get(
            f"{target.url}/api/v1/jobs", params={"limit": 200}, headers=headers, timeout=30, trust_env=False
        )
        jobs: list[dict[str, Any]] = answer.raise_for_status().json()["items"]
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise EvalError("The server for the sample does not say what became of its documents.") from error
    return jobs
