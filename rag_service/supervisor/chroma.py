"""The local Chroma: the Rust server, on a loopback port, with its index in the state folder."""

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import httpx

from rag_service.errors import ConfigurationError
from rag_service.supervisor.leftovers import replace_leftover
from rag_service.supervisor.process import Child, Say, quiet
from rag_service.supervisor.sockets import free_loopback_port

STOP_SECONDS = 3.0
_START_SECONDS = 60.0
_ATTEMPTS = 3
_POLL_SECONDS = 0.05
_PORTS = (23_000, 30_999)
_MAX_REQUEST_BYTES = 256 * 1024 * 1024
"""Room for the largest batch it takes (5,461 vectors) at 3,072 dimensions; its default is 40 MB."""


class LocalChroma:
    """A Chroma server, started and stopped by us. `url` is known, and stays the same, from construction on."""

    def __init__(self, state_dir: Path, *, say: Say = quiet) -> None:
        self._state_dir = state_dir
        self._port = free_loopback_port(*_PORTS)
        self._config = state_dir / "run" / "chroma.yaml"
        self._say = say
        self.child: Child | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start it and return when it answers.

        Raises:
            ConfigurationError: it is not installed or does not start; holds the last lines that it said.
        """
        await replace_leftover(self._state_dir, "chroma", signal.SIGTERM, STOP_SECONDS)
        self._write_config()
        self.child = Child(
            "chroma",
            [*_program(), "run", str(self._config)],
            state_dir=self._state_dir,
            env=_environment(),
            death_signal=signal.SIGTERM,
            say=self._say,
        )
        await self.child.start()
        await self._until_it_answers(self.child)

    async def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Stop it; all that it has acknowledged is on disk."""
        if self.child is not None:
            await self.child.stop(signal.SIGTERM, timeout)
            self.child = None

    def _write_config(self) -> None:
        data = self._state_dir / "chroma"
        data.mkdir(mode=0o700, exist_ok=True)
        self._config.parent.mkdir(mode=0o700, exist_ok=True)
        config = {
            "listen_address": "127.0.0.1",
            "port": self._port,
            "persist_path": str(data),
            "allow_reset": False,
            # No web page may read from it: it asks nobody for a password.
            "cors_allow_origins": [],
            "max_payload_size_bytes": _MAX_REQUEST_BYTES,
        }
        # JSON is YAML, as long as letters are not written as pairs of escapes.
        self._config.write_text(json.dumps(config, ensure_ascii=False))

    async def _until_it_answers(self, child: Child) -> None:
        deadline = time.monotonic() + _START_SECONDS
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=5) as client:
            while True:
                try:
                    if (await client.get("/api/v2/heartbeat")).is_success:
                        return
                except httpx.TransportError:
                    pass
                if time.monotonic() > deadline or child.quick_deaths >= _ATTEMPTS:
                    raise ConfigurationError(
                        f"The local Chroma does not start. The last lines of {child.log_path}:\n{child.log_tail()}"
                    )
                await asyncio.sleep(_POLL_SECONDS)


def _program() -> list[str]:
    script = Path(sys.executable).parent / "chroma"
    if script.exists():
        # Not through its first line, which does not survive a folder with a space in its name.
        return [sys.executable, str(script)]
    found = shutil.which("chroma")
    if found is None:
        raise ConfigurationError(
            "The `chroma` program is not installed. Install it with `pip install chromadb`, or set CHROMA_URL to "
            "a server of your own."
        )
    return [found]


def _environment() -> dict[str, str]:
    """Ours without `CHROMA_...`, which would win over the configuration file."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CHROMA_")}
    return kept | {"ANONYMIZED_TELEMETRY": "False", "NO_COLOR": "1"}
